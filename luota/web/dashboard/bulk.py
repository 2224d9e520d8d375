"""What is done to several monitors of the overview at once."""

from collections.abc import Iterable
from hashlib import sha256

from starlette.responses import Response

from luota.core.errors import Code, LuotaError, invalid
from luota.core.spec.pauses import parse_pause
from luota.core.spec.values import parse_tags
from luota.core.text import visible
from luota.engine.many import Many, pause_all, resume_all, tag_all
from luota.engine.work import Work
from luota.web.dashboard.filters import Filters, matching
from luota.web.dashboard.html import count
from luota.web.dashboard.monitor import pause_asked
from luota.web.dashboard.overview import shown_page
from luota.web.dashboard.visit import Page, Visit

_NAMED = 10
"""Monitors that are named at most where something could not be done to them."""
_FEW = 3
"""Monitors that are named at most where something was done to them."""
_DONE = {"pause": "Paused", "resume": "Resumed", "tag": "Tagged"}
_LEFT = {"resume": ("was not paused", "were not paused"), "tag": ("had the tag already", "had the tag already")}
_NOTHING = {"resume": "None of these monitors was paused.", "tag": "Nothing changed: the tag was there."}
"""What is said where all were as wished already; a pause is always anew."""


async def bulk(visit: Visit) -> Response:
    """Pause, resume or tag the chosen monitors; what was refused is told on the overview, where it stays ticked.

    With `matching` the chosen ones are all that the filters take, on however many pages: done once it is `sure`.
    The form is posted to the overview's own address, so that its filters stay in the address whatever comes of it.
    """
    filters, do, every = Filters.of(visit), visit.form.get("do", ""), "matching" in visit.form
    chosen = list(dict.fromkeys(visit.values("monitor")))
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
        done: Many = await visit.engine.submit(work)
    except LuotaError as error:
        if error.code is not Code.INVALID:
            raise
        field = (error.field or "").partition(".")[0]
        ticked = {live.id for live in found if live.id in visit.values("monitor")}
        return await shown_page(visit, filters, 400, ticked, {"tag" if field == "tags" else field: error.message})
    cards = (await visit.site.board.cards(visit.reader, visit.workspace.id)).all
    names = {card.id: visible(card.name) for card in cards}
    changed = [names.get(live.id, live.id) for live in found if live.id in done.changed]
    why_not = [f"{names.get(id_, id_)}: {why}" for id_, why in done.refused.items()]
    gone = len(chosen) - len(done.changed) - len(done.refused) - done.left
    said = _said(do, changed, why_not, done.left, gone)
    if why_not or gone:
        return await shown_page(visit, filters, 409, done.refused.keys(), {"": said})
    number = visit.page_number()
    address = filters.address(visit.path(), page=str(number) if number > 1 else "")
    return visit.redirect(f"{address}#row-{found[0].id}", said=said)


def _said(do: str, changed: list[str], why_not: list[str], left: int, gone: int) -> str:
    """Return what was done to those with the names `changed`, and why not to others.

    `left` are those that were as wished already, `gone` those that cannot be found.
    """
    said = []
    if why_not:
        named = why_not[:_NAMED]
        if len(why_not) > _NAMED:
            named.append(f"And {count(len(why_not) - _NAMED, 'more monitor')}.")
        chosen = len(changed) + len(why_not) + left + gone
        said += [f"Done for {len(changed)} of {chosen}, but not for", *named]
    elif changed:
        few = f": {', '.join(changed)}" if len(changed) <= _FEW else ""
        said.append(f"{_DONE[do]} {count(len(changed), 'monitor')}{few}.")
    if left and said:
        said.append(f"{left:,} of those chosen {_LEFT[do][left > 1]}.")
    elif left:
        said.append(_NOTHING[do])
    if gone:
        said.append(f"{count(gone, 'chosen monitor')} cannot be found: archived meanwhile?")
    return " ".join(said)


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
    """Return what the form asks for; INVALID with the field to blame, before anybody is asked whether they are sure."""
    form, actor = visit.form, visit.actor
    match form.get("do"):
        case "pause":
            how = pause_asked(form)
            parse_pause(how, visit.now)
            return pause_all(ids, how, actor)
        case "resume":
            return resume_all(ids, actor)
        case "tag":
            key, equals, value = (part.strip() for part in form.get("tag", "").partition("="))
            if not (key and equals):
                raise invalid("tag", "Write the tag as key=value, such as team=night.")
            parse_tags({key: value}, "tags")
            return tag_all(ids, {key: value}, actor)
    raise invalid("do", "Choose what to do with the monitors.")


PAGES: tuple[Page, ...] = (("POST", "/w/{workspace}", "operator", bulk),)
