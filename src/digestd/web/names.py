"""The names that the web server answers by.

A page in the operator's browser may have had its own name resolved to our address, to read what we show with the
browser's rights (DNS rebinding). Then its name stands in the Host header.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from digestd.log import get_logger

REFUSAL = "digestd does not answer by this name: web.hosts lists those it does\n"
MOST_TOLD = 20
"""How many refused names are told in the log: anybody can think of more."""

# RFC 9110, 7.2: uri-host, and a port, whose number proxies and forwarded ports change.
_HEADER = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]*)?", re.ASCII)


def is_answered(header: str, names: frozenset[str]) -> bool:
    """Whether a request with the Host header `header` is answered: when it is an address, `localhost`, or one of
    `names` (in lower case).

    An address is always answered: who bends a name to us has a name there, and a probe of Kubernetes has nothing but
    the address of the pod.
    """
    found = _HEADER.fullmatch(header.lower())
    if found is None:
        return False
    host = found["host"]
    bare = host[1:-1] if host.startswith("[") else host.removesuffix(".")
    return bare == "localhost" or bare in names or _is_address(bare)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def own_names() -> set[str]:
    """The machine's own name, whole and without its domain."""
    name = socket.gethostname()
    return {name, name.partition(".")[0]} - {""}


class KnownNames:
    """ASGI middleware that answers what :func:`is_answered` lets through, and everything else with 400."""

    def __init__(self, app: ASGIApp, names: Iterable[str]) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in names)
        self._told: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] in {"http", "websocket"}:
            host = Headers(scope=scope).get("host", "")
            if not is_answered(host, self._names):
                self._tell(host[:100])
                await PlainTextResponse(REFUSAL, status_code=400)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _tell(self, host: str) -> None:
        if host not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(host)
            get_logger().warning(
                "web.host.refused", host=host, remedy="if it is a name of this machine, add it to web.hosts"
            )
