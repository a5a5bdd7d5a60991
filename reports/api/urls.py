"""REST addresses of the mirror."""

from django.urls import path

from reports.api import viewsets

urlpatterns = [
    path("boards/", viewsets.BoardList.as_view(), name="api-boards"),
    path("boards/<slug:slug>/", viewsets.BoardDetail.as_view(), name="api-board"),
]
