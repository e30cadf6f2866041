"""The rows of the slow reference, and the life of deals over them: every move is kept, by date, and taken back one by one."""

import dataclasses
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from engine.model import RATE_UNKNOWN, DealAction, Flag, Kind, Op

Key = tuple[int, int, int, int]
"""Security, book, depot, kind."""


@dataclass
class Row:
    td: int = 0
    sd: int = 0
    receipts: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    """By settlement date."""
    deliveries: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    intraday_buy: int = 0
    intraday_sell: int = 0
    intraday_short: int = 0
    hypothecatable: int = 0
    hypothecated: int = 0
    segregated: int = 0
    reserved: int = 0
    ca_pending: int = 0


@dataclass
class Market:
    """Open days as a sorted list; today is one of them."""

    code: str
    open_days: list[int]
    today: int
    quanto_days: int = 0
    lending_open: bool = True

    def days_until(self, date: int) -> int:
        """Business days from today to the first one at or after `date`; negative in the past."""
        upcoming = [day for day in self.open_days if day >= date]
        if not upcoming:
            return 10_000
        return self.open_days.index(upcoming[0]) - self.open_days.index(self.today)

    def quanto(self, trade_date: int, settle_date: int) -> int:
        """A quanto trade dated for the next business day settles so many business days later."""
        if not self.quanto_days or trade_date < self.open_days[0]:
            return settle_date
        if self.days_until(settle_date) - self.days_until(trade_date) != 1:
            return settle_date
        first = next(day for day in self.open_days if day >= settle_date)
        return self.open_days[self.open_days.index(first) + self.quanto_days]


@dataclass
class Move:
    """What one event did: enough to take it back."""

    row: Key
    op: Op
    quantity: int
    date: int
    trade_date: int


@dataclass
class Deal:
    row: Key
    op: Op
    rate: int | None
    quantity: int = 0
    recalled: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    """By due date."""
    moves: list[Move] = field(default_factory=list)
    """All it ever did, each of it by date."""
    state: str = "open"


class Deals:
    """`move` does a move; `market` tells a security's."""

    def __init__(self, rows: dict[Key, Row], move: Callable[[Move], None], market: Callable[[int], Market]) -> None:
        self._rows = rows
        self._move = move
        self._market = market
        self.known: dict[tuple[int, bytes], Deal] = {}
        """By source and code."""

    def knows(self, record: Any) -> bool:
        """Whether a step is about a deal that there is, or was; what opens one needs none."""
        name = int(record["event"]["source"]), bytes(record["code"])
        return DealAction(int(record["action"])) == DealAction.OPEN or name in self.known

    def step(self, record: Any, quantity: int) -> bool:
        """One step; False where it is refused."""
        event, action = record["event"], DealAction(int(record["action"]))
        name = int(event["source"]), bytes(record["code"])
        deal = self.known.get(name)
        if action == DealAction.OPEN:
            if (deal is not None and deal.state != "cancelled") or quantity < 1 or not self._can_move(event):
                return False
            row = (int(event["security"]), int(event["book"]), int(event["depot"]), int(event["kind"]))
            rate = int(record["rate"])
            deal = self.known[name] = Deal(row, Op(int(event["op"])), None if rate == RATE_UNKNOWN else rate)
            return self._changed_by(deal, lambda: self._put(deal, deal.op, quantity, self._dated(event)))
        if deal is None or deal.state == "cancelled":
            return False
        if deal.state == "closed" and action not in (DealAction.INCREASE, DealAction.CANCEL):
            return False
        return self._changed_by(deal, self._of(deal, action, quantity, event, record))

    def _of(self, deal: Deal, action: DealAction, quantity: int, event: Any, record: Any) -> Callable[[], Any] | None:
        """What a step does, where it can be done."""
        back = Op.DECREASE if deal.op == Op.INCREASE else Op.INCREASE
        date, security = self._dated(event), deal.row[0]
        is_order = deal.row[3] == Kind.OPEN_ORDER
        payable = is_order or (date >= 0 and self._market(security).days_until(date) >= 0)
        match action:
            case DealAction.INCREASE if quantity > 0 and date >= 0 and self._market(security).days_until(date) >= 0:
                return lambda: self._put(deal, deal.op, quantity, date)
            case DealAction.RECALL if not is_order and 0 < quantity <= deal.quantity - sum(deal.recalled.values()):
                due = int(record["due_date"])
                if due < 0 or self._market(security).days_until(due) < 0:
                    return None
                return lambda: self._recall(deal, back, quantity, due)
            case DealAction.RETURN if 0 < quantity <= deal.quantity and payable:
                return lambda: self._return(deal, back, quantity, date)
            case DealAction.CLOSE if payable or not deal.quantity:
                return lambda: self._return(deal, back, deal.quantity, date)
            case DealAction.RERATE:
                rate = int(record["rate"])
                return lambda: setattr(deal, "rate", None if rate == RATE_UNKNOWN else rate)
            case DealAction.CANCEL:
                return lambda: self._undo(deal)
        return None

    def _changed_by(self, deal: Deal, change: Callable[[], Any] | None) -> bool:
        if change is None:
            return False
        before = self.rate_of(deal.row)
        change()
        if (after := self.rate_of(deal.row)) != before:
            self._rows[deal.row].hypothecated = after
        return True

    def rate_of(self, row: Key) -> int:
        """The average of a row's open deals, weighed by what is open of them."""
        if row[3] <= Kind.SYNTHETIC or row[3] == Kind.OPEN_ORDER:
            return 0
        open_here = [deal for deal in self.known.values() if deal.row == row and deal.rate is not None]
        quantity = sum(deal.quantity for deal in open_here)
        return max(0, sum(deal.quantity * (deal.rate or 0) for deal in open_here) // quantity) if quantity else 0

    def _can_move(self, event: Any) -> bool:
        date = self._dated(event)
        return date >= 0 and self._market(int(event["security"])).days_until(date) >= 0

    def _dated(self, event: Any) -> int:
        date, market = int(event["settle_date"]), self._market(int(event["security"]))
        return market.quanto(int(event["trade_date"]), date) if event["flags"] & Flag.QUANTO and date >= 0 else date

    def _put(self, deal: Deal, op: Op, quantity: int, date: int) -> None:
        self._moved_by(deal, op, quantity, date)
        deal.quantity += quantity
        deal.state = "open"

    def _moved_by(self, deal: Deal, op: Op, quantity: int, date: int) -> None:
        deal.moves.append(Move(deal.row, op, quantity, date, -1))
        self._move(deal.moves[-1])

    def _recall(self, deal: Deal, back: Op, quantity: int, due: int) -> None:
        self._moved_by(deal, back, quantity, due)
        deal.recalled[due] += quantity

    def _return(self, deal: Deal, back: Op, quantity: int, date: int) -> None:
        left = quantity
        if deal.row[3] == Kind.OPEN_ORDER:
            expected: dict[int, int] = defaultdict(int)
            for move in deal.moves:
                expected[move.date] += move.quantity
            for day in sorted(expected):
                some = min(left, expected[day])
                if some:
                    self._moved_by(deal, deal.op, -some, day)
                left -= some
        else:
            for due in sorted(deal.recalled):
                some = min(left, deal.recalled[due])
                deal.recalled[due] -= some
                self._moved_by(deal, back, -some, due)
                left -= some
            self._moved_by(deal, back, quantity, date)
        deal.quantity -= quantity
        if not deal.quantity:
            deal.state = "closed"

    def _undo(self, deal: Deal) -> None:
        for move in deal.moves:
            self._move(dataclasses.replace(move, quantity=-move.quantity))
        deal.quantity, deal.state = 0, "cancelled"
        deal.moves.clear()
        deal.recalled.clear()

    def forget(self) -> None:
        """A day begins: what is over is known no longer."""
        self.known = {name: deal for name, deal in self.known.items() if deal.state == "open"}
