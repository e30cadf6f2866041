"""An API of all that the overview asks for, as a test wants it."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.scripted_api import Answers, Refusal, Script
from tests.e2e.scripted_health import good
from tests.e2e.scripted_limits import order
from tests.e2e.scripted_locates import locate


def now(seconds_ago: float = 0) -> str:
    return (dt.datetime.now(dt.UTC) - dt.timedelta(seconds=seconds_ago)).isoformat()


def scarce(market: str, group: str, utilisation: float) -> dict[str, Any]:
    """A field of the heat map."""
    told = {"securities": 40, "hot": 2, "pool": 1_000, "remaining": 400, "remaining_value": 4e6, "short_of_stock": 1}
    return {"market": market, "group": group, "utilisation": utilisation} | told


class Overview(Answers):
    """Status, locates, orders, and names that only the security master knows."""

    def answer(self, method: str, *parts: str) -> Any:
        script = self.script
        kept = self.who.clients
        match (method, *parts):
            case ("GET", "status"):
                if kept is not None:
                    raise Refusal(403, "this is not shown to a token for some clients only")
                return script.status | {"at": now()}
            case ("GET", "locates", "totals"):
                return self._totals(self._mine(script.locates))
            case ("GET", "locates"):
                return {"locates": self._mine(script.locates)[::-1], "next_cursor": None}
            case ("GET", "orders"):
                return {"orders": self._mine(script.orders)[::-1], "next_cursor": None}
            case ("GET", "securities"):
                code = script.names.get(self.asked("name").upper())
                return {"securities": [code] if code else []}
            case ("GET", "views"):
                return {"views": [], "default": None}
            case ("GET", "breaks", "summary"):
                return {"by_kind": script.breaks, "unowned": len(script.breaks)}
            case ("GET", "breaks"):
                return {"breaks": [], "next_cursor": None}
            case ("GET", "alerts"):
                return {"alerts": script.alerts}
            case ("GET", "alerts", "events"):
                return {"events": [], "next_cursor": None}
            case ("GET", "scarcity"):
                return {"cells": script.cells, "by": "classification", "currency": "USD", "as_of": now()}
        raise Refusal(404, "there is nothing here")

    def _mine(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [row for row in rows if self.who.clients is None or row["client"] in self.who.clients]

    def _totals(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        wanted = self.asked("state")
        rows = [row for row in rows if wanted in ("", row["state"])]
        names = ("requested", "approved", "used", "decrement")
        states = [
            {"state": state, "count": len(of)} | {name: sum(row[name] for row in of) for name in names}
            for state in sorted({row["state"] for row in rows})
            for of in [[row for row in rows if row["state"] == state]]
        ]
        told: dict[str, Any] = {name: sum(row[name] for row in rows) for name in names}
        used = told["used"] / told["approved"] if told["approved"] else None
        return told | {"states": states, "count": len(rows), "utilisation": used}


@dataclass
class OverviewScript(Script):
    """What the API says: `locates` and `orders` oldest first; `names`: what leads to which security."""

    handler = Overview
    status: dict[str, Any] = field(default_factory=good)
    locates: list[dict[str, Any]] = field(default_factory=list)
    orders: list[dict[str, Any]] = field(default_factory=list)
    breaks: list[dict[str, Any]] = field(default_factory=lambda: [{"kind": "depot", "critical": 1, "high": 2}])
    alerts: list[dict[str, Any]] = field(default_factory=list)
    cells: list[dict[str, Any]] = field(
        default_factory=lambda: [scarce("JP", "EQUITY", 36.6), scarce("JP", "ETF", 91.2)]
    )
    names: dict[str, str] = field(default_factory=lambda: {"QBS.OQ": "SEC00000006"})

    def decide(self, number: int, state: str = "approved", **change: Any) -> None:
        """A locate as it was just decided."""
        self.locates.append(locate(number, state, **{"updated_at": now(), "received_at": now(1)} | change))

    def sell(self, number: int, state: str = "approved", **change: Any) -> None:
        """An order as it was just decided."""
        self.orders.append(order(number, state, **{"updated_at": now()} | change))
