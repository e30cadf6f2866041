"""An API of limits and orders that says what a test wants it to say."""

from dataclasses import dataclass, field
from typing import Any

from tests.e2e.scripted_api import Answers, Refusal, Script
from tests.e2e.scripted_locates import STATUS, ago


def limit(security: str, short: tuple[int, int], long: tuple[int, int], owner: str = "FUND1") -> dict[str, Any]:
    """What is left and used of both limits."""
    told: dict[str, Any] = {
        "scope": "client",
        "owner": owner,
        "security": security,
        "name": "Tarthorne Biosciences",
        "market": "US",
    }
    sides = {"short": short, "long": long}
    return told | {side: {"left": left, "used": used} for side, (left, used) in sides.items()} | {"stale": False}


def order(number: int, state: str = "approved", **change: Any) -> dict[str, Any]:
    """A short sale as it was decided."""
    good = state != "rejected"
    before = {"client": 5_000, "au": 25_000}
    told = {
        "order": f"order-{number}",
        "state": state,
        "reason": None if good else "insufficient_client_limit",
        "security": "US0000000001",
        "asked_as": "US0000000001",
        "client": "FUND1",
        "book": "B0001",
        "side": "short",
        "requested": 1_000 * number,
        "approved": 1_000 * number if good else 0,
        "executed": 0,
        "open": 1_000 * number if good else 0,
        "client_limit": {"owner": "FUND1", "before": before["client"], "after": before["client"] - good * 1_000},
        "au_limit": {"owner": "US-NET-1", "before": before["au"], "after": before["au"] - good * 1_000}
        if good
        else None,
        "as_of": ago(5),
        "received_at": ago(100 - number),
        "updated_at": ago(100 - number),
        "took_us": 740,
        "expires_at": ago(-20_000),
        "requested_by": "",
        "comment": "",
        "changed_by": "",
        "remark": "",
    }
    return told | change


def given(name: str, quantity: int, weight: float | None, **more: Any) -> dict[str, Any]:
    """An input of an explanation."""
    told: dict[str, Any] = {
        "name": name,
        "title": name.replace("_", " ").capitalize(),
        "kind": "decided",
        "category": "",
    }
    told |= {"stability": "", "measure": "", "condition": "", "quantity": quantity, "weight": weight}
    told |= {"share": int(quantity * (weight or 0)), "rows": [], "calculation": None}
    return (
        told
        | {"rule": {"id": f"limit.{name}", "document": "default", "version": 3, "note": "approved is counted"}}
        | more
    )


def because(name: str, inputs: list[dict[str, Any]], expression: str = "") -> dict[str, Any]:
    """An explanation of a number."""
    total = sum(each["share"] for each in inputs)
    return {
        "security": "US0000000001",
        "market": "US",
        "rules": {"default": 3, "us": 1},
        "as_of": ago(1),
        "explanation": {
            "calculation": name,
            "title": name.replace("_", " ").capitalize(),
            "description": "What may still be sold.",
            "scope": "client",
            "day": 1,
            "date": "2026-11-23",
            "unit": "shares",
            "currency": None,
            "expression": expression,
            "total": total,
            "value": max(0, total) if expression else total,
            "inputs": inputs,
        },
    }


ROW: dict[str, Any] = {
    "book": "B0001",
    "client": "FUND1",
    "entity": "E1",
    "aggregation_unit": "US-NET-1",
    "depot": "DTC",
}
ROW |= {"kind": "CLIENT_FREE", "gives": 4_000, "projected": 4_000, "td": 4_000, "sd": 4_000}


def explained(owner: str) -> dict[str, Any]:
    """Why an owner's limits are what they are."""
    short = [given("short_locates", 6_000, 1.0), given("short_sells", 1_000, -1.0), given("pay_to_hold", 0, 1.0)]
    rows: dict[str, Any] = {"kind": "rows", "rows": [ROW]}
    long = [given("positions", 4_000, 1.0, **rows), given("open_long_sells", 4_500, -1.0)]
    return {
        "security": "US0000000001",
        "owner": owner,
        "long": -500,
        "short": 5_000,
        "long_because": because("client_long", long),
        "short_because": because("client_short", short),
        "stale": False,
    }


class Limits(Answers):
    """The addresses of limits and orders."""

    def answer(self, method: str, *parts: str) -> Any:
        script = self.script
        whose = self.asked("client") or self.asked("au")
        match (method, *parts):
            case ("GET", "status"):
                return script.status
            case ("GET", "orders"):
                found = [each for each in reversed(script.orders) if whose in self._owners(each)]
                return {"orders": found, "next_cursor": None}
            case ("GET", "limits"):
                security = self.asked("security")
                found = [each for each in script.limits if each["owner"] == whose]
                return {"limits": [each for each in found if security in ("", each["security"])], "next_cursor": None}
            case ("GET", "limits", "au", owner, _) | ("GET", "limits", owner, _):
                if owner == "NOBODY":
                    raise Refusal(404, "no book is NOBODY's")
                return explained(owner)
        raise Refusal(404, "there is nothing here")

    def _owners(self, order: dict[str, Any]) -> tuple[str, ...]:
        seen = (order["client_limit"], order["au_limit"])
        return "", *(limit["owner"] for limit in seen if limit)


@dataclass
class LimitsScript(Script):
    """What the API says of limits and orders: `orders` oldest first."""

    handler = Limits
    status: dict[str, Any] = field(default_factory=lambda: dict(STATUS))
    limits: list[dict[str, Any]] = field(default_factory=list)
    orders: list[dict[str, Any]] = field(default_factory=list)
