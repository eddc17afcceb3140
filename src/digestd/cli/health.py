"""`digestd health`: asks the daemon that runs.

A container's health check runs it every half minute, so it imports little and reads no sources.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from digestd.config import WebSettings, environment, find_file
from digestd.config.files import read_yaml
from digestd.config.wording import problem_lines
from digestd.errors import ConfigurationError
from digestd.feed.text import collapse, strip_controls
from digestd.web.address import Address

ANSWER_SECONDS = 5.0


class NoAnswer(Exception):
    """Nobody at the address answers as digestd does; the message says why."""


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
    found = find_file(file, os.environ)
    data = read_yaml(found) if found else None
    section = data.get("web") if isinstance(data, dict) else None
    given = environment.read(os.environ).values.get("web", {})
    try:
        settings = WebSettings.model_validate({**(section if isinstance(section, dict) else {}), **given})
    except ValidationError as error:
        raise ConfigurationError(list(problem_lines(error, "the settings", WebSettings, "web."))) from error
    if settings.enabled is False:
        raise NoAnswer("web.enabled is false: the daemon answers nobody")
    return Address.parse(settings.listen)
