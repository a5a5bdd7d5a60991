"""The nouns of social care."""

from socialcare.models.mentions import Mention, MentionSource

__all__ = ["Mention", "MentionSource"]
