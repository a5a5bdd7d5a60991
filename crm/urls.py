"""The addresses of the house: each app's, the admin's, the API's."""

from django.contrib import admin
from django.urls import include, path, re_path

from crm.api.base import NotHere
from crm.views import (
    bulks,
    channels,
    companies,
    customers,
    deliveries,
    exports,
    home,
    imports,
    interactions,
    lists,
    macros,
    merges,
    notices,
    people,
    privacy,
    tickets,
    viewing,
)

handler400 = "crm.views.base.bad_request"
handler403 = "crm.views.base.forbidden"
handler404 = "crm.views.base.absent"
handler500 = "crm.views.base.broken"

pages = [
    path("", home.Home.as_view(), name="home"),
    path("search/", home.Search.as_view(), name="search"),
    path("help/keys/", home.Keys.as_view(), name="keys"),
    path("customers/", lists.CustomerList.as_view(), name="customers"),
    path("customers/<int:pk>/", customers.CustomerDetail.as_view(), name="customer"),
    path("customers/<int:pk>/merge/", merges.CustomerMerge.as_view(), name="customer-merge"),
    path("merging/", merges.Merging.as_view(), name="merging"),
    path("merges/<int:pk>/undo/", merges.Undo.as_view(), name="merge-undo"),
    path("customers/<int:pk>/privacy/", privacy.CustomerPrivacy.as_view(), name="customer-privacy"),
    path("customers/<int:pk>/card/", customers.CustomerCard.as_view(), name="customer-card"),
    path("companies/", lists.CompanyList.as_view(), name="companies"),
    path("companies/<int:pk>/", companies.CompanyDetail.as_view(), name="company"),
    path("companies/<int:pk>/restricted/", privacy.CompanyRestricted.as_view(), name="company-restricted"),
    path("tickets/<int:pk>/restricted/", privacy.TicketRestricted.as_view(), name="ticket-restricted"),
    path("tickets/", lists.TicketList.as_view(), name="tickets"),
    path("tickets/<int:pk>/", tickets.TicketDetail.as_view(), name="ticket"),
    path("interactions/<int:pk>/", interactions.InteractionDetail.as_view(), name="interaction"),
    path("interactions/<int:pk>/thread/", interactions.Thread.as_view(), name="thread"),
    path(
        "interactions/<int:pk>/messages/<int:message>/",
        interactions.MessageFragment.as_view(),
        name="message",
    ),
    path("macros/", macros.MacroList.as_view(), name="macros"),
    path("macros/new/", macros.MacroEditor.as_view(), name="macro-new"),
    path("macros/<int:pk>/", macros.MacroDetail.as_view(), name="macro"),
    path("notices/", notices.NoticeList.as_view(), name="notices"),
    path("notices/<int:pk>/", notices.NoticeOpen.as_view(), name="notice-open"),
    path("customers/<int:pk>/disclosure/", privacy.CustomerDisclosure.as_view(), name="customer-disclosure"),
    path("messages/<int:pk>/files/<int:place>/", interactions.MessageFile.as_view(), name="message-file"),
    path("messages/<int:pk>/reveal/", privacy.MessageReveal.as_view(), name="message-reveal"),
    path("people/", people.PeopleList.as_view(), name="people"),
    path("people/<int:pk>/", people.PersonDetail.as_view(), name="person"),
    path("rights/", people.Matrix.as_view(), name="rights"),
    path("rights/new/", people.NewSet.as_view(), name="right-set-new"),
    path("rights/<int:pk>/", people.SetDetail.as_view(), name="right-set"),
    path("viewing/", viewing.Start.as_view(), name="viewing"),
    path("viewing/end/", viewing.End.as_view(), name="viewing-end"),
    path("privacy/", privacy.Retention.as_view(), name="privacy"),
    path("bulks/", bulks.BulkList.as_view(), name="bulks"),
    path("bulks/<int:pk>/", bulks.BulkDetail.as_view(), name="bulk"),
    path("imports/", imports.ImportList.as_view(), name="imports"),
    path("imports/<int:pk>/", imports.ImportDetail.as_view(), name="import"),
    path("exports/", exports.ExportList.as_view(), name="exports"),
    path("exports/<int:pk>/file/", exports.ExportFile.as_view(), name="export-file"),
    path("channels/", channels.ChannelList.as_view(), name="channels"),
    path("channels/mailbox/", channels.NewMailbox.as_view(), name="mailbox-new"),
    path("channels/<int:pk>/", channels.ChannelDetail.as_view(), name="channel"),
    path("deliveries/", deliveries.DeliveryList.as_view(), name="deliveries"),
    path("deliveries/<int:pk>/replay/", deliveries.Replay.as_view(), name="delivery-replay"),
]

urlpatterns = [
    *pages,
    *(path("", include(f"{app}.urls")) for app in ("routing", "socialcare", "reports")),
    path("admin/", admin.site.urls),
    path("api/v1/", include("crm.api.urls")),
    path("api/v1/", include("routing.api.urls")),
    path("api/v1/", include("socialcare.api.urls")),
    path("api/v1/", include("reports.api.urls")),
    # Without the last slash Django looks whether there is such an address with it.
    re_path(r"^api/v1/(?:[\s\S]*/)?$", NotHere.as_view()),
    path("accounts/", include("allauth.account.urls")),
]
