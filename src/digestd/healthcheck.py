"""`digestd health`: asks the daemon that runs.

A container's health check runs it every half minute, so it reads no sources, and stands beside :mod:`digestd.cli`,
whose library for argv brings pydantic: without both it takes 0.04 s of a processor instead of 0.19 s.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digestd.errors import ConfigurationError
from digestd.feed.text import collapse, strip_controls
from digestd.plainsettings import web_listen
from digestd.web.address import Address

ANSWER_SECONDS = 5.0

_COMMAND = "health"


class NoAnswer(Exception):
    """Nobody at the address answers as digestd does; the message says why."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What `digestd health` is to do: `file` is the settings file that was named."""

    file: Path | None


def asked_by(arguments: Sequence[str]) -> Asked | None:
    """Read `arguments` (argv without the program): `health`, and `-c FILE` before or after it.

    None for everything else, other forms of it and mistakes included: for those there is :func:`digestd.cli.run`.
    """
    left = list(arguments)
    file = None
    for name in ("-c", "--config"):
        if name in left[:-1] and file is None:
            place = left.index(name)
            file = Path(left[place + 1])
            del left[place : place + 2]
    return Asked(file) if left == [_COMMAND] else None


def health(file: Path | None) -> int:
    """Print how the running daemon does: one line, then the sources that fail.

    Returns 0 when it is well; 1 when there is no progress, when nobody answers, and when it cannot be known
    whom to ask: a container's health check knows no other status.
    """
    try:
        document = ask(_address(file))
        lines = describe(document)
    except (ConfigurationError, NoAnswer) as error:
        print(strip_controls(f"digestd: {error}"), file=sys.stderr)
        return 1
    print(strip_controls("\n".join(lines)))
    return 0 if document["status"] == "ok" else 1


def ask(address: Address) -> dict[str, Any]:
    """Get `/health` from the daemon that listens on `address`. Raises NoAnswer."""
    # Every command imports this module, and nothing else of them needs it: 0.02 s.
    import http.client

    place = address.from_here
    connection = http.client.HTTPConnection(place.host, place.port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/health")
        document = json.loads(connection.getresponse().read())
    except TimeoutError as error:
        raise NoAnswer(f"nothing came from http://{place}/health within {ANSWER_SECONDS:g} s") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise NoAnswer(
            f"no answer from http://{place}/health: {reason}; does digestd run, with this web.listen?"
        ) from error
    except (http.client.HTTPException, ValueError) as error:
        raise NoAnswer(f"what answers at http://{place}/health is not digestd") from error
    finally:
        connection.close()
    if not isinstance(document, dict) or "status" not in document:
        raise NoAnswer(f"what answers at http://{place}/health is not digestd")
    return document


def describe(document: dict[str, Any]) -> list[str]:
    """What `/health` says, for people: one line, then one for each note and each failing source it names."""
    sources = document["sources"]
    state = "ok" if document["status"] == "ok" else f"failing: {document['reason']}"
    uptime = f"{document['uptime_seconds']:.0f} s"
    lines = [
        f"{state} (digestd {document['version']}, up {uptime}, sources: {sources['running']} running, "
        f"{sources['failing']} failing; last fetch: {document['last_fetch'] or 'never'})"
    ]
    lines += [f"  {note}" for note in document["notes"]]
    # A second line could be taken for another source.
    failing = (f"{source['name']}: {source['error']}" for source in document["failing"])
    lines += [f"  {collapse(one)}" for one in failing]
    if document["more_failing"]:
        lines.append(f"  … and {document['more_failing']} more; see digestd sources --failing")
    return lines


def _address(file: Path | None) -> Address:
    """Where the daemon with these settings listens. Raises ConfigurationError, or NoAnswer if it does not."""
    listen = web_listen(file)
    if listen is None:
        raise NoAnswer("web.enabled is false: the daemon answers nobody")
    return Address.parse(listen)
