"""The recorder of limits: asks the engine once a minute for those that it looks at anyway, and writes down what differs.

In the form of the numbers of securities, in a folder of their own: in place of a security stands whose limit it is in which
one. A sample is full, too, when a limit is not among them any more: of it nothing is known from then on.
"""

import http.client
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from app.history_place import limit_key
from app.limits_told import WatchedLimits
from app.settings import Settings
from engine.model import DAYS
from feeds.history_columns import Numbers, Sample, steps_of, tables
from feeds.history_files import HOUR_NS, write

_PATIENCE_S: Final = 5.0
_OK: Final = 200
_Key = tuple[str, str]
"""Of a limit, and the calculation."""


class LimitRecorder:
    """`ask`: what the engine works out now, None while it does not answer; `clock`: UTC nanoseconds."""

    def __init__(
        self,
        ask: Callable[[], WatchedLimits | None],
        folder: Path,
        every_s: float,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._ask = ask
        self._folder = folder
        self._every_ns = int(every_s * 1e9)
        self._clock = clock
        self._before: tuple[int, str, int] | None = None
        """Hour, engine and rules of the last sample."""
        self._last: dict[_Key, list[int]] = {}

    def sample(self) -> Sample | None:
        """Have on disk what differs; None where no engine answers, or it does not know everything yet. Raises OSError."""
        began_ns = self._clock()
        told = self._ask()
        if told is None or not told.ready:
            return None
        now = dict(sorted(_numbers(told).items()))
        of = began_ns // HOUR_NS, told.generation, told.rules
        full = self._before != of or not self._last.keys() <= now.keys()
        rows = {key: row for key, row in now.items() if full or self._last.get(key) != row[1]}
        sample = Sample(
            at_ns=began_ns,
            end_ns=self._clock(),
            every_ns=self._every_ns,
            place=told.place,
            generation=told.generation,
            rules=told.rules,
            full=full,
            stale=told.stale,
            as_of_ns=told.as_of_ns,
            rows=len(rows),
        )
        write(self._folder, began_ns, began_ns, tables(_columns(rows, began_ns), [sample]))
        self._before, self._last = of, {key: row[1] for key, row in now.items()}
        return sample


def _numbers(told: WatchedLimits) -> dict[_Key, tuple[int, list[int]]]:
    """By limit and calculation the machine's log by then, and the numbers by day."""
    return {
        (limit_key(limit.scope, limit.owner, limit.security), name): (limit.place, values)
        for limit in told.limits
        for name, values in zip(told.calculations[limit.scope], limit.values, strict=True)
    }


def _columns(rows: Mapping[_Key, tuple[int, list[int]]], at_ns: int) -> Numbers:
    codes = sorted({code for code, _ in rows})
    names = sorted({name for _, name in rows})
    code_at, name_at = ({text: at for at, text in enumerate(texts)} for texts in (codes, names))
    return Numbers(
        codes=codes,
        names=names,
        security=np.array([code_at[code] for code, _ in rows], np.int32),
        calculation=np.array([name_at[name] for _, name in rows], np.int32),
        at_ns=np.full(len(rows), at_ns),
        place=np.array([place for place, _ in rows.values()], np.int64),
        values=steps_of(np.array([values for _, values in rows.values()], np.int64).reshape(-1, DAYS)),
    )


def watched(settings: Settings) -> WatchedLimits | None:
    """What this service's engine works out; None while it does not answer."""
    connection = http.client.HTTPConnection(settings.host, settings.api_port, timeout=_PATIENCE_S)
    try:
        connection.request("GET", "/api/v1/limits/watched", headers={"Authorization": f"Bearer {settings.api_token}"})
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return msgspec.json.decode(body, type=WatchedLimits) if answer.status == _OK else None
