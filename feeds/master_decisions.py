"""What a person may decide of securities, and what became of it."""

from enum import StrEnum

import msgspec

from feeds.master_records import Merge, Split


class DecisionKind(StrEnum):
    """What is decided."""

    DECIDE = "decide"
    """Which of the values of an exception is right; "": none of them."""
    MERGE = "merge"
    """`source` becomes `target`."""
    SPLIT = "split"
    """Positions of `source` go to `target`: of a book, a depot or both; else a merge of `target` into `source` is undone."""


class Decision(msgspec.Struct, frozen=True, omit_defaults=True):
    """The decision itself. `case`: of an exception, with the value chosen."""

    kind: DecisionKind
    case: str = ""
    value: str = ""
    source: str = ""
    target: str = ""
    book: str = ""
    depot: str = ""
    comment: str = ""


class Decided(msgspec.Struct, frozen=True, omit_defaults=True):
    """A decision with its number (0: a source's own), its time and whose it is; `considered`: the values there were."""

    entry: int
    at_ns: int
    who: str
    decision: Decision
    considered: tuple[str, ...] = ()
    subject: str = ""
    """The security that an exception is about."""


def decision_of(record: Merge | Split) -> Decision:
    """What a record of the reference topic decides."""
    if isinstance(record, Merge):
        return Decision(DecisionKind.MERGE, source=record.source, target=record.target, comment=record.comment)
    return Decision(
        DecisionKind.SPLIT,
        source=record.source,
        target=record.target,
        book=record.book,
        depot=record.depot,
        comment=record.comment,
    )
