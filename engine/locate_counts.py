"""What locates count for in the calculations, and when: at once, or when a change of them is kept."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from engine.locates import Change, Locate, LocateType
from engine.model import Decided

DECREMENTS: Final = {LocateType.SHORT: Decided.SHORT_LOCATES, LocateType.LONG: Decided.LONG_LOCATES}
_APPROVED: Final = {
    LocateType.SHORT: Decided.APPROVED_SHORT_LOCATES,
    LocateType.LONG: Decided.APPROVED_LONG_LOCATES,
}


def shares_of(locate: Locate) -> dict[Decided, int]:
    """What an open locate counts for: what it holds of the pool, and what may still be sold on it."""
    kind = locate.request.type
    return {DECREMENTS[kind]: locate.decrement, _APPROVED[kind]: locate.remaining} if locate.open else {}


def difference(before: Locate | None, after: Locate) -> dict[Decided, int]:
    """What it counts for more than before."""
    held, now = shares_of(before) if before else {}, shares_of(after)
    return {what: now.get(what, 0) - held.get(what, 0) for what in held | now}


def at_once(before: Locate | None, after: Locate) -> dict[Decided, int]:
    """What counts before it is kept: more that is held of the pool, and less that may be sold.

    What a sale has used up is counted by its order until both are kept, so nobody is refused in between.
    """
    sold = before is not None and after.used > before.used
    held = DECREMENTS[after.request.type]
    return {
        what: max(0, shares) if what == held else 0 if sold else min(0, shares)
        for what, shares in difference(before, after).items()
    }


def counted(shown: Iterable[Locate], unsettled: Iterable[Change]) -> dict[tuple[str, Decided], int]:
    """What must be counted by code: for locates as they are shown, and for changes of them that are not kept yet."""
    sums: Counter[tuple[str, Decided]] = Counter()
    for locate in shown:
        for what, shares in shares_of(locate).items():
            sums[locate.request.security, what] += shares
    for change in unsettled:
        taken = at_once(change.before, change.after)
        for what, shares in difference(change.before, change.after).items():
            shown_already = shares if change.after.open else 0
            sums[change.after.request.security, what] += taken[what] - shown_already
    return dict(sums)
