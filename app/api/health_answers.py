"""What the API answers about feeds, processes, parked and quarantined records, as types."""

import datetime as dt
from typing import Annotated, Final

from msgspec import Meta, Struct

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

Moment = dt.datetime | None
_Count = Annotated[int, Meta(ge=0)]


class Gap(Struct, frozen=True):
    """Sequence numbers that have not come, both ends included."""

    first: int
    last: int


class FeedAnswer(Struct, frozen=True, kw_only=True):
    """One feed as it is now. Times are null for what never happened."""

    feed: str
    title: str
    topic: str
    state: Annotated[str, Meta(description="off, starting, live, behind, stale or missing.")]
    since: Annotated[Moment, Meta(description="Since when it is in that state.")]
    concern: Annotated[
        list[str], Meta(description="What is in doubt while it is stale: SHARES, MONEY, REFERENCE, STATEMENTS.")
    ]
    required: bool
    limit_s: Annotated[int, Meta(description="Later than this, it is stale.")]
    partitions: int
    lag: Annotated[_Count, Meta(description="Records that are there and not yet read.")]
    age_ms: Annotated[int | None, Meta(description="Since its newest record came.")]
    late_ms: Annotated[int | None, Meta(description="Since it was last known to be complete: judged by the limit.")]
    last_good: Annotated[Moment, Meta(description="When its source last answered and all of it was read.")]
    last_record: Moment
    last_event: Annotated[Moment, Meta(description="Its newest record's own time.")]
    rate: Annotated[float, Meta(description="Records a second.")]
    rates: Annotated[list[float], Meta(description="The same over the last two minutes, oldest first.")]
    records: _Count
    events: _Count
    unreadable: _Count
    gaps: Annotated[int, Meta(description="Sequence numbers missing, over all its sources.")]
    quarantined: Annotated[_Count, Meta(description="Events of it that are in the quarantine.")]
    parked: Annotated[_Count, Meta(description="Records of it that wait for reference data.")]


class Feeds(Struct, frozen=True):
    """All feeds."""

    feeds: list[FeedAnswer]


class SourceAnswer(Struct, frozen=True, kw_only=True):
    """A source that numbers its events."""

    source: str
    newest: int
    missing: Annotated[int, Meta(description="Sequence numbers that have not come.")]
    gaps: Annotated[list[Gap], Meta(description="Oldest first, at most 1,000.")]


class PartitionAnswer(Struct, frozen=True, kw_only=True):
    """How far a partition has been applied."""

    partition: int
    applied: Annotated[int, Meta(description="Everything before this offset is in the tables.")]


class FeedDetail(Struct, frozen=True, kw_only=True):
    """A feed, its sources and its partitions."""

    feed: FeedAnswer
    sources: list[SourceAnswer]
    partitions: list[PartitionAnswer]


class ProcessAnswer(Struct, frozen=True, kw_only=True):
    """A process of the service."""

    process: str
    state: Annotated[str, Meta(description="live, starting or down.")]
    pid: int
    up_ms: int | None
    restarts: int
    memory_bytes: int | None
    processor_s: Annotated[float | None, Meta(description="Processor time used since it was started.")]


class SnapshotHealth(Struct, frozen=True, kw_only=True):
    """The newest snapshot, and how it went."""

    taken_at: Moment
    age_ms: int | None
    size_bytes: int | None
    pause_ms: Annotated[float | None, Meta(description="The longest the writer was stopped for it.")]
    kept: int
    skipped: Annotated[int, Meta(description="Damaged files that were passed over at start.")] = 0
    problem: str = ""


class ArchiveHealth(Struct, frozen=True, kw_only=True):
    """How far the archive is."""

    state: Annotated[str, Meta(description="live, behind, gap (something is missing), down or off.")]
    behind_ms: int | None
    backlog_bytes: int
    written_at: Moment
    size_bytes: int | None
    gaps: int
    dropped: Annotated[int, Meta(description="Messages that could not be told it.")]
    problem: str = ""


class FilesHealth(Struct, frozen=True, kw_only=True):
    """The log of records that came in files: `applied` of `accepted` are in the tables."""

    accepted: int
    applied: int
    problem: Annotated[str, Meta(description="What cannot be read, and what to do; empty where all is well.")] = ""


class ParkedSum(Struct, frozen=True, kw_only=True):
    """Records that wait, in sum."""

    records: int
    events: int
    shares: int
    bytes: int
    limit_records: int
    limit_bytes: int
    oldest: Moment
    problem: Annotated[str, Meta(description="Why the last change could not be written to disk.")] = ""


class QuarantineSum(Struct, frozen=True, kw_only=True):
    """Records set aside, in sum. `dropped`: those that had to go for newer ones."""

    entries: int
    events: int
    bytes: int
    dropped: int
    limit_entries: int
    limit_bytes: int


class Health(Struct, frozen=True, kw_only=True):
    """The service in one look. Parts that do not run here are null."""

    at: Moment
    ready: bool
    stale: Annotated[list[str], Meta(description="What is in doubt now: SHARES, MONEY, REFERENCE, STATEMENTS.")]
    heartbeat_age_ms: int | None
    events: int
    missing: int
    duplicates: int
    rejected: int
    feeds: list[FeedAnswer]
    processes: list[ProcessAnswer]
    snapshot: SnapshotHealth | None
    archive: ArchiveHealth | None
    files: FilesHealth | None
    exceptions: Annotated[int | None, Meta(description="Identifier conflicts that wait for a person.")]
    parked: ParkedSum
    quarantine: QuarantineSum


class Code(Struct, frozen=True):
    """What is not known, and what it would name."""

    kind: str
    code: str


class SharesOf(Struct, frozen=True):
    """Absolute shares of a security, by the code that the record has for it."""

    security: str
    shares: int


class ParkedAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A record that waits; `raw` as text, `raw_base64` where it is none."""

    id: int
    feed: str
    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    events: int
    missing: list[Code]
    shares: list[SharesOf]
    parked_at: Moment
    raw_bytes: int
    raw: str | None = None
    raw_base64: str | None = None


class ParkedPage(Struct, frozen=True, kw_only=True):
    """Records that wait, in the order in which they will be used."""

    records: list[ParkedAnswer]
    next_cursor: Annotated[str | None, Meta(description="Ask with it for later ones; null at the end.")]


class QuarantineAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A record that was set aside."""

    id: int
    feed: str
    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    events: int
    received_at: str
    raw_bytes: int
    raw: str | None = None
    raw_base64: str | None = None


class QuarantinePage(Struct, frozen=True, kw_only=True):
    """Records that were set aside, newest first."""

    records: list[QuarantineAnswer]
    next_cursor: str | None


class Retried(Struct, frozen=True, kw_only=True):
    """What became of records that were read again."""

    used: int
    left: Annotated[int, Meta(description="Still not usable: they stay where they were, or went to the quarantine.")]


class Discarded(Struct, frozen=True, kw_only=True):
    """How many records were given up."""

    discarded: int


def moment(ns: int) -> Moment:
    """Null for 0."""
    return _EPOCH + dt.timedelta(microseconds=ns // 1_000) if ns else None


class RetryRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Which records to read again; of parked ones null: all of them."""

    ids: Annotated[list[int], Meta(max_length=10_000)] | None = None


class DiscardRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Which records to give up, and why."""

    ids: Annotated[list[int], Meta(min_length=1, max_length=10_000)]
    comment: Annotated[str, Meta(max_length=2_000)] = ""
