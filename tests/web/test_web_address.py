"""`web.listen` read, shown and judged."""

from __future__ import annotations

import pytest

from digestd.web.address import Address


@pytest.mark.parametrize(
    ("listen", "host", "port", "shown"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080, "127.0.0.1:8080"),
        ("[::1]:8080", "::1", 8080, "[::1]:8080"),
        ("::1:8080", "::1", 8080, "[::1]:8080"),
        ("digestd.internal.example:0", "digestd.internal.example", 0, "digestd.internal.example:0"),
    ],
)
def test_it_is_read_with_and_without_brackets(listen: str, host: str, port: int, shown: str) -> None:
    address = Address.parse(listen)
    assert (address.host, address.port, str(address)) == (host, port, shown)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.10", "::1"])
def test_loopback_is_known(host: str) -> None:
    assert Address(host, 1).is_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "localhost.example", "2001:db8::1"])
def test_everything_else_is_not_loopback(host: str) -> None:
    assert not Address(host, 1).is_loopback


@pytest.mark.parametrize(
    ("listen", "asked"),
    [
        ("0.0.0.0:80", "127.0.0.1:80"),
        ("[::]:80", "127.0.0.1:80"),
        ("[::1]:80", "[::1]:80"),
        ("10.1.2.3:80", "10.1.2.3:80"),
        ("a.example:80", "a.example:80"),
    ],
)
def test_a_wildcard_is_asked_on_loopback(listen: str, asked: str) -> None:
    assert str(Address.parse(listen).from_here) == asked
