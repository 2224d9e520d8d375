"""The overview: what needs a human, the counters, and every monitor with its bar."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any
from zlib import crc32

import msgspec
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from luota.core.bar import Slot
from luota.core.model import Status
from luota.engine.registry import Live
from luota.store import overview as rows
from luota.web.dashboard.archived import archived
from luota.web.dashboard.bars import bar
from luota.web.dashboard.board import Row
from luota.web.dashboard.filters import Filters, unknown
from luota.web.dashboard.needs import Entry, needs_of
from luota.web.dashboard.visit import Page, Visit

PAGE = 50
SLOTS = 30
_CHUNK = 2
"""Rows that are drawn before others get their turn on the event loop."""
_FRESH_MS = 1_000
_LIVE_MS = 3_000
"""How old a row may be that was drawn for another page: its texts tell how long ago things were.

The script keeps them up to date where it asks for rows.
"""
_NONE = "none"
"""The head of the monitors without the tag by which they are grouped."""
_EMPTY = '<li class="monitor" id="row-{0}" data-row="{0}"></li>'
_ORDER = (
    Status.INCIDENT,
    Status.FAILING,
    Status.LATE,
    Status.UNVERIFIED,
    Status.DRAFT,
    Status.PAUSED,
    Status.HEALTHY,
)


class Window(msgspec.Struct, frozen=True):
    """The pieces of the rows from `first` to before `end`; what `follows` continues rows that the page has."""

    first: int
    end: int
    follows: bool = False

    def of(self, shown: Sequence[Entry]) -> Sequence[Entry]:
        """Return those of the monitors to be shown that are in it."""
        return shown[self.first * PAGE : self.end * PAGE]


async def overview(visit: Visit) -> Response:
    """Show the page; with `page` above 1, the next rows alone when the script asks for them."""
    filters = Filters.of(visit)
    if filters.state == Status.ARCHIVED.value:
        return await archived(visit, filters)
    if not visit.htmx or visit.page_number() == 1:  # a page that had no monitors asks for all of itself
        return await shown_page(visit, filters, done=visit.told())
    shared = _shared_now(visit)
    shown = _ordered(filters, await _entries(visit, shared), shared)
    number = visit.page_number()
    window = Window(number - 1, number, follows=True)
    return HTMLResponse(visit.part("rows.html", **await _list(visit, shown, filters, window)))


async def shown_page(
    visit: Visit,
    filters: Filters,
    status: int = 200,
    chosen: Collection[str] = (),
    said: Mapping[str, str] | None = None,
    done: str | None = None,
) -> Response:
    """Return the whole page, from the piece of the rows on that the address asks for.

    `chosen` monitors are ticked, on as many rows as they need; `said` is what was refused, by the field of the form
    below the rows, with its values; `done` is what was done.
    """
    shared = _shared_now(visit)
    entries = await _entries(visit, shared)
    shown = _ordered(filters, entries, shared)
    first = _first(visit, shown)
    ticked = [place // PAGE for place, (live, _) in enumerate(shown) if live.id in chosen]
    first, last = min([first, *ticked]), max([first, *ticked])
    window = Window(first, last + 1)
    page = str(first + 1) if first else ""
    known = await visit.site.board.cards(visit.reader, visit.workspace.id)
    return await visit.html(
        "overview.html",
        status,
        **await _list(visit, shown, filters, window, chosen=chosen),
        **await _summary(visit, filters, entries, shared),
        filters=filters,
        unknown=unknown(visit),
        done=done,
        here=filters.address(visit.path(), page=page),
        archived_path=filters.address(visit.path(), state=Status.ARCHIVED.value, group=""),
        rows_path=filters.address(visit.path("rows"), page=page),
        tags=known.tags,
        tag_keys=known.tag_keys,
        environments=known.environments,
        oob=False,
        errors=said or {},
        values=visit.form,
    )


async def changed_rows(visit: Visit) -> Response:
    """Return the counters, what needs a human, and the rows with these `ids`, each to be swapped in place.

    `have` tells which rows the page shows from its `page` on, in which order and groups. Where others are to be shown
    now, the list comes as a whole: drawn are those of `ids`, and the others are empty, for the page has them, or asks
    for them next.
    """
    async with visit.site.board.refreshing:
        return await _changed_rows(visit)


async def _changed_rows(visit: Visit) -> Response:
    filters = Filters.of(visit)
    shared = _shared_now(visit)
    entries = await _entries(visit, shared)
    if not entries:  # a page without monitors is another one
        return Response(status_code=204, headers={"hx-refresh": "true"})
    summary = await _summary(visit, filters, entries, shared)
    parts = [
        _shared(visit, "human.html", **{name: summary[name] for name in ("needs", "storm", "calm", "total")}),
        _shared(visit, "counters.html", counters=summary["counters"]),
        _shared(visit, "open-count.html", open_count=summary["open"]),
    ]
    shown = _ordered(filters, entries, shared)
    wanted = set(visit.query("ids").split(",")[:100])
    have = visit.query("have")
    pieces = max(1, -(-_number(have.partition(".")[0]) // PAGE))
    first = _first(visit, shown)
    window = Window(first, first + pieces)
    if have in ("", _shown(shown, window, filters, shared)):
        drawn = await _drawn(visit, [entry for entry in window.of(shown) if entry[0].id in wanted], filters)
        # Markup.replace would escape what it puts in.
        parts += [Markup(str(row).replace("<li ", '<li hx-swap-oob="true" ', 1)) for row in drawn]  # noqa: S704
    else:
        context = await _list(visit, shown, filters, window, drawn=wanted)
        parts.append(visit.part("list.html", total=len(entries), oob=True, **context))
    return HTMLResponse("".join(parts))


def _shared(visit: Visit, template: str, **content: Any) -> Markup:
    """Return a part that is the same for all who look at a workspace, to be swapped in place."""
    draw = partial(visit.part, template, oob=True, **content)
    return visit.site.board.part((template, visit.workspace.id), content, draw)


def _first(visit: Visit, shown: Sequence[Entry]) -> int:
    """Return which piece of the rows the address asks for, from 0; the last one where there are not so many."""
    return min(visit.page_number() - 1, max(0, len(shown) - 1) // PAGE)


def _shown(shown: Sequence[Entry], window: Window, filters: Filters, shared: dict[Any, Any]) -> str:
    """Return what tells these rows, their order and the heads of their groups from others.

    The page's script makes the same of what it shows.
    """
    known: str | None = shared.get((filters, window))
    if known is None:
        entries = window.of(shown)
        mixed, before = 0, None
        for live, card in entries:
            value = card.tags.get(filters.group, _NONE)
            if filters.group and value != before:
                mixed = mixed * 31 + _head(value) & 0xFFFF_FFFF
            before = value
            mixed = mixed * 31 + int(live.id[:8], 16) & 0xFFFF_FFFF
        known = shared[filters, window] = f"{len(entries)}.{mixed}.{+(len(shown) > window.end * PAGE)}"
    return known


def _head(value: str) -> int:
    """Return what stands for the head of a group where rows are told from others."""
    return crc32(value.encode())


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0


def _shared_now(visit: Visit) -> dict[Any, Any]:
    """Return what pages of the workspace share until more than last signals changes, and for a second at most.

    A page takes it once, as it begins: what it works out is of that version, and may not pass for that of a later one.
    """
    here = visit.workspace.id
    return visit.site.board.shared(here, (visit.engine.changes.turn(here), visit.path(), visit.now // 1000))


async def _entries(visit: Visit, shared: dict[Any, Any]) -> list[Entry]:
    """Return the workspace's monitors that are shown at all: neither archived nor the twins of drills.

    Their statuses and incidents are of now, their signals may be older: see `_drawn`.
    """
    if "entries" not in shared:
        cards = (await visit.site.board.cards(visit.reader, visit.workspace.id)).all
        monitors = visit.engine.registry.monitors
        shared["entries"] = [(monitors[card.id], card) for card in cards if card.id in monitors]
    entries: list[Entry] = shared["entries"]
    return entries


def _by_status(entries: Sequence[Entry], shared: dict[Any, Any]) -> dict[Status, list[Entry]]:
    """Return the monitors by their status, the worst first."""
    if "by_status" not in shared:
        found: dict[Status, list[Entry]] = {status: [] for status in _ORDER}
        for entry in entries:
            found[entry[0].state.status].append(entry)
        shared["by_status"] = found
    by_status: dict[Status, list[Entry]] = shared["by_status"]
    return by_status


def _ordered(filters: Filters, entries: Sequence[Entry], shared: dict[Any, Any]) -> Sequence[Entry]:
    """Return what is to be shown, the worst first, then by name; within groups where asked."""
    known: Sequence[Entry] | None = shared.get(filters)
    if known is not None:
        return known
    taken = list(chain.from_iterable(_by_status(entries, shared).values()))  # they come by name
    if filters.any:
        taken = [entry for entry in taken if filters.take(entry[1], entry[0])]
    group = filters.group
    if group:
        taken.sort(key=lambda entry: (entry[1].tags.get(group) is None, entry[1].tags.get(group, "").casefold()))
    shared[filters] = taken
    return taken


async def _list(
    visit: Visit,
    shown: Sequence[Entry],
    filters: Filters,
    window: Window,
    *,
    chosen: Collection[str] = (),
    drawn: Collection[str] | None = None,
) -> dict[str, Any]:
    """Return what `rows.html` needs for the pieces in a window.

    Each row is drawn, or those in `drawn` alone; a head stands where a group begins.
    """
    entries = window.of(shown)
    asked = entries if drawn is None else [entry for entry in entries if entry[0].id in drawn]
    texts = dict(zip((live.id for live, _ in asked), await _drawn(visit, asked, filters, chosen), strict=True))
    items: list[Markup] = []
    group, start, stop = filters.group, window.first * PAGE, window.end * PAGE
    before = shown[start - 1][1].tags.get(group, _NONE) if window.follows and 0 < start <= len(shown) else None
    for live, card in entries:
        value = card.tags.get(group, _NONE)
        if group and value != before:
            head = Markup('<li class="group" data-head="{}"><h2>{}: {}</h2></li>')
            items.append(head.format(_head(value), group, value))
        before = value
        items.append(texts.get(live.id) or Markup(_EMPTY.format(live.id)))  # noqa: S704 - an id of ours
    more = len(shown) > stop
    earlier = filters.address(visit.path(), page=str(window.first) if window.first > 1 else "")
    return {
        "items": items,
        "found": len(shown),
        "earlier_path": earlier if window.first and not window.follows else None,
        "earlier_count": PAGE,
        "more_path": filters.address(visit.path(), page=str(window.end + 1)) if more else None,
        "more_count": min(PAGE, len(shown) - stop),
    }


async def _drawn(
    visit: Visit, entries: Sequence[Entry], filters: Filters, chosen: Collection[str] = ()
) -> list[Markup]:
    """Return the rows of monitors as they are now. Drawn in pieces: nobody else waits long for the event loop."""
    board, windows, monitors = visit.site.board, visit.engine.registry.windows, visit.engine.registry.monitors
    page = (visit.path(), filters, visit.may("operator"))
    oldest = visit.now - (_LIVE_MS if visit.htmx else _FRESH_MS)
    async with board.drawing:
        known = board.rows(visit.now, windows)
        wanted = []
        entries = [(monitors.get(live.id, live), card) for live, card in entries]
        for live, card in entries:
            row = known.get((live.id, live.id in chosen, *page))
            if row is None or row.live is not live or row.card != card or not oldest < row.at <= visit.now:
                wanted.append((live, card))
        slots = await rows.bars(visit.reader, [live for live, _ in wanted], windows, visit.now, SLOTS)
        for place, (live, card) in enumerate(wanted):
            if place % _CHUNK == 0:
                await asyncio.sleep(0)
            ticked = live.id in chosen
            text = _row(visit, live, card, slots[live.id], filters, ticked=ticked)
            known[live.id, ticked, *page] = Row(live, card, text, visit.now)
        return [known[live.id, live.id in chosen, *page].text for live, _ in entries]


def _row(visit: Visit, live: Live, card: rows.Card, slots: Sequence[Slot], filters: Filters, *, ticked: bool) -> Markup:
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
        "word": state.status.value,
        "signal_at": state.last_signal_at,
        "bar": bar(slots),
        "since": slots[0].start if slots and state.signal_at is not None else None,
        "chosen": ticked,
        **_next(live, visit.now),
    }
    return visit.part("row.html", card=shown, choose=visit.may("operator"))


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


async def _summary(visit: Visit, filters: Filters, entries: Sequence[Entry], shared: dict[Any, Any]) -> dict[str, Any]:
    """Return the counters, how many incidents are open, and what needs a human."""
    by_status = _by_status(entries, shared)
    if "needs" not in shared:
        shared["needs"] = {"open": visit.open_count(visit.workspace.id), **await needs_of(visit, entries, by_status)}
    counted = (filters, "counters")
    if counted not in shared:
        shared[counted] = _counters(filters, visit.path(), by_status)
    return {"counters": shared[counted], "total": len(entries), **shared["needs"]}


def _counters(filters: Filters, home: str, by_status: Mapping[Status, Sequence[Entry]]) -> list[dict[str, Any]]:
    """Return how many monitors are of each status; each number is a filter."""
    counted = {status: len(found) for status, found in by_status.items()}
    return [
        {
            "word": "all" if status is None else status.value,
            "count": sum(counted.values()) if status is None else counted[status],
            "status": None if status is None else status.value,
            "path": filters.address(home, state="" if status is None else status.value),
            "current": filters.state == ("" if status is None else status.value),
        }
        for status in (None, *_ORDER)
    ]


PAGES: tuple[Page, ...] = (
    ("GET", "/w/{workspace}", "viewer", overview),
    ("GET", "/w/{workspace}/rows", "viewer", changed_rows),
)
