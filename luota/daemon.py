"""The composition root: what the process is made of, in the order in which it starts; stopping is the reverse."""

import asyncio
import contextlib
import faulthandler
import logging
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from typing import Any

import uvloop
from starlette.types import ASGIApp

from luota import systemd
from luota.alarm import STORAGE_PAUSE_S, Alarm, stamp
from luota.alerts.apprise import Services
from luota.alerts.guard import AddressPolicy
from luota.alerts.resolver import Resolver
from luota.alerts.sender import Sender
from luota.alerts.smtp import Relay
from luota.alerts.transport import open_client, trusted
from luota.alerts.types import routes
from luota.clock import Clock, SystemClock
from luota.config import Config
from luota.core.errors import LuotaError
from luota.core.limits import Limits
from luota.core.spec.values import format_instant
from luota.drills import Drills, own_url
from luota.engine import Engine
from luota.engine.reminders import remind_for_ever
from luota.engine.retention import prune_for_ever
from luota.tasks import spawn
from luota.web import app as web
from luota.web.api import Api
from luota.web.auth import Auth
from luota.web.dashboard import Dashboard
from luota.web.dashboard.html import Templates
from luota.web.dashboard.visit import Site
from luota.web.ingest import Ingest
from luota.web.passwords import Passwords
from luota.web.server import WebServer

log = logging.getLogger("luota")

SOCKET = "luota.sock"
STOP_WITHIN_S = 5.0
FINISH_WITHIN_S = 2.5
"""What requests in flight, then attempts to deliver, get to finish; with the last commit within 10 s."""
SWITCH_S = 0.00005
"""How long the thread that commits waits for the interpreter's lock while the loop is busy; Python's own 5 ms would
be the longest part of a commit."""


Beside = Callable[[str], Coroutine[Any, Any, None]]


def serve(config: Config, beside: Beside | None = None) -> int:
    """Run the daemon until SIGTERM or SIGINT; return the exit status, 1 when a part of it died.

    `beside` runs as a part of it: it gets the URL at which this process listens, runs until it is cancelled, and
    sees to it that somebody can sign in. Raises the LuotaError that keeps the daemon from starting.
    """
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    with contextlib.suppress(ValueError, OSError):  # a stderr without a descriptor
        faulthandler.enable()  # a crash below Python, say of SQLite on a disk that fails, leaves its place in the log
    sys.setswitchinterval(SWITCH_S)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # its line per request would show where channels lead
    return uvloop.run(_serve(config, SystemClock(), beside))


async def _serve(config: Config, clock: Clock, beside: Beside | None) -> int:
    stopped: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    _stop_on_signals(stopped)

    def died(name: str, error: BaseException | None) -> None:
        log.critical("%s ended by itself; Luota stops rather than watch nothing", name, exc_info=error)
        if not stopped.done():
            stopped.set_result(1)

    def told(name: str, error: BaseException | None) -> None:
        if error is not None:
            died(name, error)

    engine = await Engine.open(config.data_dir, clock, "luota serve")
    async with contextlib.AsyncExitStack() as reverse:
        reverse.push_async_callback(engine.close)
        if not await _clock_is_past(engine, stopped):
            return 0
        policy = AddressPolicy(config.alerts.allow_networks, config.alerts.deny_networks)
        resolver = Resolver()
        dead_routes: set[tuple[str, int]] = set()
        client = await reverse.enter_async_context(
            open_client(policy, resolver, own=dead_routes, ssl_context=trusted(), proxy=config.alerts.proxy)
        )
        table = routes(client, engine.clock, _relay(config, resolver), Services(policy))
        drills = Drills(engine, dead_routes)
        sender, alarm = Sender(engine, table, config.server.base_url), Alarm(engine)
        passwords = Passwords()
        reverse.callback(passwords.close)
        own = config.server
        auth = Auth(engine, passwords, public_url=own.public_url, trusted=own.trusted_proxies, host=own.host)

        def base_url() -> str:
            return replace(config.server, port=server.port).base_url

        def sickness() -> str | None:
            """Return what keeps Luota from watching at present, or None; /healthz, pages and the watchdog tell it."""
            return engine.sickness() or alarm.sickness() or sender.sickness()

        server = WebServer(
            web.build(
                engine,
                Ingest(engine, _limits(config), config.server.trusted_proxies),
                Api(engine, sender, policy, resolver, base_url, drills, passwords, sickness, auth.authorise_api),
                sickness,
                Dashboard(
                    Site(
                        engine,
                        sender,
                        policy,
                        resolver,
                        auth,
                        config.server.host,
                        base_url,
                        drills,
                        Templates(),
                        sickness,
                    )
                ),
                access_log=config.server.access_log,
            ),
            host=config.server.host,
            port=config.server.port,
            socket_path=config.data_dir / SOCKET,
            secure=auth.secure,
        )
        await server.start()
        window = await engine.watch(died)
        tasks = [
            spawn(alarm.run(), "alarm", died),
            spawn(sender.run(), "sender", died),
            spawn(stamp(engine), "last-alive stamp", died),
            spawn(remind_for_ever(engine), "reminders", died),
            spawn(prune_for_ever(engine), "retention", died),
            spawn(drills.run(own_url(config.server.host, server.port)), "drills", died),
        ]
        interval = systemd.watchdog_interval(os.environ, os.getpid())
        if interval is not None:
            tasks.append(spawn(_feed_watchdog(engine, sickness, interval), "watchdog", died))
        reverse.push_async_callback(_cancel, tasks)
        reverse.push_async_callback(sender.finish, FINISH_WITHIN_S)
        reverse.push_async_callback(server.stop, STOP_WITHIN_S)
        reverse.callback(sender.proofs.end)  # whoever waits for one would be cut off without a word
        reverse.callback(engine.changes.end)  # open event streams would keep the server from stopping
        if window is not None:
            log.info("was not watching %s to %s", format_instant(window.start), format_instant(window.end))
        log.info("data in %s", config.data_dir.absolute())
        log.info(
            "watching %d monitors; listening on %s:%d",
            len(engine.registry.monitors),
            config.server.host,
            server.port,
        )
        if beside is not None:
            tasks.append(spawn(beside(own_url(config.server.host, server.port)), "what runs beside", died))
        else:
            tasks.append(spawn(_tell_setup_link(auth, base_url()), "set-up link", told))
        systemd.notify(systemd.READY, os.environ)
        status = await stopped
        systemd.notify(systemd.STOPPING, os.environ)
        log.info("stopping")
    return status


@contextlib.asynccontextmanager
async def in_process(config: Config) -> AsyncIterator[ASGIApp]:
    """Open the data directory for one command while no daemon runs, and yield the app that the daemon would serve.

    Nothing is watched meanwhile. Raises CONFLICT when another process owns the directory.
    """
    engine = await Engine.open(config.data_dir, SystemClock(), "a luota command")
    async with contextlib.AsyncExitStack() as reverse:
        reverse.push_async_callback(engine.close)
        engine.work(lambda name, error: log.critical("%s ended by itself", name, exc_info=error))
        policy = AddressPolicy(config.alerts.allow_networks, config.alerts.deny_networks)
        resolver = Resolver()
        client = await reverse.enter_async_context(open_client(policy, resolver, proxy=config.alerts.proxy))
        passwords = Passwords()
        reverse.callback(passwords.close)
        table = routes(client, engine.clock, _relay(config, resolver), Services(policy))

        def sickness() -> str:
            return "nothing is watched, since no daemon runs"

        api = Api(
            engine,
            Sender(engine, table, config.server.base_url),
            policy,
            resolver,
            lambda: config.server.base_url,
            Drills(engine, set()),
            passwords,
            sickness,
        )
        ingest = Ingest(engine, _limits(config), ())
        yield web.build(engine, ingest, api, sickness, access_log=False)


def _relay(config: Config, resolver: Resolver) -> Relay | None:
    return None if config.email.host is None else Relay(config.email, resolver)


def _limits(config: Config) -> Limits:
    limits = config.limits
    return Limits(
        monitor_per_minute=limits.monitor_per_minute,
        monitor_per_hour=limits.monitor_per_hour,
        workspace_per_minute=limits.workspace_per_minute,
        ip_per_minute=limits.ip_per_minute,
    )


def _stop_on_signals(stopped: "asyncio.Future[int]") -> None:
    def stop() -> None:
        if not stopped.done():
            stopped.set_result(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)


async def _clock_is_past(engine: Engine, stopped: "asyncio.Future[int]") -> bool:
    """Wait until the clock has passed the last-alive stamp; tell whether it did before a stop was asked for.

    A board without a clock boots in the past: judging then would take every deadline for far away.
    """
    said = False
    while engine.alive_at is not None and engine.clock.now() < engine.alive_at and not stopped.done():
        if not said:
            log.warning(
                "the clock shows %s, but Luota was alive at %s: waiting until the clock is set right",
                format_instant(engine.clock.now()),
                format_instant(engine.alive_at),
            )
            said = True
        systemd.notify(systemd.extend_timeout(60), os.environ)
        await asyncio.wait([stopped], timeout=1.0)
    return not stopped.done()


async def _tell_setup_link(auth: Auth, base_url: str) -> None:
    """Log the link by which the first owner is made, once it could be written; nothing where there are users."""
    while True:
        try:
            link = await auth.setup_link()
        except (LuotaError, sqlite3.Error):  # the writer tells of the storage; here it is tried again
            await asyncio.sleep(STORAGE_PAUSE_S)
        else:
            if link is not None:
                log.info("nobody can sign in yet; create the first owner here, within 24 h: %s%s", base_url, link)
            return


async def _feed_watchdog(engine: Engine, sickness: Callable[[], str | None], interval: float) -> None:
    """Tell systemd that Luota works, while loop, writer, alarm and sender move. A full disk is no reason to restart."""
    while True:
        await asyncio.sleep(interval)
        if engine.failing() is not None or sickness() is None:
            systemd.notify(systemd.WATCHDOG, os.environ)


async def _cancel(tasks: "list[asyncio.Task[Any]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
