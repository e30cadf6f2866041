"""The inventory as domain.md says it: dictionaries, dates instead of buckets, every number from scratch. Slow and obvious.

It knows nothing of the rule documents: the formulas of every calculation and market are written out here once more.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from engine.model import KIND_ATTRIBUTES, QUOTES, Decided, Flag, Kind, Op
from tests.engine.reference_deals import Deals, Key, Market, Move, Row

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


def _with_parts(records: list[Any], within: str = "") -> list[list[Any]]:
    """Each record with the parts that follow it."""
    groups: list[list[Any]] = []
    for record in records:
        if (record[within] if within else record)["flags"] & Flag.PART:
            groups[-1].append(record)
        else:
            groups.append([record])
    return groups


class Reference:
    def __init__(self, securities: dict[int, Security]) -> None:
        self.securities = securities
        self.rows: dict[Key, Row] = defaultdict(Row)
        self.decided: dict[tuple[int, Decided], int] = defaultdict(int)
        self.weights = Weights()
        self.seen: set[tuple[int, int]] = set()
        self.newest: dict[int, int] = defaultdict(int)
        self.duplicates = 0
        self.rejected = 0
        self.corrected = 0
        self.moved: dict[tuple[int, int], Move] = {}
        """What can be corrected, by source and number."""
        self.deals = Deals(self.rows, self._move, self._market)

    @property
    def missing(self) -> int:
        return sum(self.newest.values()) - len(self.seen)

    def gaps(self, source: int) -> list[int]:
        return [seq for seq in range(1, self.newest[source] + 1) if (source, seq) not in self.seen]

    def apply(self, events: Iterable[Any]) -> None:
        for event, *parts in _with_parts(list(events)):
            if self._is_new(event):
                self._all_or_none(event, parts)

    def correct(self, records: Iterable[Any]) -> None:
        for record in records:
            event = record["event"]
            if not self._is_new(event):
                continue
            source = int(event["source"])
            original = self.moved.get((source, int(record["corrects"])))
            taken_back = bool(event["flags"] & Flag.CANCEL)
            if original is None or not (taken_back or (event["op"] <= Op.SETTLE_DELIVERY and self._can(event))):
                self.rejected += 1
                continue
            del self.moved[source, int(record["corrects"])]
            self._move(dataclasses.replace(original, quantity=-original.quantity))
            self.corrected += 1
            if not taken_back:
                self._all_or_none(event, [])

    def step(self, records: Iterable[Any]) -> None:
        again: set[tuple[int, int]] = set()
        for head, *parts in _with_parts(list(records), "event"):
            if not self._is_new(head["event"]):
                continue
            if head["code"]:
                fine = self.deals.step(head, int(head["event"]["quantity"]))
            elif fine := self._can(head["event"]):
                self._do(head["event"], int(head["event"]["op"]) <= Op.SETTLE_DELIVERY)
            self.rejected += not fine
            if not fine and head["code"] and not self.deals.knows(head):
                again.add((int(head["event"]["source"]), int(head["event"]["seq"])))
            for part in parts if fine else ():
                deal = self.deals.known.get((int(part["event"]["source"]), bytes(part["code"])))
                if deal is not None:
                    self.deals.step(part, min(int(part["event"]["quantity"]), deal.quantity))
        self.seen -= again

    def _is_new(self, event: Any) -> bool:
        identity = int(event["source"]), int(event["seq"])
        if identity in self.seen:
            self.duplicates += 1
            return False
        self.seen.add(identity)
        self.newest[identity[0]] = max(self.newest[identity[0]], identity[1])
        return True

    def _all_or_none(self, event: Any, parts: list[Any]) -> None:
        if not all(self._can(each) for each in (event, *parts)):
            self.rejected += 1
            return
        self._do(event, not parts)
        for part in parts:
            self._do(part, False)

    def _market(self, security: int) -> Market:
        return self.securities[security].market

    def _can(self, event: Any) -> bool:
        op, date = Op(int(event["op"])), int(event["settle_date"])
        if event["quantity"] < 0 and op not in (Op.SET, Op.SET_CA_PENDING, Op.SET_TD):
            return False
        if op > Op.SETTLE_DELIVERY:
            return True
        if date < 0:
            return False
        market = self._market(int(event["security"]))
        if event["flags"] & Flag.QUANTO:
            date = market.quanto(int(event["trade_date"]), date)
        return market.days_until(date) >= 0 or op in (Op.SETTLE_RECEIPT, Op.SETTLE_DELIVERY)

    def _do(self, event: Any, correctable: bool) -> None:
        op, quantity = Op(int(event["op"])), int(event["quantity"])
        security, book, depot, kind = (int(event[name]) for name in ("security", "book", "depot", "kind"))
        if op == Op.RESET_BOOK:
            for (_, of, _, what), row in self.rows.items():
                if of == book and what in _SNAPSHOT:
                    row.__init__()  # type: ignore[misc]
        elif op in QUOTES:
            setattr(self.securities[security], QUOTES[op].name.lower(), quantity)
        elif op == Op.SET:
            row = self.rows[security, book, depot, kind]
            kept = {name: getattr(row, name) for name in set(_OWN.values()) - {"td"}}
            row.__init__(quantity, quantity, **kept)  # type: ignore[misc]
        elif op in _OWN:
            setattr(self.rows[security, book, depot, kind], _OWN[op], quantity)
        else:
            date, trade_date = int(event["settle_date"]), int(event["trade_date"])
            if event["flags"] & Flag.QUANTO:
                date = self._market(security).quanto(trade_date, date)
            if event["flags"] & Flag.CANCEL:
                quantity = -quantity
            move = Move((security, book, depot, kind), op, quantity, date, trade_date)
            self._move(move)
            if correctable:
                self.moved[int(event["source"]), int(event["seq"])] = move

    def _move(self, move: Move) -> None:
        row, quantity, date = self.rows[move.row], move.quantity, move.date
        match move.op:
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
        if move.op in _INTRADAY and move.trade_date == self._market(move.row[0]).today:
            name = _INTRADAY[move.op]
            setattr(row, name, getattr(row, name) + quantity)

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
        total["break_held"] = self.decided[security, Decided.BREAKS]
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
        used = t["shorts"] + t["on_loan"] + t["held"] + t["reserved"] + t["break_held"]
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
        pool_long = max(0, t["firm_long"] + t["client_free"] - t["break_held"])
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
