"""Single values: instants, durations, ids, texts, slugs, addresses, tags."""

import re
import unicodedata
from datetime import date
from functools import lru_cache
from urllib.parse import urlsplit

from luota.core.errors import LuotaError, invalid

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

MAX_TAGS = 16
MAX_TAG_KEY = 40
MAX_TAG_VALUE = 120
MAX_URL = 2000
MAX_SLUG = 63

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MIN_INSTANT = (date.min.toordinal() - _EPOCH_DAY) * DAY
_MAX_INSTANT = (date.max.toordinal() + 1 - _EPOCH_DAY) * DAY - 1
LONGEST = 3650 * DAY
"""No duration is longer."""
WRITTEN = "a whole number of seconds, or one like 90s, 5m, 2h or 1d"
"""How a duration is written."""

# The pieces of how most programs write an instant, `2026-04-29T01:33:11.398Z`: `T01:33:`, seconds, what follows them.
_MINUTES = {f"T{minute // 60:02}:{minute % 60:02}:": minute * MINUTE for minute in range(24 * 60)}
_SECONDS = {f"{second:02}": second * SECOND for second in range(60)}
_ENDINGS = {"Z": 0} | {f".{ms:03}Z": ms for ms in range(1000)}
_MINUTES_IN_ORDER, _SECONDS_IN_ORDER, _ENDINGS_IN_ORDER = tuple(_MINUTES), tuple(_SECONDS), tuple(_ENDINGS)[1:]
# Longer ones are refused unread: int() of a fraction has a limit of its own, and raises beyond it.
_MAX_INSTANT_TEXT = 64

_INSTANT = re.compile(
    r"""(\d{4}) (?: (-?) (\d\d) \2 (\d\d) | -? W (\d\d) -? ([1-7]) | -? (\d{3}) )  # calendar, week, ordinal
        [Tt\ ]
        (\d\d) (?: :? (\d\d) (?: :? (\d\d) )? )? (?: [.,] (\d+) )?
        (?: [Zz] | ([+-]) (\d\d) (?: :? (\d\d) )? )""",
    re.ASCII | re.VERBOSE,
)
_DURATION = re.compile(r"(\d{1,12})([smhd]?)", re.ASCII)
_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 60 * 60, "d": 24 * 60 * 60}
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_NOT_SLUG = re.compile(r"[^a-z0-9]+")
# urlsplit drops tabs and newlines silently, and clients disagree on what a backslash ends.
_NOT_URL = re.compile(r"[\x00-\x20\x7f-\xa0\\\s]")


def parse_instant(value: object, field: str) -> int:
    """Return the UTC milliseconds of an ISO 8601 time that carries an offset or `Z`.

    Accepted are the extended and the basic form, calendar, week and ordinal dates, a fraction after a
    point or a comma (cut to milliseconds), `+02:00`, `+0200` and `+02`, `t` or a space between date and
    time, and the leap second, which counts as the second after it (docs/api.md).
    INVALID for anything else, and for what lies outside the years 1 to 9999 in UTC.
    """
    if not isinstance(value, str):
        raise _not_an_instant(field)
    # How most programs write it, by its pieces: several times as fast.
    try:
        return _minute_at(value[:17]) + _SECONDS[value[17:19]] + _ENDINGS[value[19:]]
    except (KeyError, ValueError):
        match = _INSTANT.fullmatch(value) if len(value) <= _MAX_INSTANT_TEXT else None
    if match is None:
        raise _not_an_instant(field)
    year, _, month, day, week, weekday, ordinal, hour, minute, second, digits, sign, off_h, off_m = match.groups()
    try:
        if month is not None:
            day_number = date(int(year), int(month), int(day)).toordinal()
        elif week is not None:
            day_number = date.fromisocalendar(int(year), int(week), int(weekday)).toordinal()
        else:
            day_number = _of_ordinal_date(int(year), int(ordinal))
    except ValueError:
        raise _not_an_instant(field) from None

    clock = int(hour) * HOUR + int(minute or 0) * MINUTE + int(second or 0) * SECOND
    if digits is not None:  # of the smallest unit that is written, says ISO 8601
        unit = SECOND if second is not None else MINUTE if minute is not None else HOUR
        clock += int(digits) * unit // 10 ** len(digits)
    if int(minute or 0) > 59 or int(second or 0) > 60 or (int(hour) > 23 and clock != DAY):
        raise _not_an_instant(field)

    offset = 0
    if sign is not None:
        if int(off_h) > 23 or int(off_m or 0) > 59:
            raise _not_an_instant(field)
        offset = int(off_h) * HOUR + int(off_m or 0) * MINUTE
        if sign == "-":
            offset = -offset
    instant = (day_number - _EPOCH_DAY) * DAY + clock - offset
    if not _MIN_INSTANT <= instant <= _MAX_INSTANT:
        raise invalid(field, f"{field} lies outside the years 1 to 9999. Send the time of the event.")
    return instant


@lru_cache(maxsize=4096)
def _minute_at(text: str) -> int:
    """Return the instant at which the minute begins that is written `2026-04-29T01:33:`.

    KeyError or ValueError for what is not written so.
    """
    return _MINUTES[text[10:]] + _day_at(text[:10])


@lru_cache(maxsize=256)
def _day_at(text: str) -> int:
    return (date.fromisoformat(text).toordinal() - _EPOCH_DAY) * DAY


@lru_cache(maxsize=4096)  # each stands in several sentences, and they are most of what a verdict costs
def format_instant(ms: int) -> str:
    """Return the instant as `2026-04-29T01:33:11.398Z`. Any that `parse_instant` returns is fine."""
    minute, rest = divmod(ms, MINUTE)
    return _format_minute(minute) + _SECONDS_IN_ORDER[rest // SECOND] + _ENDINGS_IN_ORDER[rest % SECOND]


@lru_cache(maxsize=4096)
def _format_minute(minute: int) -> str:
    day, rest = divmod(minute, 24 * 60)
    return _format_day(day) + _MINUTES_IN_ORDER[rest]


@lru_cache(maxsize=256)
def _format_day(day: int) -> str:
    return date.fromordinal(_EPOCH_DAY + day).isoformat()


def parse_duration(
    value: object, field: str, *, minimum: int = 0, maximum: int = LONGEST, or_zero: bool = False
) -> int:
    """Return the milliseconds of whole seconds, or of a text such as `90`, `90s`, `5m`, `2h`, `1d`.

    INVALID, naming the bounds, for anything else and for what lies outside `minimum` to `maximum` (milliseconds);
    `or_zero` allows 0 beside them, which then stands for none.
    """
    seconds = -1
    if isinstance(value, int) and not isinstance(value, bool):
        seconds = value
    elif isinstance(value, str) and (match := _DURATION.fullmatch(value)):
        seconds = int(match[1]) * _UNIT_SECONDS[match[2]]
    duration = seconds * SECOND
    if minimum <= duration <= maximum or (or_zero and duration == 0):
        return duration
    bounds = f"from {format_duration(minimum)} to {format_duration(maximum)}"
    if or_zero:
        bounds += ", or 0 for none"
    raise invalid(field, f"{field} must be {WRITTEN}, {bounds}.")


@lru_cache(maxsize=1024)
def format_duration(ms: int) -> str:
    """Return a duration in short words, `1 h 30 min`; parts of a second are left out."""
    rest = abs(ms) // SECOND
    words = []
    for word, unit in (("d", 24 * 60 * 60), ("h", 60 * 60), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, unit)
        if count:
            words.append(f"{count} {word}")
    return ("-" if ms <= -SECOND else "") + (" ".join(words) or "0 s")


def format_measured(ms: int) -> str:
    """Return a duration that is compared with its like: `340 ms`, `1.7 s`, from a minute on as `format_duration`."""
    if ms >= MINUTE:
        return format_duration(ms)
    return f"{ms} ms" if 0 < ms < SECOND else f"{round(ms / SECOND, 1):g} s"


def parse_uuid(value: object) -> str | None:
    """Return a UUID in its canonical lower-case text, or None when it is anything else."""
    if not isinstance(value, str):
        return None
    text = value.lower()
    return text if _UUID.fullmatch(text) else None


def parse_text(value: object, field: str, *, minimum: int = 0, maximum: int) -> str:
    """Return the text unchanged if it has `minimum` to `maximum` characters.

    INVALID for another type or length, for a NUL character and for a lone surrogate: neither can be
    stored and shown exactly (docs/api.md).
    """
    if not isinstance(value, str):
        raise invalid(field, f"{field} must be a text, not {kind_of(value)}.")
    if not minimum <= len(value) <= maximum:
        if not value:
            raise invalid(field, f"{field} must not be empty.")
        bounds = f"{minimum} to {maximum}" if minimum else f"at most {maximum}"
        raise invalid(field, f"{field} must have {bounds} characters; it has {len(value)}.")
    refuse_unstorable(value, field)
    return value


def refuse_unstorable(value: str, field: str) -> None:
    """Raise INVALID if a text holds a NUL character or a lone surrogate."""
    if "\0" in value:
        raise invalid(field, f"{field} holds a NUL character. Remove it.")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise invalid(field, f"{field} holds half of a surrogate pair. Send valid Unicode.") from None


def parse_slug(value: object, field: str) -> str:
    """Return a slug unchanged: small letters a-z, digits and single hyphens between them, up to 63."""
    text = parse_text(value, field, minimum=1, maximum=MAX_SLUG)
    if not _SLUG.fullmatch(text):
        raise invalid(field, f"{field} may hold small letters a-z, digits and single hyphens between them only.")
    return text


def slug_of(name: str) -> str:
    """Return the slug that a name suggests (`Päivän raportti` → `paivan-raportti`), never an empty one."""
    plain = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode().lower()
    return _NOT_SLUG.sub("-", plain).strip("-")[:MAX_SLUG].rstrip("-") or "unnamed"


def parse_http_url(value: object, field: str) -> str:
    """Return an absolute http or https address unchanged.

    INVALID without a host, beyond 2000 characters, and with spaces, control characters or backslashes.
    No message repeats the address: it may carry a password.
    """
    text = parse_text(value, field, minimum=1, maximum=MAX_URL)
    if _NOT_URL.search(text):
        raise invalid(field, f"{field} must not hold spaces, control characters or backslashes.")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _not_an_address(field) from None
    if parts.scheme not in {"http", "https"} or not host or port == 0:
        raise _not_an_address(field)
    return text


def parse_tags(value: object, field: str) -> dict[str, str]:
    """Return tags unchanged: at most 16, keys of 1-40 characters, texts of at most 120 as values.

    INVALID names the tag by path, `tags.region`, and `tags` where the key itself is unprintable or long.
    """
    if not isinstance(value, dict):
        raise invalid(field, f"{field} must be an object of texts, not {kind_of(value)}.")
    if len(value) > MAX_TAGS:
        raise invalid(field, f"{field} may hold at most {MAX_TAGS} tags; it has {len(value)}.")
    for key, text in value.items():
        path = path_of(field, key)
        if not isinstance(key, str) or not 1 <= len(key) <= MAX_TAG_KEY:
            raise invalid(path, f"A key in {field} must be a text of 1 to {MAX_TAG_KEY} characters.")
        refuse_unstorable(key, path)
        parse_text(text, path, maximum=MAX_TAG_VALUE)
    return value


def path_of(parent: str, key: object) -> str:
    """Return `parent.key`, or `parent` where the key is none that a message should repeat."""
    return f"{parent}.{key}" if is_nameable(key) else parent


def is_nameable(key: object) -> bool:
    """Tell whether a key that a client chose is fit to be repeated as a field's name."""
    return isinstance(key, str) and 1 <= len(key) <= 100 and key.isprintable()


def kind_of(value: object) -> str:
    """Return what JSON calls the type of a decoded value, with its article, for messages."""
    for kinds, word in _KINDS:
        if isinstance(value, kinds):
            return word
    return "null"


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "a boolean"),  # before int, which bool is
    ((int, float), "a number"),
    (str, "a text"),
    ((list, tuple), "an array"),
    (dict, "an object"),
)


def _of_ordinal_date(year: int, day: int) -> int:
    """Return the proleptic ordinal of a day of a year; ValueError when the year has no such day."""
    start = date(year, 1, 1).toordinal()
    if not 1 <= day <= date(year, 12, 31).toordinal() - start + 1:
        raise ValueError
    return start + day - 1


def _not_an_instant(field: str) -> LuotaError:
    return invalid(
        field,
        f"{field} must be an ISO 8601 time with an offset or Z, like 2026-04-29T01:33:11.398Z.",
    )


def _not_an_address(field: str) -> LuotaError:
    return invalid(field, f"{field} must be an address that starts with http:// or https:// and has a host.")
