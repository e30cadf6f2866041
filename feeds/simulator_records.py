"""Drafts of feeds with record forms of their own -> JSON records: positions, orders, contracts, swaps, corporate actions.

Texts are put together here, one form each, because a day begins with a hundred thousand records. What they must look like is
said by `feeds.positions`, `feeds.orders` and so on; a test decodes every one.
"""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, Final, NamedTuple

import msgspec
from numpy.typing import NDArray

from engine.model import NO_DATE, Flag, Kind, Op
from feeds.calendars import TradingDays
from feeds.simulator_opening import Rows
from feeds.simulator_routes import Route, Step
from feeds.wire import Drafts, Vocabulary

_EPOCH: Final = date(1970, 1, 1).toordinal()
_STEPS: Final = {int(step): step.name for step in Step}
_KINDS: Final = [kind.name for kind in Kind]
_SIDES: Final = {
    int(Op.BUY): "BUY",
    int(Op.SELL): "SELL",
    int(Op.SHORT_SELL): "SHORT_SELL",
    int(Op.INCREASE): "BUY",
    int(Op.DECREASE): "SELL",
}
_RECEIVED: Final = (Kind.REPO_RECEIVED, Kind.REPO_RECEIVED_LOCKED)
_ATTRIBUTES: Final = ("hypothecatable", "hypothecated", "segregated", "reserved", "ca_pending")


class _Draft(NamedTuple):
    """What is looked at of a draft."""

    source: int
    seq: int
    time_ns: int
    security: int
    book: int
    depot: int
    ref: int
    op: int
    quantity: int
    kind: int
    action: int
    trade_date: int
    settle_date: int
    rate: int
    flags: int


class Dates:
    """Days as JSON texts. `market[security]`: where it is traded."""

    def __init__(self, days: TradingDays, market: NDArray[Any]) -> None:
        self._market = market.tolist()
        self._texts: dict[int, str] = {NO_DATE: "null"}
        self.turn(days)

    def turn(self, days: TradingDays) -> None:
        """It is another day in some markets."""
        self._settle, self._previous = days.ahead.tolist(), days.previous.tolist()

    @property
    def today(self) -> str:
        """The first market's."""
        return self.text(self._settle[0][0])

    def due(self, security: int, day: int) -> str:
        """The date of SD`day` of a security."""
        return self.text(self._settle[self._market[security]][day])

    def before(self, security: int) -> str:
        """The business day before today's."""
        return self.text(self._previous[self._market[security]])

    def text(self, day: int) -> str:
        """A day since 1970 as an ISO date in quotes; `NO_DATE` as null."""
        if day not in self._texts:
            self._texts[day] = f'"{date.fromordinal(day + _EPOCH).isoformat()}"'
        return self._texts[day]


class Writer:
    """Knows the words. `partners`: counterparties, of which each deal has one, or of `agents` where it is collateral received;
    `tag` tells deals of one run from another's."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        rows: Rows,
        dates: Dates,
        partners: Sequence[str],
        agents: Sequence[str],
        tag: str = "",
    ) -> None:
        self._sources, self._securities, self._books, self._depots = (
            [*map(_quoted, codes), '""']
            for codes in (vocabulary.sources, vocabulary.securities, vocabulary.books, vocabulary.depots)
        )
        self._rows = rows
        self._dates = dates
        self._partners, self._agents = list(map(_quoted, partners)), list(map(_quoted, agents))
        self._tag = tag
        self._forms: dict[int, Callable[[_Draft], tuple[str, ...]]] = {
            Route.POSITIONS: self._position,
            Route.ORDERS: self._order,
            Route.CONTRACTS: self._contract,
            Route.SWAPS: self._swap,
            Route.CORPORATE_ACTIONS: self._entitlement,
        }

    def records(self, route: int, drafts: Drafts) -> list[bytes]:
        """One record per draft, in order."""
        form = self._forms[route]
        made = map(form, map(_Draft._make, drafts[list(_Draft._fields)].tolist()))
        return [f"{{{','.join(members)}}}".encode() for members in made]

    # the members of each form

    def _head(self, draft: _Draft) -> str:
        return f'"src":{self._sources[draft.source]},"seq":{draft.seq},"ts":{draft.time_ns}'

    def _row(self, draft: _Draft) -> str:
        depot = self._depots[draft.depot]
        return f'"sec":{self._securities[draft.security]},"book":{self._books[draft.book]},"depot":{depot}'

    def _position(self, draft: _Draft) -> tuple[str, ...]:
        if draft.op == Op.RESET_BOOK:
            return '"type":"book"', self._head(draft), f'"book":{self._books[draft.book]},"date":{self._dates.today}'
        row = self._rows[draft.ref - 1]
        more = [f'"{name}":{value}' for name in _ATTRIBUTES if (value := int(row[name]))]
        if due := int(row["due"]):
            day = self._dates.due(draft.security, int(row["due_day"]))
            more.append(f'"{"receipts" if due > 0 else "deliveries"}":[[{day},{abs(due)}]]')
        if off := int(row["td_break"]):
            more.append(f'"td":{draft.quantity + due + off}')
        what = f'"kind":"{_KINDS[draft.kind]}","sd":{draft.quantity}'
        return '"type":"position"', self._head(draft), self._row(draft), what, *more

    def _contract(self, draft: _Draft) -> tuple[str, ...]:
        what = [f'"kind":"{_KINDS[draft.kind]}"', *self._step(draft, "C", draft.settle_date), *self._rated(draft)]
        if draft.action == Step.OPEN and draft.ref <= self._rows.size and self._rows["ended"][draft.ref - 1]:
            what.append(f'"end":{self._dates.before(draft.security)}')
        return self._head(draft), *what

    def _swap(self, draft: _Draft) -> tuple[str, ...]:
        head, kind = self._head(draft), f'"kind":"{_KINDS[draft.kind]}"'
        if draft.action == Step.NONE:
            return '"type":"position"', head, self._row(draft), f'"qty":{draft.quantity}'
        if draft.kind != Kind.SYNTHETIC:
            return '"type":"pledge"', head, kind, *self._step(draft, "P", draft.settle_date)
        side = f'"side":"{"LONG" if draft.op == Op.INCREASE else "SHORT"}"'
        end = [f'"end":{self._dates.text(draft.settle_date)}'] if draft.action == Step.OPEN else []
        return '"type":"swap"', head, side, *self._step(draft, "S", draft.trade_date), *self._rated(draft), *end

    def _step(self, draft: _Draft, letter: str, day: int) -> tuple[str, ...]:
        """What steps of contracts and swaps have in common; `day`: when it settles, or is due."""
        what = f'"id":"{letter}{draft.ref}{self._tag}","action":"{_STEPS[draft.action]}"'
        if not draft.quantity:
            return what, self._row(draft)
        when = "due" if draft.action == Step.RECALL else "settle"
        return what, self._row(draft), f'"qty":{draft.quantity},"{when}":{self._dates.text(day)}'

    def _rated(self, draft: _Draft) -> list[str]:
        known, at = (self._agents, draft.security) if draft.kind in _RECEIVED else (self._partners, draft.ref)
        partner = f'"counterparty":{known[at % len(known)]}'
        return [partner, f'"rate":{draft.rate}'] if draft.rate or draft.action == Step.RERATE else [partner]

    def _order(self, draft: _Draft) -> tuple[str, ...]:
        head, corrects = self._head(draft), draft.action == Step.CORRECT
        if corrects and draft.flags & Flag.CANCEL:
            return '"type":"execution_cancel"', head, f'"corrects":{draft.ref}'
        trade, settle = self._dates.text(draft.trade_date), self._dates.text(draft.settle_date)
        what = f'"side":"{_SIDES[draft.op]}","qty":{draft.quantity},"trade":{trade},"settle":{settle}'
        if not (corrects or draft.action == Step.EXECUTE):
            step = f'"id":"O{draft.ref}{self._tag}","action":"{_STEPS[draft.action]}"'
            return '"type":"order"', head, step, self._row(draft), what
        # what is corrected is known by its number; which order it was of is of no use any more
        order = f'"id":"X{draft.seq}{self._tag}","order":"O{draft.ref}{self._tag}","kind":"{_KINDS[draft.kind]}"'
        more = [f'"corrects":{draft.ref}'] if corrects else []
        return '"type":"execution"', head, order, self._row(draft), what, *more

    def _entitlement(self, draft: _Draft) -> tuple[str, ...]:
        what = f'"kind":"{_KINDS[draft.kind]}","qty":{draft.quantity}'
        return '"type":"entitlement"', self._head(draft), self._row(draft), what


def _quoted(code: str) -> str:
    return msgspec.json.encode(code).decode()
