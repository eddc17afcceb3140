"""Connecting: names, judged addresses, attempts beside each other, TLS, proxies."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from ipaddress import IPv4Network

import pytest
import trio

from digestd.errors import (
    AddressRefused,
    BadURL,
    ConnectFailed,
    NameNotFound,
)
from digestd.ingest.http import open_http
from digestd.ingest.network import connect
from digestd.ingest.network.tcp import TcpStream
from digestd.ingest.politeness import Hosts
from support.fault_server import open_server, respond
from support.http_door import FEED, GUARDED, Limits, answering, failing, failure_of, opened

REMEDY = "if it is wanted, list its network in fetch.allow_private_networks"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as opened_socket:
        return int(opened_socket.getsockname()[1])


async def test_a_name_that_leads_inwards_is_refused() -> None:
    error = await failure_of("http://feeds.example.org/", GUARDED, answering("127.0.0.1", "10.0.0.1"))
    assert isinstance(error, AddressRefused)
    assert str(error) == f"feeds.example.org leads to 127.0.0.1, a loopback address; {REMEDY}"


@pytest.mark.parametrize(
    ("host", "start"),
    [
        ("127.0.0.1", "127.0.0.1 is a loopback address; "),
        ("[::1]", "::1 is a loopback address; "),
        ("[::ffff:7f00:1]", "::ffff:7f00:1 is a loopback address (127.0.0.1 in IPv4-mapped form); "),
        ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1 is a loopback address (127.0.0.1 in IPv4-mapped form); "),
        ("[64:ff9b::127.0.0.1]", "64:ff9b::127.0.0.1 is a loopback address (127.0.0.1 in NAT64 form); "),
        ("2130706433", "2130706433 leads to 127.0.0.1, a loopback address; "),
        ("0x7f.1", "0x7f.1 leads to 127.0.0.1, a loopback address; "),
        ("0X7F000001", "0x7f000001 leads to 127.0.0.1, a loopback address; "),
        ("127.1", "127.1 leads to 127.0.0.1, a loopback address; "),
        ("127.0.1", "127.0.1 leads to 127.0.0.1, a loopback address; "),
        ("017700000001", "017700000001 leads to 127.0.0.1, a loopback address; "),
        ("0x7f.0x0.0x0.0x1", "0x7f.0x0.0x0.0x1 leads to 127.0.0.1, a loopback address; "),
        ("0", "0 leads to 0.0.0.0, an unspecified address; "),
        ("127\u30020\u30020\u30021", "127.0.0.1 is a loopback address; "),
        ("user@127.0.0.1", "127.0.0.1 is a loopback address; "),
        ("example.org\\@127.0.0.1", "127.0.0.1 is a loopback address; "),
        ("localhost", "localhost leads to "),
    ],
)
async def test_every_spelling_of_an_inward_address_is_refused(host: str, start: str) -> None:
    async with open_server({"/": respond(FEED)}) as server:
        error = await failure_of(f"http://{host}:{server.port}/", GUARDED)
        assert isinstance(error, AddressRefused)
        assert str(error).startswith(start)
        assert str(error).endswith(REMEDY)
        assert server.connections == 0


@pytest.mark.parametrize(
    "host",
    [
        "0177.0.0.1",
        "127.0.0.1.",
        "localhost.",
        "2130706433.",
        "127.0.0.1%00.example.org",
        "127%2e0.0.1",
        "[::1%25lo]",
        "\uff11\uff12\uff17.0.0.1",
        "\u2460.1",
        "127.0.0.1\u3002",
        "\u24db\u24de\u24d2alhost",
        "256.256.256.256",
        "[::ffff:127.0.0.1.]",
    ],
)
async def test_what_is_no_clear_spelling_leads_nowhere(host: str) -> None:
    async with open_server({"/": respond(FEED)}) as server:
        error = await failure_of(f"http://{host}:{server.port}/", GUARDED)
        assert isinstance(error, BadURL | AddressRefused | NameNotFound)
        assert server.connections == 0


@pytest.mark.parametrize("limits", [GUARDED, Limits(allow_private_networks=True)])
@pytest.mark.parametrize(
    "address", ["169.254.169.254", "100.100.100.200", "fd00:ec2::254", "::ffff:a9fe:a9fe"]
)
async def test_metadata_is_refused_whatever_is_allowed(limits: Limits, address: str) -> None:
    error = await failure_of("http://feeds.example.org/", limits, answering(address))
    assert isinstance(error, AddressRefused)
    assert str(error).startswith(f"feeds.example.org leads to {address}, a cloud metadata address")
    assert str(error).endswith("; no setting permits that")


async def test_a_listed_network_is_connected_to_and_no_other() -> None:
    inside = Limits(allow_private_networks=(IPv4Network("127.0.0.0/31"),))
    async with open_server({"/": respond(FEED)}) as server:
        with trio.fail_after(10):
            async with open_http(inside, Hosts(2, 1.0), resolve=answering("10.0.0.1", "127.0.0.1")) as http:
                assert (await http.get(f"http://feeds.example.org:{server.port}/")).body == FEED
        error = await failure_of(f"http://127.0.0.2:{server.port}/", inside)
        assert isinstance(error, AddressRefused)
        assert str(error) == f"127.0.0.2 is a loopback address; {REMEDY}"
        assert server.connections == 1


async def test_metadata_is_refused_though_its_network_is_listed() -> None:
    listed = Limits(allow_private_networks=(IPv4Network("169.254.0.0/16"),))
    error = await failure_of("http://feeds.example.org/", listed, answering("169.254.169.254"))
    assert isinstance(error, AddressRefused)
    assert str(error) == (
        "feeds.example.org leads to 169.254.169.254, a cloud metadata address; no setting permits that"
    )


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that were tried; every one refuses."""
    addresses: list[str] = []

    async def connect_one(address: str, port: int) -> TcpStream:
        addresses.append(address)
        raise OSError(errno.ECONNREFUSED, "refused")

    monkeypatch.setattr(connect, "_connect_one", connect_one)
    return addresses


async def test_refused_candidates_are_left_out_and_the_others_tried(tried: list[str]) -> None:
    resolve = answering("10.0.0.1", "8.8.8.8", "::1", "2606:4700::1")
    error = await failure_of("http://feeds.example.org/", GUARDED, resolve)
    assert str(error) == "no connection to feeds.example.org, port 80: connection refused"
    assert tried == ["8.8.8.8", "2606:4700::1"]


async def test_a_resolver_that_changes_its_answer_gains_nothing(tried: list[str]) -> None:
    answers = iter([["8.8.8.8"], ["127.0.0.1"]])

    async def rebinding(host: str, port: int) -> Sequence[str]:
        return next(answers)

    first = await failure_of("http://feeds.example.org/", GUARDED, rebinding)
    assert str(first) == "no connection to feeds.example.org, port 80: connection refused"
    second = await failure_of("http://feeds.example.org/", GUARDED, rebinding)
    assert isinstance(second, AddressRefused)
    assert tried == ["8.8.8.8"]


async def test_of_very_many_addresses_a_few_are_tried(tried: list[str]) -> None:
    resolve = answering(*(f"8.8.{number // 256}.{number % 256}" for number in range(1000)))
    await failure_of("http://feeds.example.org/", GUARDED, resolve)
    assert tried == [f"8.8.0.{number}" for number in range(8)]


async def test_a_connection_is_used_again_for_its_own_origin_alone() -> None:
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    async with (
        open_server({"/": respond(FEED)}) as server,
        open_http(Limits(), Hosts(2, 1.0), resolve=resolve) as http,
    ):
        for host in ("a.example.org", "b.example.org", "a.example.org", "A.EXAMPLE.org", "b.example.org"):
            await http.get(f"http://{host}:{server.port}/")
    assert asked == ["a.example.org", "b.example.org"]
    by_connection = {(request.connection, request.headers["host"]) for request in server.requests}
    assert by_connection == {(0, f"a.example.org:{server.port}"), (1, f"b.example.org:{server.port}")}


async def test_a_name_that_turns_inward_is_judged_anew_with_each_connection() -> None:
    # Loopback is allowed here, and stands for a public address; metadata never is.
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])

    async def rebinding(host: str, port: int) -> Sequence[str]:
        return next(answers)

    closing = respond(FEED, headers={"Connection": "close"})
    async with (
        open_server({"/": closing}) as server,
        open_http(Limits(), Hosts(2, 1.0), resolve=rebinding) as http,
    ):
        url = f"http://feeds.example.org:{server.port}/"
        assert (await http.get(url)).body == FEED
        with pytest.raises(AddressRefused):
            await http.get(url)
    assert server.connections == 1


async def test_the_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    async with opened({"/": respond(FEED)}) as (server, http):
        assert (await http.get(server.url())).body == FEED


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "no such host: feeds.example.org"),
        (
            socket.gaierror(socket.EAI_AGAIN, "Temporary failure"),
            "feeds.example.org cannot be looked up just now: the name servers do not answer",
        ),
        (socket.gaierror(socket.EAI_FAIL, "Bad luck"), "feeds.example.org cannot be looked up: bad luck"),
        (OSError(errno.EMFILE, "x"), "feeds.example.org cannot be looked up: too many open files"),
    ],
)
async def test_names_that_cannot_be_resolved(error: OSError, message: str) -> None:
    raised = await failure_of("http://feeds.example.org/", Limits(), failing(error))
    assert isinstance(raised, NameNotFound)
    assert str(raised) == message


async def test_a_name_without_addresses_is_not_found() -> None:
    error = await failure_of("http://feeds.example.org/", Limits(), answering())
    assert isinstance(error, NameNotFound)
    assert str(error) == "no such host: feeds.example.org"


async def test_addresses_that_swallow_everything_are_a_failure_to_connect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def swallowed(address: str, port: int) -> TcpStream:
        await trio.sleep_forever()
        raise AssertionError

    monkeypatch.setattr(connect, "_connect_one", swallowed)
    error = await failure_of("http://127.0.0.1/", Limits(timeout_seconds=0.25))
    assert (error.cause, str(error)) == (
        "connect",
        "no connection to 127.0.0.1, port 80: no answer within 0.1 s",
    )


async def test_a_refused_connection_says_so() -> None:
    port = free_port()
    error = await failure_of(f"http://127.0.0.1:{port}/", Limits())
    assert isinstance(error, ConnectFailed)
    assert str(error) == f"no connection to 127.0.0.1, port {port}: connection refused"


async def test_reasons_are_told_once_each() -> None:
    port = free_port()
    resolve = answering("127.0.0.1", "127.0.0.2", "::1")
    error = await failure_of(f"http://feeds.example.org:{port}/", Limits(), resolve)
    assert isinstance(error, ConnectFailed)
    assert str(error).count("connection refused") == 1


async def test_the_next_address_is_tried_at_once_when_one_fails() -> None:
    async with open_server({"/": respond(FEED)}) as server:
        resolve = answering("127.0.0.9", "127.0.0.1")
        async with open_http(Limits(), Hosts(2, 1.0), resolve=resolve) as http:
            started = trio.current_time()
            response = await http.get(f"http://feeds.example.org:{server.port}/")
            assert trio.current_time() - started < 0.2
    assert response.body == FEED
    assert server.requests[0].headers["host"] == f"feeds.example.org:{server.port}"


async def test_the_next_address_is_tried_beside_one_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    connect_one = connect._connect_one
    cancelled = trio.Event()

    async def hanging_first(address: str, port: int) -> TcpStream:
        if address == "127.0.0.9":
            try:
                await trio.sleep_forever()
            finally:
                cancelled.set()
        return await connect_one(address, port)

    monkeypatch.setattr(connect, "_connect_one", hanging_first)
    async with open_server({"/": respond(FEED)}) as server:
        resolve = answering("127.0.0.9", "127.0.0.1")
        async with open_http(Limits(), Hosts(2, 1.0), resolve=resolve) as http:
            started = trio.current_time()
            await http.get(f"http://feeds.example.org:{server.port}/")
            assert 0.2 < trio.current_time() - started < 1
            assert cancelled.is_set()


async def test_when_two_attempts_succeed_one_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    connect_one = connect._connect_one
    made: list[TcpStream] = []

    async def together(address: str, port: int) -> TcpStream:
        with trio.CancelScope(shield=True):
            await trio.sleep(0.3 if address == "127.0.0.1" else 0.05)
            made.append(await connect_one("127.0.0.1", port))
        return made[-1]

    monkeypatch.setattr(connect, "_connect_one", together)
    async with open_server({"/": respond(FEED)}) as server:
        resolve = answering("127.0.0.1", "127.0.0.2")
        async with open_http(Limits(), Hosts(2, 1.0), resolve=resolve) as http:
            await http.get(f"http://feeds.example.org:{server.port}/")
            assert sorted(stream.socket.fileno() < 0 for stream in made) == [False, True]


def test_families_alternate_beginning_with_the_resolvers_choice() -> None:
    assert connect._interleaved(["::1", "::2", "::3", "1.1.1.1"]) == ["::1", "1.1.1.1", "::2", "::3"]
    assert connect._interleaved(["1.1.1.1", "2.2.2.2", "::1"]) == ["1.1.1.1", "::1", "2.2.2.2"]
