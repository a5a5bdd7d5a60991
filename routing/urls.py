"""Pages of the distributor."""

from django.urls import path

from routing.views.desk import Desk
from routing.views.queues import QueueList

urlpatterns = [
    path("desk/", Desk.as_view(), name="desk"),
    path("queues/", QueueList.as_view(), name="queues"),
]
