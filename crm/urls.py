"""The addresses of the house: each app's, the admin's, the API's."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/v1/", include("crm.api.urls")),
    path("api/v1/", include("routing.api.urls")),
    path("api/v1/", include("socialcare.api.urls")),
    path("api/v1/", include("reports.api.urls")),
    path("accounts/", include("allauth.account.urls")),
]
