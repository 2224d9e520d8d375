import pytest

from luota.store import writes


@pytest.mark.parametrize("name", ["deliveries_if_tolled", "incidents", ""])
def test_a_name_that_no_statement_has_is_refused_when_a_row_is_added(name):
    with pytest.raises(KeyError):
        writes.Rows().add(name, ("row",))


def test_every_statement_has_one_place_in_the_order_and_no_place_is_without_one():
    placed = [name for name in writes._ORDER if name != writes._INCIDENTS] + list(writes._IN_SEQUENCE)
    assert writes._ORDER.count(writes._INCIDENTS) == 1
    assert sorted(placed) == sorted({"opened", *writes._COLUMNS, *writes._ROW_BY_ROW})
