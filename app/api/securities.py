"""Names of securities for programs, and what is available of one now."""

import datetime as dt
from typing import Any, Final

import numpy as np

from app.api.answers import Availability, percent, time_of
from engine.inventory import Inventory
from engine.model import RATE_UNKNOWN, Decided, Market, SecurityFlag
from engine.rule_model import Role, Scope
from engine.tables import Tables, Word

_TEXTS: Final = ("name", "ticker", "isin", "cusip", "sedol", "figi", "currency", "country")


class Securities:
    """Looks into the machine's own tables, in the machine's own process."""

    def __init__(self, tables: Tables, inventory: Inventory) -> None:
        self._records: np.ndarray[Any, Any] = tables.array["security"]
        self._codes = self._records["code"]
        self._fees = self._records["fee"]
        self._values = tables.array["values"]
        self._updated_ns = tables.array["updated_ns"]
        self._inventory = inventory
        self.tables = tables
        self._merged: tuple[int, dict[int, list[str]]] = (-1, {})
        """Codes that lead to another security than their own, as of a state of the reference data."""
        self._tickers: tuple[int, frozenset[bytes]] = (-1, frozenset())
        self._markets = {market.code: index for index, market in enumerate(tables.markets)}

    def find(self, text: str) -> int:
        """The id a code, ISIN, CUSIP, SEDOL, FIGI or TICKER@MARKET names; 0 if none."""
        return self._inventory.security_id(text)

    def codes(self, security: int) -> list[str]:
        """Our own code, and those of securities that have become this one."""
        reference = self._inventory.reference
        if self._merged[0] != reference:
            every = self._codes[1 : self.tables.count(Word.SECURITIES) + 1]
            leads = self._inventory.security_ids(every)
            elsewhere = np.flatnonzero((leads != np.arange(1, every.size + 1)) & (leads > 0))
            merged: dict[int, list[str]] = {}
            for place in elsewhere.tolist():
                merged.setdefault(int(leads[place]), []).append(every[place].decode())
            self._merged = reference, merged
        return [self.code(security), *self._merged[1].get(security, ())]

    def has_ticker(self, text: str) -> bool:
        """Whether a security has this ticker, in whatever market."""
        reference = self._inventory.reference
        if self._tickers[0] != reference:
            tickers = self._records["ticker"][1 : self.tables.count(Word.SECURITIES) + 1]
            self._tickers = reference, frozenset(tickers.tolist()) - {b""}
        return text.encode() in self._tickers[1]

    def settle_day(self, security: int) -> int:
        """The day on which a trade of today settles."""
        return self._inventory.settle_day(security)

    def code(self, security: int) -> str:
        """Our own code."""
        return bytes(self._codes[security]).decode()

    def market(self, security: int) -> Market:
        """Where it is traded."""
        return self._inventory.market(security)

    @property
    def stale(self) -> bool:
        """Whether nothing may be approved on these numbers."""
        return self._inventory.stale

    @property
    def all_known(self) -> bool:
        """Whether every security that existed at start is here: before that, none can be said not to exist."""
        return bool(self.tables.state[Word.READY])

    def fee(self, security: int) -> int | None:
        """Ten-thousandths of a percent a year; None where unknown."""
        fee = int(self._fees[security])
        return None if fee == RATE_UNKNOWN else fee

    def market_index(self, code: str) -> int:
        """Raises ValueError for a market there is not."""
        if code not in self._markets:
            raise ValueError(f"Expected one of {', '.join(self._markets)}")
        return self._markets[code]

    def availability(self, security: int, now_ns: int) -> Availability:
        """What can be lent and located now."""
        record, inventory = self._records[security], self._inventory
        market = inventory.market(security)
        catalogue = self.tables.catalogue
        values = self._values[security].tolist()
        texts = {name: bytes(record[name]).decode() for name in _TEXTS}
        updated_ns = int(self._updated_ns[security])
        return Availability(
            security=self.code(security),
            **texts,
            isin_masked=bool(record["flags"] & SecurityFlag.MASKED_ISIN),
            market=market.code,
            temperature=inventory.temperature(security).name,
            fee_percent=percent(self.fee(security)),
            rebate_percent=percent(None if record["rebate"] == RATE_UNKNOWN else int(record["rebate"])),
            lend=tuple(values[catalogue.playing(Role.LEND)]),
            settle_day=market.settle_days,
            pool=inventory.pool(security),
            located=inventory.decided(security, Decided.SHORT_LOCATES),
            left=inventory.left(security),
            pool_long=inventory.pool(security, long=True),
            left_long=inventory.left(security, long=True),
            at_least=bool(record["flags"] & SecurityFlag.AT_LEAST),
            calculations={
                info.name: tuple(values[index])
                for index, info in enumerate(catalogue.calculations)
                if info.scope == Scope.SECURITY
            },
            terms=inventory.terms_of(security),
            as_of=_time_or_none(inventory.as_of_ns),
            updated_at=_time_or_none(updated_ns),
            stale=inventory.stale,
            now=time_of(now_ns),
        )


def _time_or_none(ns: int) -> dt.datetime | None:
    return time_of(ns) if ns > 0 else None
