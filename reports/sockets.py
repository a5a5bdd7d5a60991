"""The mirror's socket addresses."""

from django.urls import re_path

from reports.consumers import BoardConsumer

urlpatterns = [re_path(r"^ws/boards/(?P<slug>[-\w]{1,50})/$", BoardConsumer.as_asgi())]
