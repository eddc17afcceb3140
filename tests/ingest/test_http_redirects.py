"""Redirects followed by hand: where they lead, what goes along, and which are refused."""

from __future__ import annotations

import contextlib
import time
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import httpx2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from digestd.config.networks import Networks
from digestd.errors import (
    AddressRefused,
    BadURL,
    Forbidden,
    HostPaused,
    HTTPStatus,
    NameNotFound,
    RedirectFailed,
)
from digestd.ingest.http import open_http
from digestd.ingest.network import connect
from digestd.ingest.network.addresses import refusal
from digestd.ingest.network.urls import masked, redirected, target_of
from digestd.ingest.politeness import Hosts
from support.certificates import self_signed
from support.fault_server import open_server, raw, redirect, respond
from support.http_door import FEED, Limits, opened


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_followed_on_the_same_connection(status: int) -> None:
    handlers = {"/a": redirect("b?x=1#part", status), "/b": respond(FEED)}
    async with opened(handlers) as (server, http):
        response = await http.get(server.url("/a"))
    assert (response.url, response.body) == (server.url("/b?x=1"), FEED)
    assert [request.target for request in server.requests] == ["/a", "/b?x=1"]
    assert server.connections == 1


async def test_as_many_redirects_as_allowed_and_not_one_more() -> None:
    handlers = {f"/{hop}": redirect(f"/{hop + 1}") for hop in range(6)} | {"/6": respond(FEED)}
    async with opened(handlers) as (server, http):
        assert (await http.get(server.url("/1"))).body == FEED
        with pytest.raises(RedirectFailed) as raised:
            await http.get(server.url("/0"))
    assert str(raised.value) == "more than 5 redirects (fetch.max_redirects)"


async def test_a_circle_is_told_from_a_long_way() -> None:
    handlers = {
        "/a": redirect("/b"),
        "/b": redirect("/c"),
        "/c": redirect("/a?"),
        "/self": redirect("/self?k=v"),
    }
    async with opened(handlers | {"/c": redirect("/b")}) as (server, http):
        with pytest.raises(RedirectFailed) as raised:
            await http.get(server.url("/a"))
        assert str(raised.value) == f"the redirects go in a circle at {server.url('/b')}"
        with pytest.raises(RedirectFailed) as raised:
            await http.get(server.url("/self"))
        assert str(raised.value) == f"the redirects go in a circle at {server.url('/self?k=***')}"


async def test_the_message_of_a_status_names_where_redirects_led() -> None:
    async with opened({"/a": redirect("/b?token=secret")}) as (server, http):
        with pytest.raises(HTTPStatus) as raised:
            await http.get(server.url("/a"))
    where = server.url("/b?token=***")
    expected = (
        f"the server answered 404 Not Found at {where}: there is nothing at this address; check the URL"
    )
    assert str(raised.value) == expected


async def test_credentials_stay_with_their_origin() -> None:
    sent = {
        "Authorization": "Bearer t",
        "Cookie": "a=b",
        "X-Api-Key": "k",
        "If-None-Match": '"e"',
        "Accept": "x/y",
    }
    async with open_server({"/there": respond(FEED)}) as other:
        handlers = {"/a": redirect("/b"), "/b": redirect(other.url("/there", user_info="u:p@"))}
        async with opened(handlers) as (server, http):
            await http.get(server.url("/a"), headers=sent)
    names = {name.lower() for name in sent}
    assert names <= server.requests[0].headers.keys()
    assert names <= server.requests[1].headers.keys()
    assert names & other.requests[0].headers.keys() == {"if-none-match", "accept"}


async def test_user_info_stays_with_its_origin_and_is_not_taken_up_again() -> None:
    async with open_server({}) as other:
        handlers = {"/a": redirect(other.url("/there")), "/b": respond(FEED)}
        async with opened(handlers) as (server, http):
            other.handlers["/there"] = redirect(server.url("/b"))
            response = await http.get(server.url("/a", user_info="user:secret@"))
    assert response.url == server.url("/b")
    assert ["authorization" in request.headers for request in server.requests] == [True, False]
    assert "authorization" not in other.requests[0].headers


async def test_a_redirect_counts_at_the_other_host() -> None:
    hosts = Hosts(2, 1.0)
    async with (
        open_server({"/there": respond(FEED)}) as other,
        opened({"/a": redirect(other.url("/there"))}, hosts=hosts) as (server, http),
    ):
        await http.get(server.url("/a"))
        assert hosts.statistics().known == 1
        hosts.pause(other.url(), 60)
        with pytest.raises(HostPaused) as raised:
            await http.get(server.url("/a"))
    assert str(raised.value) == "redirected to 127.0.0.1, which is to be left alone for another 60 s"
    assert raised.value.retry_after == pytest.approx(60, abs=1)
    assert len(other.requests) == 1


async def test_every_hop_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    # The server of this test stands for a public one.
    public = IPv4Address("127.0.0.1")

    def judged(address: IPv4Address | IPv6Address, *, allow_private: bool | Networks = False) -> str | None:
        return None if address == public else refusal(address, allow_private=allow_private)

    monkeypatch.setattr(connect, "refusal", judged)
    handlers = {"/a": redirect("http://10.0.0.1/"), "/b": redirect("http://0x7f000002/")}
    async with opened(handlers, Limits(allow_private_networks=False)) as (server, http):
        with pytest.raises(AddressRefused) as raised:
            await http.get(server.url("/a"))
        assert str(raised.value) == (
            "10.0.0.1 is a private address; if it is wanted, list its network in fetch.allow_private_networks"
        )
        with pytest.raises(AddressRefused) as raised:
            await http.get(server.url("/b"))
        assert str(raised.value) == (
            "0x7f000002 leads to 127.0.0.2, a loopback address; "
            "if it is wanted, list its network in fetch.allow_private_networks"
        )


async def test_a_redirect_to_itself_that_sets_a_cookie_is_a_circle() -> None:
    wall = respond(b"", 301, {"Location": "/a", "Set-Cookie": "seen=1"})
    async with opened({"/a": wall}) as (server, http):
        with pytest.raises(RedirectFailed) as raised:
            await http.get(server.url("/a"))
    assert str(raised.value) == f"the redirects go in a circle at {server.url('/a')}"
    assert len(server.requests) == 1


async def test_a_very_long_location_is_refused_and_a_long_one_is_not_told_whole() -> None:
    path = "/" + "x" * 8_000
    handlers = {"/a": redirect("/" + "x" * 60_000), "/b": redirect(path), path: redirect(path)}
    async with opened(handlers) as (server, http):
        with pytest.raises(RedirectFailed) as raised:
            await http.get(server.url("/a"))
        expected = f"{server.url('/a')} redirects to nowhere: the URL has more than 8192 characters"
        assert str(raised.value) == expected
        with pytest.raises(RedirectFailed) as raised:
            await http.get(server.url("/b"))
        shown = server.url(path)[:300]
        assert str(raised.value) == f"the redirects go in a circle at {shown}…"


@pytest.mark.parametrize("location", ["http://" + "@" * 60_000, "/" + "\xe4" * 60_000, "/" + "%" * 60_000])
def test_no_location_takes_long(location: str) -> None:
    url = target_of("https://example.org/a").url

    def seconds() -> float:
        began = time.process_time()
        with pytest.raises(RedirectFailed):
            redirected(url, location)
        return time.process_time() - began

    # Without a bound 0.01 to 0.07 s, in the event loop.
    assert min(seconds() for _ in range(5)) < 0.002


async def test_a_location_may_be_in_utf_8_or_latin_1_and_is_read_by_us_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[str] = []
    handlers = {
        "/a": raw(b"HTTP/1.1 302 F\r\nLocation: /\xc3\xa4\r\nContent-Length: 0\r\n\r\n"),
        "/%C3%A4": raw(b"HTTP/1.1 302 F\r\nlOCATION:  /\xf6\r\nContent-Length: 0\r\n\r\n"),
    }

    def joined(url: httpx2.URL, location: str) -> httpx2.URL:
        read.append(location)
        return redirected(url, location)

    async with opened(handlers) as (server, http):
        monkeypatch.setattr("digestd.ingest.http.redirected", joined)
        # httpx2 would take it to pieces even where it is not to follow.
        monkeypatch.setattr(httpx2.AsyncClient, "_build_redirect_request", None)
        with pytest.raises(HTTPStatus):
            await http.get(server.url("/a"))
        assert [request.target for request in server.requests] == ["/a", "/%C3%A4", "/%C3%B6"]
    assert read == ["/ä", "/ö"]


async def test_a_redirect_from_https_to_http_is_refused_on_the_wire(tmp_path: Path) -> None:
    server_context, client_context = self_signed(tmp_path)
    async with open_server({"/plain": respond(b"changed on its way")}) as plain:
        handlers = {"/a": redirect(plain.url("/plain"))}
        serving = opened(handlers, ssl_context=server_context, client_context=client_context)
        async with serving as (server, http):
            with pytest.raises(RedirectFailed):
                await http.get(server.url("/a"), headers={"Authorization": "Bearer t"})
    assert plain.requests == []


async def test_names_of_other_alphabets_are_told_in_ascii() -> None:
    async def nowhere(host: str, port: int) -> list[str]:
        return []

    # The first letters are Cyrillic.
    async with open_http(Limits(), Hosts(2, 1.0), resolve=nowhere) as http:
        with pytest.raises(NameNotFound) as raised:
            await http.get("http://\u0430\u0440\u0440\u04cf\u0435.com/")
    assert str(raised.value) == "no such host: xn--80ak6aa92e.com"
    onward = redirected(
        target_of("http://example.org/").url, "http://\u0430\u0440\u0440\u04cf\u0435.com/?k=v"
    )
    assert masked(onward) == "http://xn--80ak6aa92e.com/?k=***"


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("", "redirects without saying where to"),
        ("ftp://example.org/", "redirects to nowhere: only http and https can be fetched, not 'ftp'"),
        ("javascript:alert(1)", "redirects to nowhere: only http and https can be fetched, not 'javascript'"),
        ("file:///etc/passwd", "redirects to nowhere: only http and https can be fetched, not 'file'"),
        ("http://[::1", "redirects to nowhere: the URL cannot be understood"),
        ("https:///", "redirects to nowhere: the URL names no host"),
        ("//example.org:0/", "redirects to nowhere: there is no port 0"),
        ("http://user:sec/ret@example.org:99999/", "redirects to nowhere: the URL cannot be understood"),
        ("http://exa mple.org/", "redirects to nowhere: the host of the URL is no valid name or address"),
    ],
)
async def test_redirects_to_nowhere(location: str, message: str) -> None:
    async with opened({"/a": redirect(location)}) as (server, http):
        with pytest.raises(RedirectFailed) as raised:
            await http.get(server.url("/a?token=secret"))
    assert str(raised.value).startswith(f"{server.url('/a?token=***')} {message}")
    assert "ret@" not in str(raised.value)


def test_a_downgrade_is_refused_and_an_upgrade_is_not() -> None:
    secure, plain = target_of("https://example.org/a").url, target_of("http://example.org/a").url
    assert str(redirected(plain, "https://example.org/a")) == "https://example.org/a"
    with pytest.raises(RedirectFailed) as raised:
        redirected(secure, "http://user:pw@example.org/a?k=v")
    assert str(raised.value) == (
        "https://example.org/a redirects to http://example.org/a?k=***, and what comes without TLS can be "
        "changed on its way; if it is wanted, give the source that URL"
    )


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "only http and https can be fetched, and the URL has no scheme"),
        ("example.org/feed", "only http and https can be fetched, and the URL has no scheme"),
        ("gopher://example.org/", "only http and https can be fetched, not 'gopher'"),
        ("http:///feed", "the URL names no host"),
        ("http://example.org:0/", "there is no port 0"),
        ("http://example.org:65536/", "there is no port 65536"),
        ("http://example.org:-1/", "there is no port -1"),
        ("http://example.org:secret/", "the URL cannot be understood; check its host and port"),
        ("http://1.2.3.999/", "the URL cannot be understood; check its host and port"),
        ("http://[fe80::1%25eth0]/", "the host of the URL is no valid name or address"),
        ("http://[::%é]/", "the host of the URL is no valid name or address"),
        ("http://exa%00mple.org/", "the host of the URL is no valid name or address"),
        ("http://-example.org/", "the host of the URL is no valid name or address"),
        ("http://" + "a" * 64 + ".org/", "the host of the URL is no valid name or address"),
        ("http://xn--\udcff.org/", "the URL cannot be understood; check its host and port"),
        ("http://a..b/", "the host of the URL is no valid name or address"),
        ("http://example.org/\r\nX: y", "the URL cannot be understood; check its host and port"),
        ("http://example.org/\ud800", "the URL cannot be understood; check its host and port"),
    ],
)
async def test_urls_that_cannot_be_asked_for(url: str, message: str) -> None:
    async with open_http(Limits(), Hosts(2, 1.0)) as http:
        with pytest.raises(BadURL) as raised:
            await http.get(url)
    assert str(raised.value) == message


def test_international_names_are_asked_for_in_their_ascii_form() -> None:
    assert str(target_of("http://bücher.example/ä").url) == "http://xn--bcher-kva.example/%C3%A4"


@given(
    st.text() | st.from_regex(r"https?://.*", fullmatch=True) | st.binary().map(lambda b: b.decode("latin-1"))
)
@example("http://[")
@example("http://٣:٣/")
@example("//")
def test_any_text_is_a_target_or_a_bad_url(text: str) -> None:
    with contextlib.suppress(BadURL):
        target = target_of(text)
        assert target.url.scheme in ("http", "https")
        assert not target.url.userinfo
        assert target_of(str(target.url)).url == target.url


@given(
    st.binary(max_size=60).map(lambda b: b.decode("latin-1"))
    | st.from_regex(r"(https?:)?//.*", fullmatch=True)
)
def test_any_location_leads_somewhere_or_is_refused(location: str) -> None:
    with contextlib.suppress(RedirectFailed):
        assert redirected(target_of("https://example.org/a").url, location).scheme == "https"


async def test_leave_is_asked_for_each_hop_and_not_for_the_first_url() -> None:
    asked: list[str] = []

    async def permit(url: str) -> None:
        asked.append(url)
        if url.endswith("/c"):
            raise Forbidden("not that one")

    handlers = {"/a": redirect("/b"), "/b": redirect("/c"), "/c": respond(b"secret")}
    async with opened(handlers) as (server, http):
        with pytest.raises(Forbidden) as raised:
            await http.get(server.url("/a"), permit=permit)
        assert asked == [server.url("/b"), server.url("/c")]
        assert [request.path for request in server.requests] == ["/a", "/b"]
    assert str(raised.value) == "not that one"
