"""The overview: what needs a human, the counters, and every monitor with its bar."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from luota.core.bar import Slot
from luota.core.errors import invalid
from luota.core.model import Status
from luota.core.spec.values import parse_tags
from luota.engine import monitors
from luota.engine.registry import Live
from luota.store import incidents as incident_rows
from luota.store import overview as rows
from luota.web.dashboard.bars import bar
from luota.web.dashboard.board import Row
from luota.web.dashboard.html import count, duration
from luota.web.dashboard.visit import Page, Visit

PAGE = 50
SLOTS = 30
_CHUNK = 2
"""Rows that are drawn before others get their turn on the event loop."""
_ORDER = (
    Status.INCIDENT,
    Status.FAILING,
    Status.LATE,
    Status.UNVERIFIED,
    Status.DRAFT,
    Status.PAUSED,
    Status.HEALTHY,
)
_RANK = {status: rank for rank, status in enumerate(_ORDER)}
_WORDS = {Status.INCIDENT: "incident", Status.DRAFT: "no signal yet"}


class Filters(msgspec.Struct, frozen=True):
    """What the address asks to see; empty is all."""

    q: str = ""
    state: str = ""
    mode: str = ""
    tag: str = ""
    environment: str = ""
    group: str = ""

    @classmethod
    def of(cls, visit: Visit) -> "Filters":
        """Return the filters in the address of a page."""
        return cls(**{name: visit.query(name)[:200] for name in cls.__struct_fields__})

    @property
    def any(self) -> bool:
        """Tell whether anything is filtered."""
        return any(getattr(self, name) for name in ("q", "state", "mode", "tag", "environment"))

    def address(self, path: str, **changes: str) -> str:
        """Return the address of `path` with these filters, changed."""
        wanted = {**{name: getattr(self, name) for name in self.__struct_fields__}, **changes}
        query = urlencode({name: value for name, value in wanted.items() if value})
        return f"{path}?{query}" if query else path

    def take(self, card: rows.Card, live: Live) -> bool:
        """Tell whether a monitor is to be shown."""
        if self.state and live.state.status.value != self.state:
            return False
        if self.mode and live.rules.mode.value != self.mode:
            return False
        if self.environment and card.environment != self.environment:
            return False
        if self.tag and self.tag not in {f"{key}={value}" for key, value in card.tags.items()}:
            return False
        return all(word in _haystack(card) for word in self.q.casefold().split())


def _haystack(card: rows.Card) -> str:
    tags = " ".join(f"{key}={value}" for key, value in card.tags.items())
    return f"{card.name}\n{card.slug}\n{card.promise}\n{card.owner}\n{card.environment}\n{tags}".casefold()


Entry = tuple[Live, rows.Card]


async def overview(visit: Visit) -> Response:
    """Show the page; with `page` above 1, the next rows alone when the script asks for them."""
    filters = Filters.of(visit)
    entries = await _entries(visit)
    shown = _ordered([entry for entry in entries if filters.take(entry[1], entry[0])], filters.group)
    number = visit.page_number()
    start = (number - 1) * PAGE
    context: dict[str, Any] = {
        "items": await _items(visit, shown, start, filters),
        "more_path": None,
        "more_count": min(PAGE, len(shown) - start - PAGE),
    }
    if start + PAGE < len(shown):
        context["more_path"] = f"{filters.address(visit.path(), page=str(number + 1))}"
    if visit.htmx:
        return HTMLResponse(visit.part("rows.html", **context))
    known = await visit.site.board.cards(visit.reader, visit.workspace.id)
    return await visit.html(
        "overview.html",
        **context,
        **await _summary(visit, entries, filters),
        filters=filters,
        found=len(shown),
        here=filters.address(visit.path()),
        rows_path=filters.address(visit.path("rows")),
        tags=known.tags,
        tag_keys=known.tag_keys,
        environments=known.environments,
        oob=False,
    )


async def changed_rows(visit: Visit) -> Response:
    """Return the rows with these ids, the counters and what needs a human, each to be swapped in place."""
    filters = Filters.of(visit)
    entries = await _entries(visit)
    wanted = set(visit.query("ids").split(",")[:100])
    summary = await _summary(visit, entries, filters)
    parts = [
        visit.part("human.html", oob=True, **summary),
        visit.part("counters.html", oob=True, **summary),
        visit.part("open-count.html", open_count=visit.open_count()),
    ]
    parts += await _drawn(visit, [entry for entry in entries if entry[0].id in wanted], filters, oob=True)
    return HTMLResponse("".join(parts))


async def bulk(visit: Visit) -> Response:
    """Pause, resume or tag the chosen monitors."""
    chosen = [visit.live(one) for one in visit.values("monitor")[:1000]]
    form = visit.form
    match form.get("do"):
        case "pause":
            how: dict[str, Any] = {"untilHealthy": True} if form.get("for") == "healthy" else {}
            if form.get("for") not in ("healthy", "", None):
                how = {"for": form["for"]}
            for live in chosen:
                if live.state.pause is None:
                    await visit.engine.submit(monitors.pause(live.id, how, visit.actor))
        case "resume":
            for live in chosen:
                if live.state.pause is not None:
                    await visit.engine.submit(monitors.resume(live.id, visit.actor))
        case "tag":
            key, _, value = form.get("tag", "").partition("=")
            tag = parse_tags({key.strip(): value.strip()}, "tag")
            cards = {card.id: card for card in await rows.cards(visit.reader, visit.workspace.id)}
            for live in chosen:
                if live.id in cards:  # neither archived meanwhile, nor the twin of a drill
                    doc = {"tags": {**cards[live.id].tags, **tag}}
                    await visit.engine.submit(monitors.edit(live.id, doc, visit.actor))
        case _:
            raise invalid("do", "Choose what to do with the monitors.")
    back = form.get("back", "")
    home = visit.path()
    return visit.redirect(back if back == home or back.startswith(f"{home}?") else home)


async def _entries(visit: Visit) -> list[Entry]:
    """Return the workspace's monitors that are shown at all: neither archived nor the twins of drills."""
    found = []
    for card in (await visit.site.board.cards(visit.reader, visit.workspace.id)).all:
        live = visit.engine.registry.monitors.get(card.id)
        if live is not None:
            found.append((live, card))
    return found


def _ordered(entries: list[Entry], group: str) -> list[Entry]:
    """Return the worst first, within groups where asked."""
    return sorted(
        entries,
        key=lambda entry: (
            (entry[1].tags.get(group) is None, entry[1].tags.get(group, "").casefold()) if group else (),
            _RANK.get(entry[0].state.status, len(_RANK)),
            entry[1].name.casefold(),
        ),
    )


async def _items(visit: Visit, shown: Sequence[Entry], start: int, filters: Filters) -> list[Markup]:
    """Return one page of rows, with a head where a group begins."""
    entries = shown[start : start + PAGE]
    drawn = await _drawn(visit, entries, filters)
    if not filters.group:
        return drawn
    items = []
    before = shown[start - 1][1].tags.get(filters.group, "none") if start else None
    for (_, card), row in zip(entries, drawn, strict=True):
        value = card.tags.get(filters.group, "none")
        if value != before:
            items.append(Markup('<li class="group"><h2>{}: {}</h2></li>').format(filters.group, value))
        before = value
        items.append(row)
    return items


async def _drawn(visit: Visit, entries: Sequence[Entry], filters: Filters, *, oob: bool = False) -> list[Markup]:
    """Return the rows of monitors. Drawn in pieces: nobody else waits long for the event loop."""
    board, windows = visit.site.board, visit.engine.registry.windows
    page = (visit.path(), filters, oob, visit.may("operator"))
    async with board.drawing:
        known = board.rows(visit.now, windows)
        wanted = []
        for live, card in entries:
            row = known.get((live.id, *page))
            if row is None or row.live is not live or row.card != card:
                wanted.append((live, card))
        slots = await rows.bars(visit.reader, [live for live, _ in wanted], windows, visit.now, SLOTS)
        for place, (live, card) in enumerate(wanted):
            if place % _CHUNK == 0:
                await asyncio.sleep(0)
            known[live.id, *page] = Row(live, card, _row(visit, live, card, slots[live.id], filters, oob=oob))
        return [known[live.id, *page].text for live, _ in entries]


def _row(visit: Visit, live: Live, card: rows.Card, slots: Sequence[Slot], filters: Filters, *, oob: bool) -> Markup:
    """Return the row of one monitor."""
    state = live.state
    shown = {
        "id": live.id,
        "name": card.name,
        "path": visit.path("monitors", live.slug),
        "promise": card.promise,
        "owner": card.owner,
        "environment": card.environment,
        "tags": [
            {"text": f"{key}={value}", "path": filters.address(visit.path(), tag=f"{key}={value}")}
            for key, value in card.tags.items()
        ],
        "status": state.status.value,
        "word": _WORDS.get(state.status, state.status.value),
        "signal_at": state.signal_at,
        "bar": bar(slots),
        "chosen": False,
        **_next(live, visit.now),
    }
    return visit.part("row.html", card=shown, oob=oob, choose=visit.may("operator"))


def _next(live: Live, now: int) -> dict[str, Any]:
    """Return which deadline counts down, in a word."""
    state = live.state
    if state.status is Status.PAUSED:
        until = None if state.pause is None else state.pause.until
        return {"next_word": "Resumes" if until else "Paused", "next_at": until}
    if state.status is Status.DRAFT:
        return {"next_word": "Waits for its first signal", "next_at": None}
    limits = [run.limit_at for run in state.runs]
    deadlines = [at for at in (state.deadline_at, *limits) if at is not None and at > now]
    if not deadlines:
        return {"next_word": "No deadline", "next_at": None}
    return {"next_word": "Deadline", "next_at": min(deadlines)}


async def _summary(visit: Visit, entries: list[Entry], filters: Filters) -> dict[str, Any]:
    """Return the counters, and what needs a human."""
    counts = dict.fromkeys(_ORDER, 0)
    for live, _ in entries:
        if live.state.status in counts:
            counts[live.state.status] += 1
    home = visit.path()
    counters = [
        {
            "word": "all",
            "count": len(entries),
            "status": None,
            "path": filters.address(home, state=""),
            "current": not filters.state,
        }
    ]
    counters += [
        {
            "word": _WORDS.get(status, status.value),
            "count": counts[status],
            "status": status.value,
            "path": filters.address(home, state=status.value),
            "current": filters.state == status.value,
        }
        for status in _ORDER
    ]
    return {"counters": counters, "total": len(entries), **await _needs(visit, entries)}


async def _needs(visit: Visit, entries: list[Entry]) -> dict[str, Any]:
    """Return what needs a human, the most urgent first, and else since when all has been well."""
    by_id = {live.id: (live, card) for live, card in entries}
    needs: list[dict[str, Any]] = []
    for incident in await rows.open_incidents(visit.reader, visit.workspace.id):
        entry = by_id.get(incident.monitor_id)
        if entry is None:
            continue
        card = entry[1]
        taken = incident.state == "acknowledged"
        aside = f"Owner: {card.owner}" if card.owner else "Nobody is named as its owner"
        needs.append(
            _need(
                "incident",
                f"{card.name}: {incident.kind}",
                incident.summary[:1].upper() + incident.summary[1:],
                promise=card.promise,
                path=visit.path("incidents", incident.id),
                since=incident.opened_at,
                aside=f"{aside} · acknowledged" if taken else aside,
                urgent=not taken,
            )
        )
    needs.sort(key=lambda need: not need["urgent"])
    needs += _quiet_drafts(visit, entries)
    unverified = [card for live, card in entries if live.state.status is Status.UNVERIFIED]
    if unverified:
        names = ", ".join(card.name for card in unverified[:5]) + (" …" if len(unverified) > 5 else "")
        path = Filters(state="unverified").address(visit.path())
        text = f"Luota cannot vouch for them until their next signal: {names}"
        needs.append(
            _need("unverified", count(len(unverified), "monitor") + " unverified", text, path=path, urgent=False)
        )
    return {"needs": [*needs, *await _deaf_channels(visit)], "calm": _calm(entries, visit.now)}


def _quiet_drafts(visit: Visit, entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """Return the monitors that should have had their first signal by now."""
    return [
        _need(
            "draft",
            f"{card.name}: no signal yet",
            "Its first signal should have come by now. Is the job set up?",
            path=visit.path("monitors", live.slug) + "/integration",
            since=live.state.deadline_at,
            urgent=False,
        )
        for live, card in entries
        if live.state.status is Status.DRAFT
        and live.state.deadline_at is not None
        and live.state.deadline_at < visit.now
    ]


async def _deaf_channels(visit: Visit) -> list[dict[str, Any]]:
    """Return what keeps an incident from reaching a human."""
    unproven = await incident_rows.unproven(visit.reader, visit.workspace.id)
    path = visit.path("channels")
    if unproven is None:
        text = "There is no channel: an incident would stand on this page alone. Add email, Slack or a webhook."
        return [_need("failing", "Nobody would be told", text, path=path, urgent=False)]
    if not unproven:
        return []
    text = "Nothing has been delivered yet: send a test notice to " + ", ".join(unproven)
    return [_need("unverified", count(len(unproven), "channel") + " unproven", text, path=path, urgent=False)]


def _calm(entries: list[Entry], now: int) -> str:
    """Return since when all has been well, or what is still open."""
    well = [live.state.since for live, _ in entries if live.state.status is Status.HEALTHY]
    if not well:
        return "No monitor has signalled yet."
    return f"Nothing has changed for {duration(now - max(well))}."


def _need(mark: str, title: str, text: str, **more: Any) -> dict[str, Any]:
    return {
        "mark": mark,
        "title": title,
        "text": text,
        "path": None,
        "since": None,
        "promise": None,
        "aside": None,
        "urgent": True,
        **more,
    }


PAGES: tuple[Page, ...] = (
    ("GET", "/w/{workspace}", "viewer", overview),
    ("GET", "/w/{workspace}/rows", "viewer", changed_rows),
    ("POST", "/w/{workspace}/bulk", "operator", bulk),
)
