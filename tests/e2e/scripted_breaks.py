"""An API of breaks that says what a test wants it to say. Keeps them in memory and speaks the shapes of the real one."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from app.identity import Role
from tests.e2e.scripted_api import Answers, Refusal, Script

NOW = dt.datetime(2026, 11, 20, 14, 30, 15, tzinfo=dt.UTC)
STATUS = {"at": NOW.isoformat(), "ready": True, "stale": [], "heartbeat_age_ms": 110}
SEVERITIES = ("critical", "high", "medium", "low")
DECIDERS = (Role.OPS, Role.ADMIN)
WORKERS = (Role.TRADER, *DECIDERS)


def ago(seconds: float) -> str:
    return (NOW - dt.timedelta(seconds=seconds)).isoformat()


def broken(number: int, kind: str = "depot", **change: Any) -> dict[str, Any]:
    """A break; the lower its number, the more it does."""
    quantity = (-1_000 if number % 2 else 1_000) * number
    told = {
        "id": f"B{number:010d}",
        "kind": kind,
        "severity": SEVERITIES[min(3, number // 2)],
        "state": "open",
        "title": f"DEPOT{number % 2} states {abs(quantity):,} shares {'less' if quantity < 0 else 'more'} than our books",
        "security": f"SEC{number % 3:06d}",
        "isin": f"XX{number % 3:010d}",
        "name": "Tarthorne Biosciences Corporation",
        "market": "XX",
        "temperature": "GC",
        "book": "",
        "depot": f"DEPOT{number % 2}",
        **dict.fromkeys(("position_type", "client", "aggregation_unit", "counterparty", "contract", "number"), ""),
        **dict.fromkeys(("feed", "source", "topic", "reason"), ""),
        "unit": "shares",
        "ours": 25_000,
        "theirs": 25_000 + quantity,
        "quantity": quantity,
        "tolerance": 0,
        "value": quantity * 18.25,
        "explained": abs(quantity) // 2,
        "unexplained": abs(quantity) - abs(quantity) // 2,
        "cause": "unsettled_trade",
        "causes": [
            {
                "cause": "unsettled_trade",
                "quantity": quantity // 2,
                "text": "A receipt due 2026-11-30 in book FIRM-1 (row 4711)",
                "book": "FIRM-1",
                "depot": "DEPOT1",
                "security": "SEC000001",
                "on": "2026-11-30",
                "break_id": "B0000000002" if number == 1 else "",
            }
        ],
        "sellable": 0,
        "lendable": 10_000 // number,
        "located": 200,
        "affected": 10_000 // number + 200,
        "rank": number,
        "value_date": "2026-11-20",
        "first_seen_at": ago(3_600 * number),
        "last_changed_at": ago(60 * number),
        "resolved_at": None,
        "age_days": number - 1,
        "owner": "",
        "group": "",
        "group_name": "",
        "held": 0,
        "match": "",
        "revision": 1,
    }
    return told | change


def deep(of: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a break beside itself."""
    step = {"entry": 1, "at": of["first_seen_at"], "who": "ims", "action": "found", "state": "open", "detail": {}}
    return {
        "history": [step | {"quantity": of["quantity"], "comment": ""}],
        "comments": [],
        "locates": [
            {
                "id": "L0000000012",
                "client": "FUND1",
                "quantity": 200,
                "approved": 500,
                "remaining": 300,
                "state": "approved",
            }
        ],
        "limits": [{"scope": "client", "owner": "FUND1", "side": "long", "left": -400}],
        "adjustments": [],
        "group_members": [],
        "match_members": [],
    }


def row(book: str, **change: Any) -> dict[str, Any]:
    told = {
        "row": 4_711,
        "book": book,
        "depot": "DEPOT1",
        "position_type": "FIRM",
        "client": "",
        "sign": 1,
        "td": 26_500,
        "settled": 25_000,
        "receipt": [0, 2_000, 0, 0, 0, 0],
        "deliver": [0, 0, 500, 0, 0, 0],
        "projected": [25_000, 27_000, 26_500, 26_500, 26_500],
        "ca_pending": 0,
        "intraday_buy": 0,
        "intraday_sell": 0,
        "intraday_short": 0,
        "counted": 25_000,
    }
    return told | change


def sides(of: dict[str, Any]) -> dict[str, Any]:
    """Both sides of a break."""
    made = {
        "op": "BUY",
        "quantity": 100,
        "book": "FIRM-1",
        "depot": "DEPOT1",
        "position_type": "FIRM",
        "source": "OMS",
        "topic": "ims.events",
        "partition": 3,
        "trade_date": "2026-11-18",
        "settle_date": "2026-11-20",
    }
    return {
        "id": of["id"],
        "days": [f"2026-11-{day}" for day in (20, 23, 24, 25, 26)],
        "ours": {"label": "Our books", "quantity": of["ours"], "as_of": ago(1), "rows": [row("FIRM-1")], "facts": []},
        "theirs": {
            "label": of["depot"],
            "quantity": of["theirs"],
            "as_of": ago(9_000),
            "rows": [row("", position_type="DEPOT", settled=of["theirs"], receipt=[0] * 6, deliver=[0] * 6)],
            "facts": [],
        },
        "events": [
            made | {"at": ago(60 * n), "seq": 80 + n, "offset": None if n == 3 else 4_700 + n} for n in range(1, 4)
        ],
        "statement": made | {"op": "SET", "at": ago(9_000), "seq": 7, "topic": "ims.depot", "offset": 12},
        "statement_known": True,
        "last_agreed_at": ago(86_400),
        "last_agreed_quantity": 25_000,
        "last_agreed_text": "at start of day, before the trade of 100",
    }


class Breaks(Answers):
    """The addresses of breaks."""

    def answer(self, method: str, *parts: str) -> Any:
        script: BreaksScript = self.script
        match (method, *parts):
            case ("GET", "status"):
                return script.status
            case ("GET", "breaks"):
                return self._page()
            case ("GET", "breaks", "summary"):
                return self._summary()
            case ("GET", "breaks", "adjustments"):
                return {"adjustments": [each for each in script.adjustments if each["state"] == self.asked("state")]}
            case ("GET", "breaks", "groups"):
                return {"groups": self._groups()}
            case ("GET", "breaks", name):
                return self._one(name) | script.deep[name]
            case ("GET", "breaks", name, "sides"):
                return sides(self._one(name))
            case ("POST", "breaks", "actions"):
                self.needs(*WORKERS)
                return {"results": [self._many(name) for name in self.body["ids"]]}
            case ("POST", "breaks", "groups"):
                return self._group()
            case ("POST", "breaks", "matches"):
                return self._match()
            case ("POST", "breaks", "matches", name, "undo"):
                return self._undo(name)
            case ("POST", "breaks", "adjustments", name, step):
                return self._decide(name, step)
            case ("POST", "breaks", name, step):
                return self._step(self._one(name), step)
        raise Refusal(404, "there is nothing here")

    def _page(self) -> dict[str, Any]:
        def fits(each: dict[str, Any]) -> bool:
            named = ("kind", "severity", "market", "security", "depot")
            if any(self.asked(name) and each[name] not in self.asked(name).split(",") for name in named):
                return False
            owner, state = self.asked("owner"), self.asked("state")
            if owner and each["owner"] != owner.replace("-", ""):
                return False
            if each["state"] != state if state else each["state"] == "resolved":
                return False
            return (each["age_days"] or 0) >= int(self.asked("age_min") or 0) and (
                not self.asked("held") or each["held"] > 0
            )

        searched = [each for each in self.script.breaks if fits(each)]
        words = self.asked("text").lower().split()
        named = ("id", "kind", "title", "security", "isin", "name", "depot", "book", "feed", "owner")
        found = [each for each in searched if all(any(word in each[of].lower() for of in named) for word in words)]
        if self.asked("order") == "age":
            found = sorted(found, key=lambda each: -(each["age_days"] or 0))
        shown = found[: min(int(self.asked("limit")), self.script.most)]
        return {
            "breaks": shown,
            "next_cursor": None,
            "total": len(found),
            "searched": len(searched),
            "as_of": ago(0),
            "checked_ms": 4.2,
            "complete": True,
        }

    def _summary(self) -> dict[str, Any]:
        open_ = [each for each in self.script.breaks if each["state"] != "resolved"]
        kinds = []
        for kind in sorted({each["kind"] for each in open_}):
            mine = [each for each in open_ if each["kind"] == kind]
            counts = {
                state: sum(each["state"] == state for each in mine) for state in ("open", "acknowledged", "reopened")
            }
            counts |= {name: sum(each["severity"] == name for each in mine) for name in SEVERITIES}
            sums = {name: sum(abs(each[name] or 0) for each in mine) for name in ("value", "affected")}
            kinds.append({"kind": kind} | counts | sums)
        return {
            "total": len(open_),
            "by_kind": kinds,
            "unowned": sum(not each["owner"] for each in open_),
            "held": sum(each["held"] for each in open_),
            "adjustments_pending": sum(each["state"] == "pending" for each in self.script.adjustments),
            "oldest_age_days": max((each["age_days"] or 0 for each in open_), default=0),
            "as_of": ago(0),
            "checked_ms": 4.2,
            "stale": bool(self.script.stale),
            "stale_reason": self.script.stale,
        }

    def _one(self, name: str) -> Any:
        for each in self.script.breaks:
            if each["id"] == name:
                return each
        raise Refusal(404, f"no break {name}")

    def _note(self, of: dict[str, Any], action: str) -> dict[str, Any]:
        of["revision"] += 1
        history = self.script.deep[of["id"]]["history"]
        step = {"entry": len(history) + 1, "at": ago(0), "who": self.who.user, "action": action, "state": of["state"]}
        history.append(step | {"quantity": of["quantity"], "comment": self.body.get("comment", ""), "detail": {}})
        self.script.done.append((action, self.who.user, of["id"], self.body))
        told: dict[str, Any] = of | self.script.deep[of["id"]]
        return told

    def _step(self, of: dict[str, Any], step: str) -> dict[str, Any]:
        self.needs(*(WORKERS if step in ("assign", "comment", "acknowledge", "group", "ungroup") else DECIDERS))
        if self.script.faster:
            raise Refusal(409, f"{of['id']} was changed by {self.script.faster} meanwhile")
        match step:
            case "acknowledge":
                of["state"] = "acknowledged"
                return self._note(of, "acknowledged")
            case "assign":
                of["owner"] = self.body["owner"]
                return self._note(of, "assigned")
            case "hold":
                of["held"] = self.body["quantity"]
                return self._note(of, "held")
            case "return":
                of["held"] = 0
                return self._note(of, "returned")
            case "adjust":
                return self._adjust(of)
            case "group":
                (name,) = {each["group_name"] for each in self.script.breaks if each["group"] == self.body["group"]}
                of |= {"group": self.body["group"], "group_name": name}
                return self._note(of, "grouped")
            case "ungroup":
                of |= {"group": "", "group_name": ""}
                return self._note(of, "ungrouped")
        return self._note(of, "commented")

    def _many(self, name: str) -> dict[str, Any]:
        try:
            told = self._step(self._one(name), self.body["action"])
        except Refusal as refusal:
            return {"id": name, "status": refusal.status, "problem": refusal.detail, "state": ""}
        return {"id": name, "status": 200, "problem": None, "state": told["state"]}

    def _group(self) -> dict[str, Any]:
        self.needs(*WORKERS)
        for name in self.body["ids"]:
            one = self._one(name)
            one |= {"group": "G0000000001", "group_name": self.body["name"]}
            self._note(one, "grouped")
        return {"id": "G0000000001", "name": self.body["name"], "breaks": self.body["ids"]}

    def _groups(self) -> list[dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for each in self.script.breaks:
            if each["group"]:
                one = found.setdefault(each["group"], {"id": each["group"], "name": each["group_name"], "breaks": []})
                one["breaks"].append(each["id"])
        return list(found.values())

    def _match(self) -> dict[str, Any]:
        self.needs(*DECIDERS)
        total = sum(self._one(name)["quantity"] for name in self.body["ids"])
        forced = self.body.get("force", False)
        if total and not forced:
            raise Refusal(409, f"they come to {total:,}, not to 0")
        for name in self.body["ids"]:
            one = self._one(name)
            one |= {"state": "resolved", "match": "M0000000001"}
            self.script.deep[name]["match_members"] = self.body["ids"]
            self._note(one, "matched")
        return {"id": "M0000000001", "ids": self.body["ids"], "residual": total, "forced": forced, "state": "live"}

    def _undo(self, match: str) -> dict[str, Any]:
        self.needs(*DECIDERS)
        names = [each["id"] for each in self.script.breaks if each["match"] == match]
        for name in names:
            one = self._one(name)
            one |= {"state": "reopened", "match": ""}
            self._note(one, "unmatched")
        return {"id": match, "ids": names, "residual": 0, "forced": False, "state": "undone"}

    def _adjust(self, of: dict[str, Any]) -> dict[str, Any]:
        number = len(self.script.adjustments) + 1
        kept = {name: self.body[name] for name in ("book", "depot", "position_type", "quantity", "comment")}
        made = {"id": f"A{number:010d}", "break_id": of["id"], "security": of["security"], "state": "pending"} | kept
        made |= {"asked_by": self.who.user, "asked_at": ago(0), "decided_by": "", "decided_at": None}
        made |= {"decision_comment": "", "problem": ""}
        self.script.adjustments.append(made)
        self.script.deep[of["id"]]["adjustments"] = [made]
        self._note(of, "adjust_asked")
        return made

    def _decide(self, name: str, step: str) -> dict[str, Any]:
        self.needs(*DECIDERS)
        of: dict[str, Any]
        (of,) = [each for each in self.script.adjustments if each["id"] == name]
        if step != "withdraw" and of["asked_by"] == self.who.user:
            raise Refusal(403, "who asked does not decide")
        state = {"approve": "applied", "reject": "rejected", "withdraw": "withdrawn"}[step]
        of |= {"state": state, "decided_by": self.who.user, "decided_at": ago(0)}
        of["decision_comment"] = self.body["comment"]
        self.script.done.append((step, self.who.user, name, self.body))
        return of


@dataclass
class BreaksScript(Script):
    """What the API says of breaks: `breaks` in the order of their rank."""

    handler = Breaks
    status: dict[str, Any] = field(default_factory=lambda: dict(STATUS))
    breaks: list[dict[str, Any]] = field(default_factory=list)
    deep: dict[str, dict[str, Any]] = field(default_factory=dict)
    adjustments: list[dict[str, Any]] = field(default_factory=list)
    done: list[tuple[str, str, str, Any]] = field(default_factory=list)
    stale: str = ""
    """Why the breaks are old; "": they are not."""
    faster: str = ""
    """Who has been faster with every step."""
    most: int = 1_000
    """Breaks of a page."""

    def add(self, *breaks: dict[str, Any]) -> None:
        """These are there, too."""
        self.breaks += breaks
        self.deep |= {each["id"]: deep(each) for each in breaks}
