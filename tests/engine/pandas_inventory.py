"""The inventory of a whole day in pandas: events -> rows -> sums -> calculations, each by grouped sums over whole columns.

A second machine, plain and on its own: it keeps nothing from event to event, and knows neither the engine's compiled steps nor
the rule documents. Every formula of domain.md 2 and 3, of all markets, is written out here once more. Quantities are int64;
from the sums on Python's whole numbers, for money does not fit. Securities, books and depots are numbers from 0; -1 is none.
"""

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from engine.model import QUOTES, Flag, Kind, Op

KEY: Final = ["security", "book", "depot", "kind"]
DAYS: Final = 5
LATER: Final = 5
QUANTITIES: Final = (
    "td sd hypothecatable hypothecated segregated reserved ca_pending intraday_buy intraday_sell intraday_short".split()
)
LADDER: Final = [f"{way}{n}" for way in ("receipt", "deliver") for n in range(LATER + 1)]

_IN: Final = (Op.BUY, Op.INCREASE)
_OUT: Final = (Op.SELL, Op.SHORT_SELL, Op.DECREASE)
_MOVES: Final = (*_IN, *_OUT, Op.SETTLE_RECEIPT, Op.SETTLE_DELIVERY)
_OF_OTHERS: Final = (Kind.EXTERNAL_EXCLUSIVE, Kind.EXTERNAL_FIRM, Kind.EXTERNAL_INDICATIVE, Kind.DEPOT)
"""What lenders and custodians state is not part of a book's snapshot."""
_STATED: Final = {
    "hypothecatable": (Op.SET_HYPOTHECATABLE,),
    "hypothecated": (Op.SET_HYPOTHECATED, Op.SET_RATE),
    "segregated": (Op.SET_SEGREGATED,),
    "reserved": (Op.SET_RESERVED,),
    "ca_pending": (Op.SET_CA_PENDING,),
}
_REPO: Final = (
    Kind.REPO_PLEDGE_0,
    Kind.REPO_PLEDGE_1,
    Kind.REPO_PLEDGE_2,
    Kind.REPO_PLEDGE_3,
    Kind.REPO_PLEDGE_4,
    Kind.REPO_PLEDGE_5,
)
_SWAP: Final = (
    Kind.SWAP_PLEDGE_0,
    Kind.SWAP_PLEDGE_1,
    Kind.SWAP_PLEDGE_2,
    Kind.SWAP_PLEDGE_3,
    Kind.SWAP_PLEDGE_4,
    Kind.SWAP_PLEDGE_5,
)
_QUANTO_DAYS: Final = {"JP": 1}
_CUT_OFF: Final = {"JP": (dt.time(14), "Asia/Tokyo")}

Sums = NDArray[np.int64]
"""Shape (securities, DAYS)."""


@dataclass(frozen=True)
class Day:
    """A business day: the dates (days since 1970) on which each market trades, in order; today is one of them."""

    sessions: Mapping[str, NDArray[np.int64]]
    today: Mapping[str, int]
    now: dt.datetime

    def until(self, market: str, dates: NDArray[np.int64]) -> NDArray[np.int64]:
        """Business days from today to the first one at or after each date."""
        days = self.sessions[market]
        return np.searchsorted(days, dates) - np.searchsorted(days, self.today[market])

    def lending_open(self, market: str) -> bool:
        """Whether stock can still be lent for today."""
        if market not in _CUT_OFF:
            return True
        at, zone = _CUT_OFF[market]
        date = dt.date(1970, 1, 1) + dt.timedelta(days=self.today[market])
        return self.now < dt.datetime.combine(date, at, ZoneInfo(zone))


def rows_of(events: pd.DataFrame, day: Day) -> pd.DataFrame:
    """The position table after the events, in their order: QUANTITIES and LADDER by KEY.

    Columns of `events`: those of KEY, source, seq, op, quantity, trade_date, settle_date, flags, market (a code).
    """
    events = events.drop_duplicates(["source", "seq"])
    events = events.assign(at=np.arange(len(events)))
    reset = events[events["op"] == Op.RESET_BOOK].groupby("book")["at"].max()
    events = events[~events["op"].isin([Op.RESET_BOOK, *QUOTES])]
    by_row = events.groupby(KEY)
    keys, events = by_row.size().index, events.assign(row=by_row.ngroup())
    emptied = reset.reindex(events["book"], fill_value=-1).to_numpy()
    events = events[events["kind"].isin(_OF_OTHERS) | (events["at"] > emptied)]

    count = len(keys)
    rows = pd.DataFrame(0, index=range(count), columns=[*QUANTITIES, *LADDER], dtype=np.int64)
    for name, ops in _STATED.items():
        rows[name] = _last(events, ops, count)[1]
    moves = _moves(events, day)
    since, set_to = _last(events, (Op.SET,), count)
    moved = moves[moves["at"] > since[moves["row"]]]
    rows["sd"] = set_to + _total(moved, {Op.SETTLE_RECEIPT: 1, Op.SETTLE_DELIVERY: -1}, count)
    _add_ladder(rows, moved)
    for name, op in (("buy", Op.BUY), ("sell", Op.SELL), ("short", Op.SHORT_SELL)):
        rows[f"intraday_{name}"] = _total(moved[moved["traded_today"]], {op: 1}, count)
    since, set_to = _last(events, (Op.SET, Op.SET_TD), count)
    moved = moves[moves["at"] > since[moves["row"]]]
    rows["td"] = set_to + _total(moved, dict.fromkeys(_IN, 1) | dict.fromkeys(_OUT, -1), count)
    return rows.set_index(keys)


def _last(events: pd.DataFrame, ops: Collection[Op], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row by row when the last of these operations was, and what it said; -1 and 0 where there was none."""
    last = events[events["op"].isin(ops)].groupby("row")[["at", "quantity"]].last()
    when, what = (last[name].reindex(range(count), fill_value=of) for name, of in (("at", -1), ("quantity", 0)))
    return when.to_numpy(np.int64), what.to_numpy(np.int64)


def _moves(events: pd.DataFrame, day: Day) -> pd.DataFrame:
    """Trades, contracts and settlements: signed by whether they are cancelled, with their bucket of the ladder."""
    moves = events[events["op"].isin(_MOVES)].copy()
    moves["quantity"] = moves["quantity"].where(moves["flags"] & Flag.CANCEL == 0, -moves["quantity"])
    moves["bucket"], moves["traded_today"] = np.int64(0), False
    for market, some in moves.groupby("market"):
        code = str(market)
        settle, trade = some["settle_date"].to_numpy(np.int64), some["trade_date"].to_numpy(np.int64)
        buckets = day.until(code, settle)
        # a quanto trade of a day, dated for the next one, settles so many days later
        quanto = (some["flags"].to_numpy() & Flag.QUANTO != 0) & (buckets - day.until(code, trade) == 1)
        buckets += quanto * _QUANTO_DAYS.get(code, 0)
        moves.loc[some.index, "bucket"] = np.clip(buckets, 0, LATER)
        moves.loc[some.index, "traded_today"] = trade == day.today[code]
    return moves


def _total(moves: pd.DataFrame, sign: Mapping[Op, int], count: int) -> NDArray[np.int64]:
    """Row by row what these operations moved."""
    chosen = moves[moves["op"].isin(sign)]
    signed = chosen["quantity"] * chosen["op"].map({int(op): of for op, of in sign.items()}).astype(np.int64)
    return signed.groupby(chosen["row"]).sum().reindex(range(count), fill_value=0).to_numpy(np.int64)


def _add_ladder(rows: pd.DataFrame, moves: pd.DataFrame) -> None:
    """What is expected, less what of it has settled."""
    receipts = dict.fromkeys(_IN, 1) | {Op.SETTLE_RECEIPT: -1}
    deliveries = dict.fromkeys(_OUT, 1) | {Op.SETTLE_DELIVERY: -1}
    for n in range(LATER + 1):
        of_day = moves[moves["bucket"] == n]
        rows[f"receipt{n}"] = _total(of_day, receipts, len(rows))
        rows[f"deliver{n}"] = _total(of_day, deliveries, len(rows))


def quotes_of(events: pd.DataFrame, op: Op, count: int) -> NDArray[np.int64]:
    """What was last said of each security by that operation; 0 where nothing was."""
    events = events.drop_duplicates(["source", "seq"])
    last = events[events["op"] == op].groupby("security")["quantity"].last()
    return last.reindex(range(count), fill_value=0).to_numpy(np.int64)


@dataclass(frozen=True)
class _Rows:
    """Rows as columns of numbers, and their sums by security."""

    security: NDArray[np.int64]
    kind: NDArray[np.int64]
    count: int

    def of(self, *kinds: Kind) -> NDArray[np.bool_]:
        return np.isin(self.kind, kinds)

    def sum(self, chosen: NDArray[np.bool_], quantity: NDArray[np.int64]) -> Sums:
        """Of the chosen rows (shape (rows,) or (rows, DAYS)), by security and day; `quantity` may be the same on all days."""
        by_day = quantity if quantity.ndim > 1 else np.repeat(quantity[:, None], DAYS, axis=1)
        by_day = np.where(chosen if chosen.ndim > 1 else chosen[:, None], by_day, 0)
        assert np.abs(by_day).sum(axis=0, dtype=np.float64).max() < 2**62, "the sums would not fit"
        return pd.DataFrame(by_day).groupby(self.security).sum().reindex(range(self.count), fill_value=0).to_numpy()


def terms_of(rows: pd.DataFrame, securities: pd.DataFrame, day: Day) -> dict[str, Sums]:
    """Every sum that domain.md 3 names, by security and day.

    Columns of `securities` (index 0, 1..): market, designated, event_date, located, located_long, break_held and the facts of
    `values_of`.
    """
    index = {name: rows.index.get_level_values(name).to_numpy(np.int64) for name in ("security", "kind")}
    has = _Rows(index["security"], index["kind"], len(securities))
    td, sd, rate = (rows[name].to_numpy() for name in ("td", "sd", "hypothecated"))
    receipts, deliveries = (rows[[f"{way}{n}" for n in range(LATER + 1)]].to_numpy() for way in ("receipt", "deliver"))
    expected = receipts - deliveries
    projected = sd[:, None] + expected[:, :DAYS].cumsum(axis=1)
    long, short = projected.clip(min=0), (-projected).clip(min=0)
    reserved, ca_pending = rows["reserved"].to_numpy(), rows["ca_pending"].to_numpy()
    free = np.minimum(rows["hypothecatable"].to_numpy()[:, None], long)

    every = np.ones(len(rows), np.bool_)
    firm, margin, cash = has.of(Kind.FIRM), has.of(Kind.CLIENT_FREE), has.of(Kind.CLIENT_SEGREGATED)
    borrow, received = has.of(Kind.SLAB_BORROW), has.of(Kind.REPO_RECEIVED, Kind.REPO_RECEIVED_LOCKED)
    external = has.of(Kind.EXTERNAL_EXCLUSIVE, Kind.EXTERNAL_FIRM, Kind.EXTERNAL_INDICATIVE)
    stock = firm | margin | borrow | received
    hidden = ((securities["market"] == "HK") & ~securities["designated"]).to_numpy()[has.security]
    locked = np.stack([has.of(*_REPO[n + 1 :], *_SWAP[n + 1 :]) for n in range(DAYS)], axis=1)
    event = _event_days(securities, day)[has.security][:, None]
    near = stock[:, None] & (event >= np.arange(DAYS)) & (event <= np.arange(DAYS) + 5)
    return {
        "firm_long": has.sum(firm, long),
        "client_free": has.sum(margin, free),
        "borrowed": has.sum(borrow, long),
        "borrowed_rated": has.sum(borrow, long * rate[:, None]),
        "borrowed_unrated": has.sum(borrow & (rate == 0), long),
        "collateral_in": has.sum(has.of(Kind.REPO_RECEIVED), long),
        "exclusive": has.sum(has.of(Kind.EXTERNAL_EXCLUSIVE), long),
        "external_firm": has.sum(has.of(Kind.EXTERNAL_FIRM), long),
        "external_indicative": has.sum(has.of(Kind.EXTERNAL_INDICATIVE), long),
        "shorts": has.sum(firm | margin, short),
        "on_loan": has.sum(has.of(Kind.SLAB_LOAN), long),
        "held": has.sum(has.of(Kind.PAY_TO_HOLD), long),
        "reserved": has.sum(margin, reserved),
        "pledged": has.sum(has.of(*_REPO, *_SWAP), long),
        "pledged_locked": has.sum(locked, long),
        "ca_due": has.sum(every, ca_pending),
        "ca_due_undesignated": has.sum(hidden, ca_pending),
        "td_break": has.sum(every, td - sd - expected.sum(axis=1)),
        "event_stock": has.sum(near, long),
        "position": has.sum(firm | margin | cash, projected),
        "open_orders": has.sum(has.of(Kind.OPEN_ORDER), projected),
        "expiring": has.sum(has.of(Kind.SYNTHETIC), sd[:, None] - projected),
        "undesignated": has.sum(hidden & (stock | external), long),
        "located": np.repeat(securities[["located"]].to_numpy(np.int64), DAYS, axis=1),
        "located_long": np.repeat(securities[["located_long"]].to_numpy(np.int64), DAYS, axis=1),
        "break_held": np.repeat(securities[["break_held"]].to_numpy(np.int64), DAYS, axis=1),
    }


def _event_days(securities: pd.DataFrame, day: Day) -> NDArray[np.int64]:
    """Business days to the next dividend or corporate action; far away where there is none, or it is over."""
    made = np.full(len(securities), 10_000, np.int64)
    for market, some in securities.groupby("market"):
        coming = some[some["event_date"] >= day.today[str(market)]]
        made[coming.index] = day.until(str(market), coming["event_date"].to_numpy(np.int64))
    return made


def values_of(sums: Mapping[str, Sums], securities: pd.DataFrame, day: Day) -> dict[str, NDArray[Any]]:
    """Every calculation of every security, shape (securities, DAYS), Python's whole numbers.

    Facts, columns of `securities`: price (millionths), fx (billionths), fee (millionths a year), day_count, volume_30d,
    outstanding.
    """
    t = {name: of.astype(object) for name, of in sums.items()}
    fact = {
        name: securities[[name]].to_numpy(object) for name in "price fx fee day_count volume_30d outstanding".split()
    }
    market = securities["market"].to_numpy()[:, None]
    tw, kr, hk = market == "TW", market == "KR", market == "HK"
    designated = securities["designated"].to_numpy()[:, None]
    is_open = np.ones((len(securities), DAYS), np.bool_)
    is_open[:, 0] = [day.lending_open(code) for code in securities["market"]]
    nothing = np.zeros((len(securities), DAYS), object)

    ours = t["firm_long"] + t["client_free"]
    supply = ours + t["borrowed"] + t["collateral_in"] + t["exclusive"]
    used = t["shorts"] + t["on_loan"] + t["held"] + t["reserved"] + t["break_held"]
    left = supply - used - t["pledged_locked"] - t["undesignated"]
    left = left - np.where(tw, t["borrowed"], 0) - np.where(kr, t["exclusive"], 0)
    for_loan = np.maximum(0, left - np.where(hk & ~designated, 0, t["ca_due"]))
    lendable = np.where(is_open, for_loan, 0)
    without_exclusive = ours + t["borrowed"] + t["collateral_in"]
    for_pledge = without_exclusive - used - t["pledged"] - t["ca_due"] - t["event_stock"]
    needed = np.maximum(0, t["shorts"] + t["on_loan"] + t["held"] - ours)
    lenders = np.where(kr, 0, t["external_firm"] + t["external_indicative"] // 2)
    pool = np.maximum(0, for_loan + lenders - t["undesignated"])
    pool_long = np.maximum(0, ours - t["break_held"])
    market_value = t["position"] * 100 * fact["price"] // 10**6
    at_fee = t["borrowed_unrated"] * 100 * fact["price"] // 10**6 * fact["fee"] // 10**6
    at_rates = t["borrowed_rated"] * 100 * fact["price"] // 10**6 // 10**6
    year = np.maximum(1, fact["day_count"])
    return {
        "for_loan": for_loan,
        "for_loan_with_ca": np.maximum(0, left),
        "lendable": lendable,
        "past_cutoff": for_loan - lendable,
        "for_pledge": np.maximum(0, for_pledge),
        "overborrow": np.maximum(0, t["borrowed"] - needed),
        "locate_pool": pool,
        "remaining": pool - t["located"],
        "locate_pool_long": pool_long,
        "remaining_long": pool_long - t["located_long"],
        "projected_position": t["position"] + t["open_orders"] + 3 * t["expiring"] // 10,
        "market_value": market_value,
        "market_value_reporting": market_value * fact["fx"] // 10**9,
        "utilisation": 10_000 * (t["shorts"] + t["on_loan"] + t["held"] + t["located"]) // np.maximum(1, supply),
        "borrow_cost": np.where(fact["day_count"] == 0, 0, (at_fee + at_rates) // year),
        "td_sd_break": t["td_break"],
        "short_cap_volume": nothing + np.where(tw, 3 * fact["volume_30d"] // 10, 0),
        "short_cap_outstanding": nothing + np.where(tw, fact["outstanding"] // 10, 0),
        "short_cap_all": nothing + np.where(tw, fact["outstanding"] // 4, 0),
    }
