"""Alerts that say what a test wants them to say, behind the bell of a page."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.scripted_api import Refusal
from tests.e2e.scripted_locates import Locates, LocatesScript

WORDS = {
    "numbers": [
        {"name": "left", "title": "Left", "family": "Calculations", "unit": "shares", "tip": "What is left"},
        {"name": "fee", "title": "Fee %", "family": "Security", "unit": "rate", "tip": ""},
    ],
    "attributes": {"temperature": ["GC", "HTB"], "name": []},
    "examples": ["left < 10,000 and HTB"],
}


def event(number: int, severity: str = "high", state: str = "raised", **change: Any) -> dict[str, Any]:
    """An event that began `number` minutes ago."""
    at = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=number)
    told = {
        "id": f"E{number:010d}",
        "alert": "A00000001",
        "name": f"Alert {number}",
        "condition": "left < 10,000 and HTB",
        "severity": severity,
        "sound": False,
        "security": f"S{number}",
        "ticker": f"TICK{number}",
        "title": "Tarthorne Biosciences",
        "market": "XX",
        "values": {"left": 8_400 + number, "fee": 5.25},
        "state": state,
        "raised_at": at.isoformat(),
        "acknowledged_at": None,
        "cleared_at": None,
        "remark": "",
    }
    return told | change


class Alerts(Locates):
    """The addresses of alerts; all else is of locates."""

    def answer(self, method: str, *parts: str) -> Any:
        if parts[0] != "alerts":
            return super().answer(method, *parts)
        script: AlertsScript = self.script
        match (method, *parts[1:]):
            case ("GET",):
                return {"alerts": script.alerts}
            case ("POST",):
                return self._add()
            case ("POST", "test"):
                return self._test()
            case ("GET", "words"):
                return WORDS
            case ("POST", "events", "acknowledge"):
                return self._acknowledge()
            case ("POST", name, step):
                script.done.append((step, self.who.user, name, self.body))
                mine: dict[str, Any]
                (mine,) = [each for each in script.alerts if each["id"] == name]
                if step == "remove":
                    script.alerts.remove(mine)
                else:
                    mine |= self.body | {"revision": mine["revision"] + 1}
                return mine
        raise Refusal(404, "there is nothing here")

    def _add(self) -> dict[str, Any]:
        self._check()
        made = {"id": f"A{len(self.script.alerts):08x}", "revision": 1, "raised": 0, "acknowledged": 0, "problem": ""}
        self.script.alerts.append(self.body | made)
        kept: dict[str, Any] = self.body | made
        return kept

    def _check(self) -> None:
        at = self.body["condition"].find("lefft")
        if at >= 0:
            wrong = {"detail": "unknown word 'lefft': left?", "pointer": "/condition", "line": 1, "column": at + 1}
            raise Refusal(422, wrong["detail"], [wrong])

    def _test(self) -> dict[str, Any]:
        self._check()
        first = {name: event(7)[name] for name in ("security", "ticker", "title", "market", "values")}
        return {"matching": 12, "looked_at": 50_000, "securities": [first], "took_ms": 3.1}

    def _acknowledge(self) -> dict[str, Any]:
        script = self.script
        names = self.body.get("events") or [each["id"] for each in script.alert_events]
        script.done.append(("acknowledge", self.who.user, names, self.body))
        seen = [each for each in script.alert_events if each["id"] in names and each["state"] == "raised"]
        for each in seen:
            each["state"] = "acknowledged"
        script.alert(*seen)
        return {"acknowledged": [each["id"] for each in seen]}


@dataclass
class AlertsScript(LocatesScript):
    """A page Locates with alerts: `alerts` that were written, `alert_events` that are open."""

    handler = Alerts
    alerts: list[dict[str, Any]] = field(default_factory=list)
