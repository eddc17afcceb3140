"""Reading a page that lists articles: its links become entries, those that a selector finds or those that look like
articles. The page itself is read as :mod:`digestd.page.tree` reads every page, within its bounds.

What looks like an article is decided link by link, from what people who make lists do: the title is in a heading, the
address is made of the title's words or holds a date or a number, the text is a sentence, each stands in a box of its
own beside others like it, and not in the navigation.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from urllib.parse import SplitResult, urlsplit

from lxml.etree import XPath, XPathError

from digestd.errors import NotAFeed
from digestd.feed.dates import parse_date
from digestd.feed.entry import LONGEST_LINK, language_tag, make_entry
from digestd.feed.identity import LONGEST_TITLE
from digestd.feed.link import absolute_link
from digestd.feed.text import collapse, line_of
from digestd.model import Document, Entry
from digestd.page.advertised import advertised, base_of
from digestd.page.canonical import without_tracking
from digestd.page.charset import decode_html
from digestd.page.selector import xpath_of
from digestd.page.tree import Tree, parse_page

MOST_LINKS = 1_000
"""Links of one page that become entries, those first that stand first."""
LIKELY = 4
"""From so many points on a link looks like that of an article."""
PLAUSIBLE = 2
"""From so many on it does where no other looks more like one, and it is not the only one."""

_LINKS = XPath("//body//a[@href]")
_LONGEST_FEED_URL = 300
_MOST_LOOKED_AT = 5_000
_BOX_LEVELS = 6
_MOST_TEXTS, _LONGEST_BOX = 100, 1_000

_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_BOXES = frozenset({"article", "li", "tr", "dt", "dd"})
_FRAME = frozenset({"nav", "header", "footer", "aside", "form", "menu"})
_FRAME_WORDS = re.compile(
    r"(?:^|[\s_-])(?:nav\w*|menu\w*|breadcrumbs?|footer|sidebar|social\w*|share|sharing|paginat\w*|pager|cookie\w*"
    r"|tag-?list|tags|widget|toolbar|skip\w*|language\w*|lang-\w+|related)(?:$|[\s_-])",
    re.IGNORECASE,
)
# Anywhere in a path: what lists, or is about the site itself, and is no article.
_LISTING = re.compile(
    r"/(?:tags?|category|categories|kategorie|topics?|themen|authors?|autor|users?|page|seite|search|suche|login|signin"
    r"|register|signup|about|about-us|contact|kontakt|impressum|imprint|privacy|datenschutz|terms|legal|cookies?|feeds?"
    r"|rss|subscribe|newsletter|jobs|careers|help|faq|sitemap|archives?|advertise|cart|account)(?:/|\.html?$|\.php$|$)"
    r"|/page-?\d+/?$",
    re.IGNORECASE,
)
_NO_PAGES = re.compile(
    r"\.(?:png|jpe?g|gif|svg|webp|ico|css|js|json|xml|rss|atom|zip|gz|tgz|exe|dmg|mp3|mp4|avi|woff2?|ics|asc|sig)$",
    re.IGNORECASE,
)
_DATED = re.compile(r"(?:19|20)\d\d[/_-](?:0?[1-9]|1[0-2])(?:[/_-]|$)")
_NUMBERED = re.compile(r"\d{3,}|[a-z]{2,}-\d{2,4}-\d{2,}", re.IGNORECASE)
# "Read more", in the languages that sites are most often in; no title.
_GENERIC = re.compile(
    r"(?:read|learn|see|find out|show|view|continue|full|click)\b.{0,20}|more\b.{0,12}|details?|link|here|permalink"
    r"|next|previous|older|newer|comments?|\d+ comments?|share|weiter(?:lesen)?\b.{0,12}|mehr\b.{0,20}|lire\b.{0,12}"
    r"|en savoir plus|leer más|leggi\b.{0,12}|czytaj\b.{0,12}|[\W\d_]*",
    re.IGNORECASE,
)
_DATE_IN_TEXT = re.compile(
    r"\b(?:\d{4}-\d{2}-\d{2}|\d{1,2}\.\s?\d{1,2}\.\s?\d{4}|\d{1,2}\s+[^\W\d]{3,9}\.?,?\s+\d{4}"
    r"|[^\W\d]{3,9}\.?\s+\d{1,2}(?:st|nd|rd|th)?,?\s+\d{4})\b"
)


@dataclass(slots=True)
class _Found:
    """A link of the page: where it leads, and the elements that lead there, in order."""

    url: str
    elements: list[Tree] = field(default_factory=list)


def read_listing(
    body: bytes, url: str, content_type: str | None, selector: str | None, match: Sequence[str]
) -> Document:
    """Read the page `body`, served as `content_type` from `url`, where redirects ended.

    With a CSS `selector`, the links are those that it finds, or the main link of each box that it finds; without one,
    those that look like articles of the same site. Of these, only such in whose URL one of the patterns `match`
    (regular expressions; all, if there is none) is found. Each becomes an entry once, in the order of the page.

    The document's facts: `feed`, the URL of the feed that the page advertises, None for none; `left_out`, how many
    links were more than are kept; `sure`, False where the links merely may be articles.

    Raises :class:`~digestd.errors.NotAFeed` where nothing is left, saying why, and what
    :func:`~digestd.page.tree.parse_page` raises.
    """
    tree = parse_page(decode_html(body, content_type))
    base = base_of(tree, url)
    links = _links(_LINKS(tree)[:_MOST_LOOKED_AT], base, url)
    sure = True
    if selector is None:
        # What cannot be an article is no neighbour: tags and authors stand in the box of theirs.
        possible = [one for one in links.values() if _may_be_article(one, url)]
        boxes = _Boxes(possible)
        points = {one.url: _points(one, boxes, url) for one in possible}
        found = [one for one in possible if points[one.url] >= LIKELY]
        sure = bool(found)
        if not found:
            plausible = [one for one in possible if points[one.url] >= PLAUSIBLE]
            found = plausible if len(plausible) >= 2 else []
        nothing = "no link of the page looks like an article; say which do (options: links)"
    else:
        found = _selected(tree, selector, links, base, url)
        nothing = "the selector of options: links finds no link on the page"
    if found and match:
        patterns = [re.compile(pattern) for pattern in match]
        found = [one for one in found if any(pattern.search(one.url) for pattern in patterns)]
        nothing = "no link of the page has a URL that options: match wants"
    if not found:
        raise NotAFeed(nothing)
    return Document(
        url=url,
        format="html",
        title=line_of("".join(tree.xpath("string((//title)[1])")), LONGEST_TITLE) or None,
        language=language_tag(tree.get("lang")),
        entries=_entries(found[:MOST_LINKS]),
        facts={
            "feed": _advertised(tree, base, url),
            "left_out": max(0, len(found) - MOST_LINKS),
            "sure": sure,
        },
    )


def _links(elements: Iterable[Tree], base: str, url: str) -> dict[str, _Found]:
    """The links among `elements` to other pages, by URL, in order."""
    own = without_tracking(url)
    found: dict[str, _Found] = {}
    for element in elements:
        link = _target(element, base)
        if link is not None and link != own:
            found.setdefault(link, _Found(link)).elements.append(element)
    return found


def _target(element: Tree, base: str) -> str | None:
    href = element.get("href", "")
    if not href.strip() or href.lstrip().startswith("#"):
        return None
    link = absolute_link(base, href)
    link = None if link is None else without_tracking(link)
    return link if link is not None and len(link) <= LONGEST_LINK else None


class _Boxes:
    """What stands around each link, up to where another one begins: there its title and date are."""

    def __init__(self, links: Iterable[_Found]) -> None:
        self._leads: dict[Tree, set[str]] = defaultdict(set)
        for one in links:
            for element in one.elements:
                for around in _around(element):
                    if len(seen := self._leads[around]) < 2:
                        seen.add(one.url)
        self._shapes: Counter[str] = Counter(_shape(element) for one in links for element in one.elements[:1])

    def box(self, element: Tree) -> Tree:
        """The largest element around the link `element` that leads nowhere else."""
        box = element
        for around in _around(element):
            if len(self._leads[around]) > 1 or around.tag in ("body", "main", "html"):
                break
            box = around
            if around.tag in _BOXES:
                break
        return box

    def siblings(self, element: Tree) -> int:
        """How many links stand in the page as `element` does."""
        return self._shapes[_shape(element)]


def _around(element: Tree) -> Iterator[Tree]:
    for level, around in enumerate(element.iterancestors()):
        if level >= _BOX_LEVELS:
            return
        yield around


def _shape(element: Tree) -> str:
    """How `element` stands in the page: alike for those that one line of a template wrote."""
    return "/".join(
        f"{one.tag}.{one.get('class', '')[:100]}" for one in [element, *list(_around(element))[:3]]
    )


def _may_be_article(one: _Found, url: str) -> bool:
    """Whether the URL could be that of an article of the site of `url`."""
    parts, own = urlsplit(one.url), urlsplit(url)
    path = parts.path
    if not _is_same_site(parts, own) or _NO_PAGES.search(path) or _LISTING.search(path):
        return False
    return not _leads_to(own.path, path) or bool(parts.query and path not in ("", "/"))


def _points(one: _Found, boxes: _Boxes, url: str) -> int:
    """How much the link looks like that of an article."""
    parts, own = urlsplit(one.url), urlsplit(url)
    return max(_points_of(element, parts, own, boxes) for element in one.elements[:5])


def _points_of(element: Tree, parts: SplitResult, own: SplitResult, boxes: _Boxes) -> int:
    box = boxes.box(element)
    title = _title_in(element, box)
    last = parts.path.rstrip("/").rpartition("/")[2]
    points = 0
    points += 2 * (_in_heading(element) or box.find(".//time") is not None)
    points += 2 * (last.count("-") + last.count("_") >= 2)
    points += bool(_DATED.search(parts.path)) or bool(_NUMBERED.search(last + parts.query))
    points += parts.path.startswith(own.path.rstrip("/") + "/")
    words = len(title.split())
    points += (words >= 3 and len(title) >= 12) + (words >= 5)
    points += any(around.tag == "article" for around in element.iterancestors())
    points += (boxes.siblings(element) >= 2) + (box.tag in _BOXES)
    points += _date_in(box) is not None
    return points - 4 * _in_frame(element) - 2 * (not title)


def _is_same_site(parts: SplitResult, own: SplitResult) -> bool:
    one, other = ((each.hostname or "").removeprefix("www.") for each in (parts, own))
    return one == other or one.endswith("." + other) or other.endswith("." + one)


def _leads_to(own: str, path: str) -> bool:
    """Whether `path` is the page itself, or lies on the way to it."""
    return own.rstrip("/").startswith(path.rstrip("/"))


def _in_heading(element: Tree) -> bool:
    if any(around.tag in _HEADINGS for around in list(_around(element))[:3]):
        return True
    return any(inner.tag in _HEADINGS for inner in element.iterdescendants())


def _in_frame(element: Tree) -> bool:
    for around in element.iterancestors():
        if around.tag == "article":
            return False
        if around.tag in _FRAME or around.get("role") in ("navigation", "banner", "contentinfo"):
            return True
        if around.tag != "body" and _FRAME_WORDS.search(
            f"{around.get('class', '')} {around.get('id', '')}"[:300]
        ):
            return True
    return False


def _selected(tree: Tree, selector: str, links: dict[str, _Found], base: str, url: str) -> list[_Found]:
    try:
        chosen = XPath(xpath_of(selector))(tree)
    except (ValueError, XPathError) as error:
        raise NotAFeed(f"the selector of options: links cannot be used: {error}") from error
    own = without_tracking(url)
    found: dict[str, _Found] = {}
    for element in chosen[:_MOST_LOOKED_AT]:
        inside = [element] if element.tag == "a" else element.xpath(".//a[@href]")[:_MOST_LOOKED_AT]
        if element.tag != "a" and len(chosen) > 1:
            inside = _main(inside)
        for one in inside:
            link = _target(one, base)
            if link is not None and link != own:
                found.setdefault(link, links.get(link) or _Found(link, [one]))
    return list(found.values())


def _main(links: Sequence[Tree]) -> Sequence[Tree]:
    """The link of a box that is about one article: that of its heading, else the one with the longest text."""
    headed = [link for link in links if _in_heading(link)]
    return (headed or sorted(links, key=lambda link: -len(collapse(link.text_content()))))[:1]


def _entries(found: Sequence[_Found]) -> tuple[Entry, ...]:
    boxes = _Boxes(found)
    return tuple(_entry(one, boxes) for one in found)


def _entry(one: _Found, boxes: _Boxes) -> Entry:
    titles = [_title_in(element, boxes.box(element)) for element in one.elements[:5]]
    return make_entry(
        guid=None,
        link=one.url,
        title=max(titles, key=_weight, default=""),
        author=None,
        language=None,
        summary=None,
        content=None,
        dates=[date for element in one.elements[:5] for date in _dates_in(boxes.box(element))],
    )


def _weight(title: str) -> int:
    # Of a teaser and a headline the headline is meant, of a picture's link and it, too.
    return len(title) if len(title) <= 200 else 1


def _title_in(element: Tree, box: Tree) -> str:
    """What the link is called: its heading, its text, that of the box it stands in, or what stands for a picture."""
    inner = [each for each in element.iterdescendants() if each.tag in _HEADINGS]
    said: list[Callable[[], str]] = [
        lambda: _text(inner[0]) if inner else "",
        lambda: _text(element),
        lambda: next((_text(each) for each in box.iterdescendants() if each.tag in _HEADINGS), ""),
        lambda: element.get("aria-label", "") or element.get("title", ""),
        lambda: next((each.get("alt", "") for each in element.iterdescendants("img")), ""),
    ]
    titles = [
        line for say in said if (line := line_of(say(), LONGEST_TITLE)) and not _GENERIC.fullmatch(line)
    ]
    if titles and len(titles[0].split()) < 2 and box.tag == "tr":
        # The number of an advisory in one cell, what it is about in the next.
        return line_of(_row(box), LONGEST_TITLE)
    return titles[0] if titles else ""


def _row(row: Tree) -> str:
    cells = [collapse(cell.text_content()) for cell in row.iterchildren("td", "th")]
    return " ".join(cell for cell in cells if cell and parse_date(cell) is None)[:300]


def _text(element: Tree) -> str:
    # Words of neighbouring elements are words of their own, and times are no part of a title.
    pieces: list[str | None] = []
    for each in islice(element.iter(), _MOST_TEXTS):
        if each.tag == "time":
            pieces.append(each.tail if each is not element else "")
            continue
        pieces += [each.text, each.tail if each is not element else ""]
    return " ".join(piece for piece in pieces if piece)[:_LONGEST_BOX]


def _dates_in(box: Tree) -> Iterator[str]:
    for moment in box.iterdescendants("time"):
        yield from (moment.get("datetime", ""), collapse(moment.text_content()))
    if (date := _date_in(box)) is not None:
        yield date


def _date_in(box: Tree) -> str | None:
    """The first date in the text of `box`."""
    text = collapse(" ".join(islice(box.itertext(), _MOST_TEXTS)))[:_LONGEST_BOX]
    return next((match[0] for match in _DATE_IN_TEXT.finditer(text) if parse_date(match[0])), None)


def _advertised(tree: Tree, base: str, url: str) -> str | None:
    return next((feed for feed, _ in advertised(tree, base, url) if len(feed) <= _LONGEST_FEED_URL), None)
