"""Histories made up at random: a replay says of each monitor what the machine says that is fed with it alone."""

import json
import random

import pytest

from luota.core import events
from luota.core.machine import draft, evaluate, wake_at
from luota.core.model import NO_WINDOWS, Action, Pause, RunState, Window
from luota.core.replay import Replay
from luota.core.spec.monitors import parse_rules
from luota.core.spec.trace import parse_line
from luota.core.spec.values import format_instant, parse_instant

DEFINITIONS = (
    {"mode": "heartbeat", "schedule": {"cron": "*/20 * * * *", "timezone": "Europe/Helsinki"}, "graceSeconds": 120},
    {"mode": "heartbeat", "schedule": {"every": 900}, "graceSeconds": 60, "failuresBeforeIncident": 2},
    {"mode": "freshness", "expectedFreshnessSeconds": 1800, "graceSeconds": 300},
    {"mode": "run", "schedule": None, "maxRuntimeSeconds": 900, "failuresBeforeIncident": 2},
    {
        "mode": "run",
        "schedule": {"calendar": "*:0/30", "timezone": "UTC"},
        "graceSeconds": 300,
        "maxRuntimeSeconds": 1200,
        "failuresBeforeIncident": 3,
    },
)


def invented(chance, longest):
    """Return the lines of a history, of which each lies up to about `longest` after the one before it."""
    now = parse_instant("2026-03-28T22:00:00Z", "at")
    began = now
    lines, runs, down = [], {}, None
    for name, definition in enumerate(DEFINITIONS):
        lines.append((now, {"event": "monitor", "monitor": str(name), **definition}))
    while now < began + 48 * longest:
        now += chance.choice((0, 1, 60_000, 299_000, longest)) + chance.choice((0, chance.randrange(200_000)))
        if down is not None:
            if chance.random() < 0.7:
                down = None
                lines.append((now, {"event": "up"}))
                continue
        elif chance.random() < 0.1:
            down = now
            lines.append((now, {"event": "down"}))
            continue
        name = chance.randrange(len(DEFINITIONS))
        doc = {"monitor": str(name)}
        kind = chance.random()
        if kind < 0.15 and down is None:
            doc["event"] = chance.choice(("pause", "resume", "resume"))
            if doc["event"] == "pause":
                doc["until"] = chance.choice((None, format_instant(now + 1_000_000)))
                doc["untilHealthy"] = chance.random() < 0.5
        elif kind < 0.25 and down is None:
            doc |= {"event": "monitor", **DEFINITIONS[name], "graceSeconds": chance.choice((60, 200, 900))}
            if DEFINITIONS[name]["mode"] != "freshness":
                doc["failuresBeforeIncident"] = chance.choice((1, 3, 100))
        elif DEFINITIONS[name]["mode"] != "run":
            doc |= {"event": "ping", "occurredAt": chance.choice((None, format_instant(now - 240_000)))}
        elif runs.get(name) and chance.random() < 0.5:
            run = chance.choice(runs[name])
            if down is None:
                runs[name].remove(run)
            finished_at = chance.choice((None, format_instant(now - chance.randrange(2 * longest))))
            doc |= {"event": chance.choice(("success", "fail")), "run": run, "finishedAt": finished_at}
        else:
            run = f"{name}/{len(lines)}"
            if down is None:
                runs.setdefault(name, []).append(run)
            doc |= {"event": "start", "run": run}
        lines.append((now, doc))
    if down is not None:
        lines.append((now, {"event": "up"}))
    return [*lines, (now + 7_200_000, {"event": "end"})]


def directly(lines, name):
    """Return the transitions of one monitor, fed to the machine without any replay."""
    windows, down, state, runs, made = NO_WINDOWS, None, None, {}, []

    def feed(event, at):
        nonlocal state
        outcome = evaluate(rules, state, event, at, windows)
        made.extend(outcome.transitions)
        for ended in outcome.ended:
            if ended.state is RunState.STUCK:
                runs[ended.id] = evaluated(runs[ended.id])
        state = outcome.state
        runs.update({run.id: run for run in state.runs})
        if outcome.run is not None:
            runs[outcome.run.id] = outcome.run

    def evaluated(run):
        return type(run)(run.id, run.started_at, run.limit_at, run.occurrence, counted=True)

    for at, doc in lines:
        while down is None and state is not None and (due := wake_at(state)) is not None and due < at:
            feed(events.Tick(), due)
        event = doc["event"]
        if event == "down":
            down = at
        elif event == "up":
            windows, down = windows.add(Window(down, at, "Luota was not running")), None
            while (due := wake_at(state)) is not None and due < at:
                feed(events.Tick(), due)
        elif event == "end":
            feed(events.Tick(), at)
        elif doc["monitor"] != name or down is not None:
            continue
        elif event == "monitor":
            new = parse_rules(doc)
            if state is None:
                state = draft(new, at)
            else:
                feed(events.Edit(new), at)
            rules = new
        elif event == "ping":
            feed(events.Ping(doc["occurredAt"] and parse_instant(doc["occurredAt"], "at")), at)
        elif event == "start":
            feed(events.Start(doc["run"]), at)
        elif event == "pause":
            until = doc["until"] and parse_instant(doc["until"], "until")
            feed(events.PauseBegins(Pause(until, doc["untilHealthy"])), at)
        elif event == "resume":
            feed(events.Resume(), at)
        else:
            finished_at = doc["finishedAt"] and parse_instant(doc["finishedAt"], "at")
            feed({"success": events.Success, "fail": events.Fail}[event](runs[doc["run"]], finished_at), at)
    return [t for t in made if t.before is not t.after or t.action not in (None, Action.COUNTED)]


def replayed(lines, *, each):
    """Return the steps of a history that is asked for them after each line, or once at its end."""
    history, steps = Replay(), []
    for at, doc in lines:
        history.take(parse_line(json.dumps({"at": format_instant(at), **doc}).encode()))
        if each:
            steps += history.told()
    return steps + history.told()


HISTORIES = pytest.mark.parametrize(
    ("seed", "longest"), [*((seed, 900_000) for seed in range(30)), *((seed, 200_000_000) for seed in range(5))]
)


@HISTORIES
def test_a_replay_gives_the_same_transitions_as_the_machine_fed_directly(seed, longest):
    lines = invented(random.Random(seed), longest)
    steps = replayed(lines, each=False)
    for name in map(str, range(len(DEFINITIONS))):
        assert [transition for monitor, transition in steps if monitor == name] == directly(lines, name)
    instants = [transition.at for _, transition in steps]
    assert instants == sorted(instants)
    assert len(steps) > 50


@HISTORIES
def test_a_replay_tells_the_same_however_often_it_is_asked(seed, longest):
    lines = invented(random.Random(seed), longest)
    assert replayed(lines, each=True) == replayed(lines, each=False)
