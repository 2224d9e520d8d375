"""The drills: what of each monitor is proven, and the running of one as a live checklist."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from starlette.responses import Response

from luota.core.drills import PROOF_LASTS, DrillKind, DrillState, Step, StepState, fitting
from luota.core.errors import Code, LuotaError, invalid
from luota.core.model import Mode, Rules
from luota.core.spec.values import DAY
from luota.core.text import visible
from luota.core.wants import named
from luota.engine.registry import Live
from luota.store import drills as rows
from luota.store import monitors as monitor_rows
from luota.store import overview
from luota.web.channels import untold_by_monitor
from luota.web.dashboard.monitor import subject
from luota.web.dashboard.visit import Page, Visit
from luota.web.http import STATUS

PAGE = 50
MOST = 20
"""Drills that the page of a monitor shows."""
_TITLES = {
    DrillKind.MISSED: "Missed heartbeat",
    DrillKind.FAILED: "Failed run",
    DrillKind.STALE: "Stale output",
    DrillKind.DEAD_ROUTE: "Dead route",
}
_TELLS = "and every channel is told"
_PROVES = {
    DrillKind.MISSED: f"A signal does not come: proves that silence opens an incident at the deadline, {_TELLS}.",
    DrillKind.FAILED: f"A run reports its failure: proves that an incident opens at that instant, {_TELLS}.",
    DrillKind.STALE: f"The output is not renewed: proves that this opens an incident at the deadline, {_TELLS}.",
    DrillKind.DEAD_ROUTE: "A destination answers 503: proves that Luota says retrying, and not delivered. Nobody is "
    "told.",
}
_STEP_MARKS = {StepState.WAITING: "draft", StepState.PROVEN: "healthy", StepState.NOT_PROVEN: "incident"}
_DRILL_MARKS = {DrillState.RUNNING: "draft", DrillState.PROVEN: "healthy", DrillState.NOT_PROVEN: "incident"}
_WORDS = {DrillState.RUNNING: "running", DrillState.PROVEN: "proven", DrillState.NOT_PROVEN: "not proven"}
_URGENCY = ("not proven", "never", "stale", "proven")
_MARKS = {"not proven": "incident", "never": "draft", "stale": "failing", "proven": "healthy"}


class Proof(Struct, frozen=True):
    """What one drill of a monitor has last come to: `not proven`, `never`, `stale` or `proven`, `at` an instant."""

    kind: DrillKind
    title: str
    word: str
    at: int | None = None
    drill: str | None = None

    @property
    def mark(self) -> str:
        """The mark beside it."""
        return _MARKS[self.word]


async def drills(visit: Visit) -> Response:
    """Show what is proven of every monitor, that first which is to be proven next."""
    registry, now = visit.engine.registry, visit.now
    known = await rows.results(visit.reader, visit.workspace.id)
    found: list[tuple[int, overview.Card, Live, list[Proof]]] = []
    for card in await overview.cards(visit.reader, visit.workspace.id):
        live = registry.monitors.get(card.id)
        if live is not None:
            proofs = [_proof(live, kind, known.get(card.id, {}).get(kind), now) for kind in fitting(live.rules)]
            found.append((min(_URGENCY.index(one.word) for one in proofs), card, live, proofs))
    untold = untold_by_monitor(registry, (live for _, _, live, _ in found))
    found.sort(key=lambda entry: (entry[0], not untold[entry[1].id], entry[1].name.casefold()))
    number = visit.page_number()
    shown = found[(number - 1) * PAGE : number * PAGE]
    running = {one.monitor_id for one in await rows.running(visit.reader)}
    return await visit.html(
        "drills.html",
        monitors=[
            {
                "id": card.id,
                "name": card.name,
                "path": visit.path("monitors", live.slug, "drills"),
                "promise": card.promise,
                "untold": named(untold[card.id]) if untold[card.id] else "",
                "proofs": [{"proof": one, "path": _drill_path(visit, one)} for one in proofs],
                "next": next((one for word in _URGENCY[:3] for one in proofs if one.word == word), None),
                "running": card.id in running,
            }
            for _, card, live, proofs in shown
        ],
        total=len(found),
        proven=sum(all(one.word == "proven" for one in proofs) and not untold[live.id] for *_, live, proofs in found),
        watched=" ".join(["monitor", "channel", *(live.id for *_, live, _ in shown), *visit.workspace.channels]),
        lasts=PROOF_LASTS // DAY,
        number=number,
        more=len(found) > number * PAGE,
    )


async def monitor_drills(visit: Visit) -> Response:
    """Show the drills that fit a monitor, the one that runs, and those that have ended."""
    return await _page(visit)


async def run(visit: Visit) -> Response:
    """Start a drill; its steps then tick on the page."""
    live, wanted = visit.live(), visit.form.get("kind", "")
    try:
        if wanted not in tuple(DrillKind):
            raise invalid("kind", "Choose one of the drills.")
        await visit.site.drills.start(live.id, DrillKind(wanted), visit.actor)
    except LuotaError as error:
        if error.code not in (Code.INVALID, Code.CONFLICT):
            raise
        return await _page(visit, STATUS[error.code], error.message)
    return visit.redirect(visit.path("monitors", live.slug, "drills"))


async def drill(visit: Visit) -> Response:
    """Show one drill with its steps."""
    found = await rows.drill(visit.reader, visit.workspace.id, str(visit.request.path_params["drill"]))
    if found is None:
        raise LuotaError(Code.NOT_FOUND, "There is no such drill in this workspace.")
    names = {card.id: card.name for card in await overview.cards(visit.reader, visit.workspace.id)}
    return await visit.html(
        "drill.html",
        names=await visit.names(),
        it=_shown(visit, found, (await monitor_rows.definition_of(visit.reader, found.monitor_id)).rules),
        monitor=names.get(found.monitor_id, "archived monitor"),
        monitor_path=visit.path("monitors", found.monitor_id, "drills"),
    )


async def _page(visit: Visit, status: int = 200, error: str | None = None) -> Response:
    it = await subject(visit)
    if it.drill_of is not None:  # people see a twin with its monitor alone
        return visit.redirect(visit.path("monitors", it.drill_of, "drills"))
    path = visit.path("monitors", it.slug if it.live is not None else it.id)
    past = await rows.drills(visit.reader, it.id, MOST)
    running = [one for one in past if one.state is DrillState.RUNNING]
    latest = await rows.latest(visit.reader, it.id)
    return await visit.html(
        "drills-monitor.html",
        status,
        names=await visit.names(),
        it=it,
        path=path,
        tab="drills",
        error=error,
        watched=" ".join([it.id, *(one for drill in running for one in (drill.id, drill.twin_id))]),
        running=[_shown(visit, one, it.rules) for one in running],
        offered=[] if it.live is None else _offered(visit, it.live, latest),
        past=[_shown(visit, one, it.rules) for one in past if one.state is not DrillState.RUNNING],
        most=MOST,
        lasts=PROOF_LASTS // DAY,
    )


def _offered(visit: Visit, live: Live, latest: Mapping[DrillKind, rows.Drill]) -> list[dict[str, Any]]:
    """Return the drills that fit a monitor, that first which is to be run next."""
    found = [_proof(live, kind, latest.get(kind), visit.now) for kind in fitting(live.rules)]
    best = min((_URGENCY.index(one.word) for one in found), default=0)
    wanted = next((one for one in found if _URGENCY.index(one.word) == best and one.word != "proven"), None)
    return [
        {"proof": one, "proves": _PROVES[one.kind], "path": _drill_path(visit, one), "next": one is wanted}
        for one in found
    ]


def _proof(live: Live, kind: DrillKind, last: rows.Result | rows.Drill | None, now: int) -> Proof:
    title = _title(kind, live.rules)
    if last is None:
        return Proof(kind, title, "never")
    if last.state is DrillState.NOT_PROVEN:
        return Proof(kind, title, "not proven", last.finished_at, last.id)
    return Proof(kind, title, "proven" if last.proves(now) else "stale", last.finished_at, last.id)


def _title(kind: DrillKind, rules: Rules) -> str:
    return "Missed run start" if kind is DrillKind.MISSED and rules.mode is Mode.RUN else _TITLES[kind]


def _drill_path(visit: Visit, proof: Proof) -> str | None:
    return None if proof.drill is None else visit.path("drills", proof.drill)


def _shown(visit: Visit, one: rows.Drill, rules: Rules) -> dict[str, Any]:
    """Return a drill with its steps as pages show it; `rules` are those of its monitor."""
    stale = one.state is DrillState.PROVEN and not one.proves(visit.now)
    return {
        "id": one.id,
        "ids": f"{one.id} {one.twin_id}",
        "path": visit.path("drills", one.id),
        "title": _title(one.kind, rules),
        "kind": one.kind.value,
        "running": one.state is DrillState.RUNNING,
        "mark": "failing" if stale else _DRILL_MARKS[one.state],
        "word": "proven, but stale" if stale else _WORDS[one.state],
        "started_at": one.started_at,
        "finished_at": one.finished_at,
        "actor": one.actor,
        "incident": None if one.incident_id is None else visit.path("incidents", one.incident_id),
        "settled": sum(step.state is not StepState.WAITING for step in one.steps),
        "proven": sum(step.state is StepState.PROVEN for step in one.steps),
        "steps": _steps(one.steps),
    }


def _steps(steps: Sequence[Step]) -> list[dict[str, Any]]:
    return [
        {
            "mark": _STEP_MARKS[step.state],
            "state": step.state.value.replace("_", " "),
            "text": visible(step.text),
            "detail": visible(step.detail),
            "at": step.at,
        }
        for step in steps
    ]


PAGES: tuple[Page, ...] = (
    ("GET", "/w/{workspace}/drills", "viewer", drills),
    ("GET", "/w/{workspace}/drills/{drill}", "viewer", drill),
    ("GET", "/w/{workspace}/monitors/{monitor}/drills", "viewer", monitor_drills),
    ("POST", "/w/{workspace}/monitors/{monitor}/drills", "operator", run),
)
