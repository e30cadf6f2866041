"""An API of feeds that says what a test wants it to say."""

import datetime as dt
import json
from dataclasses import dataclass, field
from typing import Any

import msgspec

from app import feed_rules, files_report
from app.api.files import FilePage, line
from app.files_store import FileReport, FileState, Waiting
from app.identity import Role
from tests.e2e.scripted_api import Answers, Refusal, Script

NOW = dt.datetime(2026, 11, 20, 14, 30, 15, tzinfo=dt.UTC)
OFF = ("availability", "attributes", "locates")
RATES = {"events": 0.0, "prices": 148_000.0, "trades": 51_200.0, "settlements": 9_800.0, "orders": 33_100.0, "fx": 4.0}


def _ago(seconds: float) -> str:
    return (NOW - dt.timedelta(seconds=seconds)).isoformat()


def feed(rule: feed_rules.FeedRule, **change: Any) -> dict[str, Any]:
    """A feed that fares well, or is not there."""
    off = rule.feed in OFF
    rate = RATES.get(rule.feed, 120.0)
    wave = [0.85, 0.95, 1.0, 0.9, 1.1, 1.05, 0.92, 1.2, 0.97, 1.0]
    told = {
        "feed": rule.feed,
        "title": rule.title,
        "topic": f"ims.{rule.feed.replace('_', '-')}",
        "state": "off" if off else "live",
        "since": None if off else _ago(21_000),
        "concern": list(rule.concern),
        "required": rule.required,
        "limit_s": rule.limit_s,
        "partitions": 0 if off else 6,
        "lag": 0,
        "age_ms": None if off else 120,
        "late_ms": None if off else 430,
        "last_good": None if off else _ago(0.43),
        "last_record": None if off else _ago(0.12),
        "last_event": None if off else _ago(0.2),
        "rate": 0 if off else rate,
        "rates": [] if off else [rate * wave[i % 10] for i in range(60)],
        "records": 0 if off else int(rate * 21_000) + 17,
        "events": 0,
        "unreadable": 0,
        "gaps": 0,
        "quarantined": 0,
        "parked": 0,
    }
    return told | change


def process(name: str, **change: Any) -> dict[str, Any]:
    """A process that runs."""
    told = {"process": name, "state": "live", "pid": 4_000 + sum(map(ord, name)), "up_ms": 21_600_000, "restarts": 0}
    return told | {"memory_bytes": 812 << 20, "processor_s": 40.0} | change


def parked(number: int, code: str, **change: Any) -> dict[str, Any]:
    """A record that waits for a security."""
    raw = {
        "src": "gateway-1",
        "seq": 9_000 + number,
        "ts": 1_795_000_000_000_000_000,
        "op": "BUY",
        "sec": code,
        "book": "B0042",
    }
    raw |= {
        "depot": "DTC",
        "kind": "FIRM",
        "trade": "2026-11-20",
        "settle": "2026-11-23",
        "qty": 1_000 * number,
        "flags": 0,
    }
    told = {"id": number, "feed": "trades", "topic": "ims.trades", "partition": number % 6, "offset": 120_000 + number}
    told |= {
        "reason": "unknown_security",
        "detail": f"no security '{code}'",
        "events": 1,
        "parked_at": _ago(60 * number),
    }
    told |= {"missing": [{"kind": "security", "code": code}], "shares": [{"security": code, "shares": 1_000 * number}]}
    text = json.dumps(raw)
    return told | {"raw": text, "raw_bytes": len(text)} | change


def quarantined(number: int, reason: str, detail: str, raw: str) -> dict[str, Any]:
    """A record that was set aside."""
    told = {
        "id": number,
        "feed": "prices",
        "topic": "ims.prices",
        "partition": 2,
        "offset": 77_000 + number,
        "events": 1,
    }
    return told | {"reason": reason, "detail": detail, "received_at": _ago(400), "raw": raw, "raw_bytes": len(raw)}


def report(number: int, name: str, state: FileState = FileState.LOADED, **change: Any) -> FileReport:
    """A batch file of trades, and how it fared."""
    told: dict[str, Any] = {"feed": "trades", "taken_at": _ago(600 - number)}
    told |= dict.fromkeys(("rows", "records", "applied"), 12_000)
    return FileReport(id=number, name=name, state=state, **(told | change))


def good() -> dict[str, Any]:
    """A service in which nothing is wrong."""
    names = ("engine", "archive", "worker0", "worker1", "gateway", "analyst", "pages")
    return {
        "at": NOW.isoformat(),
        "ready": True,
        "stale": [],
        "heartbeat_age_ms": 110,
        "events": 1_204_511_900,
        "missing": 0,
        "duplicates": 31,
        "rejected": 0,
        "feeds": [feed(rule) for rule in feed_rules.shipped()],
        "processes": [process(name) for name in names],
        "snapshot": {
            "taken_at": _ago(42),
            "age_ms": 42_000,
            "size_bytes": 611 << 20,
            "pause_ms": 8.4,
            "kept": 11,
            "skipped": 0,
            "problem": "",
        },
        "archive": {
            "state": "live",
            "behind_ms": 900,
            "backlog_bytes": 3 << 20,
            "written_at": _ago(0.9),
            "size_bytes": 48 << 30,
            "gaps": 0,
            "dropped": 0,
            "problem": "",
        },
        "exceptions": 0,
        "parked": {
            "records": 0,
            "events": 0,
            "shares": 0,
            "bytes": 0,
            "limit_records": 100_000,
            "limit_bytes": 256 << 20,
        }
        | {"oldest": None, "problem": ""},
        "quarantine": {
            "entries": 0,
            "events": 0,
            "bytes": 0,
            "dropped": 0,
            "limit_entries": 500_000,
            "limit_bytes": 1 << 30,
        },
    }


class Feeds(Answers):
    """The addresses of feeds, of what waits and of what was set aside."""

    def answer(self, method: str, *parts: str) -> Any:
        script = self.script
        match (method, *parts):
            case ("GET", "status"):
                return script.status
            case ("GET", "feeds", name):
                found = [each for each in script.status["feeds"] if each["feed"] == name]
                if not found:
                    raise Refusal(404, f"no feed {name}")
                places = [{"partition": n, "applied": 1_000_000 + n} for n in range(found[0]["partitions"])]
                return {"feed": found[0], "sources": script.sources.get(name, []), "partitions": places}
            case ("GET", "files"):
                chosen = [each for each in script.files if self.asked("feed") in ("", each.feed)]
                return msgspec.to_builtins(FilePage([line(each) for each in chosen], script.waiting))
            case ("GET", "files", number, "answers"):
                return f"line,command\n2,new of {number}\n".encode()
            case ("GET", "files", number, *text):
                return (
                    files_report.text(self._file(number)).encode() if text else msgspec.to_builtins(self._file(number))
                )
            case ("POST", "files", number, "force"):
                self.needs(Role.OPS, Role.ADMIN)
                self._file(number).state = FileState.LOADING
                script.done.append((f"force {number}", self.who.user, self.body))
                return {}
            case ("GET", where):
                chosen = [each for each in script.records[where] if self.asked("feed") in ("", each["feed"])]
                return {"records": chosen, "next_cursor": None}
            case ("POST", where, action):
                self.needs(Role.OPS, Role.ADMIN)
                return self._do(where, action, self.body)
        raise Refusal(404, "there is nothing here")

    def _file(self, number: str) -> FileReport:
        found = [each for each in self.script.files if str(each.id) == number]
        if not found:
            raise Refusal(404, f"no file {number}")
        one: FileReport = found[0]
        return one

    def _do(self, where: str, action: str, body: dict[str, Any]) -> dict[str, int]:
        script = self.script
        ids = [each["id"] for each in script.records[where]] if body["ids"] is None else body["ids"]
        script.done.append((f"{where} {action}", self.who.user, body))
        if action == "retry":
            return {"used": 0, "left": len(ids)}
        script.records[where] = [each for each in script.records[where] if each["id"] not in ids]
        return {"discarded": len(ids)}


@dataclass
class HealthScript(Script):
    """What the API says of feeds."""

    handler = Feeds
    status: dict[str, Any] = field(default_factory=good)
    sources: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    records: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {"parked": [], "quarantine": []})
    files: list[FileReport] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    done: list[tuple[str, str, Any]] = field(default_factory=list)

    def change(self, name: str, **change: Any) -> None:
        """Another state of a feed."""
        for each in self.status["feeds"]:
            if each["feed"] == name:
                each.update(change)
