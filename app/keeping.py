"""What the engine does with records that could not be used: parked where reference data may explain them, else quarantined.

Both are written beside the writer's loop, in order, by one thread; a full disk is said loudly and stops nothing.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import msgspec
import numpy as np
import structlog
from numpy.typing import NDArray
from sqlalchemy.exc import SQLAlchemyError

from app.parking import Parking
from app.parking_store import identity
from app.quarantine_store import QuarantineStore
from engine.state import Machine
from engine.tables import Word
from feeds.quarantine import Unreadable

log = structlog.get_logger()
REMEMBERED: Final = 65_536
"""Records known to be counted: more than a worker that is killed can hand over twice."""
_STATE: Final = msgspec.msgpack.Decoder(tuple[bytes, list[bytes]])
_ENCODER: Final = msgspec.msgpack.Encoder()


class Beside:
    """Jobs done one after the other in a thread of their own."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "keeping")
        self.problem = ""
        """Why the last job failed; empty where it did not."""

    def __call__(self, job: Callable[..., Any], *args: Any) -> None:
        """In its turn; returns at once."""
        self._thread.submit(self._do, job, args)

    async def ask(self, question: Callable[..., Any], *args: Any) -> Any:
        """The answer of a job, in its turn; raises what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, question, *args)

    def close(self) -> None:
        """When all is done."""
        self._thread.shutdown()

    def _do(self, job: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            job(*args)
        except SQLAlchemyError as error:
            self.problem = str(error)
            log.error("records could not be kept on disk", error=str(error))  # noqa: TRY400  the reason says all
        else:
            self.problem = ""


class Keeping:
    """The one who decides. `parking` is set once it is made, before the first record comes."""

    parking: Parking

    def __init__(self, machine: Machine, quarantine: QuarantineStore) -> None:
        self._machine = machine
        self.quarantine = quarantine
        self.beside = Beside()
        self._counted: OrderedDict[bytes, None] = OrderedDict()

    def begin(self, *, from_broker: bool) -> None:
        """At the start of an engine without a snapshot: take up what waits, where it was not all invented."""
        if from_broker:
            self.parking.load()
        else:
            self.beside(self.parking.store.replace, ())

    def keep(self, entries: Sequence[Unreadable]) -> None:
        """Records as the decoders leave them: counted once, however often they are read."""
        unknown = [entry for entry in entries if entry.unknown]
        if unknown:
            self.parking.park(unknown)
        if len(unknown) < len(entries):
            self.set_aside([entry for entry in entries if not entry.unknown])

    def set_aside(self, entries: Sequence[Unreadable]) -> None:
        """To the quarantine."""
        fresh = 0
        for entry in entries:
            key = identity(entry)
            if key not in self._counted:
                self._counted[key] = None
                fresh += entry.events
        while len(self._counted) > REMEMBERED:
            self._counted.popitem(last=False)
        self._machine.tables.state[Word.QUARANTINED] += fresh
        self.beside(self.quarantine.add, entries)

    def refused(self, entries: Sequence[Unreadable]) -> None:
        """What the machine has refused, and counted: its number is used up, but that of a step of a deal that nobody knows
        is not, and the step waits for its deal."""
        unknown = [entry for entry in entries if entry.unknown]
        if unknown:
            self._machine.tables.state[Word.REJECTED] -= len(unknown)
            self.parking.park(unknown)
        if len(unknown) < len(entries):
            self.beside(self.quarantine.add, [entry for entry in entries if not entry.unknown])

    def awaited(self, steps: NDArray[np.void]) -> Sequence[int]:
        """See `app.intake.Waiting`."""
        return self.parking.awaited(steps)

    def opened(self, steps: NDArray[np.void]) -> None:
        """The same."""
        self.parking.opened(steps)

    def behind(self, corrections: NDArray[np.void]) -> NDArray[np.bool_]:
        """The same."""
        return self.parking.behind(corrections)

    def state(self) -> bytes:
        """For a snapshot."""
        return _ENCODER.encode((self.parking.state(), list(self._counted)))

    def restore(self, raw: bytes) -> None:
        """What a snapshot held. Raises `msgspec.DecodeError`."""
        parked, counted = _STATE.decode(raw)
        self.parking.restore(parked)
        self._counted = OrderedDict.fromkeys(counted)

    def close(self) -> None:
        """When all is on disk."""
        self.beside.close()
        self.quarantine.close()
        self.parking.store.close()
