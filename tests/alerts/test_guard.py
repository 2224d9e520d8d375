from ipaddress import ip_address, ip_network

import pytest

from luota.alerts.guard import _DENIED, AddressPolicy, literal

DEFAULT = AddressPolicy()


def networks(*texts):
    return tuple(ip_network(text) for text in texts)


DENIED = {
    # literal: (kind, network that allows it)
    "127.0.0.1": ("a loopback", "127.0.0.0/8"),
    "127.255.255.254": ("a loopback", "127.0.0.0/8"),
    "127.1": ("a loopback", "127.0.0.0/8"),
    "0x7f.1": ("a loopback", "127.0.0.0/8"),
    "0X7F.0.0.1": ("a loopback", "127.0.0.0/8"),
    "0x7f000001": ("a loopback", "127.0.0.0/8"),
    "2130706433": ("a loopback", "127.0.0.0/8"),
    "017700000001": ("a loopback", "127.0.0.0/8"),
    "0177.0.0.1": ("a loopback", "127.0.0.0/8"),
    "127.0.1": ("a loopback", "127.0.0.0/8"),
    "::1": ("a loopback", "::1/128"),
    "[::1]": ("a loopback", "::1/128"),
    "0:0:0:0:0:0:0:1": ("a loopback", "::1/128"),
    "::1%lo": ("a loopback", "::1/128"),
    "[::ffff:127.0.0.1]": ("a loopback", "127.0.0.0/8"),
    "::ffff:7f00:1": ("a loopback", "127.0.0.0/8"),
    "::127.0.0.1": ("a loopback", "127.0.0.0/8"),
    "::ffff:0:127.0.0.1": ("a loopback", "127.0.0.0/8"),
    "64:ff9b::127.0.0.1": ("a loopback", "127.0.0.0/8"),
    "64:ff9b::7f00:1": ("a loopback", "127.0.0.0/8"),
    "64:ff9b:1::7f00:1": ("a loopback", "127.0.0.0/8"),
    "64:ff9b:1:abcd::7f00:1": ("a loopback", "127.0.0.0/8"),
    "64:ff9b:1:7f00:0:100::": ("a loopback", "127.0.0.0/8"),
    "64:ff9b:1:aa7f:0:1::": ("a loopback", "127.0.0.0/8"),
    "64:ff9b:1:aaaa:7f:0:100:0": ("a loopback", "127.0.0.0/8"),
    "2002:7f00:1::": ("a loopback", "127.0.0.0/8"),
    "2002:7f00:1:1::5": ("a loopback", "127.0.0.0/8"),
    "169.254.0.1": ("a link-local", "169.254.0.0/16"),
    "169.254.169.254": ("a link-local", "169.254.0.0/16"),
    "0xa9fea9fe": ("a link-local", "169.254.0.0/16"),
    "2852039166": ("a link-local", "169.254.0.0/16"),
    "::ffff:169.254.169.254": ("a link-local", "169.254.0.0/16"),
    "2002:a9fe:a9fe::1": ("a link-local", "169.254.0.0/16"),
    "64:ff9b::169.254.169.254": ("a link-local", "169.254.0.0/16"),
    "fe80::1": ("a link-local", "fe80::/10"),
    "febf:ffff::1": ("a link-local", "fe80::/10"),
    "fe80::1%eth0": ("a link-local", "fe80::/10"),
    "[fe80::1%25eth0]": ("a link-local", "fe80::/10"),
    "fd00:ec2::254": ("a cloud metadata", "fd00:ec2::254/128"),
    "fd20:ce::254": ("a cloud metadata", "fd20:ce::254/128"),
    "fd00:ec2::23": ("a cloud metadata", "fd00:ec2::23/128"),
    "168.63.129.16": ("a cloud metadata", "168.63.129.16/32"),
    "::ffff:168.63.129.16": ("a cloud metadata", "168.63.129.16/32"),
    "192.0.0.192": ("a cloud metadata", "192.0.0.192/32"),
    "::ffff:192.0.0.192": ("a cloud metadata", "192.0.0.192/32"),
    "fd00:c1::a9fe:a9fe": ("a cloud metadata", "fd00:c1::a9fe:a9fe/128"),
    "[FD00:00C1:0::A9FE:A9FE]": ("a cloud metadata", "fd00:c1::a9fe:a9fe/128"),
    "fd00:42::42": ("a cloud metadata", "fd00:42::42/128"),
    "fd00:a9fe:a9fe::1": ("a cloud metadata", "fd00:a9fe:a9fe::1/128"),
    "fd00:100::100:200": ("a cloud metadata", "fd00:100::100:200/128"),
    "100.96.0.96": ("a cloud metadata", "100.96.0.96/32"),
    "64:ff9b::100.96.0.96": ("a cloud metadata", "100.96.0.96/32"),
    "100.80.80.80": ("a cloud metadata", "100.80.80.80/32"),
    "fec0::1": ("a site-local", "fec0::/10"),
    "feff:ffff::1": ("a site-local", "fec0::/10"),
    "2001:db8::5efe:127.0.0.1": ("a loopback", "127.0.0.0/8"),
    "fd00::200:5efe:169.254.169.254": ("a link-local", "169.254.0.0/16"),
    "2001:0:7f00:1:0:0:f7f7:f7f7": ("a loopback", "127.0.0.0/8"),
    "2001::808:808:8000:63bf:5601:5601": ("a link-local", "169.254.0.0/16"),
    "100.100.100.200": ("a cloud metadata", "100.100.100.200/32"),
    "224.0.0.1": ("a multicast", "224.0.0.0/4"),
    "239.255.255.250": ("a multicast", "224.0.0.0/4"),
    "ff02::1": ("a multicast", "ff00::/8"),
    "0.0.0.0": ("an unspecified", "0.0.0.0/8"),
    "0": ("an unspecified", "0.0.0.0/8"),
    "0.1.2.3": ("an unspecified", "0.0.0.0/8"),
    "::": ("an unspecified", "::/128"),
    "::ffff:0.0.0.0": ("an unspecified", "0.0.0.0/8"),
    "255.255.255.255": ("a broadcast", "255.255.255.255/32"),
    "4294967295": ("a broadcast", "255.255.255.255/32"),
    "240.0.0.1": ("a reserved", "240.0.0.0/4"),
    "127.0.0.1.": ("a loopback", "127.0.0.0/8"),
    "127.0.0.1..": ("a loopback", "127.0.0.0/8"),
    "0x7f.1.": ("a loopback", "127.0.0.0/8"),
    "0x7f000001.": ("a loopback", "127.0.0.0/8"),
    "017700000001.": ("a loopback", "127.0.0.0/8"),
    "2130706433.": ("a loopback", "127.0.0.0/8"),
    "169.254.169.254.": ("a link-local", "169.254.0.0/16"),
    "0.": ("an unspecified", "0.0.0.0/8"),
}

ALLOWED = [
    "10.0.0.1",
    "172.16.5.4",
    "192.168.1.10",
    "100.64.0.7",
    "8.8.8.8",
    "128.0.0.1",
    "169.253.255.255",
    "fd12:3456::1",
    "fc00::1",
    "fd00:42::43",
    "fd00:c1::1",
    "100.80.80.81",
    "2001:db8::1",
    "2606:4700::1111",
    "::ffff:192.168.1.10",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "64:ff9b:1::10.0.0.1",
    "64:ff9b:1:a00:0:100::",
    "2002:808:808::1",
    "2001:db8::5efe:10.0.0.1",
    "2001:db8::1:5efe:127.0.0.1",
    "2001:0:808:808::f7f7:f7f7",
    "2001:1::7f00:1",
    "192.0.0.191",
    "134744072",
]


@pytest.mark.parametrize("address", DENIED)
def test_a_denied_address_is_refused_in_every_spelling_and_the_line_in_the_refusal_allows_it(address):
    kind, network = DENIED[address]
    refusal = DEFAULT.refusal(address)
    assert f"{kind} address" in refusal
    assert refusal.endswith(f'; to allow it, set [alerts] allow_networks = ["{network}"]')
    assert AddressPolicy(allow=networks(network)).refusal(address) is None


def test_each_network_of_the_list_is_tried_here():
    assert {str(network) for network, _ in _DENIED} == {network for _, network in DENIED.values()}


@pytest.mark.parametrize("address", ALLOWED)
def test_private_and_public_addresses_are_allowed_by_default(address):
    assert DEFAULT.refusal(address) is None


def test_there_are_enough_literals():
    assert len(DENIED) + len(ALLOWED) >= 60


def test_the_refusal_reads_as_the_docs_show_it():
    assert DEFAULT.refusal("127.0.0.1") == (
        '127.0.0.1 is a loopback address; to allow it, set [alerts] allow_networks = ["127.0.0.0/8"]'
    )
    assert DEFAULT.refusal("2002:7f00:1::") == (
        "2002:7f00:1:: stands for 127.0.0.1, a loopback address; "
        'to allow it, set [alerts] allow_networks = ["127.0.0.0/8"]'
    )


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "127.1"])
def test_deny_networks_wins_over_allow_networks(address):
    policy = AddressPolicy(allow=networks("127.0.0.0/8", "::/0"), deny=networks("127.0.0.1/32"))
    assert 'remove "127.0.0.1/32" from [alerts] deny_networks' in policy.refusal(address)
    assert policy.refusal("127.0.0.2") is None


def test_deny_networks_refuses_what_is_allowed_by_default_also_inside_ipv6():
    policy = AddressPolicy(deny=networks("10.0.0.0/8", "2001:db8::/32"))
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "2002:a01:203::", "2001:db8::1%eth0"):
        assert policy.refusal(address) is not None
    assert policy.refusal("192.168.0.1") is None


def test_a_network_of_ipv6_denies_no_ipv4_address_and_both_together_deny_all():
    assert AddressPolicy(deny=networks("::/0")).refusal("10.1.2.3") is None
    for address in ("10.1.2.3", "8.8.8.8", "2001:db8::1", "::ffff:10.1.2.3"):
        assert AddressPolicy(deny=networks("0.0.0.0/0", "::/0")).refusal(address) is not None


def test_allowing_one_network_allows_no_other():
    policy = AddressPolicy(allow=networks("127.0.0.0/8"))
    for address in ("::1", "169.254.169.254", "0.0.0.0", "::ffff:169.254.169.254"):
        assert policy.refusal(address) is not None


@pytest.mark.parametrize(
    "text", ["", "localhost", "example.com", ".", "127.0.0.1.x", "1.2.3.4.5", "127.0.0.1 x", "::g", "x" * 5000]
)
def test_what_is_no_address_is_refused_in_a_short_text(text):
    assert literal(text) is None
    assert "is not an IP address" in DEFAULT.refusal(text)
    assert len(DEFAULT.refusal(text)) < 100


def test_a_scope_is_kept_for_dialling():
    assert literal("fe80::1%eth0") == ip_address("fe80::1%eth0")
