"""What it means that an instance of Mastodon refuses, and what to do (https://docs.joinmastodon.org/entities/Error/)."""

from __future__ import annotations

from digestd.feed.mastodon import words_of
from digestd.feed.mastodon_place import Place
from digestd.model import Failure, Response

_SETTINGS, _STATUS = "settings", "http_status"
_NO_TOKEN = (
    "the instance shows this to its own users alone; give the source an access_token of an account there, with the "  # noqa: S105 - a sentence
    "scopes read:accounts and read:statuses"
)
_WRONG_TOKEN = "the instance does not take the access_token; make a new one there"  # noqa: S105 - a sentence
_FORBIDDEN = (
    "the instance does not allow it; an access_token needs the scopes read:accounts and read:statuses"
)
_OFTEN = "the instance was asked too often from this address, and is left alone until it may be asked again"
_TROUBLE = "the instance has trouble of its own; nothing needs to be done here"
_INVALID = "the instance does not take the request; check the options of the source"


def refusal(answer: Response, place: Place, *, has_token: bool) -> Failure:
    """The failure that `answer`, of another status than 200, stands for when `place` was asked for. Never raises."""
    status = answer.status
    said = words_of(answer.body)
    words = f"the server answered {status}{f' ({said})' if said else ''}: {_advice(status, place, has_token)}"
    cause = _SETTINGS if status == 401 else _STATUS
    return Failure(cause, words, status)


def _advice(status: int, place: Place, has_token: bool) -> str:
    if status == 401:
        return _WRONG_TOKEN if has_token else _NO_TOKEN
    if status == 404:
        return _not_there(place)
    if status == 410:
        what = "the tag" if place.is_tag else "the account"
        return f"{what} was suspended or deleted for good; look where it posts now, or remove the source"
    if status >= 500:
        return _TROUBLE
    return {403: _FORBIDDEN, 422: _INVALID, 429: _OFTEN}.get(
        status, "what came is no answer of Mastodon's API"
    )


def _not_there(place: Place) -> str:
    if place.is_tag:
        return "there is no API of Mastodon at this address; check base_url"
    return (
        f"the instance knows no account {place.name}; check its name, and give base_url where the instance is at "
        "another address than the one behind the @"
    )
