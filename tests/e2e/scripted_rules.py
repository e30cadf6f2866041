"""A rules API that says what a test wants it to say: states that the real one is not easily brought to.

Keeps documents in memory and speaks the shapes of the real one.
"""

from dataclasses import dataclass, field
from typing import Any

from app.identity import Identity
from tests.e2e.scripted_api import Answers, Refusal, Script

TEXT = """\
# Taiwan: borrowed stock may not be lent on.
format: 1
document: tw
title: Taiwan
markets: [TW]
effective_from: 2020-01-01
rules:
  - {calculation: for_loan, input: borrowed, weight: 0, note: "may not be lent on"}
  - id: lend.pledged.tw
    calculation: for_loan
    input: pledged
    weight: -0.5
    condition: "recall_days > day AND client IN ('C1', '<b>C2</b>')"
"""
IMPACT = {
    "took_ms": 412,
    "as_of_ns": 1_795_000_000_000_000_000,
    "rows_read": 2_003_114,
    "securities_changed": 3,
    "classes": 812,
    "totals": {
        "borrow_cost": {"unit": "reporting", "before": 12_345, "after": 12_345, "securities": 0},
        "for_loan": {"unit": "shares", "before": 1_204_500_000, "after": 1_199_100_000, "securities": 3},
        "utilisation": {"unit": "basis_points", "before": None, "after": None, "securities": 1},
        "remaining": {"unit": "shares", "before": 900_000, "after": -4_500_000, "securities": 1},
    },
    "securities": [
        {
            "security": "TWS000000001",
            "name": "FORMOSA <i>PLASTICS</i>",
            "market": "TW",
            "changes": {
                "for_loan": {"day": 2, "before": 5_400_000, "after": 0},
                "remaining": {"day": 2, "before": 400_000, "after": -5_000_000},
                "utilisation": {"day": 0, "before": 4_150, "after": 9_000},
            },
        },
        {
            "security": "TWS000000002",
            "name": "TAIWAN CEMENT",
            "market": "TW",
            "changes": {"for_loan": {"day": 2, "before": 100, "after": 250}},
        },
        {
            "security": "TWS000000003",
            "name": "ACER",
            "market": "TW",
            "changes": {"for_loan": {"day": 2, "before": 3_000, "after": 2_950}},
        },
    ],
    "under_water": [
        {
            "security": "TWS000000001",
            "name": "FORMOSA <i>PLASTICS</i>",
            "market": "TW",
            "side": "short",
            "remaining_before": 400_000,
            "remaining_after": -5_000_000,
            "located": 2_000_000,
            "locates": [{"id": "L0000000017", "client": "C0042", "type": "short", "decrement": 2_000_000}],
        }
    ],
    "limits": [
        {
            "security": "TWS000000001",
            "scope": "client",
            "owner": "C0042",
            "calculation": "client_short",
            "role": "client_short",
            "before": 100,
            "after": -2_000,
        }
    ],
}
_ASKED = {"requests": 3, "requested": 1_600, "approved": 1_000, "decrement": 900}
_SIDES = {"was": _ASKED, "would": _ASKED | {"approved": 400}}
_WAS = {"state": "pending", "reason": None, "approved": 0, "rule": "all", "by": "rules"}
_WOULD = {"state": "rejected", "reason": "limit_exceeded", "approved": 0, "rule": "<b>large</b>", "by": "rules"}
_LINE = {"id": "L0000000017", "at": "2026-11-19T12:00:00Z", "client": "C0042", "security": "TWS1", "requested": 600}
DRY_RUN = {
    "since": "2026-11-14T00:00:00Z",
    "until": "2026-11-20T18:00:00Z",
    "complete": False,
    "requests": 3,
    "unknown": 2,
    "differ": 1,
    "total": _SIDES,
    "reviews": {"was": 5, "would": 1, "spared": 4, "decided": 3, "decided_alike": 2},
    "states": [{"from_state": "pending", "to_state": "rejected"} | _SIDES],
    "rules": [{"rule": "<b>large</b>", "version": 2} | _SIDES],
    "lines": [
        _LINE | {"was": _WAS, "would": _WOULD, "later": _WAS | {"state": "approved", "approved": 500, "by": "otto"}}
    ],
}
NOON = "2026-11-20T12:00:00Z"
NEXT = {
    "test": {"draft": "tested", "tested": "tested", "submitted": "submitted", "approved": "approved"},
    "submit": {"tested": "submitted"},
    "approve": {"submitted": "active"},
    "reject": {"submitted": "rejected"},
    "withdraw": dict.fromkeys(("draft", "tested", "submitted", "approved"), "withdrawn"),
}


class Rules(Answers):
    """The addresses of rules."""

    def answer(self, method: str, *parts: str) -> Any:
        script, body = self.script, self.body
        match (method, *parts[1:]):
            case ("GET",):
                return {"documents": [self._document(name) for name in script.versions]}
            case ("GET", "audit"):
                wanted = self.asked("document")
                return {"steps": [line for line in reversed(script.audit) if wanted in ("", line["document"])]}
            case ("GET", "export"):
                return "---\n".join(v["text"] for name in script.versions for v in self._active(name)).encode()
            case ("POST", "import"):
                self._check(body["text"])
                made = [script.add("tw", body["text"], self.who.user, comment=body["comment"])]
                return {"versions": [_short(version) for version in made]}
            case ("GET", name, "versions"):
                return {"versions": [_short(version) for version in reversed(self._of(name))]}
            case ("GET", name, "versions", number):
                return self._version(name, number)
            case ("GET", name, "versions", number, "dry-run"):
                if self.request.headers.get("Accept") == "text/csv":
                    return f"{self.asked('from')} to {self.asked('to')}, {self.asked('limit')}".encode()
                return script.dry_run
            case ("POST", name, "drafts"):
                self._check(body["text"])
                return _short(script.add(name, body["text"], self.who.user, comment=body["comment"]))
            case ("POST", name, "revert"):
                text = self._version(name, body["to"])["text"]
                return _short(script.add(name, text, self.who.user, comment=body["comment"]))
            case ("POST", name, "versions", number, step):
                return self._step(self._version(name, number), step, body.get("comment", ""))
        raise Refusal(404, "there is nothing here")

    def _of(self, name: str) -> list[dict[str, Any]]:
        if name not in self.script.versions:
            raise Refusal(404, f"no document {name}")
        versions: list[dict[str, Any]] = self.script.versions[name]
        return versions

    def _version(self, name: str, number: str | int) -> dict[str, Any]:
        for version in self._of(name):
            if version["version"] == int(number):
                return version
        raise Refusal(404, f"no version {number} of {name}")

    def _active(self, name: str) -> list[dict[str, Any]]:
        return [version for version in self._of(name) if version["state"] == "active"]

    def _document(self, name: str) -> dict[str, Any]:
        open_states = ("draft", "tested", "submitted", "approved")
        active = self._active(name)
        return {
            "document": name,
            "title": "Taiwan" if name == "tw" else name.title(),
            "markets": ["TW"] if name == "tw" else [],
            "active": _short(active[0]) if active else None,
            "drafts": [_short(version) for version in self._of(name) if version["state"] in open_states],
        }

    def _check(self, text: str) -> None:
        found = []
        for number, line in enumerate(text.split("\n"), 1):
            if "WRONG" in line:
                told = {"document": "tw", "line": number, "column": line.index("WRONG") + 1}
                found.append(told | {"detail": "unknown column 'WRONG' <script>"})
        if found:
            raise Refusal(422, "the document cannot be used", found)

    def _step(self, version: dict[str, Any], step: str, comment: str) -> dict[str, Any]:
        who: Identity = self.who
        if step in ("approve", "reject") and version["author"] == who.user:
            raise Refusal(403, f"{who.user} made version {version['version']}: another person checks it")
        if step == "test":
            self._check(version["text"])
        state = NEXT[step].get(version["state"])
        if state is None:
            raise Refusal(409, f"version {version['version']} is {version['state']}")
        if state == "active":
            for former in self._active(version["document"]):
                former["state"] = "retired"
            version |= {"approved_by": who.user, "approved_at": NOON, "active_at": NOON}
        if step == "submit":
            version["submitted_by"] = who.user
        version["state"] = state
        self.script.note(version, who.user, step, comment)
        if step != "test":
            return _short(version)
        impact = self.script.impact
        sums = {name: value for name, value in impact.items() if name != "securities"}
        version["impact"] = sums | {"under_water": 1, "limits": 1}
        return {"version": _short(version), "impact": impact}


def _short(version: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in version.items() if name != "text"}


@dataclass
class RulesScript(Script):
    """What the API says of rules."""

    handler = Rules
    versions: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    audit: list[dict[str, Any]] = field(default_factory=list)
    impact: dict[str, Any] = field(default_factory=lambda: IMPACT)
    dry_run: dict[str, Any] = field(default_factory=lambda: DRY_RUN)

    def add(self, document: str, text: str, author: str, state: str = "draft", comment: str = "") -> dict[str, Any]:
        """A further version of a document."""
        versions = self.versions.setdefault(document, [])
        made = {"document": document, "version": len(versions) + 1, "text": text, "state": state, "author": author}
        made |= {"comment": comment, "created_at": NOON, "effective_from": "2020-01-01", "impact": None}
        made |= dict.fromkeys(("submitted_by", "approved_by", "approved_at", "active_at", "retired_at", "reverted_to"))
        versions.append(made)
        self.note(made, author, "draft", comment)
        return made

    def note(self, version: dict[str, Any], who: str, action: str, comment: str) -> None:
        """A line of the audit."""
        told = {"at": NOON, "who": who, "action": action, "state": version["state"]}
        told |= {"document": version["document"], "version": version["version"], "comment": comment}
        self.audit.append(told)
