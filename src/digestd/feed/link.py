"""Links of entries: absolute, on the web, or none."""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit

# No URL holds them. Browsers drop some of them inside one (WHATWG URL, 4.4), where templates put them, and urlsplit
# looks past those before it.
_DROPPED = re.compile("[\x00-\x1f\x7f-\x9f]+")

# What is left as it is, whatever it is resolved against: most links, at a tenth of the cost.
_PLAIN_URL = re.compile(
    r"https?://[A-Za-z0-9.-]+(?:/[\w./~%+-]*)?(?:\?[\w./~%+=&-]+)?(?:#[\w./~%+=&-]+)?", re.ASCII
)


def absolute_link(base: str, href: str) -> str | None:
    """Resolve `href` against `base`; None unless that makes an absolute http or https URL. Never raises."""
    if is_plain_url(href) and is_sound(base):
        return href
    try:
        link = urljoin(base, _DROPPED.sub("", href).strip())
        parts = urlsplit(link)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return None
    return link.replace(" ", "%20")


def is_plain_url(url: str) -> bool:
    """Whether `url` is an absolute http or https URL without anything to resolve in it or to be in doubt about."""
    return _PLAIN_URL.fullmatch(url) is not None


def is_sound(base: str) -> bool:
    """Whether something can be resolved against `base`."""
    try:
        urlsplit(base)
    except ValueError:
        return False
    return True


def is_web_address(text: str) -> bool:
    """Whether `text` is an absolute http or https URL, or a path on the server it was found on."""
    return text.startswith("/") or absolute_link("", text) is not None
