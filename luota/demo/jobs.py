"""What a demo does over HTTP: an operator at the Unix socket, and jobs at the TCP port."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import Any

import httpx

from luota.clock import Clock
from luota.core.errors import Code, LuotaError
from luota.core.text import visible

_PAUSE_S = 5.0
"""How long a job that was refused waits before it begins anew."""
_AHEAD_MS = 300
"""How far ahead of its occurrence a job signals, since not a moment of lateness shall show; less than the slack."""


class Operator:
    """Whoever runs the demo: the operator's API, called through `http`, which leads to the Unix socket."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer to one request; CONFLICT with Luota's own words for what it refuses."""
        reply = await self._http.request(method, path, json=body)
        doc: dict[str, Any] = reply.json()
        if not reply.is_success:
            raise LuotaError(Code.CONFLICT, str(doc.get("message") or doc.get("error")))
        return doc

    async def ensure_monitor(self, definition: Mapping[str, Any]) -> dict[str, Any]:
        """Return the monitor with the slug of `definition`, which is created where there is none."""
        shown = await self.ask("GET", "/api/monitors")
        for monitor in shown["monitors"]:
            if monitor["slug"] == definition["slug"]:
                return dict(monitor)
        return dict((await self.ask("POST", "/api/monitors", definition))["monitor"])

    async def drill(self, monitor: str, kind: str) -> None:
        """Start a drill, unless that is refused, as while another runs."""
        with contextlib.suppress(LuotaError):
            await self.ask("POST", f"/api/monitors/{monitor}/drills", {"kind": kind})


class Job:
    """One sample job: it signals to its monitor as `docs/api.md` says, with the monitor's own token.

    Every method raises LuotaError for what Luota refuses.
    """

    def __init__(
        self,
        operator: Operator,
        http: httpx.AsyncClient,
        monitor_id: str,
        name: str,
        clock: Clock,
        say: Callable[[Mapping[str, Any], str], None],
    ) -> None:
        self.name = name
        self._operator = operator
        self._http = http
        self._id = monitor_id
        self._clock = clock
        self._say = say
        self._token = ""
        self._runs = count(1)
        self._born = clock.now()

    async def learn_token(self) -> None:
        """Learn the monitor's present token, as a new deploy of the job would."""
        self._token = (await self._operator.ask("GET", f"/api/monitors/{self._id}/token"))["token"]

    async def ping(self, **payload: object) -> None:
        """Send a ping."""
        await self._send(f"/v1/monitors/{self._id}/ping", {"payload": payload})

    async def start(self, **fields: object) -> str:
        """Send the start of a run, and return its id; `fields` are the body's."""
        named = {"monitorId": self._id, "externalRunId": f"{self._born}-{next(self._runs)}"}
        return str((await self._send("/v1/runs/start", {**named, **fields}))["run"]["id"])

    async def success(self, run: str, **fields: object) -> None:
        """Close a run that went well."""
        await self._send(f"/v1/runs/{run}/success", fields)

    async def fail(self, run: str, summary: str, **fields: object) -> None:
        """Close a run that failed."""
        await self._send(f"/v1/runs/{run}/fail", {"summary": summary, **fields})

    async def resolve(self, reason: str) -> None:
        """End the monitor's open incident by hand, if there is one."""
        incident = (await self._operator.ask("GET", f"/api/monitors/{self._id}"))["monitor"]["incidentId"]
        if incident is not None:
            with contextlib.suppress(LuotaError):  # a visitor was faster
                await self._operator.ask("POST", f"/api/incidents/{incident}/resolve", {"reason": reason})

    async def pause(self) -> None:
        """Pause the monitor until somebody resumes it."""
        await self._operator.ask("POST", f"/api/monitors/{self._id}/pause", {})

    async def occurrence(self, seconds: int) -> None:
        """Wait until it is time to signal for the next occurrence that is a multiple of `seconds`."""
        step = seconds * 1000
        rest = step - self._clock.now() % step
        if rest < 3 * _AHEAD_MS:
            rest += step
        await asyncio.sleep((rest - _AHEAD_MS) / 1000)

    def refused(self, error: Exception) -> None:
        """Say that Luota did not take something."""
        said = str(error) or type(error).__name__
        self._say({"job": self.name, "refused": said}, visible(f"{self.name} was refused: {said}"))

    async def _send(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        reply = await self._http.post(path, json=body, headers={"x-luota-key": self._token})
        doc: dict[str, Any] = reply.json()
        if not reply.is_success:
            raise LuotaError(Code.CONFLICT, str(doc.get("message") or doc.get("error")))
        return doc


Cycle = Callable[[Job], Awaitable[None]]
"""What a job does again and again."""


async def live(job: Job, cycle: Cycle) -> None:
    """Repeat `cycle` until cancelled. A job that is refused, as after a rotated token, says so and begins anew."""
    while True:
        try:
            await job.learn_token()
            while True:
                await cycle(job)
        except (LuotaError, httpx.TransportError) as error:
            job.refused(error)
        await asyncio.sleep(_PAUSE_S)
