import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from tests.markdown import ROOT, fences

HERE = Path(__file__).parent
MONITOR = (
    '{"at":"2026-03-02T00:00:00Z","event":"monitor","monitor":"a","mode":"heartbeat","schedule":{"every":60},'
    '"graceSeconds":60}'
)
PING = '{"at":"2026-03-02T00:00:01Z","event":"ping","monitor":"a"}'
STEP = "2026-03-02T00:00:01.000Z  a       draft → healthy     -                  ping at 2026-03-02T00:00:01.000Z\n"


@pytest.fixture
def replay(luota):
    """Replay a trace in this process, to an exit status."""

    def replayed(*args, stdin=None, status=0):
        return luota.run("replay", *map(str, args), stdin=stdin, status=status)

    return replayed


def test_a_walk_through_all_verdicts_gives_the_same_lines_for_ever(luota):
    done = luota.program("replay", str(HERE / "walk.jsonl"), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == (HERE / "walk.expected.jsonl").read_text().splitlines()


def test_a_trace_may_come_from_stdin_and_is_told_in_aligned_text_without_json(replay):
    done = replay("-", stdin=f"{MONITOR}\n\n{PING}\n")
    assert (done.stdout, done.stderr) == (STEP, "")


@pytest.mark.parametrize("first", [f"{MONITOR}\n", f"\n{MONITOR}\n"])
def test_a_byte_order_mark_at_the_begin_is_skipped_and_nowhere_else(replay, first, tmp_path):
    trace = tmp_path / "trace.jsonl"
    trace.write_text(f"\ufeff{first}{PING}\n")
    done = replay(trace)
    assert (done.stdout, done.stderr) == (STEP, "")
    trace.write_text(f"{first}{PING}\n\ufeff{PING}\n")
    assert f"line {first.count(chr(10)) + 2}: not valid JSON" in replay(trace, status=1).stderr


def test_it_needs_no_data_and_makes_none(luota):
    assert luota.program("replay", "-", input=MONITOR).returncode == 0
    assert not luota.data_dir.exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (PING.replace('"a"', '"b"'), "monitor b is unknown: a line with event monitor must come first."),
        (PING.replace("00:01Z", "00:00"), "at must be an ISO 8601 time with an offset or Z"),
        (PING.replace("2026", "2025"), "at must not lie before 2026-03-02T00:00:01.000Z"),
        (PING.replace("ping", "pnig"), "event must be one of"),
        (PING.replace("ping", "start"), "run is required for start."),
        (
            MONITOR.replace('"heartbeat"', "7").replace("00:00Z", "00:01Z"),
            "mode must be one of heartbeat, run, freshness, not a number.",
        ),
        (PING[:-1], "not valid JSON: "),
        (PING.replace('"a"', '"\\ud800"'), "not valid JSON: "),
        ("[" * 100_000, "not valid JSON: "),
        ("7", "a line must be a JSON object, not a number."),
        (PING.replace("}", ',"monitor":"b"}'), "monitor stands twice on the line. Give each key once."),
    ],
)
def test_a_line_that_cannot_be_ends_it_with_its_number(replay, line, said, tmp_path):
    trace = tmp_path / "trace.jsonl"
    trace.write_text(f"{MONITOR}\n\n{PING}\n{line}\n{PING}\n")
    done = replay(trace, status=1)
    assert done.stdout == STEP
    assert done.stderr.startswith(f"error: {trace} line 4: {said}")
    assert done.stderr.count("\n") == 1


def test_a_line_that_is_not_utf_8_is_refused(replay, tmp_path):
    trace = tmp_path / "trace.jsonl"
    trace.write_bytes(PING.replace('"a"', '"ä"').encode("latin-1"))
    assert replay(trace, status=1).stderr.startswith(f"error: {trace} line 1: not valid JSON: ")


def test_an_error_names_its_field_in_json(replay):
    assert '"field": "monitor"' in replay("-", "--json", stdin=PING, status=1).stderr


def test_a_trace_that_cannot_be_read_is_an_error(replay, tmp_path):
    done = replay(tmp_path / "none.jsonl", status=1)
    assert done.stderr.count("\n") == 1
    assert "none.jsonl cannot be read: No such file or directory." in done.stderr


def test_no_trace_is_a_usage_error(replay):
    replay(status=2)


def test_a_reader_that_leaves_early_causes_no_traceback(tmp_path):
    trace = tmp_path / "trace.jsonl"
    end = '{"at":"2026-03-02T05:00:00Z","event":"end"}'
    pings = (
        f'{{"at":"2026-03-02T00:{minute:02}:{s:02}Z","event":"ping","monitor":"a"}}'
        for minute in range(60)
        for s in (1, 59)
    )
    trace.write_text("\n".join([MONITOR, *pings, end]))
    command = f"{sys.executable} -m luota replay {trace} --json | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.stderr == ""


def test_what_happens_is_told_while_the_history_goes_on_also_where_every_other_line_is_blank():
    command = [sys.executable, "-m", "luota", "replay", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdin.write(f"{MONITOR}\n\n" + f"{PING}\n\n" * 600)
        process.stdin.flush()
        told, _, _ = select.select([process.stdout], [], [], 30)
        said = process.stdout.readline() if told else "nothing"
        process.stdin.close()
    assert said == STEP


def test_the_examples_of_the_page_are_what_happens(tmp_path):
    (tmp_path / "luota").write_text(f'#!/bin/sh\nexec {sys.executable} -m luota "$@"\n')
    (tmp_path / "luota").chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    shown = 0
    for fence in fences(ROOT / "docs" / "replay.md"):
        if fence.language == "jsonl":
            (tmp_path / fence.label).write_text(fence.text)
        if fence.language == "console":
            command, _, output = fence.text.removeprefix("$ ").partition("\n")
            done = subprocess.run(
                ["bash", "-c", f"{command} 2>&1"], capture_output=True, text=True, timeout=60, cwd=tmp_path, env=env
            )
            assert done.stdout == output + "\n"
            shown += 1
    assert shown == 3


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_an_output_that_takes_no_more_ends_it_with_one_line(form):
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "luota", "replay", str(HERE / "walk.jsonl"), *form]
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, cwd=ROOT, check=False
        )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "The output cannot be written: No space left on device." in done.stderr
