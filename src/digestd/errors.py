"""The failures digestd expects, as one tree. Anything outside it is a bug.

::

    DigestdError
    ├── ConfigurationError      a setting is wrong, with every problem found           exit status 78
    ├── StartError              something needed at start is not to be had             exit status 69
    ├── StoreError
    │   ├── StoreUnavailable    the database cannot be reached, or not just now; try again
    │   └── SchemaError         the database was written by a newer digestd            exit status 69
    ├── BackupError             a backup cannot be written, read or restored           exit status 1
    ├── ListError               a list of sources cannot be read or written            exit status 1
    └── SourceError             one poll of one source failed: a value of a step, never a crash
        ├── FetchError          nothing usable came over the network
        │   ├── BadURL              the URL cannot be asked for                        cause "url"
        │   ├── AddressRefused      the name leads to an address we must not reach     cause "address"
        │   ├── NameNotFound        DNS has no answer                                  cause "dns"
        │   ├── ResolverBusy        no thread became free to look the name up          cause "busy"
        │   ├── BodiesBusy          large documents of others are in hand              cause "busy"
        │   ├── ConnectFailed       no connection                                      cause "connect"
        │   ├── TLSFailed           the certificate or handshake is not acceptable     cause "tls"
        │   ├── FetchTimeout        the total deadline passed                          cause "timeout"
        │   ├── ProtocolFailed      broken HTTP: reset, wrong length, bad encoding     cause "protocol"
        │   ├── TooLarge            the body passes the size cap                       cause "too_large"
        │   ├── RedirectFailed      a circle, too many hops, or a hop to nowhere       cause "redirect"
        │   ├── HostPaused          a redirect leads to a host that wants us away      cause "paused"
        │   ├── UnwantedType        another media type than was asked for              cause "media_type"
        │   ├── Forbidden           robots.txt or X-Robots-Tag forbids it              cause "robots"
        │   └── HTTPStatus          an answer other than 2xx and 304                   cause "http_status"
        ├── WrongOptions        the source's options are not those of its kind     cause "settings"
        ├── Uncounted           nobody can say what its API has cost today             cause "busy"
        ├── FileFailed          files of this machine cannot be read               cause "file"
        └── DocumentError       something came, and it cannot be read
            ├── NotAFeed            it is no feed                                      cause "not_a_feed"
            ├── ParserFailed        the parser refused it                              cause "parser"
            │   └── ParserDied          it died, hung, or ran out of memory or time        cause "parser"
            ├── ParserBusy          no parser became free for it                       cause "busy"
            └── NoArticle           the page holds no article's text                   cause "no_article"

Messages are written for the operator: what happened, then what to do where that is known. They never carry
user info or query values of a URL (see :func:`digestd.masking.mask_url`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class DigestdError(Exception):
    """The root: every failure digestd expects."""


class ConfigurationError(DigestdError):
    """The configuration is wrong. `problems` holds one line per mistake, each naming file, key and remedy."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class StartError(DigestdError):
    """What the daemon needs at start (an address to listen on) is not to be had."""


class StoreError(DigestdError):
    """The root of what the store reports."""


class StoreUnavailable(StoreError):
    """The database cannot be reached or refuses work for now (restart, lock, disk full). Nothing was written."""


class SchemaError(StoreError):
    """The database's schema is newer than this digestd understands, or is not digestd's."""


class BackupError(DigestdError):
    """A backup cannot be written, read or restored. What was begun is undone."""


class ListError(DigestdError):
    """A list of sources, to be imported or exported, cannot be read or written. Nothing came of it."""


class SourceError(DigestdError):
    """One poll of one source failed.

    `cause` is a short stable word for logs and metrics; the message is for people. `retry_after` is how many
    seconds the server asked us to stay away, or None.
    """

    cause: ClassVar[str] = "source"

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class FetchError(SourceError):
    """Nothing usable came over the network. `url` is where redirects had led by then, where that is known."""

    cause = "fetch"
    url: str | None = None


class BadURL(FetchError):
    """The URL has a scheme, host or port that cannot be asked for."""

    cause = "url"


class AddressRefused(FetchError):
    """The host leads to an address that `fetch.allow_private_networks` does not permit."""

    cause = "address"


class NameNotFound(FetchError):
    """Name resolution failed."""

    cause = "dns"


class ResolverBusy(FetchError):
    """Names that hang kept every thread for looking names up busy: put off for `retry_after` seconds, not failed."""

    cause = "busy"


class BodiesBusy(FetchError):
    """So many large documents are in hand that no more are read: put off for `retry_after` seconds, not failed."""

    cause = "busy"


class ConnectFailed(FetchError):
    """No candidate address accepted a connection."""

    cause = "connect"


class TLSFailed(FetchError):
    """The TLS handshake failed: certificate expired, wrong name, unknown authority, protocol."""

    cause = "tls"


class FetchTimeout(FetchError):
    """The fetch did not end within its total deadline."""

    cause = "timeout"


class ProtocolFailed(FetchError):
    """The server broke HTTP: reset, early close, wrong length, undecodable body."""

    cause = "protocol"


class TooLarge(FetchError):
    """The body is larger than `fetch.max_body_bytes`, as sent or after decompression."""

    cause = "too_large"


class RedirectFailed(FetchError):
    """Redirects form a circle, are too many, or lead nowhere."""

    cause = "redirect"


class HostPaused(FetchError):
    """A redirect leads to a host that wants us away for `retry_after` seconds: put off, not failed."""

    cause = "paused"


class UnwantedType(FetchError):
    """The answer is of another media type than was asked for, kept in `media_type`; its body was not read."""

    cause = "media_type"

    def __init__(self, message: str, *, media_type: str) -> None:
        super().__init__(message)
        self.media_type = media_type


class Forbidden(FetchError):
    """The publisher does not want robots to fetch it (robots.txt) or to keep its text (X-Robots-Tag)."""

    cause = "robots"


class HTTPStatus(FetchError):
    """The server answered with an error status, kept in `status`."""

    cause = "http_status"

    def __init__(self, message: str, *, status: int, retry_after: float | None = None) -> None:
        super().__init__(message, retry_after=retry_after)
        self.status = status


class WrongOptions(SourceError):
    """The options that are kept of a source are not, or not any more, what its kind takes."""

    cause = "settings"


class Uncounted(SourceError):
    """What the source's API has cost today is kept in a database that cannot be had: put off, not failed."""

    cause = "busy"


class FileFailed(SourceError):
    """The files of this machine that a source consists of cannot be read."""

    cause = "file"


class DocumentError(SourceError):
    """A document came, and it cannot be read."""

    cause = "document"


class NotAFeed(DocumentError):
    """The document is no RSS, Atom, RDF or JSON Feed."""

    cause = "not_a_feed"


class ParserFailed(DocumentError):
    """The parser raised on this document, or it is more than we take."""

    cause = "parser"


class ParserDied(ParserFailed):
    """The parser's process died on this document, or had to be killed."""


class ParserBusy(DocumentError):
    """No parser became free in time to read the document: put off for `retry_after` seconds, not failed."""

    cause = "busy"


class NoArticle(DocumentError):
    """The page was read, and there is no article's text in it: scripts alone, images alone, a wall, a stub."""

    cause = "no_article"
