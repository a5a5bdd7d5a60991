"""Pages of social care."""

from django.urls import path

from socialcare.views.mentions import MentionList

urlpatterns = [path("mentions/", MentionList.as_view(), name="mentions")]
