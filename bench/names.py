"""What the centre and those who knock at its door must both know."""

SLUG = "bench-x"
SECRET = "bench-secret"  # noqa: S105 - of a house that lives for minutes


def token_of(number: int) -> str:
    """The token of the agent of that number; 0 is the auditor's, who may read the feed and every thread."""
    return f"ear_bench-token-of-nobody-but-agent-{number:04d}"
