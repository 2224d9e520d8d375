"""How to wire a job to its monitor: text to copy, with the real values in it. Pure.

What it says is run by tests; PowerShell is parsed.
"""

from luota.core.model import Mode
from luota.core.schedule import Schedule
from luota.core.spec.values import slug_of
from luota.web.snippets import ci, hosts, programs
from luota.web.snippets.wiring import Snippet, Wiring

__all__ = ["NO_TOKEN", "Snippet", "snippets"]

NO_TOKEN = "YOUR-TOKEN"  # noqa: S105 - what stands in its place for those who may not see it

_ALL = (
    hosts.curl,
    hosts.crontab,
    hosts.systemd,
    ci.github,
    ci.gitlab,
    ci.circleci,
    programs.vercel,
    hosts.render,
    hosts.fly,
    programs.python,
    programs.node,
    programs.powershell,
)


def snippets(
    mode: Mode, base_url: str, monitor_id: str, token: str, name: str, schedule: Schedule | None = None
) -> list[Snippet]:
    """Return the snippets of one monitor, in the order in which they are shown.

    `base_url` is the `public_url` of the server. Those for hosts and programs hold the token; those for CI and
    hosting services name the secret to set. Whatever becomes of the calls, the job runs and keeps its exit status:
    docs/integrations.md says what else all of them promise.
    """
    wiring = Wiring(mode, base_url.rstrip("/"), monitor_id, token, name, slug_of(name), schedule)
    return [make(wiring) for make in _ALL]
