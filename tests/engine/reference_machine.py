"""The inventory as domain.md says it: dictionaries, dates instead of buckets, every number from scratch. Slow and obvious.

It knows nothing of the rule documents: the formulas of every calculation and market are written out here once more.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from engine.model import KIND_ATTRIBUTES, QUOTES, Decided, Flag, Kind, Op

DAYS = range(5)
_SNAPSHOT = [kind for kind in Kind if not Kind.EXTERNAL_EXCLUSIVE <= kind <= Kind.DEPOT]
_INTRADAY = {Op.BUY: "intraday_buy", Op.SELL: "intraday_sell", Op.SHORT_SELL: "intraday_short"}
_OWN = {
    Op.SET_HYPOTHECATABLE: "hypothecatable",
    Op.SET_HYPOTHECATED: "hypothecated",
    Op.SET_SEGREGATED: "segregated",
    Op.SET_RESERVED: "reserved",
    Op.SET_CA_PENDING: "ca_pending",
    Op.SET_RATE: "hypothecated",
    Op.SET_TD: "td",
}


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
class Security:
    market: Market
    price: int = 0
    close: int = 0
    nav: int = 0
    inav: int = 0
    volatility: int = 0
    fx: int = 0
    fee: int = 0
    day_count: int = 0
    volume_30d: int = 0
    outstanding: int = 0
    designated: bool = False
    hard: bool = False
    event_date: int = 0


@dataclass
class Weights:
    """What the desk changes in the tests."""

    indicative: tuple[int, int] = (1, 2)
    hard_indicative: tuple[int, int] | None = None
    """Of hard-to-borrow names, where it is another."""
    tw_lends_borrowed: bool = False


class Reference:
    def __init__(self, securities: dict[int, Security]) -> None:
        self.securities = securities
        self.rows: dict[tuple[int, int, int, int], Row] = defaultdict(Row)
        self.decided: dict[tuple[int, Decided], int] = defaultdict(int)
        self.weights = Weights()
        self.seen: set[tuple[int, int]] = set()
        self.newest: dict[int, int] = defaultdict(int)
        self.duplicates = 0
        self.rejected = 0

    @property
    def missing(self) -> int:
        return sum(self.newest.values()) - len(self.seen)

    def apply(self, events: Iterable[Any]) -> None:
        for event in events:
            identity = int(event["source"]), int(event["seq"])
            if identity in self.seen:
                self.duplicates += 1
                continue
            self.seen.add(identity)
            self.newest[identity[0]] = max(self.newest[identity[0]], identity[1])
            self.rejected += not self._apply_one(event)

    def _apply_one(self, event: Any) -> bool:
        op, quantity = Op(int(event["op"])), int(event["quantity"])
        security, book, depot, kind = (int(event[name]) for name in ("security", "book", "depot", "kind"))
        if quantity < 0 and op not in (Op.SET, Op.SET_CA_PENDING, Op.SET_TD):
            return False
        if op == Op.RESET_BOOK:
            for (_, of, _, what), row in self.rows.items():
                if of == book and what in _SNAPSHOT:
                    row.__init__()  # type: ignore[misc]
            return True
        market = self.securities[security].market
        if op in QUOTES:
            setattr(self.securities[security], QUOTES[op].name.lower(), quantity)
            return True
        date, trade_date = int(event["settle_date"]), int(event["trade_date"])
        if op <= Op.SETTLE_DELIVERY:
            if date < 0:
                return False
            if event["flags"] & Flag.QUANTO:
                date = market.quanto(trade_date, date)
            if market.days_until(date) < 0 and op not in (Op.SETTLE_RECEIPT, Op.SETTLE_DELIVERY):
                return False
            if event["flags"] & Flag.CANCEL:
                quantity = -quantity
        row = self.rows[security, book, depot, kind]
        match op:
            case Op.BUY | Op.INCREASE:
                row.td += quantity
                row.receipts[date] += quantity
            case Op.SELL | Op.SHORT_SELL | Op.DECREASE:
                row.td -= quantity
                row.deliveries[date] += quantity
            case Op.SETTLE_RECEIPT:
                row.receipts[date] -= quantity
                row.sd += quantity
            case Op.SETTLE_DELIVERY:
                row.deliveries[date] -= quantity
                row.sd -= quantity
            case Op.SET:
                kept = {name: getattr(row, name) for name in set(_OWN.values()) - {"td"}}
                row.__init__(quantity, quantity, **kept)  # type: ignore[misc]
            case _:
                setattr(row, _OWN[op], quantity)
        if op in _INTRADAY and trade_date == market.today:
            setattr(row, _INTRADAY[op], getattr(row, _INTRADAY[op]) + quantity)
        return True

    def roll(self, market: Market, today: int) -> None:
        market.today = today
        market.lending_open = True
        for (security, *_), row in self.rows.items():
            if self.securities[security].market is market:
                row.intraday_buy = row.intraday_sell = row.intraday_short = 0

    def ladder(self, security: int, by_date: dict[int, int]) -> list[int]:
        """SD0..SD4 and later; what is overdue is due today."""
        buckets = [0] * 6
        for date, quantity in by_date.items():
            buckets[min(max(self.securities[security].market.days_until(date), 0), 5)] += quantity
        return buckets

    def projected(self, security: int, row: Row, day: int) -> int:
        receipts, deliveries = self.ladder(security, row.receipts), self.ladder(security, row.deliveries)
        return row.sd + sum(receipts[: day + 1]) - sum(deliveries[: day + 1])

    def terms(self, security: int, day: int) -> dict[str, int]:
        """Every kept sum of domain.md 3 on a day."""
        total: dict[str, int] = defaultdict(int)
        about = self.securities[security]
        event_days = about.market.days_until(about.event_date) if about.event_date >= about.market.today else None
        for (of, _, _, number), row in self.rows.items():
            if of != security:
                continue
            kind = KIND_ATTRIBUTES[number]
            quantity = self.projected(security, row, day)
            long, short = max(0, quantity), max(0, -quantity)
            total["ca_due"] += row.ca_pending
            total["td_break"] += row.td - row.sd - sum(row.receipts.values()) + sum(row.deliveries.values())
            what = kind.position_type
            match what:
                case "FIRM":
                    total["firm_long"] += long
                    total["shorts"] += short
                case "CLIENT_FREE":
                    total["client_free"] += min(row.hypothecatable, long)
                    total["shorts"] += short
                    total["reserved"] += row.reserved
                case "SLAB_BORROW":
                    total["borrowed"] += long
                    total["borrowed_rated"] += long * row.hypothecated
                    total["borrowed_unrated"] += 0 if row.hypothecated else long
                case "SLAB_LOAN":
                    total["on_loan"] += long
                case "PAY_TO_HOLD":
                    total["held"] += long
                case "REPO_RECEIVED" if kind.reusable:
                    total["collateral_in"] += long
                case "REPO_PLEDGE" | "SWAP_PLEDGE":
                    total["pledged"] += long
                    total["pledged_locked"] += long if kind.recall_days > day else 0
                case "OPEN_ORDER":
                    total["open_orders"] += quantity
                case "SYNTHETIC":
                    total["expiring"] += row.sd - quantity
                case "EXTERNAL":
                    names = {"EXCLUSIVE": "exclusive", "FIRM": "external_firm", "INDICATIVE": "external_indicative"}
                    total[names[kind.external_kind]] += long
            if what in ("FIRM", "CLIENT_FREE", "CLIENT_SEGREGATED"):
                total["position"] += quantity
            stock = what in ("FIRM", "CLIENT_FREE", "SLAB_BORROW", "REPO_RECEIVED")
            if stock and event_days is not None and day <= event_days <= day + 5:
                total["event_stock"] += long
            if about.market.code == "HK" and not about.designated and (stock or what == "EXTERNAL"):
                total["undesignated"] += long
        total["located"] = self.decided[security, Decided.SHORT_LOCATES]
        total["located_long"] = self.decided[security, Decided.LONG_LOCATES]
        return total

    def values(self, security: int, day: int) -> dict[str, int]:
        """Every calculation of a security on a day, in every market."""
        t, about, weights = self.terms(security, day), self.securities[security], self.weights
        market = about.market
        undesignated = market.code == "HK" and not about.designated
        supply = t["firm_long"] + t["client_free"] + t["borrowed"] + t["collateral_in"] + t["exclusive"]
        lent = supply
        if market.code == "TW" and not weights.tw_lends_borrowed:
            lent -= t["borrowed"]
        if market.code == "KR":
            lent -= t["exclusive"]
        used = t["shorts"] + t["on_loan"] + t["held"] + t["reserved"]
        with_ca = max(0, lent - used - t["pledged_locked"] - t["undesignated"])
        ca_due = 0 if undesignated else t["ca_due"]
        for_loan = max(0, lent - used - t["pledged_locked"] - t["undesignated"] - ca_due)
        lendable = for_loan if day > 0 or market.lending_open else 0
        pledge = supply - t["exclusive"] - used - t["pledged"] - t["ca_due"] - t["event_stock"]
        needed = t["shorts"] + t["on_loan"] + t["held"] - t["firm_long"] - t["client_free"]
        part, whole = weights.indicative
        if about.hard and weights.hard_indicative is not None:
            part, whole = weights.hard_indicative
        external = t["external_firm"] + t["external_indicative"] * part // whole
        pool = for_loan - t["undesignated"] + (0 if market.code == "KR" else external)
        pool = max(0, pool)
        pool_long = t["firm_long"] + t["client_free"]
        value = t["position"] * 100 * about.price // 10**6
        at_fee = t["borrowed_unrated"] * 100 * about.price // 10**6 * about.fee // 10**6
        at_rates = t["borrowed_rated"] * 100 * about.price // 10**6 // 10**6
        return {
            "for_loan": for_loan,
            "for_loan_with_ca": with_ca,
            "lendable": lendable,
            "past_cutoff": for_loan - lendable,
            "for_pledge": max(0, pledge),
            "overborrow": max(0, t["borrowed"] - max(0, needed)),
            "locate_pool": pool,
            "remaining": pool - t["located"],
            "locate_pool_long": pool_long,
            "remaining_long": pool_long - t["located_long"],
            "projected_position": t["position"] + t["open_orders"] + t["expiring"] * 3 // 10,
            "market_value": value,
            "market_value_reporting": value * about.fx // 10**9,
            "utilisation": 10_000 * (t["shorts"] + t["on_loan"] + t["held"] + t["located"]) // max(1, supply),
            "borrow_cost": (at_fee + at_rates) // about.day_count if about.day_count else 0,
            "td_sd_break": t["td_break"],
            "short_cap_volume": about.volume_30d * 3 // 10 if market.code == "TW" else 0,
            "short_cap_outstanding": about.outstanding // 10 if market.code == "TW" else 0,
            "short_cap_all": about.outstanding // 4 if market.code == "TW" else 0,
        }
