"""What is done to several monitors of the overview at once."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from starlette.responses import Response

from luota.core.errors import Code, LuotaError, invalid
from luota.core.text import visible
from luota.engine.many import pause_all, resume_all, tag_all
from luota.engine.work import Work
from luota.web.dashboard.bulk_done import told
from luota.web.dashboard.filters import Filters, matching
from luota.web.dashboard.html import count
from luota.web.dashboard.overview import shown_page
from luota.web.dashboard.visit import Page, Visit

_NAMED = 10


async def bulk(visit: Visit) -> Response:
    """Pause, resume or tag the chosen monitors; what was refused is told on the overview, where it stays ticked.

    With `matching` the chosen ones are all that the filters take, on however many pages: done once it is `sure`.
    The form is posted to the overview's own address, so that its filters stay in the address whatever comes of it.
    """
    filters, do, every = Filters.of(visit), visit.form.get("do", ""), "matching" in visit.form
    chosen = visit.values("monitor")
    found = [live for live in (visit.engine.registry.find(visit.workspace.id, one) for one in chosen) if live]
    if every:
        found = await matching(visit, filters)
        chosen = [live.id for live in found]
    try:
        if not chosen:
            raise invalid("monitor", "No monitor matches any more." if every else "Tick the monitors first.")
        work = _work(visit, [live.id for live in found])
        agreed = _agreed(visit, [live.id for live in found])
        if every and visit.form.get("sure") != agreed:
            asks = {"sure": _question(visit, len(found), filters), "agreed": agreed}
            return await shown_page(visit, filters, said=asks)
        done = [live for live in found if do != "resume" or live.state.pause is not None]
        refused = await visit.engine.submit(work)
    except LuotaError as error:
        if error.code is not Code.INVALID:
            raise
        field = (error.field or "").partition(".")[0]
        ticked = {live.id for live in found}
        return await shown_page(visit, filters, 400, ticked, {"tag" if field == "tags" else field: error.message})
    said = []
    if refused:
        cards = await visit.site.board.cards(visit.reader, visit.workspace.id)
        names = {card.id: card.name for card in cards.all}
        why_not = [f"{visible(names.get(id_, id_))}: {why}" for id_, why in refused.items()]
        why_not[_NAMED:] = [f"And {count(len(why_not) - _NAMED, 'more monitor')}."] if len(why_not) > _NAMED else []
        said += [f"Done for {len(found) - len(refused)} of {len(chosen)}, but not for", *why_not]
    if len(found) < len(chosen):
        said.append(f"{count(len(chosen) - len(found), 'chosen monitor')} cannot be found: archived meanwhile?")
    if said:
        return await shown_page(visit, filters, 409, refused.keys(), {"": " ".join(said)})
    number = visit.page_number()
    page = {"page": str(number) if number > 1 else "", **told(do, done, len(found) - len(done))}
    return visit.redirect(filters.address(visit.path(), **page) + f"#row-{found[0].id}")


def _agreed(visit: Visit, ids: Iterable[str]) -> str:
    """Return what tells this change of these monitors from any other: a yes to it is none to another."""
    what = [visit.form.get(name, "") for name in ("do", "tag", "for")]
    return sha256("\n".join([*what, *sorted(ids)]).encode()).hexdigest()[:16]


def _question(visit: Visit, number: int, filters: Filters) -> str:
    """Return what is asked before something is done to all monitors that match."""
    all_ = f"all {count(number, 'monitor')}{' that match' if filters.any else ''}"
    match visit.form.get("do"):
        case "pause":
            return f"Pause {all_}? No incident opens for any of them meanwhile."
        case "resume":
            return f"Resume {all_}? Each is expected anew from now on."
    return f"Tag {all_} with {visible(visit.form.get('tag', ''))}? What they have under the same key is replaced."


def _work(visit: Visit, ids: list[str]) -> Work:
    form, actor = visit.form, visit.actor
    match form.get("do"):
        case "pause":
            wanted = form.get("for", "")
            how: dict[str, Any] = {"untilHealthy": True} if wanted == "healthy" else {"for": wanted} if wanted else {}
            return pause_all(ids, how, actor)
        case "resume":
            return resume_all(ids, actor)
        case "tag":
            key, equals, value = (part.strip() for part in form.get("tag", "").partition("="))
            if not (key and equals):
                raise invalid("tag", "Write the tag as key=value, such as team=night.")
            return tag_all(ids, {key: value}, actor)
    raise invalid("do", "Choose what to do with the monitors.")


PAGES: tuple[Page, ...] = (("POST", "/w/{workspace}", "operator", bulk),)
