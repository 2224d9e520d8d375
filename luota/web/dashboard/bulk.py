"""What is done to several monitors of the overview at once."""

from typing import Any

from starlette.responses import Response

from luota.core.errors import Code, LuotaError, invalid
from luota.core.text import visible
from luota.engine.many import pause_all, resume_all, tag_all
from luota.engine.work import Work
from luota.web.dashboard.filters import Filters
from luota.web.dashboard.html import count
from luota.web.dashboard.overview import shown_page
from luota.web.dashboard.visit import Page, Visit

_NAMED = 10


async def bulk(visit: Visit) -> Response:
    """Pause, resume or tag the chosen monitors; what was refused is told on the overview, where it stays ticked.

    The form is posted to the overview's own address, so that its filters stay in the address whatever comes of it.
    """
    chosen = visit.values("monitor")
    found = [live for live in (visit.engine.registry.find(visit.workspace.id, one) for one in chosen) if live]
    filters = Filters.of(visit)
    try:
        if not chosen:
            raise invalid("monitor", "Tick the monitors first.")
        refused = await visit.engine.submit(_work(visit, [live.id for live in found]))
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
        told = [f"{visible(names.get(id_, id_))}: {why}" for id_, why in refused.items()]
        told[_NAMED:] = [f"And {count(len(told) - _NAMED, 'more monitor')}."] if len(told) > _NAMED else []
        said += [f"Done for {len(found) - len(refused)} of {len(chosen)}, but not for", *told]
    if len(found) < len(chosen):
        said.append(f"{count(len(chosen) - len(found), 'chosen monitor')} cannot be found: archived meanwhile?")
    if said:
        return await shown_page(visit, filters, 409, refused.keys(), {"": " ".join(said)})
    number = visit.page_number()
    return visit.redirect(filters.address(visit.path(), page=str(number) if number > 1 else ""))


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
