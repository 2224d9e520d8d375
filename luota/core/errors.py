"""The one error type of Luota: every refusal has a code, and each surface maps codes to its own status."""

from collections.abc import Mapping
from enum import StrEnum


class Code(StrEnum):
    """Why something was refused. The web maps a code to an HTTP status, the CLI to an exit code."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    TOO_LARGE = "too_large"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    STOPPING = "stopping"


class LuotaError(Exception):
    """A refusal that a user can act on.

    `message` says what is wrong and what to do, and never holds a secret. `field` names the offending
    input by path (`tags.region`) when one input is to blame. `retry_after` (whole seconds), `policy`
    and `limit` are set for RATE_LIMITED; `retry_after` also for UNAVAILABLE.
    """

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        field: str | None = None,
        retry_after: int | None = None,
        policy: str | None = None,
        limit: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.retry_after = retry_after
        self.policy = policy
        self.limit = limit


def invalid(field: str, message: str) -> LuotaError:
    """Return the error for one bad input, to be raised by the caller."""
    return LuotaError(Code.INVALID, message, field=field)


def reworded(error: LuotaError, words: Mapping[str, str]) -> str:
    """Return the message, with the word that `words` has for the error's own field where it begins with that field.

    Nothing else in it is replaced: the rest may repeat what somebody wrote.
    """
    field = error.field or ""
    if field not in words or not error.message.startswith(f"{field} "):
        return error.message
    return words[field] + error.message.removeprefix(field)
