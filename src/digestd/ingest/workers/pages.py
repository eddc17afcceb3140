"""What runs inside a page reader's process."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from digestd.errors import DocumentError, ParserFailed
from digestd.ingest.workers.confinement import limited
from digestd.model import Page

# A usual page takes 60 to 80 MB, one of 5 MB in plain paragraphs 100 MB.
MEMORY_BYTES = 160 * 1024 * 1024
RESIDENT_BYTES = 100 * 1024 * 1024

# How much of an exception goes into a message: it may quote the page.
_LONGEST_REASON = 200


def read_article(
    body: bytes, url: str, content_type: str | None, feed_html: str, title: str, cpu_seconds: float
) -> Page:
    """Read the page of one article under this process's limits, now.

    Raises what :func:`digestd.page.reading.read_page` and :func:`digestd.ingest.workers.confinement.limited` raise, and
    :class:`digestd.errors.ParserFailed` for whatever else the libraries make of an odd page.
    """
    # Here, for the daemon imports this module to name this function: 0.3 s and 20 MB that only workers need.
    from digestd.page.reading import read_page

    read = partial(read_page, feed_html=feed_html, title=title, now=datetime.now(UTC))
    return limited(MEMORY_BYTES, cpu_seconds, lambda: _bordered(lambda: read(body, url, content_type)))


def _bordered(read: Callable[[], Page]) -> Page:
    try:
        return read()
    except (MemoryError, RecursionError, DocumentError):
        raise
    # The border to libraries that raise anything on odd pages: that is a failed page, and their exceptions must not
    # reach the daemon, which would load the libraries to unpickle them.
    except Exception as error:
        reason = f"{type(error).__name__}: {str(error)[:_LONGEST_REASON]}"
        raise ParserFailed(f"the page cannot be read: {reason}") from error
