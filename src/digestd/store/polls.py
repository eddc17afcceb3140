"""What is asked and answered about polls: claims and leases, steps and what the database made of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from digestd.model import Entry, LeftOut, Outcome, PollState, Source, State
from digestd.store.sharing import HostStart


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """Ask for the right to poll a source for `lease_seconds`; `force` claims it though it is not due. `host` is where
    the poll would start."""

    source_id: int
    lease_seconds: float
    force: bool = False
    host: HostStart | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to poll `source` until the lease ends. Every write names `token`.

    `unfinished_claims` counts the earlier claims in a row that nothing was recorded for: each one a process
    that died while polling this source.
    """

    source: Source
    state: PollState
    token: str
    consecutive_failures: int
    unfinished_claims: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now: come back in `seconds` (more than 0). `reason` is `not_due`, `leased`, `unfinished_claims`, or of the
    host `host` (others have just started there) or `host_paused`."""

    seconds: float
    reason: str
    unfinished_claims: int = 0


@dataclass(frozen=True, slots=True)
class Gone:
    """The source is not to be polled any more: removed, disabled, or a duplicate; or its row is not there."""

    reason: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """What the log of polls keeps of one that ends: how it ended, the status of a failure, in how many seconds, and how
    large the document was."""

    outcome: Outcome
    status: int | None
    seconds: float
    body_bytes: int


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What one step brought, to be written whole and only while `token` still holds the lease.

    `consecutive_failures` and `state` are what the row shall say afterwards. With `final` the lease is given
    back and the source is due again in `next_delay_seconds`; without, the lease is renewed for
    `lease_seconds`. `succeeded` marks a step that was not a failure (it moves `last_success_at`). `left_out` are
    entries that could not be read: they are kept in `entries_set_aside`. `skip_pages` says why the pages of new
    articles are not to be fetched; None: they are. `fetched` goes into the log of polls. `whole` says that the
    step is the only one of its poll and its entries are the whole document: not a part that came before it was cut off,
    not a page of several, not what is new alone. `effective_url` is where the source is asked from now on: None for the
    same as before, empty for the URL that was configured. `if_all_new` is what is written instead, but for the
    entries, where these bring articles and none of them was known.
    """

    source_id: int
    token: str
    next_state: PollState
    succeeded: bool
    consecutive_failures: int
    state: State
    schedule_reason: str
    next_delay_seconds: float
    lease_seconds: float
    entries: tuple[Entry, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    skip_pages: str | None = None
    last_error: str | None = None
    final: bool = True
    fetched: Fetched | None = None
    whole: bool = False
    if_all_new: StepRecord | None = None
    effective_url: str | None = field(default=None, repr=False)

    @property
    def proves_absence(self) -> bool:
        """Whether what is not among its entries has left the document. An empty document proves nothing, since it is
        more often a mistake; nor does one with entries that could not be read, which may be any."""
        return self.whole and bool(self.entries) and not self.left_out


@dataclass(frozen=True, slots=True)
class SetAside:
    """An entry the database refused, and why. The other entries of its step were kept, and so is it, beside them."""

    guid: str | None
    title: str
    reason: str


@dataclass(frozen=True, slots=True)
class EntrySetAside:
    """An entry that is no article, as it is kept: why, what was written of it (JSON), and when it was seen."""

    source_name: str
    guid: str | None
    title: str
    reason: str
    entry: str
    first_seen_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Two sources, by name, that lead to one URL: `paused` is the younger one, and is not polled for as long as `kept`
    is."""

    paused: str
    kept: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """The step is committed. `moved` says that the source has another effective URL now; `duplicates`, which sources
    were found to be one instead; `all_new`, that the step's `if_all_new` was written."""

    articles_new: int
    articles_updated: int
    set_aside: tuple[SetAside, ...] = ()
    moved: bool = False
    duplicates: tuple[Duplicate, ...] = ()
    all_new: bool = False


@dataclass(frozen=True, slots=True)
class LeaseLost:
    """The lease was no longer ours: nothing of the step was written."""


@dataclass(frozen=True, slots=True)
class Refused:
    """What was asked for one source could not be done at all, which is a bug or a damaged row: nothing of it was
    written. The lease of a step that is refused stands until it expires.

    `error` is for the task of this source to raise, so that no other one suffers.
    """

    error: Exception


@dataclass(frozen=True, slots=True)
class Lease:
    """A source and the token it was claimed with; None for whatever lease of it this process has, where the answer to
    a claim was lost with the connection."""

    source_id: int
    token: str | None
