"""Where messages may go: the judgement of one address (docs/webhook.md, "Where webhooks may go")."""

import ipaddress
import re
import socket
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_DENIED: tuple[tuple[Network, str], ...] = tuple(
    (ipaddress.ip_network(network), what)
    for network, what in (
        ("127.0.0.0/8", "a loopback address"),
        ("::1/128", "a loopback address"),
        ("169.254.0.0/16", "a link-local address"),
        ("fe80::/10", "a link-local address"),
        ("fec0::/10", "a site-local address"),
        # Cloud metadata that is not link-local, as 169.254.169.254 of most clouds is: by provider, each as documented.
        ("fd00:ec2::254/128", "a cloud metadata address"),  # AWS EC2
        ("fd00:ec2::23/128", "a cloud metadata address"),  # AWS EKS Pod Identity
        ("168.63.129.16/32", "a cloud metadata address"),  # Azure WireServer, a public address
        ("fd20:ce::254/128", "a cloud metadata address"),  # Google Cloud
        ("100.100.100.200/32", "a cloud metadata address"),  # Alibaba Cloud
        ("fd00:100::100:200/128", "a cloud metadata address"),  # Alibaba Cloud
        ("fd00:c1::a9fe:a9fe/128", "a cloud metadata address"),  # Oracle Cloud
        ("192.0.0.192/32", "a cloud metadata address"),  # Oracle Cloud Classic, and Cloud at Customer
        ("fd00:42::42/128", "a cloud metadata address"),  # Scaleway
        ("fd00:a9fe:a9fe::1/128", "a cloud metadata address"),  # Akamai (Linode)
        ("100.96.0.96/32", "a cloud metadata address"),  # Volcengine, BytePlus
        ("100.80.80.80/32", "a cloud metadata address"),  # UCloud
        ("224.0.0.0/4", "a multicast address"),
        ("ff00::/8", "a multicast address"),
        ("0.0.0.0/8", "an unspecified address"),
        ("::/128", "an unspecified address"),
        ("255.255.255.255/32", "a broadcast address"),
        ("240.0.0.0/4", "a reserved address"),
    )
)

_EMBEDDINGS: tuple[tuple[ipaddress.IPv6Network, int], ...] = tuple(
    (ipaddress.IPv6Network(network), shift)
    for network, shift in (
        ("::ffff:0:0/96", 0),  # IPv4-mapped, RFC 4291: the kernel dials the IPv4 address itself
        ("::/96", 0),  # IPv4-compatible, RFC 4291
        ("::ffff:0:0:0/96", 0),  # IPv4-translated, RFC 2765
        ("64:ff9b::/96", 0),  # NAT64, RFC 6052
        ("2002::/16", 80),  # 6to4, RFC 3056
    )
)
"""IPv6 networks whose addresses carry an IPv4 one, and how many bits stand to the right of it."""

_TEREDO = ipaddress.IPv6Network("2001::/32")  # RFC 4380
_ISATAP = 0x5EFE
"""RFC 5214: the upper half of the interface identifier, but for the bit that tells a globally unique one."""
_NAT64_LOCAL = ipaddress.IPv6Network("64:ff9b:1::/48")  # RFC 8215
_ODD_IPV4 = re.compile(r"[0-9a-fA-FxX.]+", re.ASCII)


def literal(text: str) -> Address | None:
    """Return the address that `text` spells, or None when it is a name.

    Understands what the C library dials without a lookup: also `127.1`, `0x7f.1`, `2130706433`, brackets
    and a scope (`fe80::1%eth0`), which is kept; and all that with dots at its end, which others take off first.
    """
    text = text.removeprefix("[").removesuffix("]").rstrip(".")
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        pass
    if not _ODD_IPV4.fullmatch(text):
        return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(text))
    except OSError:
        return None


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Which addresses may be dialled: `[alerts] allow_networks` and `deny_networks`.

    `deny` wins over everything, `allow` over the defaults. By default private networks are allowed, while
    loopback, link-local, site-local, cloud metadata, multicast, unspecified and reserved addresses are not, nor IPv6
    addresses that carry such an IPv4 one. An address that carries another is judged as both. A network of IPv4 is given
    as such, for one of IPv6 holds no IPv4 address: the settings see to that.
    """

    allow: tuple[Network, ...] = ()
    deny: tuple[Network, ...] = ()

    def refusal(self, address: str) -> str | None:
        """Return why `address` (an IP address in any spelling) may not be dialled, or None when it may.

        The text names the config line that would allow it. What is not an address is refused.
        """
        found = literal(address)
        if found is None:
            return f"{address[:60]!r} is not an IP address"
        forms = _forms(found)
        for network in self.deny:
            if any(form in network for form in forms):
                return f'{found} lies in a denied network; to allow it, remove "{network}" from [alerts] deny_networks'
        if any(form in network for form in forms for network in self.allow):
            return None
        for form in forms:
            for network, what in _DENIED:
                if form in network:
                    subject = f"{found} is" if form == forms[0] else f"{found} stands for {form},"
                    return f'{subject} {what}; to allow it, set [alerts] allow_networks = ["{network}"]'
        return None


def _forms(address: Address) -> tuple[Address, ...]:
    """Return the address without its scope, then the IPv4 addresses that it carries, if any."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    bare = ipaddress.IPv6Address(int(address))
    if bare in _NAT64_LOCAL:
        return (bare, _nat64_local(int(bare)))
    for network, shift in _EMBEDDINGS:
        if bare in network:
            return (bare, _at(bare, shift))
    if bare in _TEREDO:  # its server, and its client with all bits turned round
        return (bare, _at(bare, 64), ipaddress.IPv4Address(int(_at(bare, 0)) ^ 0xFFFF_FFFF))
    if int(bare) >> 32 & 0xFDFF_FFFF == _ISATAP:
        return (bare, _at(bare, 0))
    return (bare,)


def _at(address: ipaddress.IPv6Address, shift: int) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(int(address) >> shift & 0xFFFF_FFFF)


def _nat64_local(value: int) -> ipaddress.IPv4Address:
    """Return the IPv4 address inside a local-use NAT64 one, where the prefix may have several lengths.

    RFC 6052 section 2.2: below 96 bits of prefix, bits 64 to 71 are skipped and the rest after the IPv4
    address is zero.
    """
    joined = (value >> 64) << 56 | value & (1 << 56) - 1
    for prefix in (48, 56, 64):
        rest = 120 - prefix - 32
        if joined & (1 << rest) - 1 == 0:
            return ipaddress.IPv4Address(joined >> rest & 0xFFFF_FFFF)
    return ipaddress.IPv4Address(value & 0xFFFF_FFFF)
