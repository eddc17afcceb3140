"""`digestd articles`: what was kept, what its pages gave, and what is to be tried again."""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trio

from digestd.cli.loading import end_with_reader
from digestd.cli.options import Format
from digestd.cli.records import ArticleRecord, SetAsideRecord, article_record, print_records, set_aside_record
from digestd.cli.revisions import described, print_revised, version_record
from digestd.cli.tables import looking_into, prepared, print_table, stamp
from digestd.config import Configuration
from digestd.digest.excerpt import heading
from digestd.digest.moments import distance
from digestd.feed.html import to_text
from digestd.feed.text import collapse, strip_controls
from digestd.masking import mask_guid, mask_url
from digestd.model import Article, ArticleVersion
from digestd.store import ArticleQuery, EntrySetAside

_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*(min|h|d|w)")
_SECONDS = {"min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_WIDTH = 100


def since_of(text: str, now: datetime) -> datetime:
    """The moment that `text` means: an age before `now` (`90min`, `6h`, `2d`, `1w`), or a date in ISO 8601 (UTC where
    it names no zone). Raises ValueError, with a sentence, for anything else."""
    if age := _AGE.fullmatch(text.strip()):
        return now - timedelta(seconds=min(float(age[1]), 1e6) * _SECONDS[age[2]])
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is neither an age (90min, 6h, 2d, 1w) nor a date (2026-11-23)") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def listing(file: Path | None, level: str | None, query: ArticleQuery, form: Format) -> None:
    """Print the articles that `query` allows, newest first, as `form` says."""
    config = prepared(file, level)
    # One more than wanted shows whether there are more.
    asked = replace(query, limit=query.limit + 1) if query.limit else query
    found = trio.run(_articles, config, asked)
    end_with_reader()
    shown = found[: query.limit]
    if form != "text":
        print_records(form, ArticleRecord, [article_record(article) for article in shown])
        return
    now = datetime.now(UTC)
    if query.revised:
        print_revised(shown, now)
    else:
        headings = ("id", "first seen", "source", "title", "page", "why")
        print_table(headings, (_cells(article, now) for article in shown), right=("id",))
    more = "; there are more: --limit" if len(found) > len(shown) else ""
    print(f"{len(shown)} articles{more}")


def set_aside(file: Path | None, level: str | None, limit: int, form: Format) -> None:
    """Print the entries that could not become articles, and why, as `form` says."""
    config = prepared(file, level)
    found = trio.run(_set_aside, config, limit)
    end_with_reader()
    if form != "text":
        print_records(form, SetAsideRecord, [set_aside_record(entry) for entry in found])
        return
    now = datetime.now(UTC)
    rows = (
        (
            distance(entry.last_seen_at, now),
            entry.source_name,
            mask_guid(entry.guid) or "",
            entry.title,
            entry.reason,
        )
        for entry in found
    )
    print_table(("last seen", "source", "guid", "title", "why"), rows)
    print(
        f"{len(found)} entries that could not become articles; --json and --csv show what was written of them"
    )


def show(
    file: Path | None, level: str | None, article_id: int, *, version: int | None = None, as_json: bool
) -> int:
    """Print everything about one article, with what it said before, or one `version` of that; returns the exit status:
    1 when there is none with this id or number."""
    config = prepared(file, level)
    article, versions = trio.run(_whole_article, config, article_id)
    end_with_reader()
    if article is None:
        print(f"digestd: {_unknown(article_id)}", file=sys.stderr)
        return 1
    if version is None:
        whole = _whole_record(article, versions)
        print(json.dumps(whole, indent=2) if as_json else _described(article, versions))
        return 0
    earlier = next((one for one in versions if one.number == version), None)
    if earlier is None:
        remedy = f"`digestd articles show {article_id}` lists them"
        print(f"digestd: there is no version {version} of article {article_id}; {remedy}", file=sys.stderr)
        return 1
    print(json.dumps(version_record(earlier), indent=2) if as_json else _described_version(earlier))
    return 0


def retry(file: Path | None, level: str | None, query: ArticleQuery) -> None:
    """Put the articles that `query` allows back into the queue, and say how many."""
    config = prepared(file, level)
    count = trio.run(_retry, config, query)
    some = "1 article is" if count == 1 else f"{count} articles are"
    print(f"{some} due again; a running daemon takes them up within half a minute, as does --once")


def delete(file: Path | None, level: str | None, ids: Sequence[int]) -> int:
    """Delete the articles `ids` and say which those were; returns the exit status: 1 when there is none with one of the
    ids."""
    config = prepared(file, level)
    deleted = {article.id: article for article in trio.run(_delete, config, ids)}
    end_with_reader()
    for article_id, article in sorted(deleted.items()):
        title = article.title or heading(article.text or "")
        print(strip_controls(collapse(f"deleted {article_id}, {title!r} of {article.source_name!r}")))
    missing = [article_id for article_id in dict.fromkeys(ids) if article_id not in deleted]
    for article_id in missing:
        print(f"digestd: {_unknown(article_id)}", file=sys.stderr)
    return 1 if missing else 0


def _unknown(article_id: int) -> str:
    return f"there is no article {article_id}; `digestd articles` lists them"


def _whole_record(article: Article, versions: Sequence[ArticleVersion]) -> dict[str, object]:
    texts = {"summary": article.summary, "content": article.content, "text": article.text}
    told = {"facts": article.facts, "versions": [version_record(version) for version in versions]}
    return {**article_record(article), "guid": mask_guid(article.guid), **texts, **told}


async def _articles(config: Configuration, query: ArticleQuery) -> list[Article]:
    async with looking_into(config) as store:
        return await store.articles(query)


async def _whole_article(
    config: Configuration, article_id: int
) -> tuple[Article | None, list[ArticleVersion]]:
    async with looking_into(config) as store:
        found = await store.articles(ArticleQuery(ids=(article_id,)))
        return (found[0], await store.article_versions(article_id)) if found else (None, [])


async def _set_aside(config: Configuration, limit: int) -> list[EntrySetAside]:
    async with looking_into(config) as store:
        return await store.entries_set_aside(limit)


async def _retry(config: Configuration, query: ArticleQuery) -> int:
    async with looking_into(config) as store:
        return await store.retry_pages(query)


async def _delete(config: Configuration, ids: Sequence[int]) -> list[Article]:
    async with looking_into(config) as store:
        return await store.delete_articles(ids)


def _cells(article: Article, now: datetime) -> Sequence[str]:
    seen, why = distance(article.fetched_at, now), article.extraction_error or ""
    title = article.title or heading(article.text or "")
    return str(article.id), seen, article.source_name, title, article.extraction, why


def _described(article: Article, versions: Sequence[ArticleVersion] = ()) -> str:
    page = article.extraction + (f": {article.extraction_error}" if article.extraction_error else "")
    if article.extraction == "pending" and article.next_extraction_at is not None:
        page += f" (next attempt {distance(article.next_extraction_at, datetime.now(UTC))})"
    facts = {
        "source": article.source_name,
        "link": article.url and mask_url(article.url),
        "canonical": article.canonical_url and mask_url(article.canonical_url),
        "author": article.author,
        "language": article.language,
        "published": f"{stamp(article.published_at)} (from: {article.published_from})",
        "first seen": stamp(article.fetched_at),
        "updated": stamp(article.updated_at),
        "page": f"{page}, attempts: {article.extraction_attempts}",
    }
    facts |= {f"version {version.number}": described(version) for version in versions}
    text = article.text or to_text(article.content or article.summary or "")
    origin = "text of the page" if article.text else "text of the feed"
    return _laid_out(collapse(article.title) or heading(article.text or ""), facts, origin, text)


def _described_version(version: ArticleVersion) -> str:
    facts = {
        f"version {version.number}": described(version),
        "link": version.url and mask_url(version.url),
        "author": version.author,
    }
    text = to_text(version.content or version.summary or "")
    return _laid_out(collapse(version.title), facts, "text of the feed", text)


def _laid_out(title: str, facts: Mapping[str, str | None], origin: str, text: str) -> str:
    # On one line each, whatever stands in them: a second line could be taken for another fact.
    lines = [f"{name:<11} {collapse(value)}" for name, value in facts.items() if value]
    body = "\n".join(_wrapped(line) for line in text.splitlines()) or "(no text)"
    return strip_controls("\n".join([title, "", *lines, "", f"-- {origin}", "", body]))


def _wrapped(line: str) -> str:
    return textwrap.fill(line, _WIDTH, break_long_words=False, break_on_hyphens=False)
