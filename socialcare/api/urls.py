"""REST addresses of social care."""

from rest_framework.routers import SimpleRouter

from socialcare.api import viewsets

router = SimpleRouter()
router.register("mentions", viewsets.MentionViewSet, "api-mention")

urlpatterns = router.urls
