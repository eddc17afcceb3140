"""A source with certificates, authorities, headers or a proxy of its own: used for it, and for nothing else."""

from __future__ import annotations

import os
import shutil
import ssl
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from digestd.config.access import Access, Secret
from digestd.errors import BadURL, FetchError, FetchTimeout, ProtocolFailed, TLSFailed
from digestd.ingest.http import HttpClient, open_http
from digestd.ingest.network import transport
from digestd.ingest.network.transport import PoolTransport
from digestd.ingest.network.ways import Way, way_of
from digestd.ingest.politeness import Hosts
from support.certificates import encrypted_key, self_signed
from support.fault_server import Exchange, Handler, Server, open_server, redirect, respond
from support.http_door import FEED, Limits, opened


@dataclass(frozen=True)
class Identity:
    """A certificate, its key, and contexts that show it and trust it."""

    folder: Path
    shows: ssl.SSLContext
    trusts: ssl.SSLContext

    @property
    def certificate(self) -> Path:
        return self.folder / "certificate.pem"

    @property
    def key(self) -> Path:
        return self.folder / "key.pem"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    folder = tmp_path_factory.mktemp("server")
    return Identity(folder, *self_signed(folder, name="IP:127.0.0.1"))


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    folder = tmp_path_factory.mktemp("client")
    return Identity(folder, *self_signed(folder, name="DNS:digestd.example"))


@asynccontextmanager
async def serving(
    handlers: dict[str, Handler], servers: Identity, ours: Identity | None = None
) -> AsyncIterator[tuple[Server, HttpClient]]:
    """A server that wants the certificate of `ours`, if given, and a client that knows neither."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(servers.certificate, servers.key)
    if ours is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(ours.certificate)
    async with opened(handlers, ssl_context=context) as (server, http):
        yield server, http


async def refusal(http: HttpClient, access: Access, url: str) -> FetchError:
    with pytest.raises(FetchError) as raised:
        await http.with_access(access, url).get(url)
    return raised.value


async def test_authorities_of_its_own_are_trusted_for_the_source_alone(servers: Identity) -> None:
    async with serving({"/": respond(FEED)}, servers) as (server, http):
        own = http.with_access(Access(ca_file=servers.certificate), server.url())
        for _ in range(2):
            assert (await own.get(server.url())).body == FEED
            # Over the connection that is open by now, it would do.
            with pytest.raises(TLSFailed):
                await http.get(server.url())
    assert {request.connection for request in server.requests} == {0}


async def test_other_authorities_are_not_trusted_beside_them(servers: Identity, ours: Identity) -> None:
    async with serving({"/": respond(FEED)}, servers) as (server, http):
        error = await refusal(http, Access(ca_file=ours.certificate), server.url())
    assert isinstance(error, TLSFailed)
    assert "the certificate is not acceptable" in str(error)


async def test_names_are_verified_with_authorities_of_its_own_too(ours: Identity) -> None:
    async with serving({"/": respond(FEED)}, ours) as (server, http):
        error = await refusal(http, Access(ca_file=ours.certificate), server.url())
    assert isinstance(error, TLSFailed)
    assert "certificate is not valid for '127.0.0.1'" in str(error)


async def test_our_certificate_is_shown_and_its_connections_are_not_shared(
    servers: Identity, ours: Identity
) -> None:
    encrypted = encrypted_key(ours.folder, "pass-word")
    shown = Access(
        ca_file=servers.certificate,
        client_certificate=ours.certificate,
        client_key=encrypted,
        client_key_password=Secret("pass-word"),
    )
    async with serving({"/": respond(FEED)}, servers, ours) as (server, http):
        own = http.with_access(shown, server.url())
        assert (await own.get(server.url())).body == FEED
        error = await refusal(http, Access(ca_file=servers.certificate), server.url())
        assert isinstance(error, TLSFailed | ProtocolFailed)
        assert (await own.get(server.url())).body == FEED
    assert [request.connection for request in server.requests] == [0, 0]


async def test_our_certificate_and_authorities_stay_with_their_origin(
    servers: Identity, ours: Identity
) -> None:
    shown = Access(ca_file=servers.certificate, client_certificate=ours.certificate, client_key=ours.key)
    async with serving({"/": respond(FEED)}, servers) as (other, http):
        async with open_server({"/a": redirect(other.url())}, ssl_context=servers.shows) as first:
            own = http.with_access(shown, first.url())
            for url in (first.url("/a"), other.url()):
                with pytest.raises(TLSFailed):
                    await own.get(url)
        assert len(first.requests) == 1
        assert other.requests == []


@pytest.mark.parametrize(
    ("access", "message"),
    [
        ({"ca_file": "nothing"}, "{folder}/nothing cannot be read: no such file or directory"),
        ({"ca_file": "text"}, "ca_file cannot be used: no certificate or crl found"),
        (
            {"client_certificate": "text"},
            "client_certificate, client_key and client_key_password cannot be used: it is no PEM file",
        ),
    ],
)
async def test_files_that_cannot_be_used_are_named(
    tmp_path: Path, access: dict[str, str], message: str
) -> None:
    (tmp_path / "text").write_text("no certificate")
    given = Access(**{option: tmp_path / name for option, name in access.items()})  # type: ignore[arg-type]
    async with open_http(Limits(), Hosts(2, 1.0)) as http:
        error = await refusal(http, given, "https://127.0.0.1:1/")
    assert isinstance(error, TLSFailed)
    assert str(error) == message.format(folder=tmp_path)


@pytest.mark.parametrize("password", [None, "wrong"])
async def test_nobody_is_asked_for_the_password_of_a_key(ours: Identity, password: str | None) -> None:
    encrypted = encrypted_key(ours.folder, "pass-word")
    given = Access(
        client_certificate=ours.certificate,
        client_key=encrypted,
        client_key_password=Secret(password) if password else None,
    )
    with trio.fail_after(5):
        async with open_http(Limits(), Hosts(2, 1.0)) as http:
            error = await refusal(http, given, "https://127.0.0.1:1/")
    assert isinstance(error, TLSFailed)
    assert str(error).startswith("client_certificate, client_key and client_key_password cannot be used: ")
    assert "wrong" not in str(error)


async def test_a_renewed_file_is_read_again(servers: Identity, ours: Identity, tmp_path: Path) -> None:
    authorities = tmp_path / "authorities.pem"
    shutil.copy(ours.certificate, authorities)
    async with serving({"/": respond(FEED)}, servers) as (server, http):
        access = Access(ca_file=authorities)
        assert isinstance(await refusal(http, access, server.url()), TLSFailed)
        shutil.copy(servers.certificate, authorities)
        assert (await http.with_access(access, server.url()).get(server.url())).body == FEED


async def test_what_a_renewed_file_replaces_is_closed_once_nobody_can_read_from_it(
    servers: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authorities, closed = tmp_path / "authorities.pem", list[PoolTransport]()

    async def close(pool: PoolTransport) -> None:
        closed.append(pool)
        await pool._pool.aclose()

    monkeypatch.setattr(PoolTransport, "aclose", close)
    async with serving({"/": respond(FEED)}, servers) as (server, http):
        source = http.with_access(Access(ca_file=authorities), server.url())
        for moment in (1, 2, 3):
            shutil.copy(servers.certificate, authorities)
            os.utime(authorities, (moment, moment))
            await source.get(server.url())
        assert closed == [], "they may still be read from"
        monkeypatch.setattr(transport, "_REPLACED_SECONDS", 0.0)
        os.utime(authorities, (4, 4))
        await source.get(server.url())
        assert len(closed) == 3
    assert len(closed) == len(set(closed)) == 5


async def test_a_file_that_cannot_be_looked_at_for_long_holds_up_its_own_source_alone(
    servers: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking, looked = threading.Event(), threading.Event()

    def hang(_: Way) -> tuple[int, ...]:
        looking.set()
        assert looked.wait(10)
        return ()

    monkeypatch.setattr(Way, "version", hang)
    async with opened({"/": respond(FEED)}, Limits(timeout_seconds=0.5)) as (server, http):
        source = http.with_access(Access(ca_file=servers.certificate), server.url())
        with pytest.raises(FetchTimeout):
            await source.get(server.url())
        assert looking.is_set()
        assert (await http.get(server.url())).body == FEED
        looked.set()


async def test_headers_go_to_the_sources_origin_and_do_not_come_back() -> None:
    access = Access(
        headers={"x-key": Secret("k"), "cookie": Secret("a=b"), "authorization": Secret("Bearer t")}
    )
    async with open_server({"/page": respond(FEED)}) as other:
        handlers = {"/a": redirect("/b"), "/b": redirect(other.url("/back")), "/c": respond(FEED)}
        async with opened(handlers) as (server, http):
            other.handlers["/back"] = redirect(server.url("/c"))
            own = http.with_access(access, server.url("/a"))
            await own.get(server.url("/a"), headers={"X-Key": "of the kind"})
            await own.get(other.url("/page"))
            await http.get(server.url("/c"))
    sent = ["x-key", "cookie", "authorization"]
    had = [[request.headers.get(name) for name in sent] for request in server.requests]
    nothing = [None] * 3
    assert had == [["k", "a=b", "Bearer t"]] * 2 + [nothing] * 2
    assert [[request.headers.get(name) for name in sent] for request in other.requests] == [nothing] * 2


async def test_a_source_may_introduce_itself_in_its_own_words() -> None:
    access = Access(headers={"user-agent": Secret("mine"), "accept": Secret("text/xml")})
    async with opened({"/": respond(FEED)}) as (server, http):
        await http.with_access(access, server.url()).get(server.url(), headers={"Accept": "*/*"})
    said = server.requests[0].headers
    assert (said["user-agent"], said["accept"]) == ("mine", "text/xml")


async def test_everything_of_a_source_goes_over_its_proxy() -> None:
    async def no_name(host: str, port: int) -> Sequence[str]:
        raise AssertionError(host)

    async def onward(exchange: Exchange) -> None:
        await exchange.reply(b"", 302, {"Location": "http://b.example.org/"})

    handlers = {"http://a.example.org/": onward, "http://b.example.org/": respond(FEED)}
    async with open_server(handlers) as proxy, open_server({}) as unused:
        limits = Limits(allow_private_networks=False, proxy=unused.url(""))
        async with open_http(limits, Hosts(2, 1.0), resolve=no_name) as http:
            access = Access(proxy=Secret(proxy.url("", user_info="u:p@")))
            own = http.with_access(access, "http://a.example.org/")
            assert (await own.get("http://a.example.org/")).body == FEED
    assert [request.target for request in proxy.requests] == list(handlers)
    assert unused.requests == []


async def test_a_proxy_that_is_none_is_told_without_showing_it() -> None:
    async with open_http(Limits(), Hosts(2, 1.0)) as http:
        error = await refusal(http, Access(proxy=Secret("http://u:secret@[")), "http://example.org/")
    assert isinstance(error, BadURL)
    assert str(error) == "the proxy of the source is no URL of a proxy"


def test_without_anything_of_its_own_a_source_goes_the_usual_way() -> None:
    assert way_of(Access(headers={"x": Secret("y")})) is None


async def test_the_mark_of_a_source_tells_that_its_fields_changed_and_nothing_of_them() -> None:
    url = "https://one.example/feed"
    async with open_http(Limits(), Hosts(2, 1.0)) as http:
        marks = [
            http.with_access(Access(headers={"authorization": Secret(text)}), url).mark
            for text in ("Bearer one", "Bearer two", "Bearer one")
        ]
        assert http.mark == http.with_access(Access(ca_file=Path("/ca.pem")), url).mark == ""
    assert marks[0] == marks[2] != marks[1]
    assert {len(mark) for mark in marks} == {4}


async def test_sources_with_one_token_are_known_for_it_whatever_else_they_send() -> None:
    url = "https://one.example/feed"
    token, other = Secret("Bearer one"), Secret("Bearer two")
    async with open_http(Limits(), Hosts(2, 1.0)) as http:
        marks = [
            http.with_access(Access(headers=headers), url).authorization_mark
            for headers in (
                {"authorization": token},
                {"authorization": token, "x-team": Secret("red")},
                {"authorization": other},
                {"x-team": Secret("red")},
            )
        ]
        assert http.authorization_mark == ""
    assert marks[0] == marks[1] != marks[2]
    assert ([len(mark) for mark in marks[:3]], marks[3]) == ([4, 4, 4], "")
