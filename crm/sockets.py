"""The floor's socket addresses."""

from django.urls import re_path

from crm.consumers import EventsConsumer, NoticesConsumer, ThreadConsumer

urlpatterns = [
    re_path(r"^ws/interactions/(?P<pk>\d{1,18})/$", ThreadConsumer.as_asgi()),
    re_path(r"^ws/notices/$", NoticesConsumer.as_asgi()),
    re_path(r"^ws/events/$", EventsConsumer.as_asgi()),
]
