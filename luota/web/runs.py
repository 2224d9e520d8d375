"""Which incident a run belongs to, as the API and the pages tell it."""

from collections.abc import Sequence

from luota.core.bar import Drawn, run_drawn
from luota.core.model import RunState, Windows
from luota.core.slots import Incident, Stretch
from luota.store import history


def incident_of(
    run: history.Run, incidents: Sequence[Incident], windows: Windows, pauses: Sequence[Stretch]
) -> Incident | None:
    """Return the incident that a run opened, made worse, or was counted in; None where it belongs to none.

    One that a run merely healed is not its own: it resolved it.
    """
    own = next((incident for incident in incidents if incident.run == run.id), None)
    state = RunState(run.state)
    drawn = run_drawn(state, run.effective_at, run.limit_at, run.finish_received_at, windows, pauses)
    if own is not None or drawn not in (Drawn.FAILED, Drawn.STUCK):
        return own
    failed_at = run.finish_received_at if state is RunState.FAILED else None
    bad_at = run.limit_at if failed_at is None else failed_at
    during = (one for one in incidents if one.opened_at <= bad_at <= (one.resolved_at or bad_at))
    return next(during, None)
