"""People at the security master: they look at golden records and exceptions, and decide. Worker 0 carries it out."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
import structlog
from numpy.typing import NDArray

from app.identity import MACHINE_USER, Identity, Role
from app.master_books import MasterBooks
from app.master_database import MasterStoreError
from engine.model import Kind
from engine.state import Machine
from feeds.master_cases import DECIDABLE, Case, CaseState
from feeds.master_decisions import Decision, DecisionKind
from feeds.master_golden import Rules

T = TypeVar("T")
log = structlog.get_logger()
DECIDERS: Final = frozenset({Role.OPS, Role.ADMIN})
PATIENCE_S: Final = 3.0
"""How long an answer waits for the worker to carry a decision out."""
_LOOK_S: Final = 0.05
_COUNT_NS: Final = 10**9
_QUANTITIES: Final = ("td", "sd", "hypothecatable", "hypothecated", "segregated", "reserved", "ca_pending")


class NobodyError(LookupError):
    """There is no such security or exception; the message says which."""


class NotAPersonError(PermissionError):
    """Whoever asks may not decide; the message says why."""


class DecidedError(RuntimeError):
    """It is not as the decision supposes; the message says how it is."""


class Outcome(msgspec.Struct, frozen=True):
    """What became of a decision. `at_ns`: when it was carried out; None while worker 0 has not come to it."""

    entry: int
    at_ns: int | None


class MasterDesk:
    """In the engine's process, on its loop; the database has a thread of its own. Raises `MasterStoreError` all over."""

    def __init__(
        self, books: MasterBooks, rules: Rules, machine: Machine, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self.books = books
        self.rules = rules
        self.open_count = 0
        """Exceptions that wait for a person, as of a second ago."""
        self._machine = machine
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "security-master")
        self._next_count_ns = 0
        self._counting: asyncio.Future[None] | None = None
        machine.moves.told = self._moved

    async def asked(self, question: Callable[[], T]) -> T:
        """An answer of the database, beside the loop."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, question)

    async def code(self, text: str) -> str:
        """The security that a code or a name leads to. Raises `NobodyError`."""
        found = await self.asked(lambda: self.books.code_of(text))
        if found is None:
            known = self._machine.inventory.security_id(text)
            found = bytes(self._machine.tables.array["security"]["code"][known]).decode() if known else None
        if found is None:
            hint = "give a code, ISIN, CUSIP, SEDOL, FIGI, RIC or TICKER@MARKET; a bare ticker names nothing"
            raise NobodyError(f"no security {text}: {hint}")
        return found

    async def case(self, key: str) -> tuple[Case, list[Case]]:
        """An exception and its history. Raises `NobodyError`."""
        found = await self.asked(lambda: self.books.case(key))
        if found is None:
            raise NobodyError(f"no exception {key}")
        return found

    async def decide(self, key: str, value: str, comment: str, who: Identity, *, again: bool = False) -> Outcome:
        """Which value of an exception is right. Raises `DecidedError` where somebody has decided; `again`: decide anew."""
        case, _ = await self.case(key)
        if case.kind not in DECIDABLE:
            raise DecidedError("it ends when its source says it better: there is nothing to decide")
        if case.state == CaseState.CLOSED:
            raise DecidedError("its cause is gone: there is nothing to decide any more")
        if case.state == CaseState.DECIDED and not again:
            raise DecidedError(f"it is decided already, for {case.chosen or 'none of them'}; say so to decide again")
        if value and value not in (known := [one for one, _ in case.values]):
            raise ValueError(f"Expected one of {', '.join(known)}, or nothing for none of them")
        return await self._write(Decision(DecisionKind.DECIDE, case=key, value=value, comment=comment), key, who)

    async def merge(self, source: str, target: str, comment: str, who: Identity) -> Outcome:
        """Two securities are one. Raises `NobodyError`, `DecidedError`."""
        what = Decision(DecisionKind.MERGE, source=source, target=await self.code(target), comment=comment)
        return await self._write(what, f"security:{source}", who)

    async def split(self, source: str, target: str, book: str, depot: str, comment: str, who: Identity) -> Outcome:
        """Positions of a security go to another. `target`: our own code. Raises `DecidedError`."""
        what = Decision(DecisionKind.SPLIT, source=source, target=target, book=book, depot=depot, comment=comment)
        return await self._write(what, f"security:{target}", who)

    def tick(self, now_ns: int) -> None:
        """Count open exceptions, now and then, beside the loop."""
        if now_ns < self._next_count_ns or (self._counting is not None and not self._counting.done()):
            return
        self._next_count_ns = now_ns + _COUNT_NS
        self._counting = asyncio.get_running_loop().run_in_executor(self._thread, self._count)

    def close(self) -> None:
        """What is on its way is still written."""
        self._machine.moves.told = None
        self._thread.shutdown()
        self.books.close()

    async def _write(self, what: Decision, subject: str, who: Identity) -> Outcome:
        if who.user == MACHINE_USER:
            raise NotAPersonError("a person decides: ask with the token of a person (see `ims token`)")
        if not who.may(DECIDERS):
            raise NotAPersonError(f"this takes the role {' or '.join(sorted(DECIDERS))}")
        entry = await self.asked(lambda: self.books.decide(what, subject, who.user, self._clock()))
        until = time.monotonic() + PATIENCE_S
        while (  # noqa: ASYNC110  another process carries it out
            outcome := await self.asked(lambda: self.books.outcome(entry))
        ) is None and time.monotonic() < until:
            await asyncio.sleep(_LOOK_S)
        if outcome is None:
            return Outcome(entry, None)
        at_ns, refused = outcome
        if refused:
            raise DecidedError(refused)
        return Outcome(entry, at_ns)

    def _count(self) -> None:
        try:
            self.open_count = self.books.open_count()
        except MasterStoreError as error:
            log.warning("open exceptions cannot be counted", reason=str(error))

    def _moved(self, rows: NDArray[np.void]) -> None:
        """Write down which positions have moved, beside the writer."""
        array = self._machine.tables.array
        securities, books, depots = (array[name]["code"] for name in ("security", "book", "depot"))
        moved: dict[tuple[int, int], list[dict[str, Any]]] = {}
        for row in rows:
            key = int(row["key"])
            words = row["row"].view(array["position"].dtype)[0]
            told = {name: int(words[name]) for name in _QUANTITIES if words[name]}
            told |= {name: words[name].tolist() for name in ("receipt", "deliver") if words[name].any()}
            moved.setdefault((int(row["source"]), int(row["target"])), []).append(
                {
                    "book": bytes(books[key >> 24 & 0xFFFF]).decode(),
                    "depot": bytes(depots[key >> 8 & 0xFFFF]).decode(),
                    "kind": Kind(key & 0xFF).name,
                    "back": bool(row["back"]),
                    "left": bool(row["left"]),
                    **told,
                }
            )
        now_ns = self._clock()
        made = [
            {
                "at_ns": now_ns,
                "source": bytes(securities[source]).decode(),
                "target": bytes(securities[target]).decode(),
                "document": msgspec.json.encode(of).decode(),
            }
            for (source, target), of in moved.items()
        ]
        self._thread.submit(self._keep_moved, made)

    def _keep_moved(self, made: Sequence[dict[str, Any]]) -> None:
        try:
            self.books.keep_moved(made)
        except MasterStoreError as error:
            log.error("moved positions could not be written down", reason=str(error), moved=list(made))  # noqa: TRY400
