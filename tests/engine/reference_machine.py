"""The inventory as domain.md says it: dictionaries, one event at a time, every number from scratch. Slow and obvious."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from engine.model import KIND_ATTRIBUTES, Flag, Kind, Op

DAYS = range(5)


@dataclass
class Row:
    td: int = 0
    sd: int = 0
    receipt: list[int] = field(default_factory=lambda: [0] * 6)
    deliver: list[int] = field(default_factory=lambda: [0] * 6)
    intraday_buy: int = 0
    intraday_sell: int = 0
    intraday_short: int = 0
    hypothecatable: int = 0
    hypothecated: int = 0
    segregated: int = 0
    reserved: int = 0
    ca_pending: int = 0

    def projected(self, day: int) -> int:
        return self.sd + sum(self.receipt[: day + 1]) - sum(self.deliver[: day + 1])


class Reference:
    """Business days are all days; `today` is day number `today`."""

    def __init__(self, today: int) -> None:
        self.today = today
        self.rows: dict[tuple[int, int, int, int], Row] = defaultdict(Row)
        self.located: dict[int, int] = defaultdict(int)
        self.seen: set[tuple[int, int]] = set()
        self.newest: dict[int, int] = defaultdict(int)
        self.price: dict[int, int] = {}
        self.duplicates = 0
        self.rejected = 0

    @property
    def missing(self) -> int:
        return sum(newest for newest in self.newest.values()) - len(self.seen)

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
        if quantity < 0 and op not in (Op.SET, Op.SET_CA_PENDING):
            return False
        if op == Op.RESET_BOOK:
            for (_, of, _, what), row in self.rows.items():
                if of == book and not Kind.EXTERNAL_EXCLUSIVE <= what <= Kind.DEPOT:
                    row.__init__()  # type: ignore[misc]
            return True
        if op == Op.PRICE:
            self.price[security] = quantity
            return True
        bucket = 0
        if op <= Op.SETTLE_DELIVERY:
            if event["settle_date"] < 0:
                return False
            days = int(event["settle_date"]) - self.today
            if days < 0 and op not in (Op.SETTLE_RECEIPT, Op.SETTLE_DELIVERY):
                return False
            bucket = min(max(days, 0), 5)
            if event["flags"] & Flag.CANCEL:
                quantity = -quantity
        row = self.rows[security, book, depot, kind]
        today = int(event["trade_date"]) == self.today
        match op:
            case Op.BUY | Op.INCREASE:
                row.td += quantity
                row.receipt[bucket] += quantity
                row.intraday_buy += quantity if op == Op.BUY and today else 0
            case Op.SELL | Op.SHORT_SELL | Op.DECREASE:
                row.td -= quantity
                row.deliver[bucket] += quantity
                row.intraday_sell += quantity if op == Op.SELL and today else 0
                row.intraday_short += quantity if op == Op.SHORT_SELL and today else 0
            case Op.SETTLE_RECEIPT:
                row.receipt[bucket] -= quantity
                row.sd += quantity
            case Op.SETTLE_DELIVERY:
                row.deliver[bucket] -= quantity
                row.sd -= quantity
            case Op.SET:
                kept = row.hypothecatable, row.hypothecated, row.segregated, row.reserved, row.ca_pending
                row.__init__(quantity, quantity)  # type: ignore[misc]
                row.hypothecatable, row.hypothecated, row.segregated, row.reserved, row.ca_pending = kept
            case _:
                setattr(row, op.name.removeprefix("SET_").lower(), quantity)
        return True

    def terms(self, security: int, day: int) -> dict[str, int]:
        """Every term of domain.md 3 on a day."""
        total: dict[str, int] = defaultdict(int)
        for (of, _, _, number), row in self.rows.items():
            if of != security:
                continue
            kind = KIND_ATTRIBUTES[number]
            quantity = row.projected(day)
            long, short = max(0, quantity), max(0, -quantity)
            total["ca_due"] += row.ca_pending
            match kind.position_type:
                case "FIRM":
                    total["firm_long"] += long
                    total["shorts"] += short
                case "CLIENT_FREE":
                    total["client_free"] += min(row.hypothecatable, long)
                    total["shorts"] += short
                    total["reserved"] += row.reserved
                case "SLAB_BORROW":
                    total["borrowed"] += long
                case "SLAB_LOAN":
                    total["on_loan"] += long
                case "PAY_TO_HOLD":
                    total["held"] += long
                case "REPO_RECEIVED" if kind.reusable:
                    total["collateral_in"] += long
                case "REPO_PLEDGE":
                    total["pledged"] += long
                    total["pledged_locked"] += long if kind.recall_days > day else 0
                case "EXTERNAL":
                    names = {"EXCLUSIVE": "exclusive", "FIRM": "external_firm", "INDICATIVE": "external_indicative"}
                    total[names[kind.external_kind]] += long
        total["located"] = self.located[security]
        return total

    def values(self, security: int, day: int, market: str) -> dict[str, int]:
        t = defaultdict(int, self.terms(security, day))
        supply = t["firm_long"] + t["client_free"] + t["borrowed"] + t["collateral_in"] + t["exclusive"]
        used = t["shorts"] + t["on_loan"] + t["held"] + t["reserved"] + t["pledged_locked"] + t["ca_due"]
        for_loan = max(0, supply - used - (t["borrowed"] if market == "TW" else 0))
        pool = max(0, for_loan + t["external_firm"] + t["external_indicative"] // 2)
        busy = t["shorts"] + t["on_loan"] + t["held"] + t["located"]
        return {
            "for_loan": for_loan,
            "locate_pool": pool,
            "remaining": pool - t["located"],
            "utilisation": 10_000 * busy // max(1, supply),
        }
