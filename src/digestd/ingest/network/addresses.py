"""Which addresses must not be connected to unless their networks are allowed. Pure.

The table is our own, drawn from the IANA special-purpose registries (RFC 6890 and its updates): Python's
`is_global` is true for some addresses that lead inwards (NAT64, 6to4) and differs between releases.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from digestd.config.networks import Networks

# Whoever reaches one of these gets the keys of the machine; no feed lives there, so no setting opens them.
_METADATA = frozenset(
    ip_address(address)
    for address in (
        "169.254.169.254",
        # Of containers: ECS and EKS.
        "169.254.170.2",
        "169.254.170.23",
        "fd00:ec2::23",
        # Of Tencent, Scaleway and OpenStack.
        "169.254.0.23",
        "169.254.42.42",
        "fd00:42::42",
        "fe80::a9fe:a9fe",
        "fd00:ec2::254",
        "fd20:ce::254",
        "100.100.100.200",
        "192.0.0.192",
        # Public by number, yet answered by the host that a virtual machine of Azure runs on.
        "168.63.129.16",
    )
)
_IPV4_REFUSED = tuple(
    (IPv4Network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", "an unspecified address"),
        ("10.0.0.0/8", "a private address"),
        ("100.64.0.0/10", "a carrier-grade NAT address"),
        ("127.0.0.0/8", "a loopback address"),
        ("169.254.0.0/16", "a link-local address"),
        ("172.16.0.0/12", "a private address"),
        ("192.0.0.0/24", "an address reserved for protocols"),
        ("192.0.2.0/24", "a documentation address"),
        ("192.88.99.0/24", "a 6to4 relay address"),
        ("192.168.0.0/16", "a private address"),
        ("198.18.0.0/15", "a benchmarking address"),
        ("198.51.100.0/24", "a documentation address"),
        ("203.0.113.0/24", "a documentation address"),
        ("224.0.0.0/4", "a multicast address"),
        ("240.0.0.0/4", "a reserved address"),
    )
)
_IPV6_REFUSED = tuple(
    (IPv6Network(network), reason)
    for network, reason in (
        ("::/128", "an unspecified address"),
        ("::1/128", "a loopback address"),
        # Which IPv4 address it stands for depends on how the site set up its translator (RFC 8215).
        ("64:ff9b:1::/48", "a local NAT64 address"),
        ("100::/64", "a discard address"),
        ("2001::/32", "a Teredo address"),
        ("2001:2::/48", "a benchmarking address"),
        ("2001:db8::/32", "a documentation address"),
        ("2001::/23", "an address reserved for protocols"),
        ("3fff::/20", "a documentation address"),
        ("fc00::/7", "a unique local address"),
        ("fe80::/10", "a link-local address"),
        ("fec0::/10", "a site-local address"),
        ("ff00::/8", "a multicast address"),
    )
)
# IANA has given out nothing else for unicast.
_IPV6_UNICAST = IPv6Network("2000::/3")

_LAST_32_BITS = (
    (IPv6Network("::ffff:0:0/96"), "IPv4-mapped"),
    (IPv6Network("::ffff:0:0:0/96"), "IPv4-translated"),
    (IPv6Network("::/96"), "IPv4-compatible"),
    (IPv6Network("64:ff9b::/96"), "NAT64"),
)
_6TO4 = IPv6Network("2002::/16")
_ISATAP_INTERFACES = (0x00005EFE, 0x02005EFE)


def refusal(address: IPv4Address | IPv6Address, *, allow_private: bool | Networks = False) -> str | None:
    """Say what `address` is, when that is a reason not to connect to it: "a loopback address"; else None.

    `allow_private` permits all that is not public, or what lies in one of these networks; the metadata services of
    clouds are refused whatever it says. IPv4 addresses inside IPv6 ones are judged by themselves: mapped and compatible
    (RFC 4291), translated (RFC 2765), NAT64 (RFC 6052), 6to4 (RFC 3056) and ISATAP (RFC 5214). Teredo (RFC 4380) and
    local NAT64 (RFC 8215) are refused whatever they hold, unless their own network is allowed.
    """
    reason = _own_refusal(address, allow_private)
    if reason is not None or isinstance(address, IPv4Address):
        return reason
    embedded = _embedded(address)
    for inner, form in embedded.items():
        reason = _own_refusal(inner, allow_private)
        if reason is not None:
            return f"{reason} ({inner} in {form} form)"
    is_known = embedded or address in _IPV6_UNICAST or _is_allowed(address, allow_private)
    return None if is_known else "a reserved address"


def is_private_host(host: str) -> bool:
    """Whether `host` is an address that :func:`refusal` refuses.

    `host` is as it stands in a URL: IPv6 in brackets or not, and any spelling of a number. Also true
    for `localhost` and names below it (RFC 6761). Other names are not looked up: false.
    """
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    return any(refusal(address) is not None for address in _literal(name))


def _literal(name: str) -> Iterator[IPv4Address | IPv6Address]:
    """The address that `name` spells, if it spells one: `127.1` and `0x7f000001` do for the resolver."""
    try:
        yield ip_address(name)
    except ValueError:
        try:
            yield IPv4Address(socket.inet_aton(name))
        except (OSError, ValueError):
            return


def _own_refusal(address: IPv4Address | IPv6Address, allow_private: bool | Networks) -> str | None:
    """What :func:`refusal` says of `address` itself, whatever it holds."""
    # A zone (fe80::1%eth0) would make another address of it.
    if (IPv6Address(int(address)) if isinstance(address, IPv6Address) else address) in _METADATA:
        return "a cloud metadata address"
    if _is_allowed(address, allow_private):
        return None
    table = _IPV4_REFUSED if isinstance(address, IPv4Address) else _IPV6_REFUSED
    return next((reason for network, reason in table if address in network), None)


def _is_allowed(address: IPv4Address | IPv6Address, allow_private: bool | Networks) -> bool:
    if isinstance(allow_private, bool):
        return allow_private
    return any(address in network for network in allow_private)


def _embedded(address: IPv6Address) -> dict[IPv4Address, str]:
    """The IPv4 addresses that packets to `address` could be handed on to, and the names of the forms."""
    number = int(address)
    last = IPv4Address(number & 0xFFFFFFFF)
    for network, form in _LAST_32_BITS:
        if address in network:
            return {last: form}
    embedded = {}
    if address in _6TO4:
        embedded[IPv4Address((number >> 80) & 0xFFFFFFFF)] = "6to4"
    # In any prefix, that of a 6to4 site too.
    if (number >> 32) & 0xFFFFFFFF in _ISATAP_INTERFACES and address in _IPV6_UNICAST:
        embedded[last] = "ISATAP"
    return embedded
