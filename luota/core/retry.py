"""When a failed delivery is tried again. Pure: instants are UTC milliseconds and come in as arguments.

The theory. A notice that cannot be handed over is worth most in its first minutes, when a blip is the
likeliest cause, and still worth something for days, because a receiver that broke on Friday evening is
repaired on Monday. So the pauses grow in steps up to one hour and stay there, and the attempts go on until
one of them has failed at or after the horizon of 72 h. Nothing but the clock ends them: an attempt that fails
before the horizon always has a successor.

Each pause is stretched or shrunk by up to a fifth, so that a hundred deliveries that failed together do not
come back together. A receiver that names a pause (`Retry-After`, RFC 9110 section 10.2.3) is obeyed, also
beyond the horizon, but for at most a day: no receiver may silence a notice for ever.
"""

import msgspec

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

PAUSES = (
    10 * SECOND,
    30 * SECOND,
    1 * MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    20 * MINUTE,
    40 * MINUTE,
    1 * HOUR,
)
"""The pause after failed attempt 1, 2, 3 …; the last one repeats."""

HORIZON = 72 * HOUR
LONGEST_RETRY_AFTER = 24 * HOUR
LONGEST_REST = HOUR
TOO_MANY_REQUESTS = 429
ERROR_LENGTH = 300


class AttemptResult(msgspec.Struct, frozen=True):
    """What one attempt to deliver a notice came to, whatever the channel.

    `terminal` means that repeating cannot help (HTTP 410): the delivery becomes `failed_terminal` at once.
    `status` is the provider's code, None when it gave no answer. `error` is None when ok, else a plain text
    of at most ERROR_LENGTH characters that holds no URL and no secret. `retry_after` is the pause in
    milliseconds that the provider asked for. `provider_id` is the provider's own name for the attempt, `answer` the
    beginning of what it said beside, which is shown after a test and not kept; neither holds a secret. `unsent`
    means that the settings of this process kept it from being sent, so that it says nothing of the provider.
    """

    ok: bool
    terminal: bool = False
    status: int | None = None
    error: str | None = None
    retry_after: int | None = None
    provider_id: str | None = None
    answer: str | None = None
    unsent: bool = False


def retry_at(attempt: int, first_at: int, now: int, jitter: float, retry_after: int | None) -> int | None:
    """Return the instant of the next attempt, always later than `now`, or None when the policy is exhausted.

    `attempt` is the number of the attempt that failed at `now`, counted from 1; `first_at` is when attempt 1
    began; both count from the first of the deliveries whose place this one took, if it took any; `jitter` is a
    random number in [0, 1); `retry_after` is the pause in milliseconds that the provider asked for, if it did.
    None is returned exactly when `now` lies at or after `first_at` + HORIZON.
    """
    if now >= first_at + HORIZON:
        return None
    pause = PAUSES[min(attempt, len(PAUSES)) - 1]
    wait = int(pause * (0.8 + 0.4 * jitter))
    if retry_after is not None:
        wait = max(wait, min(retry_after, LONGEST_RETRY_AFTER))
    return now + wait


def rests_until(result: AttemptResult, now: int) -> int | None:
    """Return until when the whole channel rests after an attempt that ended at `now`, or None when it does not.

    A provider that says that it got too much (429), and for how long, means them all and not the one message; not for
    long, or a slip would silence the channel.
    """
    if result.status != TOO_MANY_REQUESTS or not result.retry_after:
        return None
    return now + min(result.retry_after, LONGEST_REST)
