"""Takes each protection away, one at a time, and sees to it that a test fails: `python tests/mutants.py [WORD…]`.

A guard that nobody misses is not tested. Each mutant is an exact text of a file, what takes its place, and
the tests that must fail then; with words given, only mutants whose names hold one of them run. Exit status 0
when every mutant was killed, 1 when one survived, or its text is not found any more, or its tests cannot be
run or fail without it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
AT_ONCE = 2
WITHIN_S = 60

OUTBOX = "tests/engine/test_outbox.py::"
WRITER = "tests/engine/test_writer.py::"
HEARTBEAT = "tests/core/test_heartbeat.py::"
RUN = "tests/core/test_run.py::"
BLIND = "tests/core/test_blind_windows.py::"
ERRORS = "tests/web/test_ingest_errors.py::"
LIMITS = "tests/web/test_ingest_limits.py::"
SENDER = "tests/alerts/test_sender.py::"
DB = "tests/store/test_db.py::"
FLIGHT = "tests/engine/test_flight.py::"
ORDER = "tests/engine/test_order.py::"
KILL = "tests/e2e/test_kill.py::"
PAGES = "tests/web/test_dashboard.py::"
PROTOCOL = "tests/web/test_protocol.py::"


class Mutant(NamedTuple):
    """`old` stands exactly once in `file`; with `new` in its place, one of the `tests` must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def mutant(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    """Return one line of the table."""
    return Mutant(name, file, old, new, tests)


MUTANTS = [
    # -- durability --------------------------------------------------------------------------------
    mutant(
        "synchronous weakened",
        "luota/store/db.py",
        '"synchronous = FULL"',
        '"synchronous = NORMAL"',
        "tests/e2e/test_fsync.py",
    ),
    mutant(
        "reply before COMMIT",
        "luota/engine/writer.py",
        "        flight.ended = in_thread(",
        "        answer(flight.items, flight.results)\n        flight.ended = in_thread(",
        OUTBOX + "test_nobody_is_answered_before_the_commit_that_makes_it_true",
    ),
    mutant(
        "outbox in a later transaction",
        "luota/store/writes.py",
        "            elif name in self._rows:\n",
        "            elif name in self._rows:\n"
        '                if name == "deliveries":\n'
        '                    db.execute("COMMIT")\n'
        '                    db.execute("BEGIN IMMEDIATE")\n',
        OUTBOX
        + "test_at_whatever_instant_it_is_killed_an_incident_its_state_and_its_notices_are_there_together_or_not_at_all",
    ),
    mutant(
        "failed COMMIT applied to the live state",
        "luota/engine/writer.py",
        "        flight.ended = in_thread(",
        "        flight.batch.publish()\n        flight.ended = in_thread(",
        OUTBOX
        + "test_a_failed_commit_leaves_neither_incident_nor_notice_nor_live_state_and_the_next_attempt_has_them_all",
    ),
    mutant(
        "no ROLLBACK after a failed COMMIT",
        "luota/engine/writer.py",
        '                await self._db.execute("ROLLBACK")\n',
        "                pass\n",
        OUTBOX
        + "test_a_failed_commit_leaves_neither_incident_nor_notice_nor_live_state_and_the_next_attempt_has_them_all",
    ),
    mutant(
        "a transaction committed on top of one that was not",
        "luota/engine/flight.py",
        "            raise Superseded\n",
        "            pass\n",
        FLIGHT + "test_what_a_broken_transaction_had_in_it_comes_before_what_stood_behind_it",
    ),
    mutant(
        "a transaction decided without the one before it",
        "luota/engine/writer.py",
        "None if before is None else before.batch",
        "None",
        FLIGHT + "test_a_transaction_is_decided_on_top_of_one_that_is_still_being_committed",
    ),
    mutant(
        "incidents of one transaction out of order",
        "luota/store/writes.py",
        "groupby(self._incidents, key=itemgetter(0))",
        "groupby(sorted(self._incidents, key=itemgetter(0)), key=itemgetter(0))",
        OUTBOX + "test_several_incidents_of_one_monitor_in_one_transaction_are_kept_in_their_order",
    ),
    mutant(
        "no reserve for a full disk",
        "luota/store/reserve.py",
        "os.posix_fallocate(fd, 0, SIZE)",
        "pass",
        "tests/e2e/test_storage_failures.py::"
        "test_on_a_full_disk_retention_makes_room_from_the_reserve_and_signals_are_taken_again",
    ),
    mutant(
        "signals eat the reserve",
        "luota/engine/writer.py",
        "if self.full.is_set() and isinstance(work, Command):",
        "if False:",
        "tests/e2e/test_storage_failures.py::"
        "test_on_a_full_disk_the_reserve_is_not_for_signals_but_for_what_people_change",
    ),
    mutant(
        "two owners of the file",
        "luota/store/db.py",
        "            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
        "            pass\n",
        "tests/e2e/test_shutdown.py::"
        "test_a_second_daemon_on_the_same_directory_refuses_and_names_the_process_that_owns_it",
    ),
    mutant(
        "newer schema opened",
        "luota/store/db.py",
        "    if version > known:\n",
        "    if False:\n",
        DB + "test_a_file_that_is_newer_or_not_ours_is_refused_and_left_as_it_was",
    ),
    mutant(
        "database of another program opened",
        "luota/store/db.py",
        "application != APPLICATION_ID and not begun",
        "False",
        "tests/e2e/test_shutdown.py::test_the_database_of_another_program_is_refused_and_stays_as_it_is[0-unnamed]",
    ),
    # -- the outbox --------------------------------------------------------------------------------
    mutant(
        "delivery recorded before the attempt",
        "luota/alerts/sender.py",
        "            started_at = clock.now()\n",
        "            started_at = clock.now()\n"
        "            done = AttemptResult(ok=True)\n"
        "            record = RecordAttempt(outgoing.id, outgoing.attempts + 1, started_at, started_at, done, None)\n"
        "            await self._engine.submit(record)\n",
        KILL + "test_a_notice_that_was_under_way_at_the_kill_is_sent_again_under_the_same_id",
    ),
    mutant(
        "a tick judged at the writer's time",
        "luota/engine/__init__.py",
        "batch.apply(live, Tick(), self.at)",
        "batch.apply(live, Tick(), batch.now)",
        ORDER + "test_a_ping_received_in_time_behind_a_tick_opens_nothing_however_late_the_writer_is",
    ),
    mutant(
        "windows of a future that did not come",
        "luota/engine/writer.py",
        "tx.registry.windows = tx.registry.windows.until(now)",
        "pass",
        ORDER + "test_a_window_in_a_future_that_did_not_come_excuses_nothing",
    ),
    mutant(
        "no order per incident",
        "luota/store/deliveries.py",
        "AND e.seq < d.seq",
        "AND e.seq < 0",
        SENDER + "test_an_update_waits_for_the_opening_that_is_still_to_be_delivered",
    ),
    mutant(
        "a new id for every attempt",
        "luota/alerts/messages.py",
        '"id": notice.delivery_id,',
        '"id": __import__("uuid").uuid4().hex,',
        SENDER + "test_a_failed_attempt_is_kept_and_repeated_with_the_same_id",
    ),
    mutant(
        "no address guard",
        "luota/alerts/guard.py",
        "            for network, what in _DENIED:\n",
        "            for network, what in ():\n",
        "tests/alerts/test_guard.py::test_the_refusal_reads_as_the_docs_show_it",
    ),
    mutant(
        "address guard asked before the lookup only",
        "luota/alerts/transport.py",
        "        refusal = policy.refusal(text)\n",
        "        refusal = None\n",
        "tests/alerts/test_transport.py::test_a_name_that_rebinds_to_a_denied_address_after_the_check_gets_no_connection",
    ),
    # -- blind windows and the clock ---------------------------------------------------------------
    mutant(
        "no blind window",
        "luota/engine/__init__.py",
        "            await self.writer.blind(window)\n",
        "",
        "tests/e2e/test_blind_windows.py::"
        "test_a_monitor_that_a_second_window_in_a_row_hides_gets_an_incident_and_one_that_signalled_between_does_not[shifted]",
    ),
    mutant(
        "short window excuses",
        "luota/core/model.py",
        "return self.end - self.start > EXCUSED_WINDOW",
        "return True",
        BLIND + "test_a_window_of_60_s_excuses_nothing_but_moves_a_deadline_inside_it_to_its_end_and_60_s",
    ),
    mutant(
        "no room for retries after a short window",
        "luota/core/model.py",
        "deadline = window.end + RETRY_ROOM",
        "pass",
        BLIND + "test_a_ping_repeated_within_the_moved_deadline_is_no_miss",
    ),
    mutant(
        "windows in a row excuse for ever",
        "luota/core/verdicts.py",
        "elif state.unverified_by is not None and state.unverified_by != window.start:",
        "elif False:",
        BLIND + "test_a_second_separate_window_in_a_row_opens_an_incident_that_says_so",
    ),
    mutant(
        "time in which nothing could be written is no window",
        "luota/engine/writer.py",
        "        if self._blind_since is None:\n            self._blind_since = min(",
        "        if False:\n            self._blind_since = min(",
        WRITER + "test_a_stretch_in_which_nothing_could_be_written_is_a_blind_window",
    ),
    mutant(
        "a jump of the clock is no window",
        "luota/engine/writer.py",
        "        if jump > JUMP:\n",
        "        if False:\n",
        WRITER + "test_a_forward_jump_of_the_wall_clock_is_a_blind_window_before_anything_is_judged",
    ),
    mutant(
        "a clock set back delays verdicts",
        "luota/engine/writer.py",
        "        if jump < -BACK:\n",
        "        if False:\n",
        WRITER + "test_a_backward_jump_clamps_what_is_remembered_of_the_future",
    ),
    # -- verdicts ----------------------------------------------------------------------------------
    mutant(
        "no early slack",
        "luota/core/schedule.py",
        "SLACK: Final = 60_000",
        "SLACK: Final = 0",
        HEARTBEAT + "test_a_host_clock_one_second_fast_causes_no_miss",
    ),
    mutant(
        "a step over one value goes on",
        "luota/core/schedule.py",
        "match[1] if _value(match[2]) == _value(match[3])",
        "match[1] if False",
        "tests/core/test_schedule.py::test_a_step_over_a_range_of_one_value_goes_nowhere",
    ),
    mutant(
        "a window hides what was judged before it",
        "luota/core/bar.py",
        "return deadline - 1 if deadline in self.opened else deadline",
        "return deadline",
        "tests/core/test_bar.py::test_a_miss_that_was_judged_as_a_window_began_stays_a_miss",
    ),
    mutant(
        "a signal at the deadline is too late",
        "luota/core/machine.py",
        "        case.settle(now - 1)\n",
        "        case.settle(now)\n",
        HEARTBEAT + "test_a_ping_at_the_very_deadline_is_in_time",
    ),
    mutant(
        "no tolerance",
        "luota/core/verdicts.py",
        "elif failures >= self.rules.tolerance:",
        "elif True:",
        HEARTBEAT + "test_below_the_tolerance_a_miss_is_failing_and_says_how_many_of_how_many",
    ),
    mutant(
        "a client's future is believed",
        "luota/core/signals.py",
        "return min(client_at, now), True",
        "return client_at, True",
        HEARTBEAT + "test_no_timestamp_in_the_future_delays_a_verdict",
    ),
    mutant(
        "the kind of an incident falls",
        "luota/core/verdicts.py",
        "if RANK[kind] > RANK[state.incident]:",
        "if True:",
        RUN + "test_failed_falls_to_neither_stuck_nor_missed_and_both_are_counted",
    ),
    mutant(
        "a success older than the failure resolves it",
        "luota/core/signals.py",
        "at <= case.state.evidence_at:",
        "at < 0:",
        RUN + "test_only_a_success_later_than_the_last_evidence_resolves",
    ),
    mutant(
        "replayed start counted as a signal",
        "luota/engine/ingest.py",
        "        if existing is not None:\n",
        "        if existing is not None:\n"
        "            batch.apply(live, Start(new_id(), start.started_at), received_at)\n",
        "tests/web/test_ingest.py::test_a_resent_start_is_no_signal",
    ),
    # -- who may send what -------------------------------------------------------------------------
    mutant(
        "tokens not compared",
        "luota/core/tokens.py",
        "return hmac.compare_digest(token, expected.encode())",
        "return True",
        ERRORS + "test_each_route_refuses_each_wrong_token_with_its_own_words",
    ),
    mutant(
        "rotation not live",
        "luota/engine/monitors.py",
        '        tx.batch.stage(live)\n        audit(tx.batch, actor, live.workspace_id, "token.rotate"',
        '        audit(tx.batch, actor, live.workspace_id, "token.rotate"',
        ERRORS + "test_rotation_refuses_the_old_token_for_the_very_next_request",
    ),
    mutant(
        "no cap on declared bodies",
        "luota/web/http.py",
        "int(value) > MAX_BODY",
        "False",
        LIMITS + "test_413_is_told_before_the_rest_of_the_body_has_come",
    ),
    mutant(
        "no cap on streamed bodies",
        "luota/web/http.py",
        "        if len(body) > MAX_BODY:\n",
        "        if False:\n",
        LIMITS + "test_the_cap_holds_for_chunked_bodies",
    ),
    mutant(
        "the operator's API over TCP",
        "luota/web/api/__init__.py",
        "local = LOCAL in request.scope",
        "local = True",
        "tests/web/test_app.py::test_the_api_is_refused_over_tcp",
    ),
    mutant(
        "no CSRF token",
        "luota/web/auth.py",
        'if session is not None and not hmac.compare_digest((csrf or "").encode(), session.csrf.encode()):',
        "if False:",
        PAGES + "test_every_change_is_refused_without_the_sessions_csrf_token",
    ),
    mutant(
        "changes from pages of other sites",
        "luota/web/auth.py",
        "        self._check_origin(scope)\n",
        "",
        PAGES + "test_every_change_is_refused_from_a_page_of_another_site",
    ),
    mutant(
        "pages for any role",
        "luota/web/dashboard/visit.py",
        "        if not allows(role, needed):\n",
        "        if False:\n",
        PAGES + "test_every_route_refuses_a_role_below_the_one_it_needs_and_no_other",
    ),
    mutant(
        "pages for those who are no members",
        "luota/web/dashboard/visit.py",
        "if found is None or role is None:",
        "if found is None:",
        PAGES + "test_every_route_of_a_workspace_is_not_found_for_those_who_are_no_members",
    ),
    mutant(
        "sessions outlive a change of password",
        "luota/engine/people.py",
        "DELETE FROM sessions WHERE user_id = ? AND token_hash IS NOT ?",
        "DELETE FROM sessions WHERE user_id = ? AND token_hash IS NOT ? AND 0",
        "tests/web/test_auth.py::test_a_change_of_password_ends_the_other_sessions_at_once",
    ),
    mutant(
        "twins of drills among the monitors",
        "luota/store/overview.py",
        "AND archived_at IS NULL AND drill_of IS NULL ORDER BY name",
        "AND archived_at IS NULL ORDER BY name",
        "tests/store/test_overview.py::test_cards_hold_what_people_gave_and_no_archived_monitor_nor_a_twin_of_a_drill",
    ),
    mutant(
        "redirects followed",
        "luota/alerts/transport.py",
        "follow_redirects=False",
        "follow_redirects=True",
        "tests/alerts/test_transport.py::"
        "test_cookies_are_not_kept_redirects_not_followed_and_the_environment_not_asked",
    ),
    # -- the listener ------------------------------------------------------------------------------
    mutant(
        "no cap on connections",
        "luota/web/protocol.py",
        "if len(self.tcp) >= self.most:",
        "if False:",
        PROTOCOL + "test_a_connection_too_many_takes_the_place_of_the_one_that_has_been_idle_the_longest",
        PROTOCOL + "test_while_every_connection_waits_for_an_answer_one_more_is_refused_and_the_unix_socket_is_not",
    ),
    mutant(
        "file descriptors for connections alone",
        "luota/web/server.py",
        "    if limit == resource.RLIM_INFINITY:\n",
        "    if True:\n",
        "tests/e2e/test_connections.py",
    ),
    mutant(
        "any version of HTTP",
        "luota/web/protocol.py",
        "if self.parser.get_http_version() not in _VERSIONS:",
        "if False:",
        PROTOCOL + "test_another_version_of_http_is_refused_by_505_and_nothing_after_it_is_answered",
    ),
]


def tree(parent: Path, number: int) -> Path:
    """Return a copy of all that the tests need."""
    copy = parent / f"tree-{number}"
    copy.mkdir()
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("luota", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=ignore)
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copyfile(path, copy / path.name)
    return copy


def fails(copy: Path, tests: tuple[str, ...]) -> tuple[str, str]:
    """Run tests in a copy: ("passed" | "failed" | "broken", the end of what pytest said)."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", f"--timeout={WITHIN_S}"]
    # Byte code is checked by time and size, which two mutants of one second may share.
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            [*command, f"--basetemp={copy}-tmp", *tests],
            cwd=copy,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=3 * WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "failed", "it hung"
    verdict = {0: "passed", 1: "failed"}.get(done.returncode, "broken")
    return verdict, done.stdout[-3000:]


def judge(one: Mutant, trees: "Queue[Path]") -> tuple[bool, str]:
    """Return whether a mutant was killed, and a line about it."""
    text = (ROOT / one.file).read_text()
    if text.count(one.old) != 1:
        return False, f"GONE      {one.name}: its text stands {text.count(one.old)} times in {one.file}"
    copy = trees.get()
    began = time.monotonic()
    try:
        (copy / one.file).write_text(text.replace(one.old, one.new))
        verdict, said = fails(copy, one.tests)
    finally:
        (copy / one.file).write_text(text)
        trees.put(copy)
    took = f"{time.monotonic() - began:.1f} s"
    match verdict:
        case "failed":
            return True, f"killed    {one.name} ({took})"
        case "passed":
            return False, f"SURVIVED  {one.name}: {', '.join(one.tests)}"
        case _:
            return False, f"BROKEN    {one.name}\n{said}"


def main(words: list[str]) -> int:
    """Run the mutants; return the exit status."""
    chosen = [one for one in MUTANTS if not words or any(word in one.name for word in words)]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as parent:
        trees: Queue[Path] = Queue()
        copies = [tree(Path(parent), number) for number in range(AT_ONCE)]
        verdict, said = fails(copies[0], tuple(dict.fromkeys(test for one in chosen for test in one.tests)))
        if verdict != "passed":
            print(f"without any mutant the tests {verdict}:\n{said}")
            return 1
        for copy in copies:
            trees.put(copy)
        killed = 0
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for well, line in pool.map(lambda one: judge(one, trees), chosen):
                killed += well
                print(line, flush=True)
    print(f"{killed} of {len(chosen)} mutants killed in {time.monotonic() - began:.0f} s")
    return 0 if killed == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
