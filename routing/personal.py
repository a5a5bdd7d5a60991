"""What the distributor keeps, for the floor's register (`crm/personal.py`): numbers, codes and times, nobody's words."""

from crm.personal import nobody

nobody("routing.Skill", "code", "name")
nobody(
    "routing.Agent", "languages", "chosen", "chosen_reason", "blocked_families", "then_state", "then_after",
    "max_family",
)  # fmt: skip
nobody("routing.PresenceReason", "slug", "name", "state")
nobody("routing.ScheduledTime", "kind")
nobody("routing.Hand", "reason", "topic")
nobody("routing.Call", "external_id")
nobody("routing.Joining", "kind", "ended_why")
nobody("routing.PresenceInterval", "chosen", "doing", "reason")
nobody(
    "routing.Queue",
    "slug", "name", "topics", "channels", "targets", "mode", "ordering", "required_skills", "preferred_skills", "offer_seconds",
    "exclusive",
)  # fmt: skip
nobody(
    "routing.WorkItem",
    "status", "family", "required_skills", "language", "priority_parts", "refused_by", "reason", "outcome", "been_in", "kind",
)  # fmt: skip
nobody("routing.QueueStep", "gives_up")
nobody("routing.RuleChange", "reason", "changes")
nobody("routing.Scoring", "channels", "locked")
nobody("routing.ChoiceCount", "what", "won", "passed")
nobody("routing.Simulation", "title", "asked", "state", "error", "result")
nobody("routing.Assignment", "status", "explanation", "reason", "step")
nobody("routing.Leader", "name")
nobody("routing.Standing", "said")
