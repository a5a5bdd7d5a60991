"""Pages of the distributor."""

from django.urls import path

from routing.views.desk import Desk
from routing.views.fairness import Fairness
from routing.views.handover import Handover
from routing.views.idleness import Idleness
from routing.views.queues import QueueDetail, QueueEditor, QueueList, Take
from routing.views.scoring import Weights
from routing.views.simulator import SimulationDetail, SimulationList

urlpatterns = [
    path("desk/", Desk.as_view(), name="desk"),
    path("fairness/", Fairness.as_view(), name="fairness"),
    path("agents/me/idle/", Idleness.as_view(), name="my-idleness"),
    path("agents/<int:pk>/idle/", Idleness.as_view(), name="idleness"),
    path("handover/", Handover.as_view(), name="handover"),
    path("queues/", QueueList.as_view(), name="queues"),
    path("queues/new/", QueueEditor.as_view(), name="queue-new"),
    path("scoring/", Weights.as_view(), name="scoring"),
    path("simulator/", SimulationList.as_view(), name="simulations"),
    path("simulator/<int:pk>/", SimulationDetail.as_view(), name="simulation"),
    path("queues/<slug:slug>/take/", Take.as_view(), name="queue-take"),
    path("queues/<slug:slug>/", QueueDetail.as_view(), name="queue"),
]
