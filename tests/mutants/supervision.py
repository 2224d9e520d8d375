"""A daemon that watches nothing does not live on: supervised tasks, and what systemd is told."""

from tests.mutants.mutant import Mutant, mutant

SUPERVISION = "tests/e2e/test_supervision.py::"
ANY_PART = SUPERVISION + "test_whichever_part_ends_by_itself_the_daemon_ends_with_status_1_and_names_it"
TOLD = SUPERVISION + "test_systemd_is_told_that_it_listens_then_that_it_lives_and_at_last_that_it_stops"
STANDS_STILL = SUPERVISION + "test_the_watchdog_is_not_fed_while_the_loop_or_the_alarm_stands_still"

MUTANTS: list[Mutant] = [
    mutant(
        "the death of a task ignored",
        "luota/daemon.py",
        "            stopped.set_result(1)\n",
        "            pass\n",
        ANY_PART + "[alarm-by an error]",
    ),
    mutant(
        "the death of a task ends the process as if it had been asked to",
        "luota/daemon.py",
        "            stopped.set_result(1)\n",
        "            stopped.set_result(0)\n",
        SUPERVISION + "test_an_alarm_that_dies_takes_the_process_down_with_status_1_and_says_so",
    ),
    mutant(
        "a task that returns is missed by nobody",
        "luota/tasks.py",
        "        if not done.cancelled():\n",
        "        if not done.cancelled() and done.exception() is not None:\n",
        ANY_PART + "[alarm-by returning]",
    ),
    *(
        mutant(
            f"the {name} not supervised",
            "luota/daemon.py",
            f'"{name}", died)',
            f'"{name}", lambda name, error: None)',
            f"{ANY_PART}[{name}-by an error]",
        )
        for name in ("alarm", "sender", "watchdog")
    ),
    mutant(
        "the writer not supervised",
        "luota/daemon.py",
        "await engine.watch(died)",
        "await engine.watch(lambda name, error: None)",
        ANY_PART + "[writer-by an error]",
    ),
    mutant(
        "READY not sent",
        "luota/daemon.py",
        "systemd.notify(systemd.READY, os.environ)",
        "pass",
        TOLD,
    ),
    mutant(
        "WATCHDOG not sent",
        "luota/daemon.py",
        "systemd.notify(systemd.WATCHDOG, os.environ)",
        "pass",
        TOLD,
    ),
    mutant(
        "STOPPING not sent",
        "luota/daemon.py",
        "systemd.notify(systemd.STOPPING, os.environ)",
        "pass",
        TOLD,
    ),
    mutant(
        "the watchdog fed although Luota is sick",
        "luota/daemon.py",
        "if engine.failing() is not None or sickness() is None:",
        "if True:",
        STANDS_STILL,
    ),
    mutant(
        "nobody asks whether the alarm ticks",
        "luota/daemon.py",
        "engine.sickness() or alarm.sickness() or sender.sickness()",
        "engine.sickness() or sender.sickness()",
        STANDS_STILL,
    ),
    mutant(
        "a full disk starves the watchdog",
        "luota/daemon.py",
        "if engine.failing() is not None or sickness() is None:",
        "if sickness() is None:",
        SUPERVISION + "test_the_watchdog_is_fed_while_nothing_can_be_written",
    ),
    mutant(
        "a disk with a little room starves the watchdog",
        "luota/daemon.py",
        "if engine.failing() is not None or sickness() is None:",
        "if engine.writer.failure is not None or sickness() is None:",
        SUPERVISION + "test_the_watchdog_is_fed_while_some_writes_fail_as_long_as_the_writer_moves",
    ),
]
