"""The recorder: looks at every number of every security once a minute, and writes down those that are not as they were.

It reads the engine's tables as every reader does, some securities at a time: the writer never waits, and each security is of
one epoch. The first sample of an hour, of an engine, and of new rules is full: files of an hour stand alone.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray

from app.history_limits import LimitRecorder, watched
from app.history_place import history_of, limits_of
from app.history_upkeep import remove_unfinished, upkeep
from app.settings import Settings
from engine.model import DAYS
from engine.rule_model import Role, Scope
from engine.segment import SegmentMissingError
from engine.tables import Reader, Tables, TornReadError, Word
from feeds.archive_files import DamagedError
from feeds.history_columns import MarketSample, Numbers, Sample, steps_of, tables
from feeds.history_files import HOUR_NS, write

log = structlog.get_logger()
AT_A_TIME: Final = 2_048
"""Securities of one copy: less than a millisecond."""
_ATTEMPTS: Final = 3


class RestlessError(RuntimeError):
    """The machine was another one, or had other rules, before everything was copied; or left no moment to copy in."""


@dataclass(frozen=True, slots=True)
class _Look:
    """Numbers of all securities by id, from 1 on: `values` (n, calculations, DAYS), `place` (n,) of the log by then."""

    names: tuple[str, ...]
    """Of the calculations."""
    values: NDArray[np.int64]
    place: NDArray[np.int64]
    market: NDArray[np.uint8]
    codes: NDArray[np.bytes_]
    rules: int
    generation: str


class HistoryRecorder:
    """Samples the tables of `instance`, as somebody asks every `every_s` seconds. `clock`: UTC nanoseconds."""

    def __init__(self, instance: str, folder: Path, every_s: float, clock: Callable[[], int] = time.time_ns) -> None:
        self._reader = Reader(f"{instance}.tables")
        self._folder = folder
        self._every_ns = int(every_s * 1e9)
        self._clock = clock
        self._last: _Look | None = None
        self._hour = 0
        self._order: NDArray[np.int64] = np.zeros(0, np.int64)

    def sample(self) -> Sample | None:
        """Look at everything, and have it on disk; None where no engine is there, or it does not know everything yet.

        Raises `RestlessError`, OSError: then the next one writes down what this one would have.
        """
        try:
            of = self._reader.tables()
            if not of.count(Word.READY) or not of.segment.owner_alive:
                return None
            for _ in range(_ATTEMPTS):
                began_ns = self._clock()
                if (look := _look(of)) is not None:
                    return self._write(of, look, began_ns)
        except SegmentMissingError:
            return None
        raise RestlessError("rules were published again and again while numbers were copied")

    def close(self) -> None:
        """Leave the engine's memory."""
        self._reader.close()

    def _write(self, of: Tables, look: _Look, began_ns: int) -> Sample:
        before = self._last
        full = (
            before is None
            or self._hour != began_ns // HOUR_NS
            or (before.generation, before.rules) != (look.generation, look.rules)
            or len(before.codes) > len(look.codes)
        )
        changed = np.ones(look.values.shape[:2], bool)
        if not full and before is not None:
            known = len(before.codes)
            changed[:known] = (look.values[:known] != before.values).any(axis=2)
        if full or before is None or len(look.codes) != self._order.size:
            self._order = np.argsort(look.codes, kind="stable")
        sample = Sample(
            at_ns=began_ns,
            end_ns=self._clock(),
            every_ns=self._every_ns,
            place=int(look.place.max(initial=0)),
            generation=look.generation,
            rules=look.rules,
            full=full,
            stale=of.count(Word.STALE),
            as_of_ns=of.count(Word.LAST_EVENT_NS),
            rows=int(changed.sum()),
            markets=tuple(_markets(of, look)),
        )
        write(self._folder, began_ns, began_ns, tables(self._numbers(look, changed, began_ns), [sample]))
        self._last, self._hour = look, began_ns // HOUR_NS
        return sample

    def _numbers(self, look: _Look, changed: NDArray[np.bool_], at_ns: int) -> Numbers:
        in_order, calculation = np.nonzero(changed[self._order])
        security = self._order[in_order]
        few, places = np.unique(in_order, return_inverse=True)
        return Numbers(
            codes=[code.decode("utf-8", "replace") for code in look.codes[self._order[few]].tolist()],
            names=list(look.names),
            security=places.astype(np.int32),
            calculation=calculation.astype(np.int32),
            at_ns=np.full(security.size, at_ns),
            place=look.place[security],
            values=steps_of(look.values[security, calculation]),
        )


def _look(of: Tables) -> _Look | None:
    """None where other rules came between. Raises `RestlessError`."""
    count, rules = of.count(Word.SECURITIES), of.count(Word.RULES)
    calculations = of.catalogue.calculations
    chosen = [i for i, info in enumerate(calculations) if info.scope == Scope.SECURITY]
    if of.catalogue.version != rules:
        return None
    array = of.array
    values = np.empty((count, len(chosen), DAYS), np.int64)
    place = np.empty(count, np.int64)
    for begin in range(0, count, AT_A_TIME):
        part = slice(begin + 1, min(begin + AT_A_TIME, count) + 1)
        try:
            copied, at, same = of.read(
                lambda part=part: (  # type: ignore[misc]
                    array["values"][part, : max(chosen) + 1].copy(),
                    of.count(Word.LOG),
                    of.count(Word.RULES) == rules,
                )
            )
        except TornReadError as error:
            raise RestlessError(str(error)) from error
        if not same:
            return None
        values[begin : begin + AT_A_TIME] = copied[:, chosen]
        place[begin : begin + AT_A_TIME] = at
    records = array["security"][1 : count + 1]
    names = tuple(calculations[i].name for i in chosen)
    return _Look(names, values, place, records["market"].copy(), records["code"].copy(), rules, of.generation)


def _markets(of: Tables, look: _Look) -> Iterator[MarketSample]:
    """How scarce stock is in each market."""
    catalogue = of.catalogue
    settles = np.array([market.settle_days for market in of.markets])[look.market]
    everybody = np.arange(len(look.codes))

    def numbers(role: Role) -> NDArray[np.int64]:
        at = look.names.index(catalogue.calculations[catalogue.playing(role)].name)
        return np.asarray(look.values[everybody, at, settles])

    pool, left, used = numbers(Role.POOL_SHORT), numbers(Role.LEFT_SHORT), numbers(Role.UTILISATION)
    for index, market in enumerate(of.markets):
        here = (look.market == index) & ((pool != 0) | (used != 0))
        if here.any():
            yield MarketSample(
                market.code,
                int(here.sum()),
                int(np.median(used[here])),
                int(pool[here].sum()),
                int(left[here].sum()),
                int((left[here] <= 0).sum()),
            )


def record(settings: Settings, stopping: threading.Event) -> None:
    """Sample at whole multiples of the setting, and keep the files in order, until it is to stop; a thread's work."""
    if not settings.history_s:
        return
    securities = HistoryRecorder(settings.instance, history_of(settings), settings.history_s)
    limits = LimitRecorder(partial(watched, settings), limits_of(settings), settings.history_s)
    recorders = ((history_of(settings), securities.sample), (limits_of(settings), limits.sample))
    for folder, _ in recorders:
        if left := remove_unfinished(folder):
            log.warning("files of the history that were not finished are removed", files=left, folder=folder.name)
    while not stopping.wait(settings.history_s - time.time() % settings.history_s):
        for folder, sample in recorders:
            _recorded(settings, folder, sample)
    securities.close()


def _recorded(settings: Settings, folder: Path, sample: Callable[[], Sample | None]) -> None:
    try:
        sample()
        upkeep(folder, time.time_ns(), days=settings.history_days, most_gb=settings.history_gb)
    except RestlessError as error:
        log.warning("a sample of the history is left out", reason=str(error))
    except (OSError, DamagedError) as error:
        log.error("the history cannot be written", error=str(error), folder=folder.name)  # noqa: TRY400  said again and again
