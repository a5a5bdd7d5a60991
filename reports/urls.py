"""Pages of the mirror."""

from django.urls import path

from reports.views.boards import BoardPage
from reports.views.demo import Colleagues, Play
from reports.views.metrics import Metrics

urlpatterns = [
    path("metrics", Metrics.as_view(), name="metrics"),
    path("boards/<slug:slug>/", BoardPage.as_view(), name="board"),
    path("demo/play/", Play.as_view(), name="demo-play"),
    path("demo/colleagues/", Colleagues.as_view(), name="demo-colleagues"),
]
