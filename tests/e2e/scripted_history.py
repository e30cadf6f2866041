"""An API of numbers over time that says what a test wants it to say."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.scripted_api import Answers, Refusal, Script

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
STATUS = {"at": NOW.isoformat(), "ready": True, "stale": [], "heartbeat_age_ms": 110}
CHOICES = [
    {"calculation": "for_loan", "title": "For loan", "unit": "shares"},
    {"calculation": "locate_pool", "title": "Locate pool", "unit": "shares"},
    {"calculation": "remaining", "title": "Remaining", "unit": "shares"},
    {"calculation": "utilisation", "title": "Utilisation", "unit": "basis_points"},
]
LIMIT_CHOICES = {
    scope: [
        {"calculation": f"{scope}_{side}", "title": f"{whose} may sell {side}", "unit": "shares"}
        for side in ("long", "short")
    ]
    for scope, whose in (("client", "Client"), ("au", "Unit"))
}
EVERY = {each["calculation"]: each for each in [*CHOICES, *LIMIT_CHOICES["client"], *LIMIT_CHOICES["au"]]}
LEVELS = {"for_loan": 900_000, "locate_pool": 1_200_000, "remaining": 700_000, "utilisation": 4_200}
LEVELS |= {"client_long": 40_000, "client_short": 9_000, "au_long": 110_000, "au_short": 25_000}


def ago(minutes: float) -> str:
    return (NOW - dt.timedelta(minutes=minutes)).isoformat()


def history(names: list[str], day: int) -> dict[str, Any]:
    """Six changes in the last twenty hours, and nobody looked between the eighth and the sixth."""
    spans = [{"since": ago(1_200), "until": ago(480)}, {"since": ago(360), "until": ago(0)}]
    steps = [(1_200, 0.0), (900, 0.1), (700, -0.2), (360, -0.1), (200, -0.35), (0, -0.3)]
    lines, points = [], []
    for name in names:
        title, unit = EVERY[name]["title"], EVERY[name]["unit"]
        lines.append(
            {
                "calculation": name,
                "day": day,
                "title": title,
                "unit": unit,
                "scale": 1 if unit == "shares" else 100,
                "points": len(steps),
                "thinned": False,
                "covered": spans,
            }
        )
        level = LEVELS[name]
        points += [
            {"at": ago(minutes), "calculation": name, "day": day, "value": int(level * (1 + part))}
            for minutes, part in steps
        ]
    told = {"points": points, "security": "US0000000001", "scope": "", "owner": "", "lines": lines}
    return told | {
        "choices": CHOICES,
        "covered": spans,
        "samples": 1_080,
        "every_s": 60.0,
        "as_of": ago(0.5),
        "next_cursor": None,
    }


def limit_history(scope: str, owner: str, names: list[str], day: int, *, at_once: bool) -> dict[str, Any]:
    """Limits of somebody; `at_once`: of a single moment, from two hundred minutes ago."""
    told = history(names, day) | {"scope": scope, "owner": owner, "choices": LIMIT_CHOICES[scope]}
    if at_once:
        told["points"] = [point for point in told["points"] if point["at"] == ago(200)]
    return told


MARKS = [
    {"at": ago(480), "until": ago(360), "kind": "gap", "text": "nothing was recorded"},
    {"at": ago(320), "until": ago(300), "kind": "stale", "text": "feeds were late: shares in doubt"},
    {"at": ago(200), "until": ago(200), "kind": "trade", "text": "sell 315,000 in B0001 (oms 41)"},
    {"at": ago(150), "until": ago(150), "kind": "rules", "text": "rules in force: us v3"},
    {"at": ago(90), "until": ago(90), "kind": "decision", "text": "short locates +20,000 to 60,000"},
    {"at": ago(60), "until": ago(60), "kind": "action", "text": "corporate action: 1,000 pending in B0002"},
]


def was(loan: int, firm: int, place: int, rows: dict[str, int]) -> dict[str, Any]:
    """What was, or is."""
    return {
        "time": ago(200),
        "as_of": ago(200),
        "exact": True,
        "gaps": [],
        "place": place,
        "events": 4_211,
        "security": {"code": "US0000000001", "market": "US"},
        "calculations": {"for_loan": [loan] * 5, "utilisation": [4_200] * 5},
        "terms": {"firm_long": [firm] * 5, "borrowed": [12_000] * 5},
        "decided": {"short_locates": 40_000},
        "rows": [
            {"kind": "FIRM", "book": book, "depot": "DTC", "projected": [value] * 5} for book, value in rows.items()
        ],
    }


class History(Answers):
    """The addresses of history."""

    def answer(self, method: str, *parts: str) -> Any:
        script = self.script
        match (method, *parts):
            case ("GET", "status"):
                return script.status
            case ("GET", "history", security):
                if security == "NOBODY":
                    raise Refusal(404, "no security NOBODY")
                if script.closed:
                    raise Refusal(404, "this service keeps no archive: nothing is recorded")
                names = (self.asked("calculation") or "for_loan,locate_pool,remaining").split(",")
                told = history(names, int(self.asked("day") or 1))
                return (
                    told
                    if script.recorded
                    else told
                    | {"samples": 0, "covered": [], "points": []}
                    | {"lines": [line | {"covered": []} for line in told["lines"]]}
                )
            case ("GET", "history", "limits", "au", owner, _):
                return self._limits("au", owner)
            case ("GET", "history", "limits", owner, _):
                return self._limits("client", owner)
            case ("GET", "history", _, "marks") if script.kept_to_clients:
                raise Refusal(403, "this is not shown to a token for some clients only")
            case ("GET", "history", _, "marks"):
                marks = MARKS if script.recorded else []
                return {
                    "marks": marks,
                    "complete": script.recorded,
                    "note": "" if script.recorded else "nothing is kept",
                }
            case ("GET", "asof"):
                if script.analyst_away:
                    raise Refusal(503, "the analyst cannot be reached")
                if self.asked("time") == "now":
                    return was(585_000, 400_000, 9_000, {"B0001": 100_000, "B0002": 300_000})
                return was(900_000, 715_000, 7_000, {"B0001": 415_000, "B0002": 300_000})
            case ("GET", "utilisation"):
                markets = {"US": 40, "JP": 62, "TW": 91}
                points = [
                    {"at": ago(minutes), "market": market, "securities": 10, "utilisation": level + minutes / 100}
                    | {"pool": 100, "left": 50, "scarce": 1}
                    for minutes in (900, 600, 300, 1)
                    for market, level in markets.items()
                ]
                spans = [{"since": ago(900), "until": ago(0)}]
                return {"points": points if script.recorded else [], "covered": spans, "every_s": 60.0}
            case ("GET", "latencies"):
                points = [
                    {"at": ago(minutes), "count": 40, "p50_ms": 1.2, "p99_ms": 6.5 + minutes / 90, "max_ms": 19.0}
                    for minutes in (900, 600, 300, 1)
                ]
                return {"points": points if script.recorded else []}
        raise Refusal(404, "there is nothing here")

    def _limits(self, scope: str, owner: str) -> dict[str, Any]:
        if owner not in {"FUND1", "FUND2", "US-NET-1"}:
            raise Refusal(404, f"no client '{owner}'")
        between = [dt.datetime.fromisoformat(self.asked(name)) for name in ("from", "to")]
        names = (self.asked("calculation") or f"{scope}_long,{scope}_short").split(",")
        moment = between[1] - between[0] < dt.timedelta(minutes=1)
        told = limit_history(scope, owner, names, int(self.asked("day") or 1), at_once=moment)
        if owner == "FUND2":  # nobody had asked until now
            told["lines"] = [line | {"covered": []} for line in told["lines"]]
            told["points"] = [] if moment else [point for point in told["points"] if point["at"] == ago(0)]
        return told


@dataclass
class HistoryScript(Script):
    """What the API says. `recorded`: there is something; `closed`: nothing is kept; `analyst_away`: nobody looks back;
    `kept_to_clients`: who asks sees some clients only.
    """

    handler = History
    status: dict[str, Any] = field(default_factory=lambda: dict(STATUS))
    recorded: bool = True
    closed: bool = False
    analyst_away: bool = False
    kept_to_clients: bool = False
