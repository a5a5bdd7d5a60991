"""REST addresses of the distributor."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from routing.api import viewsets

router = SimpleRouter()
router.register("queues", viewsets.QueueViewSet, "api-queue")
router.register("skills", viewsets.SkillViewSet, "api-skill")
router.register("agents", viewsets.AgentViewSet, "api-agent")
router.register("presence-reasons", viewsets.PresenceReasonViewSet, "api-presence-reason")
router.register("hands", viewsets.HandViewSet, "api-hand")
router.register("joinings", viewsets.JoiningViewSet, "api-joining")
router.register("scheduled-times", viewsets.ScheduledTimeViewSet, "api-scheduled-time")
router.register("work-items", viewsets.WorkItemViewSet, "api-work-item")
router.register("offers", viewsets.OfferViewSet, "api-offer")
router.register("assignments", viewsets.AssignmentViewSet, "api-assignment")
router.register("simulations", viewsets.SimulationViewSet, "api-simulation")

urlpatterns = [
    path("desk/", viewsets.DeskView.as_view(), name="api-desk"),
    path("scoring/", viewsets.ScoringView.as_view(), name="api-scoring"),
    path("scoring/preview/", viewsets.ScoringPreviewView.as_view(), name="api-scoring-preview"),
    path("fairness/", viewsets.FairnessView.as_view(), name="api-fairness"),
    path("handover/", viewsets.HandoverView.as_view(), name="api-handover"),
    *router.urls,
]
