"""What Mastodon's API says: accounts, and pages of statuses (https://docs.joinmastodon.org/entities/Status/)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from digestd.errors import NotAFeed
from digestd.feed.api import api_entry
from digestd.feed.border import read_each
from digestd.feed.encoding import read_as
from digestd.feed.entry import Prose
from digestd.feed.json_values import Object, load, load_list, object_of, text_of
from digestd.feed.link import absolute_link
from digestd.feed.mastodon_text import html_of, link_in, title_of
from digestd.feed.text import line_of, strip_controls
from digestd.model import Document, Entry

# Mastodon's have 18 digits.
_LONGEST_ID = 100
_LONGEST_NAME = 200
# Never for others than those whom they are written to, whatever a token lets us see.
_FOR_ONE_READER = "direct"


def is_id(text: str) -> bool:
    """Whether `text` can be the id of an account or a status, and stand in a URL as it is."""
    return 0 < len(text) <= _LONGEST_ID and text.isascii() and text.isalnum()


def order_of(status_id: str) -> tuple[int, str]:
    """What ids are compared by: they rise with time. Those of Mastodon are numbers without leading zeros; others, as
    GoToSocial's, are texts of one length."""
    return len(status_id), status_id


def read_account(body: bytes, url: str) -> Document:
    """Read one account, served from `url`.

    The document has no entries; its `facts` are `id`, `suspended`, and `moved_to`, an address or None. Raises
    :class:`~digestd.errors.NotAFeed` for what is no account.
    """
    account = load(read_as(body, ["utf-8"]))
    account_id = _id(account)
    if account_id is None:
        raise NotAFeed("what came is no account of Mastodon")
    facts = {
        "id": account_id,
        "suspended": account.get("suspended") is True,
        "moved_to": _moved_to(account),
    }
    return Document(url, "mastodon", facts=facts)


def read_statuses(body: bytes, url: str, boosts: bool) -> Document:
    """Read one page of statuses, newest first, served from `url`; those that are `boosts` only where they are wanted.

    Of its `facts`, `newest` and `oldest` are ids of statuses on the page, boosts or not, None where there are none;
    `count` is how many there are; `moved_to` is where the writer of the first has moved to, None for nowhere. A status
    that cannot be read is left out. Raises :class:`~digestd.errors.NotAFeed` for what is no list of statuses.
    """
    said = load_list(read_as(body, ["utf-8"]))
    if said is None:
        raise NotAFeed("what came is no list of statuses of Mastodon")
    ids = sorted((found for one in said if (found := _id(one)) is not None), key=order_of)
    if said and not ids:
        raise NotAFeed("what came is no list of statuses of Mastodon: none of them has an id")
    entries, left_out = read_each(_wanted(said, boosts), lambda status: _entry(status, url), _name)
    first = object_of(said[0], "account") if said and isinstance(said[0], dict) else {}
    facts = {
        "newest": ids[-1] if ids else None,
        "oldest": ids[0] if ids else None,
        "count": len(said),
        "moved_to": _moved_to(first),
    }
    return Document(url, "mastodon", entries=entries, left_out=left_out, facts=facts)


def words_of(body: bytes) -> str:
    """What an error says, in its own words: `{"error": …}`; "" where it says nothing. Never raises."""
    try:
        said = load(read_as(body, ["utf-8"]))
    # Whatever an error is made of, its status was understood.
    except Exception:  # noqa: BLE001 - see above
        return ""
    return strip_controls(line_of(text_of(said, "error"), _LONGEST_NAME)).rstrip(".")


def _wanted(said: Sequence[Any], boosts: bool) -> Iterable[Any]:
    for status in said:
        shown = _shown(status)
        # Some servers do not know exclude_reblogs.
        if (shown is status or boosts) and not _is_for_one(status) and not _is_for_one(shown):
            yield status


def _is_for_one(status: Any) -> bool:
    return isinstance(status, dict) and status.get("visibility") == _FOR_ONE_READER


def _shown(status: Any) -> Any:
    """What is read: of a boost the status that it passes on."""
    boosted = status.get("reblog") if isinstance(status, dict) else None
    return boosted if isinstance(boosted, dict) else status


def _name(status: Any) -> tuple[str, str]:
    shown = _shown(status)
    return (text_of(shown, "uri"), "") if isinstance(shown, dict) else ("", "")


def _entry(status: Any, url: str) -> Entry:
    if not isinstance(status, dict) or _id(status) is None:
        raise ValueError("it has no id")
    shown: Object = _shown(status)
    uri = text_of(shown, "uri").strip()
    if not uri:
        raise ValueError("it has no uri")
    content = html_of(shown, url)
    author = _author(object_of(shown, "account"))
    return api_entry(
        # Known everywhere under its uri: what is boosted and what two tags bring is one article.
        key=uri,
        link=link_in(shown, url) or absolute_link("", uri),
        title=title_of(shown, content) or f"A post by {author or 'somebody'}",
        content=Prose(content, is_html=True, base=url),
        dates=[text_of(shown, "created_at")],
        author=author,
        language=text_of(shown, "language"),
        # Its page is made by scripts, and says no more.
        complete=True,
    )


def _author(account: Object) -> str:
    handle = line_of(text_of(account, "acct") or text_of(account, "username"), _LONGEST_NAME)
    name = line_of(text_of(account, "display_name"), _LONGEST_NAME)
    if not handle:
        return name
    return f"{name} (@{handle})" if name else f"@{handle}"


def _moved_to(account: Object) -> str | None:
    address = text_of(object_of(account, "moved"), "url")
    return strip_controls(line_of(address, _LONGEST_NAME)) or None


def _id(holder: Any) -> str | None:
    """The id that `holder` has; None for what cannot be one."""
    found = text_of(holder, "id") if isinstance(holder, dict) else ""
    return found if is_id(found) else None
