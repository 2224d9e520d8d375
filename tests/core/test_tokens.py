"""Tokens are derived from all that they stand for, never stored, and compared in constant time."""

import base64
import hashlib
import hmac
import re

import pytest

from luota.core.tokens import matches, monitor_token, workspace_token

SECRET = bytes(range(32))
WORKSPACE = "11111111-1111-4111-8111-111111111111"
MONITOR = "22222222-2222-4222-8222-222222222222"


def test_a_monitor_token_is_an_hmac_over_kind_workspace_monitor_and_salt():
    token = monitor_token(SECRET, WORKSPACE, MONITOR, "salt")
    kind, _, rest = token.partition(".")
    digest = base64.urlsafe_b64decode(rest + "=")
    assert kind == "wfm1"
    assert digest == hmac.new(SECRET, f"wfm1\n{WORKSPACE}\n{MONITOR}\nsalt".encode(), hashlib.sha256).digest()


def test_a_workspace_token_is_an_hmac_over_kind_workspace_and_salt():
    kind, _, rest = workspace_token(SECRET, WORKSPACE, "salt").partition(".")
    assert kind == "wfws1"
    expected = hmac.new(SECRET, f"wfws1\n{WORKSPACE}\nsalt".encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(rest + "=") == expected


def test_tokens_are_text_that_fits_a_header_and_a_shell_and_hold_256_bits():
    for token in (monitor_token(SECRET, WORKSPACE, MONITOR, "s"), workspace_token(SECRET, WORKSPACE, "s")):
        assert re.fullmatch(r"wf(m|ws)1\.[A-Za-z0-9_-]{43}", token)


def test_the_same_parts_give_the_same_token():
    assert monitor_token(SECRET, WORKSPACE, MONITOR, "s") == monitor_token(SECRET, WORKSPACE, MONITOR, "s")


def test_every_part_changes_the_token():
    tokens = {
        monitor_token(SECRET, WORKSPACE, MONITOR, "salt"),
        monitor_token(SECRET[::-1], WORKSPACE, MONITOR, "salt"),
        monitor_token(SECRET, MONITOR, MONITOR, "salt"),
        monitor_token(SECRET, WORKSPACE, WORKSPACE, "salt"),
        monitor_token(SECRET, WORKSPACE, MONITOR, "other"),
    }
    assert len(tokens) == 5


def test_no_workspace_token_passes_for_a_monitor_token_of_any_id_and_salt():
    workspace = workspace_token(SECRET, WORKSPACE, "salt").partition(".")[2]
    assert workspace != monitor_token(SECRET, WORKSPACE, "salt", "").partition(".")[2]
    assert workspace != monitor_token(SECRET, WORKSPACE, "", "salt").partition(".")[2]


def test_parts_cannot_be_shifted_into_one_another():
    assert monitor_token(SECRET, "a", "b", "cd") != monitor_token(SECRET, "a", "bc", "d")
    assert monitor_token(SECRET, "a", "b", "") != monitor_token(SECRET, "a", "", "b")


def test_a_token_matches_itself_only():
    token = monitor_token(SECRET, WORKSPACE, MONITOR, "salt")
    assert matches(token.encode(), token)
    for wrong in (b"", token[:-1].encode(), token.encode() + b"A", token.lower().encode(), b" " + token.encode()):
        assert not matches(wrong, token)


@pytest.mark.parametrize("odd", [b"\xff\xfe", "päivää".encode(), b"\x00", b"x" * 10_000])
def test_bytes_of_any_kind_are_compared_and_not_raised_over(odd):
    assert not matches(odd, monitor_token(SECRET, WORKSPACE, MONITOR, "salt"))
