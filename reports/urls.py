"""Pages of the mirror."""

from django.urls import path

from reports.views.boards import BoardPage

urlpatterns = [path("boards/<slug:slug>/", BoardPage.as_view(), name="board")]
