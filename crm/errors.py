"""Every refusal has a code that clients can rely on and an HTTP status."""


class DomainError(Exception):
    """A rule said no. `code` is stable, `detail` is for people, `extra` is added to the problem document."""

    code = "refused"
    status = 400

    def __init__(
        self, detail: str = "", *, code: str | None = None, status: int | None = None, **extra: object
    ):
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.code
        self.status = status or self.status
        self.extra = extra


class NotAllowed(DomainError):
    """The person lacks the right."""

    code = "not_allowed"
    status = 403


class NotFound(DomainError):
    """Absent or not to be seen: the two look alike."""

    code = "not_found"
    status = 404


class Conflict(DomainError):
    """The state of the thing has moved on."""

    code = "conflict"
    status = 409


class InvalidTransition(Conflict):
    """This step does not lead from that state."""

    code = "invalid_transition"


class InvalidInput(DomainError):
    """The values given do not make sense; `errors` lists them by field."""

    code = "invalid"
    status = 400


class DeliveryError(DomainError):
    """A network did not take a message. `permanent` is the whole retry policy; `unclear` means it may have been posted."""

    code = "delivery_failed"

    def __init__(
        self, detail: str, *, permanent: bool, unclear: bool = False, retry_after: float | None = None
    ):
        super().__init__(detail)
        self.permanent = permanent
        self.unclear = unclear
        self.retry_after = retry_after
