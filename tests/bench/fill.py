"""Filling a data directory fast: rows written straight into the file that `luota init` made, while no daemon runs."""

import json
import sqlite3
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from uuid import uuid4

from msgspec.structs import replace

from luota.core import tokens
from luota.core.events import Ping
from luota.core.machine import draft, evaluate
from luota.core.model import Mode, Rules, State, Status
from luota.core.schedule import parse_schedule
from luota.store.writes import Rows, state_row

from . import processes

HOUR = 3_600_000


class File:
    """A fresh data directory under `directory`; `monitors` are the ids that were written."""

    def __init__(self, directory: Path) -> None:
        self.data_dir = directory / "data"
        made = processes.luota(self.data_dir, "init")
        self.workspace_id = str(made["workspace"]["id"])
        self.monitors: list[str] = []

    @property
    def path(self) -> Path:
        """The database file."""
        return self.data_dir / "luota.db"

    def add_webhook(self, port: int) -> None:
        """Give the workspace one webhook channel."""
        settings = json.dumps({"url": f"http://127.0.0.1:{port}/hook"})
        with self._open() as db:
            db.execute(
                "INSERT INTO channels (id, workspace_id, name, type, settings, created_at) VALUES (?, ?, ?, ?, ?, ?)",
                (str(uuid4()), self.workspace_id, "bench", "webhook", settings, 0),
            )

    def add(self, name: str, many: Iterable[tuple[Rules, State]], now: int) -> list[str]:
        """Write monitors with these rules and states; return their ids."""
        first = len(self.monitors)
        definitions, states = [], Rows()
        for number, (rules, state) in enumerate(many):
            id_ = str(uuid4())
            self.monitors.append(id_)
            schedule = None if rules.schedule is None else json.dumps(rules.schedule.json(), separators=(",", ":"))
            limits = (rules.grace, rules.max_runtime, rules.freshness, rules.tolerance)
            label = f"{name}-{number}"
            words = (f"The {label} backup is there in the morning", "platform team", "https://wiki.example/backup")
            definition = (id_, self.workspace_id, label, label, rules.mode.value, schedule, *limits, *words)
            definitions.append((*definition, uuid4().hex, now))
            states.add(*state_row(id_, state, None))
        columns = "id workspace_id slug name mode schedule grace_ms max_runtime_ms freshness_ms tolerance".split()
        columns += "promise owner runbook token_salt created_at".split()
        with self._open() as db:
            db.executemany(f"INSERT INTO monitors ({', '.join(columns)}) VALUES ({_places(columns)})", definitions)
            states.write(db)
        return self.monitors[first:]

    def keys(self, ids: Iterable[str]) -> list[tuple[str, str]]:
        """Return monitors with their tokens, derived as the daemon derives them."""
        with self._open() as db:
            ((secret,),) = db.execute("SELECT signing_secret FROM instance")
            salts = dict(db.execute("SELECT id, token_salt FROM monitors"))
        return [(id_, tokens.monitor_token(secret, self.workspace_id, id_, salts[id_])) for id_ in ids]

    def rows(self, sql: str) -> list[tuple[int, ...]]:
        """Return the rows of a query on a connection that can only read; also while the daemon runs."""
        db = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)
        try:
            return db.execute(sql).fetchall()
        finally:
            db.close()

    def _open(self) -> "_Closing":
        return _Closing(self.path)


class _Closing:
    """One transaction on a connection that is closed at its end."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path)

    def __enter__(self) -> sqlite3.Connection:
        return self._db

    def __exit__(self, *exc_info: object) -> None:
        self._db.commit()
        self._db.close()


def _places(row: Iterable[object]) -> str:
    return ", ".join("?" for _ in row)


@cache
def every(hours: int, grace: int = 0) -> Rules:
    """Return a heartbeat that is expected every so many hours."""
    return Rules(mode=Mode.HEARTBEAT, schedule=parse_schedule({"every": hours * 3600}), grace=grace)


@cache
def cron(expression: str, grace: int = 0) -> Rules:
    """Return a heartbeat with a cron schedule."""
    schedule = parse_schedule({"cron": expression, "timezone": "Europe/Helsinki"})
    return Rules(mode=Mode.HEARTBEAT, schedule=schedule, grace=grace)


def mixed(count: int, now: int) -> Iterable[tuple[Rules, State]]:
    """Yield healthy monitors, half of them `every`, half cron, none of which falls due within the hour."""
    kinds: list[Callable[[int], Rules]] = [
        lambda n: every(2 + n % 48, grace=600_000),
        lambda n: cron(f"{n % 60} {n % 24} * * *", grace=2 * HOUR),
    ]
    for number in range(count):
        rules = kinds[number % 2](number)
        yield rules, healthy(rules, now)


def healthy(rules: Rules, now: int) -> State:
    """Return the state of a monitor whose last ping came at `now`."""
    return evaluate(rules, draft(rules, now), Ping(), now).state


def due_at(rules: Rules, deadline: int, now: int) -> State:
    """Return the state of a monitor that was pinged before and whose silence becomes a verdict at `deadline`."""
    state = replace(healthy(rules, now), expected_at=deadline - rules.grace, deadline_at=deadline)
    late = deadline - rules.grace <= now
    return replace(state, late=late, status=Status.LATE if late else Status.HEALTHY)
