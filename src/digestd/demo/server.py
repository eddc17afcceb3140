"""A small HTTP/1.1 server on loopback for the sample site: GET and HEAD, ETag and 304, keep-alive.

HTTP is h11's; nothing here is meant for a network.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from typing import TypeAlias

import h11
import trio

from digestd.demo.site import Resource, sample_site

Site: TypeAlias = Mapping[str, Resource]

_CHUNK_BYTES = 16 * 1024
_NOT_FOUND = Resource(b"There is nothing here.\n", "text/plain; charset=utf-8", status=404)
_NOT_ALLOWED = Resource(b"Only GET and HEAD are answered.\n", "text/plain; charset=utf-8", status=405)


async def serve(*, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
    """Serve the samples on 127.0.0.1 at a free port until cancelled; dates in them are reckoned from now.

    Start it with `nursery.start`, which returns the base URL (`http://127.0.0.1:PORT`) as soon as connections
    are taken.

    Resource handling: the listener and all connections are closed when this ends.
    Error handling: `OSError` when no port of the loopback address is to be had. Broken clients end their
    connection. Cancellation: the only way to end it; answers in flight are cut.
    """
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port: int = listeners[0].socket.getsockname()[1]
    base_url = f"http://127.0.0.1:{port}"
    site = sample_site(base_url, datetime.now(UTC))
    task_status.started(base_url)
    await trio.serve_listeners(partial(_serve_connection, site), listeners)


async def _serve_connection(site: Site, stream: trio.SocketStream) -> None:
    """Answer request after request until the client goes, or cannot be understood."""
    connection = h11.Connection(h11.SERVER)
    try:
        while (request := await _next_request(connection, stream)) is not None:
            resource = _resource(site, request)
            for event in _answer(request, resource):
                await stream.send_all(connection.send(event) or b"")
            if connection.our_state is not h11.DONE:
                return
            connection.start_next_cycle()
    except (trio.BrokenResourceError, h11.RemoteProtocolError):
        return


async def _next_request(connection: h11.Connection, stream: trio.SocketStream) -> h11.Request | None:
    """The next request, read to the end of its body; None when the client closed the connection before
    one.
    """
    request: h11.Request | None = None
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await stream.receive_some(_CHUNK_BYTES))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.EndOfMessage):
            return request
        elif not isinstance(event, h11.Data):
            return None


def _resource(site: Site, request: h11.Request) -> Resource:
    if request.method not in {b"GET", b"HEAD"}:
        return _NOT_ALLOWED
    path = request.target.decode("latin-1").partition("?")[0]
    return site.get(path, _NOT_FOUND)


def _answer(request: h11.Request, resource: Resource) -> list[h11.Event]:
    """Head, body and end. A HEAD or a 304 has no body (RFC 9110, 9.3.2 and 15.4.5)."""
    status = 304 if resource.status == 200 and _is_known(resource.etag, request) else resource.status
    headers = [("Date", format_datetime(datetime.now(UTC), usegmt=True))]
    if status != 304:
        headers += [("Content-Type", resource.content_type), ("Content-Length", str(len(resource.body)))]
    if resource.status == 200:
        headers += [("ETag", resource.etag), ("Cache-Control", "no-cache")]
    if status == 405:
        headers.append(("Allow", "GET, HEAD"))
    head = h11.Response(status_code=status, headers=headers)
    body = [] if status == 304 or request.method == b"HEAD" else [h11.Data(data=resource.body)]
    return [head, *body, h11.EndOfMessage()]


def _is_known(etag: str, request: h11.Request) -> bool:
    """Whether If-None-Match holds `etag`, by weak comparison (RFC 9110, 13.1.2)."""
    held = [value.decode("latin-1") for name, value in request.headers if name == b"if-none-match"]
    tags = {tag.strip().removeprefix("W/") for line in held for tag in line.split(",")}
    return etag in tags or "*" in tags
