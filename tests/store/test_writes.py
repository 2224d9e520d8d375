import sqlite3

import pytest
from msgspec.structs import replace

from luota.core.model import Kind, Pause, State, Status
from luota.store import reads, writes
from luota.store.db import migrations

CALM_FIELDS = ("status since reason basis_at set_at signal_at expected_at deadline_at runs archived").split()


@pytest.mark.parametrize("name", ["deliveries_if_tolled", "incidents", ""])
def test_a_name_that_no_statement_has_is_refused_when_a_row_is_added(name):
    with pytest.raises(KeyError):
        writes.Rows().add(name, ("row",))


def test_every_statement_has_one_place_in_the_order_and_no_place_is_without_one():
    placed = [name for name in writes._ORDER if name != writes._INCIDENTS] + list(writes._IN_SEQUENCE)
    assert writes._ORDER.count(writes._INCIDENTS) == 1
    assert sorted(placed) == sorted({"opened", *writes._COLUMNS, *writes._ROW_BY_ROW})


def test_a_state_reads_as_it_was_written_and_trouble_that_is_over_leaves_nothing_behind():
    calm = State(status=Status.HEALTHY, since=1, reason="well", basis_at=2, set_at=3, signal_at=4)
    troubles = {
        "late": True,
        "failing": True,
        "failures": 2,
        "counted_at": 5,
        "evidence_at": 6,
        "unverified": True,
        "unverified_by": 7,
        "incident": Kind.MISSED,
        "pause": Pause(until=8, until_healthy=True),
        "last_close_at": 9,
        "outcome_unknown": True,
    }
    assert set(troubles) == set(State.__struct_fields__) - set(CALM_FIELDS)
    db = sqlite3.connect(":memory:", isolation_level=None)
    for script in migrations():
        db.executescript(script)
    db.execute("PRAGMA foreign_keys = OFF")
    for name, trouble in troubles.items():
        for state in (calm, replace(calm, **{name: trouble}), calm):
            rows = writes.Rows()
            rows.add(*writes.state_row("m", state, None))
            rows.write(db)
            ((*row,),) = db.execute(reads._STATES)
            assert reads.state_of(row, ()) == state, name
