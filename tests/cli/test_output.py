import pytest

from luota.cli.output import fields, shown, table


def test_what_is_not_known_is_a_dash():
    assert [shown(v) for v in (None, "", [], {})] == ["-"] * 4
    assert shown(0) == "0"


def test_lists_maps_and_switches_stand_on_one_line():
    assert (shown(["a", "b"]), shown({"k": "v", "l": 1}), shown(True)) == ("a, b", "k=v, l=1", "yes")


def test_what_a_terminal_would_act_upon_is_escaped():
    assert shown("a\x1b[2J\nb\u202ec é") == "a\\x1b[2J\\nb\\u202ec é"


def test_columns_are_aligned_and_lines_end_without_spaces():
    assert table(("A", "BB"), [("xxx", None), (1, "y")], empty="none") == "A    BB\nxxx  -\n1    y"
    assert fields([("a", 1), ("long", "")]) == "a     1\nlong  -"


def test_an_empty_table_is_a_sentence():
    assert table(("A",), [], empty="No monitors yet.") == "No monitors yet."


@pytest.mark.parametrize("line", [("monitor", "list"), ("monitor", "show", "a"), ("incident", "list")], ids=" ".join)
def test_what_tells_how_monitors_are_warns_while_nothing_is_watched(initialised, line):
    warning = "Luota cannot vouch for this at present: nothing is watched, since no daemon runs."
    initialised.json("monitor", "create", "a", "--mode", "heartbeat", "--every", "60")
    assert initialised.run(*line).stderr == f"warning: {warning}\n"
    assert initialised.json(*line)["warning"] == warning
    with initialised.daemon():
        assert initialised.run(*line).stderr == ""
        assert "warning" not in initialised.json(*line)
