"""The watch over alerts: once a second for all of them, in a thread of its own, beside the jobs.

What it finds is on disk before it counts; a look that could not be written down is taken again. An engine that is starting, or
is away, changes nothing: what is open stays open until its numbers can be trusted again.
"""

import asyncio
import time
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog
from msgspec import Struct

from app.analyst.attachment import Attachment, NoEngineError
from app.analyst.handlers import Guarded, Refusal
from app.analyst.jobs import GoneError, Jobs
from app.settings import Settings
from engine.segment import SegmentMissingError

if TYPE_CHECKING:
    import sqlalchemy as sa

    from app.alerts_store import Alert, AlertEvent
    from engine.alert_tree import Test
    from engine.alert_watch import Look
    from engine.tables import Tables

log = structlog.get_logger()
LOOK_S: Final = 1.0
SHOWN: Final = 20
"""Securities of a test that are named."""


class AlertTest(Struct, frozen=True, forbid_unknown_fields=True):
    """A condition, and the codes of the securities that it is kept to (none: all)."""

    condition: str
    securities: tuple[str, ...] = ()


class AlertsWatch:
    """Belongs to one loop; all that it does is done in its own thread."""

    def __init__(self, settings: Settings) -> None:
        self._jobs = Jobs()
        self._attached = Attachment(settings.instance, lambda: self._jobs.stopping)
        self._url = settings.database_url
        self._state: _Watching | None = None
        self._failed = ""

    async def run(self) -> None:
        """For as long as the process lives."""
        while True:
            began = time.monotonic()
            try:
                await self._jobs.run(self._look)
                self._failed = ""
            except (NoEngineError, GoneError, SegmentMissingError):
                pass  # without an engine there is nothing to look at
            except Exception as error:  # noqa: BLE001  whatever it is, the next look is in a second
                if repr(error) != self._failed:
                    log.warning("alerts could not be looked at; it is tried again", error=repr(error), of=_notes(error))
                self._failed = repr(error)
            await asyncio.sleep(max(0.0, LOOK_S - (time.monotonic() - began)))

    async def test(self, asked: AlertTest) -> bytes:
        """For what a condition holds now, as JSON. Raises `Refusal`, `BusyError`, `NoEngineError`."""
        return await self._jobs.run(lambda: self._watching().test(asked))

    def stop(self) -> None:
        """Look no more."""
        self._jobs.stop()
        if self._state is not None:
            self._state.close()

    # parts, in the thread

    def _look(self) -> None:
        self._watching().look()

    def _watching(self) -> "_Watching":
        """Of the engine that lives now. Raises `NoEngineError`, `SegmentMissingError`."""
        tables = self._attached.tables()
        if self._state is None or self._state.tables is not tables:
            if self._state is not None:
                self._state.close()
            self._state = _Watching(tables, self._url)
        return self._state


class _Watching:
    """The alerts over one engine's tables."""

    def __init__(self, tables: "Tables", url: str) -> None:
        # numba, polars and SQLAlchemy take a second to import: after the port is open
        from app.database import connect, without_waiting  # noqa: PLC0415
        from engine.alert_eye import Eye  # noqa: PLC0415
        from engine.alert_watch import Watch  # noqa: PLC0415
        from engine.views import Inventory  # noqa: PLC0415

        self.tables = tables
        self._eye: Eye = Eye(Inventory(tables))
        self._watch: Watch = Watch()
        self._engine: sa.Engine = connect(url)
        if self._engine.dialect.name == "sqlite":
            # an event lost with the machine's power is found again; the journal's writer would wait for every sync of ours
            without_waiting(self._engine)
        self._alerts: dict[str, Alert] = {}
        self._events: dict[tuple[str, str], AlertEvent] = {}
        """What is open, by alert and security."""
        self._revisions: dict[str, int] | None = None
        self._tests: tuple[int, dict[str, Test]] = (-1, {})

    def close(self) -> None:
        self._engine.dispose()

    def look(self) -> None:
        """Once at everything. Raises whatever keeps it from that."""
        from engine.tables import Word  # noqa: PLC0415  see above

        if not self.tables.count(Word.READY):
            return
        anew = self._eye.turn()
        with self._engine.begin() as connection:
            self._follow(connection, anew=anew)
        if not self._alerts:
            return
        now_s = time.monotonic()
        moment = self._eye.moment(self._watch.changes(), now_s)
        failed: list[Exception] = []
        for look in self._watch.look(moment, self._eye.again, now_s):
            if len(look.begun) or len(look.ended):
                try:
                    self._note(look)
                except Exception as error:  # noqa: BLE001  one person's alert does not silence the others'
                    error.add_note(f"alert {look.key}")
                    failed.append(error)
        if failed:
            raise failed[0]

    def test(self, asked: AlertTest) -> bytes:
        """Raises `Refusal`."""
        from engine.alert_moment import TooManyWindowsError, judge  # noqa: PLC0415  see above
        from engine.alert_words import ConditionError  # noqa: PLC0415  see above

        began = time.perf_counter()
        self._eye.turn()
        try:
            test = self._eye.parse(asked.condition)
            moment = self._eye.glance(test)
            ids = moment.ids[judge(test)(moment.whole())]
        except ConditionError as error:
            line, column = error.place(asked.condition)
            raise Refusal(422, str(error), line=line, column=column) from error
        except TooManyWindowsError:
            ids = moment.ids[:0]  # nobody watches it yet: nothing is known of what was
        if asked.securities:
            import numpy as np  # noqa: PLC0415  see above

            kept = self._eye.ids_of(asked.securities)
            ids, looked_at = ids[np.isin(ids, kept)], len(kept)
        else:
            looked_at = len(moment.ids)
        first = ids[:SHOWN]
        named = zip(self._eye.told(first), self._eye.values(test, first), strict=True)
        answer: dict[str, Any] = {
            "matching": len(ids),
            "looked_at": looked_at,
            "securities": [told | {"values": values} for told, values in named],
            "took_ms": round((time.perf_counter() - began) * 1_000, 1),
        }
        return msgspec.json.encode(answer)

    # parts

    def _follow(self, connection: "sa.Connection", *, anew: bool) -> None:
        """Watch what is wanted now."""
        from app import alerts_store as store  # noqa: PLC0415  see above

        revisions = store.revisions(connection)
        known = self._revisions
        changed = [name for name, revision in revisions.items() if known is None or known.get(name) != revision]
        other = known is None or changed or revisions.keys() != known.keys()
        if other:
            for name in (*changed, *(self._alerts.keys() - revisions.keys())):
                self._watch.drop(name)
                self._alerts.pop(name, None)
            self._alerts |= {alert.id: alert for alert in store.watched(connection, changed)}
            self._events = self._still_asked(connection)
            self._revisions = revisions
        for name in self._alerts if anew else changed:
            if name in self._alerts:
                self._put(self._alerts[name])
        if other or anew:
            self._eye.want(self._watch.wanted)

    def _still_asked(self, connection: "sa.Connection") -> "dict[tuple[str, str], AlertEvent]":
        """What is open of what is asked now; the rest is cleared, also what was begun while somebody switched an alert off."""
        from app import alerts_store as store  # noqa: PLC0415  see above

        open_, over, changed = {}, [], []
        for event in store.open_events(connection, None):
            alert = self._alerts.get(event.alert)
            if alert is None:
                over.append(event)
            elif alert.wanted.condition != event.condition or event.security not in (
                alert.wanted.securities or (event.security,)
            ):
                changed.append(event)
            else:
                open_[event.alert, event.security] = event
        store.clear(connection, over, time.time_ns(), "watched no more")
        store.clear(connection, changed, time.time_ns(), "the alert was changed")
        return open_

    def _put(self, alert: "Alert") -> None:
        from engine.alert_watch import Watched  # noqa: PLC0415  see above
        from engine.alert_words import ConditionError  # noqa: PLC0415  see above

        wanted = alert.wanted
        try:
            test = self._test_of(wanted.condition)
        except ConditionError as error:
            # what is open of it stays open: whether it still holds, nobody knows. The API says what is wrong
            log.warning("an alert cannot be watched under these rules", alert=alert.id, error=str(error))
            self._watch.drop(alert.id)
            return
        watched = Watched(
            key=alert.id,
            test=test,
            margin=Fraction(wanted.margin_percent) / 100,
            hold_s=float(wanted.hold_s),
            securities=self._eye.candidates(test, wanted.securities),
        )
        open_codes = [security for name, security in self._events if name == alert.id]
        self._watch.put(watched, self._eye.ids_of(open_codes), time.monotonic())

    def _test_of(self, condition: str) -> "Test":
        """Read once under each version of the rules. Raises `ConditionError`."""
        if self._tests[0] != self._eye.rules:
            self._tests = self._eye.rules, {}
        tests = self._tests[1]
        if condition not in tests:
            tests[condition] = self._eye.parse(condition)
        return tests[condition]

    def _note(self, look: "Look") -> None:
        """Write down what a look at one alert has found, and count it."""
        from app import alerts_store as store  # noqa: PLC0415  see above

        now_ns = time.time_ns()
        begun = self._events_of(look, now_ns)
        codes = [told["security"] for told in self._eye.told(look.ended)]
        over = [event for code in codes if (event := self._events.get((look.key, code))) is not None]
        with self._engine.begin() as connection:
            made = store.begin(connection, begun)
            store.clear(connection, _now(connection, over), now_ns)
        for code in codes:
            self._events.pop((look.key, code), None)
        self._events |= {(event.alert, event.security): event for event in made}
        self._watch.accept(look)

    def _events_of(self, look: "Look", now_ns: int) -> "list[AlertEvent]":
        from app.alerts_store import AlertEvent, EventState  # noqa: PLC0415  see above

        alert = self._alerts[look.key]
        wanted = alert.wanted
        values = self._eye.values(self._test_of(wanted.condition), look.begun)
        return [
            AlertEvent(
                alert=alert.id,
                owner=alert.owner,
                name=wanted.name,
                condition=wanted.condition,
                severity=wanted.severity,
                sound=wanted.sound,
                webhook=wanted.webhook,
                security=told["security"],
                ticker=told["ticker"],
                title=told["title"],
                market=told["market"],
                values=shown,
                state=EventState.RAISED,
                raised_ns=now_ns,
            )
            for told, shown in zip(self._eye.told(look.begun), values, strict=True)
        ]


def _notes(error: Exception) -> str:
    return ", ".join(getattr(error, "__notes__", ()))


def _now(connection: "sa.Connection", events: "Sequence[AlertEvent]") -> "list[AlertEvent]":
    """The same events as they are now: somebody may have acknowledged them."""
    from app import alerts_store as store  # noqa: PLC0415  see above

    open_ = {event.sequence for event in events}
    return (
        [e for e in store.open_events(connection, {event.alert for event in events}) if e.sequence in open_]
        if events
        else []
    )


class AlertTestHandler(Guarded):
    """`POST /alerts/test`."""

    watch: AlertsWatch

    def initialize(self, context: Any, watch: AlertsWatch) -> None:  # type: ignore[override]
        """Called by tornado for every request."""
        super().initialize(context)
        self.watch = watch

    async def post(self) -> None:
        """422 with the place of what is wrong; 429 and 503: come again."""
        try:
            asked = msgspec.json.decode(self.request.body, type=AlertTest)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refusal(400, str(error)) from error
        await self.answered(self.watch.test(asked))
