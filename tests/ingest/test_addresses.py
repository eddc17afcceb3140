"""Which addresses are refused, in all the forms they can take."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.config.networks import Networks
from digestd.ingest.network.addresses import is_private_host, refusal

REFUSED_IPV4 = [
    ("0.0.0.0", "an unspecified address"),
    ("0.1.2.3", "an unspecified address"),
    ("10.0.0.1", "a private address"),
    ("10.255.255.255", "a private address"),
    ("100.64.0.1", "a carrier-grade NAT address"),
    ("100.127.255.255", "a carrier-grade NAT address"),
    ("100.100.100.200", "a cloud metadata address"),
    ("127.0.0.1", "a loopback address"),
    ("127.255.255.254", "a loopback address"),
    ("168.63.129.16", "a cloud metadata address"),
    ("169.254.0.1", "a link-local address"),
    ("169.254.0.23", "a cloud metadata address"),
    ("169.254.42.42", "a cloud metadata address"),
    ("169.254.169.254", "a cloud metadata address"),
    ("169.254.170.2", "a cloud metadata address"),
    ("169.254.170.23", "a cloud metadata address"),
    ("172.16.0.1", "a private address"),
    ("172.31.255.255", "a private address"),
    ("192.0.0.8", "an address reserved for protocols"),
    ("192.0.0.192", "a cloud metadata address"),
    ("192.0.2.1", "a documentation address"),
    ("192.88.99.1", "a 6to4 relay address"),
    ("192.168.255.255", "a private address"),
    ("198.18.0.1", "a benchmarking address"),
    ("198.19.255.255", "a benchmarking address"),
    ("198.51.100.1", "a documentation address"),
    ("203.0.113.1", "a documentation address"),
    ("224.0.0.1", "a multicast address"),
    ("239.255.255.255", "a multicast address"),
    ("240.0.0.1", "a reserved address"),
    ("255.255.255.255", "a reserved address"),
]
REFUSED_IPV6 = [
    ("::", "an unspecified address"),
    ("::1", "a loopback address"),
    ("64:ff9b:1::808:808", "a local NAT64 address"),
    ("100::1", "a discard address"),
    ("2001::1", "a Teredo address"),
    ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "a Teredo address"),
    ("2001:2::1", "a benchmarking address"),
    ("2001:20::1", "an address reserved for protocols"),
    ("2001:db8::1", "a documentation address"),
    ("3fff:1::1", "a documentation address"),
    ("4000::1", "a reserved address"),
    ("5f00::1", "a reserved address"),
    ("fc00::1", "a unique local address"),
    ("fd00:42::42", "a cloud metadata address"),
    ("fe80::a9fe:a9fe%eth0", "a cloud metadata address"),
    ("fd00:ec2::23", "a cloud metadata address"),
    ("fd00:ec2::254", "a cloud metadata address"),
    ("fd00:ec2::254%eth0", "a cloud metadata address"),
    ("fd20:ce::254", "a cloud metadata address"),
    ("fdff::1", "a unique local address"),
    ("fe80::1", "a link-local address"),
    ("fe80::1%eth0", "a link-local address"),
    ("febf::1", "a link-local address"),
    ("fec0::1", "a site-local address"),
    ("ff02::1", "a multicast address"),
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.167.255.255",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2606:4700:4700::1111",
    "2a00:1450:4001::1",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::1",
]


def embedding_forms(address: IPv4Address) -> dict[str, IPv6Address]:
    """`address` in every IPv6 form that leads to it."""
    number = int(address)
    return {
        "IPv4-mapped": IPv6Address(0xFFFF << 32 | number),
        "IPv4-translated": IPv6Address(0xFFFF << 48 | number),
        "NAT64": IPv6Address(0x0064_FF9B << 96 | number),
        "6to4": IPv6Address(0x2002 << 112 | number << 80 | 1),
        "ISATAP": IPv6Address(0x2A00_1450 << 96 | 0x5EFE << 32 | number),
    }


# https://www.iana.org/assignments/iana-ipv4-special-registry and its sister for IPv6, as of 2025: all that is not
# "Globally Reachable", that ends before 2025, or that is multicast. Left out: NAT64 and 6to4, which are unwrapped.
SPECIAL = [
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
    *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
    *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32"),
    *("::/128", "::1/128", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/32", "2001:2::/48"),
    *("2001:10::/28", "2001:20::/28", "2001:30::/28", "2001::/23", "2001:db8::/32", "3fff::/20"),
    *("5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
]


@pytest.mark.parametrize(("text", "reason"), REFUSED_IPV4 + REFUSED_IPV6)
def test_special_addresses_are_refused_and_named(text: str, reason: str) -> None:
    assert refusal(ip_address(text)) == reason


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_not(text: str) -> None:
    assert refusal(ip_address(text)) is None


@pytest.mark.parametrize(("text", "reason"), REFUSED_IPV4)
def test_an_ipv4_address_is_refused_in_every_ipv6_form(text: str, reason: str) -> None:
    for form, address in embedding_forms(IPv4Address(text)).items():
        assert refusal(address) == f"{reason} ({text} in {form} form)"


def test_the_compatible_form_is_unwrapped_too() -> None:
    assert refusal(IPv6Address("::10.0.0.1")) == "a private address (10.0.0.1 in IPv4-compatible form)"


@pytest.mark.parametrize("text", SPECIAL)
@given(data=st.data())
def test_nothing_of_a_special_network_is_connected_to(text: str, data: st.DataObject) -> None:
    network = ip_network(text)
    inside = st.ip_addresses(network=network) | st.sampled_from([network[0], network[-1]])
    assert refusal(data.draw(inside)) is not None


@given(st.ip_addresses(v=4) | st.sampled_from([IPv4Address(text) for text, _ in REFUSED_IPV4]))
def test_no_ipv6_form_leads_where_the_address_itself_does_not(address: IPv4Address) -> None:
    compatible = IPv6Address(int(address))
    for embedded in [*embedding_forms(address).values(), compatible]:
        assert (refusal(embedded) is None) == (refusal(address) is None)


def test_an_address_with_two_inside_is_judged_by_both() -> None:
    # ISATAP hosts at a 6to4 site: 8.8.8.8 leads to the site, and the site's router on to 10.0.0.1.
    assert refusal(IPv6Address("2002:808:808::5efe:a00:1")) == "a private address (10.0.0.1 in ISATAP form)"
    assert refusal(IPv6Address("2002:a00:1::5efe:808:808")) == "a private address (10.0.0.1 in 6to4 form)"
    assert refusal(IPv6Address("2002:808:808::5efe:808:808")) is None


@pytest.mark.parametrize(("text", "reason"), REFUSED_IPV4 + REFUSED_IPV6)
def test_with_private_networks_allowed_only_metadata_is_refused(text: str, reason: str) -> None:
    address = ip_address(text)
    expected = reason if reason == "a cloud metadata address" else None
    assert refusal(address, allow_private=True) == expected
    if isinstance(address, IPv4Address):
        for form, embedded in embedding_forms(address).items():
            inside = f"{expected} ({text} in {form} form)" if expected else None
            assert refusal(embedded, allow_private=True) == inside


EVERYTHING: Networks = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))


@given(
    st.ip_addresses()
    | st.sampled_from([ip_address(text) for text, _ in REFUSED_IPV4 + REFUSED_IPV6])
    | st.sampled_from([IPv4Address(text) for text, _ in REFUSED_IPV4]).flatmap(
        lambda address: st.sampled_from([*embedding_forms(address).values()])
    )
)
def test_a_list_of_all_networks_allows_what_true_does(address: IPv4Address | IPv6Address) -> None:
    assert refusal(address, allow_private=EVERYTHING) == refusal(address, allow_private=True)
    assert refusal(address, allow_private=()) == refusal(address)


LISTED: Networks = (IPv4Network("10.20.0.0/16"), IPv4Network("127.0.0.1/32"), IPv6Network("fd00::/16"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.20.0.0", None),
        ("10.20.255.255", None),
        ("127.0.0.1", None),
        ("fd00:1::1", None),
        ("fd00::1%eth0", None),
        ("8.8.8.8", None),
        ("2a00:1450:4001::1", None),
        ("10.19.255.255", "a private address"),
        ("10.21.0.0", "a private address"),
        ("127.0.0.2", "a loopback address"),
        ("::1", "a loopback address"),
        ("192.168.0.1", "a private address"),
        ("224.0.0.1", "a multicast address"),
        ("fd01::1", "a unique local address"),
        ("fe80::1", "a link-local address"),
        ("4000::1", "a reserved address"),
        ("fd00:ec2::254", "a cloud metadata address"),
        ("169.254.169.254", "a cloud metadata address"),
    ],
)
def test_only_the_networks_that_are_listed_are_opened(text: str, expected: str | None) -> None:
    address = ip_address(text)
    assert refusal(address, allow_private=LISTED) == expected
    if isinstance(address, IPv4Address):
        for form, embedded in embedding_forms(address).items():
            inside = f"{expected} ({text} in {form} form)" if expected else None
            assert refusal(embedded, allow_private=LISTED) == inside


def test_a_form_that_is_listed_does_not_open_what_it_holds() -> None:
    translated: Networks = (IPv6Network("64:ff9b::/96"), IPv6Network("2002::/16"))
    for form, address in (("NAT64", "64:ff9b::a00:1"), ("6to4", "2002:a00:1::1")):
        expected = f"a private address (10.0.0.1 in {form} form)"
        assert refusal(ip_address(address), allow_private=translated) == expected
    local: Networks = (IPv6Network("64:ff9b:1::/48"), IPv6Network("2001::/32"))
    assert refusal(IPv6Address("64:ff9b:1::a00:1"), allow_private=local) is None
    assert refusal(IPv6Address("2001::1"), allow_private=local) is None


@given(st.ip_addresses())
def test_what_python_calls_inward_is_refused_too(address: IPv4Address | IPv6Address) -> None:
    # Later Pythons call all of 6to4 private; what counts is the address inside.
    outer, address = address, getattr(address, "sixtofour", None) or address
    inward = address.is_private or address.is_loopback or address.is_link_local or address.is_multicast
    if inward or address.is_unspecified:
        assert refusal(outer) is not None


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST.",
        "feeds.localhost",
        "127.0.0.1",
        "[::1]",
        "::1",
        "192.168.1.1",
        "[fd00::1]",
        "[::ffff:127.0.0.1]",
        "2130706433",
        "0x7f000001",
        "017700000001",
        "0177.0.0.1",
        "127.1",
        "0",
    ],
)
def test_private_hosts(host: str) -> None:
    assert is_private_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "example.org",
        "localhost.example.org",
        "8.8.8.8",
        "134744072",
        "[2606:4700::1]",
        "1.2.3.4.5",
        "a\0b",
    ],
)
def test_other_hosts(host: str) -> None:
    assert not is_private_host(host)
