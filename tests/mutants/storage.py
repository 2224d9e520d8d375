"""What is acknowledged is on disk, and every notice leaves: the writer, the file and the outbox."""

from tests.mutants.mutant import Mutant, mutant

OUTBOX = "tests/engine/test_outbox.py::"
SENDER = "tests/alerts/test_sender.py::"
DB = "tests/store/test_db.py::"
FLIGHT = "tests/engine/test_flight.py::"
ORDER = "tests/engine/test_order.py::"
KILL = "tests/e2e/test_kill.py::"

MUTANTS: list[Mutant] = [
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
        "            elif rows := self._rows[name]:\n",
        "            elif rows := self._rows[name]:\n"
        '                if name == "deliveries":\n'
        '                    db.execute("COMMIT")\n'
        '                    db.execute("BEGIN IMMEDIATE")\n',
        OUTBOX
        + "test_at_whatever_instant_it_is_killed_an_incident_its_state_and_its_notices_are_there_together_or_not_at_all",
    ),
    mutant(
        "trouble is not written",
        "luota/store/writes.py",
        "if trouble == _NO_TROUBLE else",
        "if True else",
        "tests/store/test_writes.py::"
        "test_a_state_reads_as_it_was_written_and_trouble_that_is_over_leaves_nothing_behind",
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
        "os.posix_fallocate(fd, 0, size)",
        "pass",
        "tests/e2e/test_storage_failures.py::"
        "test_on_a_full_disk_retention_makes_room_from_the_reserve_and_signals_are_taken_again",
    ),
    mutant(
        "no start on a full disk",
        "luota/engine/__init__.py",
        "            reserve.claim(make=False)\n",
        "",
        "tests/e2e/test_full_disk_at_start.py::"
        "test_a_daemon_that_starts_on_a_full_disk_lives_by_the_reserve_as_often_as_it_starts[ext4]",
    ),
    mutant(
        "signals eat the reserve after a start on a full disk",
        "luota/engine/writer.py",
        "                raise Full\n",
        "                pass\n",
        "tests/e2e/test_full_disk_at_start.py::"
        "test_a_daemon_that_starts_on_a_full_disk_lives_by_the_reserve_as_often_as_it_starts[tmpfs]",
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
        DB + "test_a_file_that_is_newer_or_not_ours_is_refused_and_nothing_is_left_beside_it",
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
        "luota/alerts/attempt.py",
        "            started_at = clock.now()\n",
        "            started_at = clock.now()\n"
        "            done = AttemptResult(ok=True)\n"
        "            to = outgoing.channel_id\n"
        "            record = RecordAttempt(outgoing.id, to, number, started_at, started_at, done, None)\n"
        "            await self._engine.submit(record)\n",
        KILL + "test_a_notice_that_was_under_way_at_the_kill_is_sent_again_under_the_same_id",
    ),
    mutant(
        "what was cancelled before its attempt is sent",
        "luota/alerts/attempt.py",
        "            number = await next_number(self._engine.reader, outgoing.id, self._engine.clock.now())\n",
        "            number = outgoing.attempts + 1\n",
        "tests/alerts/test_turns.py::test_an_opening_whose_incident_ended_while_it_waited_is_not_sent",
    ),
    mutant(
        "not noted that an attempt begins",
        "luota/alerts/attempt.py",
        "            await self._engine.submit(BeginAttempt(outgoing.id))\n",
        "            pass\n",
        "tests/alerts/test_digest_again.py::"
        "test_an_opening_that_was_cut_off_before_a_storm_is_repeated_as_it_was_and_no_digest_tells_it",
    ),
    mutant(
        "an attempt that was cut off forgotten",
        "luota/alerts/sender.py",
        "            await self._engine.submit(record_cut_off)\n",
        "            pass\n",
        "tests/alerts/test_sender.py::"
        "test_an_attempt_of_a_cancelled_notice_that_was_cut_off_is_on_record_and_it_stays_cancelled",
    ),
    mutant(
        "an attempt that was cut off forgotten with the next one",
        "luota/engine/deliveries.py",
        "        _cut_off(batch, self.delivery_id)\n",
        "",
        "tests/alerts/test_sender.py::"
        "test_an_attempt_that_was_cut_off_and_not_recorded_at_the_start_is_when_the_next_one_begins",
    ),
    mutant(
        "a digest tried for 72 hours anew with each news",
        "luota/engine/deliveries.py",
        "said, tried, tried_since)",
        "said, tried)",
        "tests/alerts/test_digest_again.py::"
        "test_a_digest_is_given_up_72_hours_after_the_first_attempt_of_what_it_tells_and_told_elsewhere[news]",
    ),
    mutant(
        "a rest of a channel forgotten by a restart",
        "luota/engine/deliveries.py",
        "        if self.rests_until is not None:\n",
        "        if False:\n",
        "tests/alerts/test_lanes.py::"
        "test_a_channel_rests_on_after_a_restart_though_the_incident_ended_whose_notice_was_refused",
    ),
    mutant(
        "the 72 hours begun anew by every attempt",
        "luota/alerts/attempt.py",
        "            first_at = outgoing.first_attempt_at or started_at\n",
        "            first_at = started_at\n",
        "tests/alerts/test_horizon.py",
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
        '"AND e.channel_id = d.channel_id AND e.seq < d.seq)"',
        '"AND e.channel_id = d.channel_id AND e.seq < 0)"',
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
]
