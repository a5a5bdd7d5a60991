"""The distributor's socket addresses."""

from django.urls import re_path

from routing.consumers import DeskConsumer

urlpatterns = [re_path(r"^ws/desk/$", DeskConsumer.as_asgi())]
