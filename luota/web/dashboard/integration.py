"""The integration tab: how to wire the job, with real values, and the first signal as it arrives."""

import re
import shlex
from collections.abc import Iterable

from starlette.responses import Response

from luota.core import tokens
from luota.core.model import Mode
from luota.core.text import visible
from luota.store import drills as drill_rows
from luota.store import history
from luota.store import monitors as monitor_rows
from luota.web.dashboard.monitor import channels_shown
from luota.web.dashboard.proof import proof_path
from luota.web.dashboard.visit import Page, Visit
from luota.web.snippets import NO_TOKEN, snippets

_PLACEHOLDER = re.compile(r"[\w./:\\-]*your-(?:job|file)(?:\.\w+)?")


async def integration(visit: Visit) -> Response:
    """Show whether the job has signalled, what is still to be proven, and one snippet, chosen by `for`."""
    live = visit.live()
    if live.drill_of is not None:  # people see a twin with its monitor alone
        return visit.redirect(visit.path("monitors", live.drill_of) + "/drills")
    definition = await monitor_rows.definition_of(visit.reader, live.id)
    path, mode, base_url = visit.path("monitors", live.slug), live.rules.mode, visit.site.base_url().rstrip("/")
    token = NO_TOKEN
    if visit.may("operator"):
        token = tokens.monitor_token(visit.engine.registry.secret, live.workspace_id, live.id, live.salt)
    offered = snippets(mode, base_url, live.id, token, definition.name, live.rules.schedule)
    chosen = next((one for one in offered if one.key == visit.query("for")), offered[0])

    runs = await history.durations(visit.reader, live.id) if mode is Mode.RUN else ()
    incidents = await history.incidents(visit.reader, live.id, 20)
    drills = await drill_rows.latest(visit.reader, live.id)
    channels = await channels_shown(visit, live)
    proof = proof_path(
        definition, live.state, runs, incidents, drills, channels, path, visit.path("channels"), visit.now
    )
    return await visit.html(
        "integration.html",
        live=live,
        name=definition.name,
        promise=visible(definition.promise, lines=True),
        path=path,
        tab="integration",
        watched=" ".join([live.id, *(channel["id"] for channel in channels)]),
        signalled=proof[0],
        proof=proof[1:],
        by_hand=None if mode is Mode.RUN else _by_hand(base_url, live.id, token),
        offered=offered,
        chosen=chosen,
        replace=placeholders(chosen.files),
        base_url=base_url,
        token=token if visit.may("operator") else None,
    )


def placeholders(files: Iterable[tuple[str, str]]) -> list[str]:
    """Return what people replace in the files of a snippet by their own commands and files."""
    return sorted({found for _, text in files for found in _PLACEHOLDER.findall(text)})


def _by_hand(base_url: str, monitor_id: str, token: str) -> str:
    """Return a command that sends one ping."""
    where = f"{base_url}/v1/monitors/{monitor_id}/ping"
    return f"curl -fsS -X POST -H {shlex.quote(f'x-luota-key: {token}')} {shlex.quote(where)}"


PAGES: tuple[Page, ...] = (("GET", "/w/{workspace}/monitors/{monitor}/integration", "viewer", integration),)
