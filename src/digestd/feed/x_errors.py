"""What it means that X refuses, and what to do: credits that are used up are told from limits that are over by
themselves, and both from tokens that X does not take.

Sources: https://docs.x.com/x-api/fundamentals/response-codes-and-errors, /post-cap, /rate-limits, and what clients of
X have met. Of error bodies there are several forms, so the status decides first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from digestd.feed.json_values import Object, objects_of, text_of
from digestd.feed.text import line_of, strip_controls
from digestd.model import Response

Sort: TypeAlias = Literal["credits", "often", "token", "parameter", "missing", "trouble", "other"]

_LONGEST_SAID = 200
_LONGEST_BODY = 65_536
_MOST_ERRORS = 20
# Where an error names its parameters in words alone.
_QUOTED = re.compile(r"'(since_id|start_time|next_token|pagination_token)'")
_CREDITS_TITLES = frozenset({"creditsdepleted", "spendcapreached", "usagecapexceeded"})
_CREDITS_WORDS = ("does not have any credits", "spend cap", "usage cap")
_CREDITS_TYPES = ("/problems/credits", "/problems/usage-capped")


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an answer of another status than 200 means: its `sort`, what X says, and which parameters it names."""

    sort: Sort
    said: str
    parameters: frozenset[str]


def refusal_of(answer: Response) -> Refusal:
    """What `answer`, of another status than 200, means. Never raises."""
    problems = _problems(answer.body)
    return Refusal(_sort(answer.status, problems), _said(problems), _parameters(problems))


def words_of(answer: Response, refusal: Refusal) -> str:
    """What to tell the operator of `answer`."""
    said = f" ({refusal.said})" if refusal.said else ""
    return f"the server answered {answer.status}{said}: {_advice(answer.status, refusal.sort)}"


def _advice(status: int, sort: Sort) -> str:
    if sort == "credits":
        return (
            "the credits of the account are used up, or its cap is reached; nothing is asked with this token until "
            "midnight UTC; buy credits or raise the cap in the Developer Console"
        )
    if sort == "often":
        return "X was asked too often with this token, and is left alone until it may be asked again"
    if sort == "token":
        return _token_advice(status)
    if sort == "parameter":
        return "X does not take the request; check the query and the other options of the source"
    if sort == "missing":
        return "there is nothing of X's at this address; check the user, and base_url"
    if sort == "trouble":
        return "X has trouble of its own; nothing needs to be done here"
    return "what came is no answer of X's API"


def _token_advice(status: int) -> str:
    if status == 401:
        return "X does not take the bearer_token; make a new one in the Developer Console"
    return "the application behind the bearer_token may not do this; look at its project and package there"


def _sort(status: int, problems: list[Object]) -> Sort:
    if status == 402 or (status in (403, 429) and any(_is_about_credits(one) for one in problems)):
        return "credits"
    if status == 429:
        return "often"
    if status in (401, 403):
        return "token"
    if status in (400, 422):
        return "parameter"
    if status in (404, 410):
        return "missing"
    return "trouble" if status >= 500 else "other"


def _is_about_credits(problem: Object) -> bool:
    title = text_of(problem, "title").replace(" ", "").lower()
    if title in _CREDITS_TITLES or text_of(problem, "type").rstrip("/").endswith(_CREDITS_TYPES):
        return True
    said = " ".join(_texts(problem))[:_LONGEST_BODY].lower()
    return any(words in said for words in _CREDITS_WORDS)


def _problems(body: bytes) -> list[Object]:
    """What an error says: the object itself, and those in its `errors`."""
    try:
        said: Any = json.loads(body[:_LONGEST_BODY])
    # Whatever an error is made of, its status was understood.
    except (ValueError, RecursionError):
        return []
    if not isinstance(said, dict):
        return []
    return [said, *objects_of(said, "errors")[:_MOST_ERRORS]]


def _said(problems: list[Object]) -> str:
    """What says most: a title alone says little."""
    told = [line_of(strip_controls(text), _LONGEST_SAID) for one in problems for text in _texts(one)]
    return max(told, key=len, default="").rstrip(".")


def _texts(problem: Object) -> Iterator[str]:
    for name in ("detail", "message", "title"):
        if text := text_of(problem, name):
            yield text


def _parameters(problems: list[Object]) -> frozenset[str]:
    found: set[str] = set()
    for one in problems:
        named = one.get("parameters")
        if isinstance(named, dict):
            found.update(str(name)[:_LONGEST_SAID] for name in named)
        if parameter := text_of(one, "parameter"):
            found.add(parameter[:_LONGEST_SAID])
    return frozenset(found or _QUOTED.findall(" ".join(text for one in problems for text in _texts(one))))
