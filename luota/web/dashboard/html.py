"""The templates, and how instants and durations are written on pages."""

import hashlib
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
from jinja2 import DictLoader, Environment, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from luota.core.spec.values import format_instant, format_measured
from luota.core.text import visible

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NAMED = re.compile(rf"\b({_INSTANT.pattern}|{_UUID.pattern})\b", re.ASCII)
_ALLOWING = re.compile(r"; to allow it, set (\[alerts\] allow_networks = \[[^\]]*\])")
_DURATION = re.compile(r"(?<=\d) (?=(?:ms|s|min|h|d)\b)")
_NO_BREAK = "\N{NO-BREAK SPACE}"
_SECOND, _MINUTE, _HOUR, _DAY = 1_000, 60_000, 3_600_000, 86_400_000


class Templates:
    """The pages' templates; everything that is put into one is escaped.

    They and the static files are read when this is made: an upgrade lays new ones beside a daemon that still runs the
    old code, until it is restarted.
    """

    def __init__(self) -> None:
        _static_files()
        found = files("luota.web").joinpath("templates").iterdir()
        self._environment = Environment(
            loader=DictLoader({one.name: one.read_text("utf-8") for one in found if one.name.endswith(".html")}),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "when": when,
            "lasting": lasting,
            "exact": exact,
            "until": until,
            "duration": _whole,
            "measured": _measured,
            "iso": format_instant,
            "pretty": pretty,
            "count": count,
            "last_of": last_of,
            "told": told,
            "who": _who,
            "allowing": allowing,
        }
        self._environment.globals |= {"static": static_path, "marks": MARKS, "visible": visible}

    def render(self, template: str, **context: Any) -> str:
        """Return the text of a template."""
        return self._environment.get_template(template).render(**context)


MARKS: Mapping[str, str] = {
    "healthy": "proven in time",
    "late": "late, inside grace",
    "failing": "failing, below its tolerance",
    "incident": "incident",
    "unverified": "unverified",
    "paused": "paused",
    "draft": "no signal yet",
    "archived": "archived",
}
"""Every status with what it means in a few words."""


def exact(at: int | None) -> str:
    """Return an instant for people without a script: `2026-04-29 01:33:11 UTC`."""
    return "never" if at is None else f"{format_instant(at)[:19].replace('T', ' ')} UTC"


def when(at: int | None, now: int) -> Markup:
    """Return an instant relative to `now`, exact on hover; the script turns it to the viewer's timezone."""
    if at is None:
        return Markup("<span>never</span>")
    said = (
        f"in {duration(at - now)}" if at > now else f"{duration(now - at)} ago" if now - at >= _SECOND else "just now"
    )
    return Markup('<time datetime="{}" title="{}" data-when>{}</time>').format(format_instant(at), exact(at), said)


def lasting(at: int, now: int) -> Markup:
    """Return how long something has held since an instant, exact on hover, which the script keeps counting."""
    return Markup('<time datetime="{}" title="{}" data-for>{}</time>').format(
        format_instant(at), exact(at), duration((now - at) // _SECOND * _SECOND)
    )


def until(at: int | None, now: int) -> Markup:
    """Return a countdown to an instant, which the script keeps running."""
    if at is None:
        return Markup("<span>none</span>")
    said = f"in {duration(at - now)}" if at > now else f"{duration(now - at)} ago"
    return Markup('<time datetime="{}" title="{}" data-until>{}</time>').format(format_instant(at), exact(at), said)


def duration(ms: int | None) -> str:
    """Return a duration in its two largest units: `2 h 5 min`, `4 s`, `340 ms`."""
    if ms is None:
        return "none"
    ms = max(0, ms)
    if ms < _SECOND:
        return f"{ms} ms" if ms else "0 s"
    for unit, word, part, small in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
        (_MINUTE, "min", _SECOND, "s"),
    ):
        if ms >= unit:
            whole, rest = divmod(ms, unit)
            return f"{whole} {word}" + (f" {rest // part} {small}" if rest // part and whole < 10 else "")
    return f"{ms // _SECOND} s"


def _whole(ms: int | None) -> str:
    """Return a duration of which no line ends between a number and its unit."""
    return duration(ms).replace(" ", _NO_BREAK)


def _measured(ms: int) -> str:
    """Return the same of what is compared with its like: to a tenth of a second below a minute."""
    return format_measured(ms).replace(" ", _NO_BREAK) if ms < _MINUTE else _whole(ms)


def told(text: str | None) -> Markup:
    """Return a sentence of Luota's with its instants as times and its long ids cut; all else of it escaped.

    No line ends between a number and its unit.
    """
    said = []
    for part in _NAMED.split(text or ""):
        if _INSTANT.fullmatch(part):
            said.append(
                Markup('<time datetime="{}" data-exact>{} UTC</time>').format(part, part[:19].replace("T", " "))
            )
        elif _UUID.fullmatch(part):
            said.append(Markup('<span title="{}">{}…</span>').format(part, part[:8]))
        else:
            said.append(escape(_DURATION.sub(_NO_BREAK, part)))
    return Markup().join(said)


def who(actor: str | None, names: Mapping[str, str]) -> str:
    """Return who acted, as `Ann Example (ann@example.org)` where the person of that address has chosen a name."""
    name = names.get(actor or "")
    return visible(f"{name} ({actor})" if name else actor or "somebody")


@pass_context
def _who(context: Context, actor: str | None) -> str:
    return who(actor, context["names"])


def allowing(error: str) -> tuple[str, str | None]:
    """Return what is wrong, and the lines of the settings that allow an address which Luota refused to call.

    The second is None where `error` is no such refusal.
    """
    found = _ALLOWING.search(error)
    if found is None:
        return error, None
    section, _, setting = found[1].partition(" ")
    return error[: found.start()], f"{section}\n{setting}"


def pretty(text: str | None) -> str:
    """Return JSON text with one key a line, each number and string exactly as written; as it is when it is none."""
    if not text:
        return ""
    try:
        return msgspec.json.format(text, indent=2)
    except ValueError:
        return text


def count(number: int, one: str, many: str | None = None) -> str:
    """Return `1 incident`, `2 incidents`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def last_of(number: int, one: str) -> str:
    """Return `last slot`, `last 60 slots`."""
    return f"last {one if number == 1 else count(number, one)}"


@cache
def _static_files() -> Mapping[str, bytes]:
    own = (one for one in files("luota.web").joinpath("static").iterdir() if one.is_file())
    htmx = files("js_lib_htmx").joinpath("static/htmx/htmx.min.js")
    return {**{one.name: one.read_bytes() for one in own}, "htmx.js": htmx.read_bytes()}


def static_file(name: str) -> bytes | None:
    """Return a file that pages load: one of our own, or htmx as its package has it."""
    return _static_files().get(name)


@cache
def static_path(name: str) -> str:
    """Return the path of a file that pages load; it changes with the content, so that it may be kept for ever."""
    content = static_file(name)
    assert content is not None, name
    return f"/static/{hashlib.sha256(content).hexdigest()[:12]}/{name}"
