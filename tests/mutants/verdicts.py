"""What is a miss, and what is none: blind windows, the clock, the rules of verdicts."""

from tests.mutants.mutant import Mutant, mutant

WRITER = "tests/engine/test_writer.py::"
HEARTBEAT = "tests/core/test_heartbeat.py::"
RUN = "tests/core/test_run.py::"
BLIND = "tests/core/test_blind_windows.py::"
SHORT = "tests/core/test_short_windows.py::"

MUTANTS: list[Mutant] = [
    # -- blind windows and the clock ---------------------------------------------------------------
    mutant(
        "no blind window",
        "luota/engine/__init__.py",
        "        await self.writer.blind(window)\n",
        "",
        "tests/e2e/test_blind_windows.py::"
        "test_a_monitor_that_a_second_window_in_a_row_hides_gets_an_incident_and_one_that_signalled_between_does_not[shifted]",
    ),
    mutant(
        "short window excuses",
        "luota/core/model.py",
        "return self.end - self.start > EXCUSED_WINDOW",
        "return True",
        SHORT + "test_a_window_of_60_s_excuses_nothing_but_moves_a_deadline_inside_it_to_its_end_and_60_s",
    ),
    mutant(
        "no room for retries after a short window",
        "luota/core/model.py",
        "deadline = window.end + RETRY_ROOM",
        "pass",
        SHORT + "test_a_ping_repeated_within_the_moved_deadline_is_no_miss",
    ),
    mutant(
        "windows in a row excuse for ever",
        "luota/core/verdicts.py",
        "elif state.unverified_by is not None and state.unverified_by != window.start:",
        "elif False:",
        BLIND + "test_a_second_separate_window_in_a_row_opens_an_incident_that_says_so",
    ),
    mutant(
        "a start proves how the run before it ended",
        "luota/core/signals.py",
        "unknown = state.outcome_unknown",
        "unknown = False",
        BLIND + "test_a_job_that_hangs_every_night_is_not_hidden_by_a_restart_of_every_night",
    ),
    mutant(
        "an incident tells how a run ended that a window hid",
        "luota/core/verdicts.py",
        "                rest.update(unverified_by=window.start, outcome_unknown=True)\n",
        "                pass\n",
        BLIND + "test_a_start_that_ends_a_miss_leaves_unverified_what_a_window_hid_of_a_run_meanwhile",
    ),
    mutant(
        "windows that hide runs are not in a row after a miss",
        "luota/core/verdicts.py",
        "unverified_by=state.unverified_by if unknown else None,",
        "unverified_by=None,",
        BLIND + "test_windows_that_hide_how_runs_ended_are_in_a_row_though_an_incident_opened_between_them",
    ),
    mutant(
        "a limit forgets by how much it was moved",
        "luota/core/verdicts.py",
        ", moved=run.moved + moved - at)",
        ")",
        SHORT + "test_a_luota_that_starts_again_every_minute_moves_the_limit_that_an_edit_set_by_ten_minutes_at_most",
    ),
    mutant(
        "a clock set back delays notices",
        "luota/engine/writer.py",
        "            await deliveries.set_back(tx, back)\n",
        "",
        "tests/engine/test_clock_back.py::test_what_waits_waits_no_longer_when_the_clock_is_set_back",
    ),
    mutant(
        "short windows move a deadline for ever",
        "luota/core/model.py",
        " and window.end + RETRY_ROOM <= set_for + MOST_MOVED:",
        ":",
        SHORT + "test_a_luota_that_starts_again_every_minute_moves_a_deadline_by_ten_minutes_at_most",
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
        "luota/engine/clocks.py",
        "        if jump > JUMP:\n",
        "        if False:\n",
        WRITER + "test_a_forward_jump_of_the_wall_clock_is_a_blind_window_before_anything_is_judged",
    ),
    mutant(
        "a pause of the process is no window",
        "luota/engine/clocks.py",
        "        elif pause > STILL and self.stamped:\n",
        "        elif False:\n",
        WRITER + "test_a_pause_of_the_process_is_a_blind_window_before_anything_is_judged_once_stamps_come_regularly",
    ),
    mutant(
        "a clock set back delays verdicts",
        "luota/engine/clocks.py",
        "            self.back -= jump\n",
        "",
        WRITER + "test_a_backward_jump_clamps_what_is_remembered_of_the_future",
    ),
    # -- verdicts ----------------------------------------------------------------------------------
    mutant(
        "no early slack",
        "luota/core/occurrences.py",
        "SLACK: Final = 60_000",
        "SLACK: Final = 0",
        HEARTBEAT + "test_a_host_clock_one_second_fast_causes_no_miss",
    ),
    mutant(
        "a step over one value goes on",
        "luota/core/cron.py",
        "match[1] if _value(match[2]) == _value(match[3])",
        "match[1] if False",
        "tests/core/test_schedule.py::test_a_step_over_a_range_of_one_value_goes_nowhere",
    ),
    mutant(
        "a window hides what was judged before it",
        "luota/core/slots.py",
        "return deadline - 1 if self._judged_at(deadline) else deadline",
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
]
