"""Whose request it is (docs/api.md: a forwarded address is believed only from a configured proxy)."""

from ipaddress import ip_network

import pytest

from luota.web.http import client_address

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def scope(client, *forwarded):
    headers = [(b"host", b"x"), *((b"x-forwarded-for", value.encode("latin-1")) for value in forwarded)]
    return {"client": client, "headers": headers}


@pytest.mark.parametrize(
    ("client", "forwarded", "address"),
    [
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.1, 10.0.0.2", "10.0.0.3"], "198.51.100.1"),
        ("10.0.0.1", ["10.0.0.7, 10.0.0.2"], "10.0.0.7"),
        ("10.0.0.1", [" , ,"], "10.0.0.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("fd00::1", ["2001:db8::1"], "2001:db8::1"),
        ("::ffff:10.0.0.1", ["198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("::ffff:203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
    ],
)
def test_the_address_is_that_of_the_last_hop_which_is_no_trusted_proxy(client, forwarded, address):
    assert client_address(scope((client, 1234), *forwarded), PROXIES) == address


def test_without_trusted_proxies_no_header_is_looked_at():
    assert client_address(scope(("10.0.0.1", 1), "198.51.100.1"), ()) == "10.0.0.1"


def test_a_request_over_the_unix_socket_has_no_address():
    assert client_address(scope(None, "198.51.100.1"), PROXIES) == ""
