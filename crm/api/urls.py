"""REST addresses of the floor, and the document of all of them."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from crm.api import (
    bulks,
    channels,
    codes,
    companies,
    imports,
    lists,
    macros,
    notices,
    privacy,
    rights,
    viewsets,
)
from crm.api.schema import DocsView, SchemaView

router = SimpleRouter()
router.register("companies", companies.CompanyViewSet, "api-company")
router.register("tags", companies.TagViewSet, "api-tag")
router.register("custom-fields", companies.CustomFieldViewSet, "api-custom-field")
router.register("views", lists.SavedViewViewSet, "api-view")
router.register("bulks", bulks.BulkViewSet, "api-bulk")
router.register("customers", viewsets.CustomerViewSet, "api-customer")
router.register("merges", viewsets.MergeViewSet, "api-merge")
router.register("surveys", viewsets.SurveyViewSet, "api-survey")
router.register("erasures", privacy.ErasureViewSet, "api-erasure")
router.register("holds", privacy.HoldViewSet, "api-hold")
router.register("retention-policies", privacy.RetentionViewSet, "api-retention-policy")
router.register("identities", viewsets.IdentityViewSet, "api-identity")
router.register("interactions", viewsets.InteractionViewSet, "api-interaction")
router.register("messages", viewsets.MessageViewSet, "api-message")
router.register("tickets", viewsets.TicketViewSet, "api-ticket")
router.register("codes", codes.CodeViewSet, "api-code")
router.register("pause-reasons", viewsets.PauseReasonViewSet, "api-pause-reason")
router.register("channels", channels.ChannelViewSet, "api-channel")
router.register("deliveries", viewsets.DeliveryViewSet, "api-delivery")
router.register("macros", macros.MacroViewSet, "api-macro")
router.register("notices", notices.NoticeViewSet, "api-notice")
router.register("imports", imports.ImportViewSet, "api-import")
router.register("exports", imports.ExportViewSet, "api-export")
router.register("teams", viewsets.TeamViewSet, "api-team")
router.register("right-sets", rights.RightSetViewSet, "api-right-set")
router.register("grants", rights.GrantViewSet, "api-grant")
router.register("users", viewsets.UserViewSet, "api-user")

urlpatterns = [
    path("customers/<int:pk>/erasure/", privacy.CustomerErasure.as_view(), name="api-customer-erasure"),
    path(
        "customers/<int:pk>/personal-data/", privacy.PersonalData.as_view(), name="api-customer-personal-data"
    ),
    path(
        "customers/<int:pk>/verifications/",
        privacy.CustomerVerifications.as_view(),
        name="api-customer-verifications",
    ),
    path(
        "customers/<int:pk>/restricted/", privacy.CustomerRestricted.as_view(), name="api-customer-restricted"
    ),
    path("tickets/<int:pk>/restricted/", privacy.TicketRestricted.as_view(), name="api-ticket-restricted"),
    path(
        "companies/<int:pk>/restricted/", privacy.CompanyRestricted.as_view(), name="api-company-restricted"
    ),
    path("merging/", viewsets.Merging.as_view(), name="api-merging"),
    path("messages/<int:pk>/reveal/", privacy.MessageReveal.as_view(), name="api-message-reveal"),
    path("customers/<int:pk>/holds/", privacy.CustomerHolds.as_view(), name="api-customer-holds"),
    path("schema/", SchemaView.as_view(), name="api-schema"),
    path("docs/", DocsView.as_view(url_name="api-schema"), name="api-docs"),
    path("events/", viewsets.EventFeed.as_view(), name="api-events"),
    path("search/", viewsets.Search.as_view(), name="api-search"),
    path("lists/<slug:noun>/", lists.ListDescription.as_view(), name="api-list"),
    path("lists/<slug:noun>/choices/", lists.ListChoices.as_view(), name="api-list-choices"),
    path("lists/<slug:noun>/counts/", lists.ListCounts.as_view(), name="api-list-counts"),
    *router.urls,
]
