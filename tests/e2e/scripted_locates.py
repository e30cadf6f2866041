"""An API of locates that says what a test wants it to say. Keeps them in memory and speaks the shapes of the real one."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from app.identity import Role
from tests.e2e.scripted_api import Answers, Refusal, Script

NOW = dt.datetime(2026, 11, 20, 14, 30, 15, tzinfo=dt.UTC)
STATUS = {"at": NOW.isoformat(), "ready": True, "stale": [], "heartbeat_age_ms": 110}
RATIO = 10_000


def ago(seconds: float) -> str:
    return (NOW - dt.timedelta(seconds=seconds)).isoformat()


def locate(number: int, state: str = "pending", **change: Any) -> dict[str, Any]:
    """A locate of a client who asked `number` minutes before noon or so."""
    quantity = 1_000 * number
    granted = quantity if state in ("approved", "exhausted") else 0
    told = {
        "id": f"L{number:010d}",
        "state": state,
        "reason": "insufficient_inventory" if state == "pending" else None,
        "security": f"US{number % 3:010d}",
        "asked_as": f"TICK{number % 3}@US",
        "client": f"FUND{number % 2}",
        "type": "short",
        "requested": quantity,
        "approved": granted,
        "decrement": granted,
        "used": 0,
        "remaining": granted,
        "decision": {"by": "auto", "rule": "up-to-the-pool", "version": 1, "user": ""},
        "rate": 0.25 * number,
        "fee": None,
        "currency": "USD",
        "priority": 0,
        "as_of": ago(60 * number),
        "received_at": ago(60 * (60 - number)),
        "updated_at": ago(60 * (60 - number)),
        "expires_at": ago(-23_000) if granted else None,
        "allow_partial": True,
        "on_insufficient": "pend",
        "reference": f"desk-{number}",
        "requested_by": "anna",
        "comment": "",
        "created_by": "tom",
        "changed_by": "rules",
        "remark": "",
    }
    return told | change


def availability(security: str) -> dict[str, Any]:
    """What is left of a security."""
    return {
        "security": security,
        "name": "Tarthorne Biosciences Corporation",
        "market": "US",
        "temperature": "HTB",
        "settle_day": 1,
        "pool": 12_000,
        "located": 4_500,
        "left": 7_500,
        "pool_long": 3_000,
        "left_long": 3_000,
        "terms": {"firm_long": 9_000, "client_free": 5_000, "shorts": 2_000, "on_loan": 0},
        "stale": False,
    }


def evidence(of: dict[str, Any]) -> dict[str, Any]:
    """How a locate was decided."""
    made = {
        "decision_rule": {"id": "up-to-the-pool", "version": 1},
        "decrement_rule": {"id": "hard-to-borrow", "version": 1},
        "ratio_basis_points": RATIO,
        "market": "US",
        "temperature": "HTB",
        "pool_before": 900,
        "pool_after": 900,
        "terms": {"firm_long": 9_000, "shorts": 8_100},
        "as_of": of["as_of"],
        "feed_positions": [{"topic": "ims.trades", "partition": 2, "offset": 120_400}],
        "decided_at": of["received_at"],
        "decided_by": "rules",
        "requested_by": of["requested_by"],
    }
    step = {name: of[name] for name in ("state", "reason", "approved", "decrement", "changed_by", "remark")}
    return {"id": of["id"], "transitions": [step | {"at": of["updated_at"], "evidence": made}]}


class Locates(Answers):
    """The addresses of locates."""

    def answer(self, method: str, *parts: str) -> Any:
        script = self.script
        match (method, *parts):
            case ("GET", "status"):
                if script.kept_to_clients:
                    raise Refusal(403, "this is not for who is kept to clients")
                return script.status
            case ("GET", "locates"):
                return self._page()
            case ("GET", "locates", "totals"):
                return {"approved": 40_000, "used": 10_000, "utilisation": 0.25}
            case ("GET", "locates", text):
                return self._one(text)
            case ("GET", "locates", text, "evidence"):
                return evidence(self._one(text))
            case ("GET", "availability", security):
                return availability(security)
            case ("POST", "locates", "quotes"):
                return [locate(0, "approved") | {"security": line["security"]} for line in self.body]
            case ("POST", "locates", "actions"):
                return {"results": [self._many(text) for text in self.body["ids"]]}
            case ("POST", "locates"):
                self.needs(Role.TRADER, Role.OPS)
                return self._ask()
            case ("POST", "locates", text, step):
                return self._step(self._one(text), step)
        raise Refusal(404, "there is nothing here")

    def _page(self) -> dict[str, Any]:
        names = ("client", "security", "state")
        wanted = {name: self.asked(name) for name in names if self.asked(name)}
        found = [each for each in self.script.locates if all(each[name] == value for name, value in wanted.items())]
        ordered = found if self.asked("order") == "oldest" else found[::-1]
        return {"locates": ordered[: int(self.asked("limit"))], "next_cursor": None}

    def _one(self, text: str) -> Any:
        for each in self.script.locates:
            if each["id"] == text:
                return each
        raise Refusal(404, f"no locate {text}")

    def _step(self, of: dict[str, Any], step: str) -> dict[str, Any]:
        self.needs(*((Role.TRADER, Role.OPS) if step in ("release", "cancel") else (Role.OPS, Role.ADMIN)))
        wanted = self.body.get("quantity") or of["requested"]
        if step == "approve" and wanted > of.get("at_most", wanted):
            raise Refusal(409, f"only {of['at_most']:,} are left")
        after = {"release": "released", "cancel": "cancelled", "reject": "rejected", "ask": "pending"}.get(step)
        if step == "approve":
            of |= {"approved": wanted, "decrement": wanted, "reason": None}
            after = "approved" if wanted == of["requested"] else "partially_approved"
        of |= {"state": after, "remark": self.body.get("comment", ""), "changed_by": self.who.user}
        of["updated_at"] = self.script.status["at"]
        self.script.done.append((step, self.who.user, of["id"], self.body))
        return of

    def _many(self, text: str) -> dict[str, Any]:
        try:
            return {
                "id": text,
                "status": 200,
                "locate": self._step(self._one(text), self.body["action"]),
                "problem": None,
            }
        except Refusal as refusal:
            return {"id": text, "status": refusal.status, "locate": None, "problem": refusal.detail}

    def _ask(self) -> Any:
        self.script.keys.append(self.request.headers["Idempotency-Key"])
        if self.script.lost:
            self.script.lost = False
            raise Refusal(502, "the answer was lost")
        lines = self.body if isinstance(self.body, list) else [self.body]
        wrong = [number for number, line in enumerate(lines) if line["security"] == "WRONG"]
        if wrong:
            pointer = f"/{wrong[0]}/security" if isinstance(self.body, list) else "/security"
            raise Refusal(422, "one field is wrong", [{"detail": "no market", "pointer": pointer}])
        made = []
        for line in lines:
            asked = {"requested": line["quantity"], "approved": line["quantity"], "created_by": self.who.user}
            kept = {name: line[name] for name in ("security", "client", "type", "allow_partial", "comment")}
            made.append(locate(len(self.script.locates) + 1, "approved") | kept | asked)
            self.script.locates.append(made[-1])
        self.script.done.append(("request", self.who.user, len(lines), self.body))
        return made if isinstance(self.body, list) else made[0]


@dataclass
class LocatesScript(Script):
    """What the API says of locates: `locates` oldest first."""

    handler = Locates
    status: dict[str, Any] = field(default_factory=lambda: dict(STATUS))
    locates: list[dict[str, Any]] = field(default_factory=list)
    done: list[tuple[str, str, Any, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    """Of requests, as they came."""
    kept_to_clients: bool = False
    lost: bool = False
    """Whether the next request gets no answer."""
