"""Connections: a name is resolved, every candidate address judged, and only a judged address connected to.

Judging and connecting see the same addresses, so a name server that changes its answer in between (rebinding)
gains nothing.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from itertools import chain, zip_longest
from typing import Any

import httpcore2
import trio

from digestd.config.networks import Networks
from digestd.errors import AddressRefused, BadURL, ConnectFailed, NameNotFound, TLSFailed
from digestd.ingest.network.addresses import refusal
from digestd.ingest.network.framing import Framing
from digestd.ingest.network.resolve import Resolver
from digestd.ingest.network.tcp import TcpStream

_HEAD_START_SECONDS = 0.25  # RFC 8305, 5: what one attempt gets before the next one starts beside it
_WITHOUT_FAREWELL = "the connection was closed without the farewell of TLS, so something may be missing"
# A name can have thousands of addresses, and whoever owns it would have us knock at all of them.
_MOST_ATTEMPTS = 8


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """The network under the HTTP client.

    Beside public addresses those are connected to that `allow_private` permits (see
    :func:`~digestd.ingest.network.addresses.refusal`). Looking a name up, and then connecting, may take
    `connect_seconds` each; `resolve` bounds itself.
    """

    def __init__(self, *, allow_private: bool | Networks, connect_seconds: float, resolve: Resolver) -> None:
        self._allow_private = allow_private
        self._seconds = connect_seconds
        self._resolve = resolve

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore2's; the caller keeps a total deadline
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first address of `host` that answers.

        Error handling: :class:`~digestd.errors.NameNotFound`, :class:`~digestd.errors.ResolverBusy`,
        :class:`~digestd.errors.AddressRefused` when no candidate may be connected to,
        :class:`~digestd.errors.ConnectFailed` when none answers.
        Cancellation: every attempt is closed.
        """
        candidates = self._permitted(host, await self._candidates(host, port))
        failures: list[OSError] = []
        stream = None
        with trio.move_on_after(self._seconds) as patience:
            stream = await _connect_first(_interleaved(candidates)[:_MOST_ATTEMPTS], port, failures)
        if stream is None:
            reasons = ", ".join(dict.fromkeys(_reason(error) for error in failures))
            if patience.cancelled_caught:
                reasons = f"no answer within {self._seconds:g} s"
            raise ConnectFailed(f"no connection to {host}, port {port}: {reasons}")
        return TrioStream(stream)

    async def _candidates(self, host: str, port: int) -> Sequence[str]:
        try:
            return [str(ip_address(host))]
        except ValueError:
            pass
        try:
            return await self._resolve(host, port)
        except trio.TooSlowError:
            raise NameNotFound(f"{host} was not looked up within {self._seconds:g} s") from None
        except socket.gaierror as error:
            raise NameNotFound(_resolution_failure(host, error)) from error
        except UnicodeError as error:
            raise BadURL(f"{host} is no valid host name") from error
        except OSError as error:
            raise NameNotFound(f"{host} cannot be looked up: {_reason(error)}") from error

    def _permitted(self, host: str, candidates: Sequence[str]) -> Sequence[str]:
        if not candidates:
            raise NameNotFound(f"no such host: {host}")
        judged = [
            (address, refusal(ip_address(address), allow_private=self._allow_private))
            for address in candidates
        ]
        permitted = [address for address, reason in judged if reason is None]
        if not permitted:
            raise AddressRefused(_refusal_message(host, *judged[0]))
        return permitted


class TrioStream(httpcore2.AsyncNetworkStream):
    """A connection as httpcore2 wants it. Closing never waits for the other side.

    `last_read` is what the latest read gave, by which a body longer than its declared length shows.
    Resource handling: who reads and writes closes it, after failures and cancellation too; a handshake that
    does not succeed closes it.
    """

    def __init__(self, stream: TcpStream | trio.SSLStream[Any]) -> None:
        self._stream = stream
        self._framing = Framing()
        self.last_read = b""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """Read up to `max_bytes`; `b""` at the end.

        Raises `httpcore2.ReadError` when it breaks off, and :class:`~digestd.errors.ProtocolFailed` when reading on
        would cost too much.
        """
        try:
            self.last_read = bytes(await self._stream.receive_some(max_bytes))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise httpcore2.ReadError(_broken(error)) from error
        self._framing.receive(self.last_read)
        return self.last_read

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Send all of `buffer`. Raises `httpcore2.WriteError` when the connection breaks off."""
        if not buffer:
            return
        # What comes from now on is another answer.
        self._framing = Framing()
        try:
            await self._stream.send_all(buffer)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise httpcore2.WriteError(_broken(error)) from error

    async def aclose(self) -> None:
        """Close at once, without a TLS farewell."""
        await trio.aclose_forcefully(self._stream)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore2.AsyncNetworkStream:
        """Do the TLS handshake for the name `server_hostname`. Raises :class:`~digestd.errors.TLSFailed`."""
        try:
            # Not https_compatible: a body that ends with the connection would be whole wherever somebody on the way
            # cut it (RFC 9112, 9.8). Other bodies are read to their end and no further.
            secured = trio.SSLStream(self._stream, ssl_context, server_hostname=server_hostname)
            await secured.do_handshake()
        except (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError, ValueError) as error:
            await self.aclose()
            raise TLSFailed(f"no TLS with {server_hostname}: {_tls_reason(error)}") from error
        except BaseException:
            await self.aclose()
            raise
        return TrioStream(secured)

    def get_extra_info(self, info: str) -> Any:
        """What httpcore2 asks: `ssl_object`, and `is_readable` (an idle connection that is, was closed)."""
        stream: Any = self._stream
        if info == "ssl_object":
            return stream if isinstance(stream, trio.SSLStream) else None
        if info == "is_readable":
            # Through a proxy that is itself spoken to over TLS, one TLS lies in another.
            while isinstance(stream, trio.SSLStream):
                stream = stream.transport_stream
            return stream.socket.fileno() < 0 or _is_readable(stream.socket.fileno())
        return None


def _is_readable(file_descriptor: int) -> bool:
    # Not select(): it knows no file descriptor from 1024 on.
    poll = select.poll()
    poll.register(file_descriptor, select.POLLIN)
    return bool(poll.poll(0))


async def _connect_first(addresses: Sequence[str], port: int, failures: list[OSError]) -> TcpStream | None:
    """Connect to one of `addresses`, starting the next one when the last failed or 0.25 s passed (RFC 8305).

    Returns None when none answers; what went wrong is appended to `failures`.
    Cancellation: closes every attempt.
    """
    winner: TcpStream | None = None

    async def attempt(address: str, failed: trio.Event) -> None:
        nonlocal winner
        try:
            stream = await _connect_one(address, port)
        except OSError as error:
            failures.append(error)
            failed.set()
            return
        if winner is not None:
            stream.socket.close()
            return
        winner = stream
        nursery.cancel_scope.cancel()

    try:
        async with trio.open_nursery() as nursery:
            for address in addresses:
                failed = trio.Event()
                nursery.start_soon(attempt, address, failed, name=f"connect {address}")
                with trio.move_on_after(_HEAD_START_SECONDS):
                    await failed.wait()
    except BaseException:
        if winner is not None:
            winner.socket.close()
        raise
    return winner


async def _connect_one(address: str, port: int) -> TcpStream:
    opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        opened.setblocking(False)
        await trio.socket.from_stdlib_socket(opened).connect((address, port))
        return TcpStream(opened)
    except BaseException:
        opened.close()
        raise


def _interleaved(addresses: Sequence[str]) -> Sequence[str]:
    """Alternate the families, beginning with the one the resolver put first (RFC 8305, 4)."""
    first_is_6 = ":" in addresses[0]
    first = [address for address in addresses if (":" in address) == first_is_6]
    second = [address for address in addresses if (":" in address) != first_is_6]
    return [address for address in chain.from_iterable(zip_longest(first, second)) if address is not None]


def _resolution_failure(host: str, error: socket.gaierror) -> str:
    if error.errno == socket.EAI_AGAIN:
        return f"{host} cannot be looked up just now: the name servers do not answer"
    if error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)):
        return f"no such host: {host}"
    return f"{host} cannot be looked up: {_reason(error)}"


def _refusal_message(host: str, address: str, reason: str | None) -> str:
    subject = f"{host} is" if _is_address(host, address) else f"{host} leads to {address},"
    is_never_wanted = refusal(ip_address(address), allow_private=True) is not None
    remedy = (
        "no setting permits that"
        if is_never_wanted
        else "if it is wanted, list its network in fetch.allow_private_networks"
    )
    return f"{subject} {reason}; {remedy}"


def _is_address(host: str, address: str) -> bool:
    """Whether `host` is another spelling of `address`, not a name that leads there."""
    try:
        # By number: versions of Python write mapped addresses differently.
        return int(ip_address(host)) == int(ip_address(address))
    except ValueError:
        return False


def _reason(error: OSError) -> str:
    """The system's words for `error`, in lower case: "connection refused"."""
    if isinstance(error, socket.gaierror) or error.errno is None:
        return str(error.strerror or error).lower()
    return os.strerror(error.errno).lower()


def _broken(error: BaseException) -> str:
    cause = error.__cause__
    if isinstance(cause, ssl.SSLError):
        return _WITHOUT_FAREWELL if _is_cut_off(cause) else (cause.reason or "TLS").replace("_", " ").lower()
    return _reason(cause) if isinstance(cause, OSError) else "the connection was closed"


def _is_cut_off(error: ssl.SSLError) -> bool:
    """Whether the connection ended in the middle of TLS; OpenSSL 3 says so in a reason, those before in a class."""
    return isinstance(error, ssl.SSLEOFError) or error.reason == "UNEXPECTED_EOF_WHILE_READING"


def _tls_reason(error: BaseException) -> str:
    cause = error if isinstance(error, ssl.SSLError) else error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the certificate is not acceptable: {cause.verify_message.rstrip('.').lower()}"
    if isinstance(cause, ssl.SSLError) and cause.reason:
        return cause.reason.replace("_", " ").lower()
    if isinstance(error, ValueError):
        return "the host name cannot stand in a certificate"
    return _broken(error)
