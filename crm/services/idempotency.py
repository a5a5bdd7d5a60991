"""A client's key names one write: the first use does it, the same request again gets the saved answer."""

from dataclasses import dataclass, field

from crm import rows
from crm.errors import Conflict, DomainError
from crm.models import User

ABANDONED_SECONDS = 60  # a first use that has not ended by then died with its process, and wrote nothing

_CLAIM = """
INSERT INTO crm_idempotencykey AS k (user_id, key, digest) VALUES (%s, %s, %s)
ON CONFLICT (user_id, key) DO UPDATE SET created_at = clock_timestamp()
WHERE k.status IS NULL AND k.digest = excluded.digest
    AND k.created_at < clock_timestamp() - make_interval(secs => %s)
RETURNING id
"""


@dataclass(slots=True, frozen=True)
class Answer:
    """What a write answered."""

    status: int
    data: object = None
    headers: dict[str, str] = field(default_factory=dict)


def claim(user: User, key: str, digest: str) -> Answer | None:
    """Take a key for this request, or get what it answered before.

    The same key with another request is 422; while the first use is still at work it is 409.
    """
    if rows.run(_CLAIM, (user.pk, key, digest, ABANDONED_SECONDS)):
        return None
    found = rows.run(
        "SELECT digest, status, body FROM crm_idempotencykey WHERE user_id = %s AND key = %s", (user.pk, key)
    )
    if found and found[0][0] != digest:
        raise DomainError("This key was used for another request.", code="idempotency_key_reused", status=422)
    if not found or found[0][1] is None:
        raise Conflict("The first request with this key is still at work.", code="in_progress")
    saved = rows.from_json(found[0][2])
    return Answer(found[0][1], saved["data"], saved["headers"])


def save(user: User, key: str, answer: Answer) -> None:
    """Keep the answer; call it in the transaction of the write, so that both exist or neither."""
    rows.run(
        "UPDATE crm_idempotencykey SET status = %s, body = %s::jsonb WHERE user_id = %s AND key = %s",
        (answer.status, rows.as_json({"data": answer.data, "headers": answer.headers}), user.pk, key),
    )


def release(user: User, key: str) -> None:
    """Give the key back: nothing was written, so the client may try again."""
    rows.run(
        "DELETE FROM crm_idempotencykey WHERE user_id = %s AND key = %s AND status IS NULL", (user.pk, key)
    )


def forget(hours: int = 48) -> int:
    """Delete keys past retention, in one statement."""
    return len(
        rows.run(
            "DELETE FROM crm_idempotencykey WHERE created_at < now() - make_interval(hours => %s) RETURNING 1",
            (hours,),
        )
    )
