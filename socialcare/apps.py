"""Social care plugs itself into the floor."""

from importlib import import_module

from django.apps import AppConfig

from crm.choices import ChannelKind

NETWORKS = {
    ChannelKind.X, ChannelKind.FACEBOOK, ChannelKind.INSTAGRAM, ChannelKind.YOUTUBE, ChannelKind.MASTODON,
    ChannelKind.BLUESKY, ChannelKind.REDDIT,
}  # fmt: skip


class SocialcareConfig(AppConfig):
    """The ear and voice on networks."""

    name = "socialcare"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register connectors, the judge and the service that takes what networks deliver."""
        base = import_module("crm.connectors.base")
        judging = import_module("crm.judging")
        mentions = import_module("socialcare.services.mentions")
        base.register("simnet", "socialcare.networks.simulated")
        base.register("mastodon", "socialcare.networks.mastodon")
        base.register("meta", "socialcare.networks.meta")
        base.register("x", "socialcare.networks.x")
        base.register_taker(NETWORKS, mentions.ingest)
        base.register_follower(mentions.follow_changes)
        judging.register(import_module("socialcare.services.judge").judge)
        import_module("crm.lists").register(import_module("socialcare.lists").MENTIONS)
        filters = import_module("socialcare.filters")
        import_module("socialcare.services.exports").register(filters.MentionFilter)
        import_module("socialcare.services.verdicts").register(filters.MentionFilter)
        import_module("socialcare.personal")
        import_module("socialcare.services.retention").plug_in()
        import_module("socialcare.reactions")
