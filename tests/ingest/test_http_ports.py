"""Ports that nothing is fetched from: by a source, by a redirect, through a proxy."""

from __future__ import annotations

import pytest

from digestd.config.urls import port_problem
from digestd.errors import BadURL, RedirectFailed
from digestd.ingest.http import open_http
from digestd.ingest.network.urls import target_of
from digestd.ingest.politeness import Hosts
from support.fault_server import redirect
from support.http_door import Limits, opened


@pytest.mark.parametrize(
    ("port", "service"),
    [
        (21, "files"),
        (22, "shells and desktops"),
        (25, "mail"),
        (53, "names, time and networks"),
        (143, "mail"),
        (389, "directories"),
        (465, "mail"),
        (2375, "running machines"),
        (3306, "databases"),
        (5060, "telephony"),
        (5432, "databases"),
        (6379, "databases"),
        (6667, "news and chat"),
        (9042, "databases"),
        (9092, "message queues"),
        (11211, "databases"),
        (27017, "databases"),
        (531, "other protocols"),
    ],
)
def test_what_is_no_port_of_the_web_is_refused(port: int, service: str) -> None:
    for scheme in ("http", "https"):
        with pytest.raises(BadURL) as raised:
            target_of(f"{scheme}://example.org:{port}/feed")
        assert str(raised.value) == f"port {port} is for {service}, and nothing is fetched from it"


@pytest.mark.parametrize(
    "port", [80, 81, 443, 591, 3000, 5000, 7000, 8000, 8008, 8080, 8443, 8888, 9000, 10443]
)
def test_ports_that_web_servers_have_are_not(port: int) -> None:
    assert target_of(f"http://example.org:{port}/").url.host == "example.org"


def test_no_port_that_the_system_hands_out_is_refused() -> None:
    assert not any(port_problem(port) for port in range(32768, 65536))


async def test_a_redirect_there_is_refused() -> None:
    async with opened({"/a": redirect("http://127.0.0.1:6379/")}) as (server, http):
        with pytest.raises(RedirectFailed) as raised:
            await http.get(server.url("/a"))
    assert str(raised.value) == (
        f"{server.url('/a')} redirects to nowhere: port 6379 is for databases, and nothing is fetched from it"
    )


async def test_no_proxy_is_asked_for_one_but_may_have_one() -> None:
    async with open_http(Limits(proxy="http://127.0.0.1:8118"), Hosts(2, 1.0)) as http:
        with pytest.raises(BadURL):
            await http.get("http://example.org:25/")
    async with open_http(Limits(proxy="socks5://127.0.0.1:5432"), Hosts(2, 1.0)):
        pass
