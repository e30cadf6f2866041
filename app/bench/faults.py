"""`ims bench faults`: what is killed, cut off, damaged or set wrong under load comes back to exactly what it would have been.

A broker, a simulated day that goes on and on, and two services on it: one has faults at random
moments. Then the load is held until the other, undisturbed, has read the same topics; and whole tables are compared.
"""

import argparse
import asyncio
import contextlib
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

from app import supervisor
from app.bench import services
from app.bench.fault_load import Load
from app.bench.fault_service import Pair
from app.bench.fault_tables import FaultError
from app.bench.services import Server

_LOOK_S: Final = 0.02
_HOUR_NS: Final = 3_600 * 10**9


class Faults:
    """The faults, each one coroutine: it returns when the fault is over, not when what it did to is well again."""

    def __init__(self, pair: Pair, broker: Server, random: random.Random, gone_s: float) -> None:
        self._pair, self._broker, self._random, self._gone_s = pair, broker, random, gone_s
        self.noticed = 0
        self.every: dict[str, Callable[[], Awaitable[None]]] = {
            "engine": self.engine,
            "worker": self.worker,
            "broker": self.broker,
            "gone": self.gone,
            "disk": self.disk,
            "truncated": self.truncated,
            "flipped": self.flipped,
            "clock": self.clock,
        }

    async def engine(self) -> None:
        """kill -9 of the writer."""
        self._pair.victim.kill_engine()

    async def worker(self) -> None:
        """kill -9 of a decode worker, once it serves: one that a full disk has ended may be on its way back."""
        await self._pair.serving()
        victim = self._pair.victim
        victim.kill_worker(self._random.randrange(victim.settings.workers))

    async def broker(self) -> None:
        """kill -9 of the broker, and its start on the same data."""
        self._broker.kill()
        await asyncio.to_thread(self._broker.start)

    async def gone(self) -> None:
        """No broker for a while."""
        self._broker.kill()
        await asyncio.sleep(self._gone_s)
        await asyncio.to_thread(self._broker.start)

    async def disk(self) -> None:
        """Nothing can be written to a file for a while; then, half of the times, a kill -9 on top."""
        victim = self._pair.victim
        victim.limit_files(1)
        await asyncio.sleep(2.5 * victim.settings.snapshot_s)
        if self._random.random() < 0.5:  # noqa: PLR2004  half
            victim.kill_engine()
        else:
            victim.limit_files(-1)

    async def truncated(self) -> None:
        """The newest snapshot ends somewhere in its middle when the engine comes back."""

        def cut(path: Path) -> None:
            os.truncate(path, self._random.randrange(path.stat().st_size))

        await self._damage(cut)

    async def flipped(self) -> None:
        """A bit of the newest snapshot is another."""

        def flip(path: Path) -> None:
            at = self._random.randrange(path.stat().st_size)
            with path.open("r+b") as file:
                file.seek(at)
                byte = file.read(1)[0] ^ 1 << self._random.randrange(8)
                file.seek(at)
                file.write(bytes([byte]))

        await self._damage(flip)

    async def clock(self) -> None:
        """The clock of the engine goes back by up to ten hours and comes back; half of the times the engine dies meanwhile."""
        self._pair.offset.write_text(str(-self._random.randrange(1, 10 * _HOUR_NS)))
        await asyncio.sleep(self._random.uniform(0.3, 1.0))
        if self._random.random() < 0.5:  # noqa: PLR2004  half
            await self.engine()
            await self._pair.serving()
            await asyncio.sleep(1.0)
        self._pair.offset.write_text("0")

    async def _damage(self, how: Callable[[Path], None]) -> None:
        while len(self._pair.victim.snapshots()) < 2:  # noqa: ASYNC110, PLR2004  the newest one and the one before it
            await asyncio.sleep(_LOOK_S)
        self._pair.victim.kill_engine()
        path = self._pair.victim.snapshots()[0]
        how(path)
        await self._pair.serving()
        if (damaged := path.with_suffix(".damaged")).exists():
            self.noticed += 1
            damaged.unlink()


NAMES: Final = ("engine", "worker", "broker", "gone", "disk", "truncated", "flipped", "clock")


def add(parser: argparse.ArgumentParser) -> None:
    """Which, how often, under what."""
    parser.add_argument(
        "--faults", nargs="+", choices=NAMES, default=NAMES, metavar="FAULT", help=f"{', '.join(NAMES)} (all)"
    )
    parser.add_argument("--times", type=int, default=20, help="how often each (20)")
    parser.add_argument(
        "--rate", type=int, default=300_000, help="events per second at most; what this machine can is less (300,000)"
    )
    parser.add_argument(
        "--compare-every",
        type=int,
        default=20,
        help="faults after which whole tables are compared (20), and at the end",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the moments and of what is damaged (1)")
    parser.add_argument("--gone-s", type=float, default=60.0, help="how long the broker is gone (60)")
    parser.add_argument("--securities", type=int, default=2_000, help="of the simulated day (2,000)")
    parser.add_argument("--workers", type=int, default=1, help="decode workers of each service (1)")
    parser.add_argument("--snapshot-s", type=float, default=2.0, help="seconds between two snapshots (2)")


def run(args: argparse.Namespace) -> dict[str, object]:
    """How often each was survived, and how long until the service served again. Raises `FaultError`."""
    with contextlib.ExitStack() as stack:
        bootstrap, broker = stack.enter_context(services.kafka_server())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ims-faults-")))
        stack.enter_context(_said_to(Path(tempfile.gettempdir()) / f"ims-faults-{os.getpid()}.log"))
        stack.enter_context(_restarted_soon())
        return asyncio.run(_run(args, bootstrap, broker, folder))


async def _run(args: argparse.Namespace, bootstrap: str, broker: Server, folder: Path) -> dict[str, object]:
    topics = "faults.events", "faults.reference"
    rng = random.Random(args.seed)  # noqa: S311  the moments, not a secret
    load = Load(bootstrap, args.rate, args.seed, args.securities, topics)
    pair = Pair(bootstrap, folder, args.workers, args.snapshot_s, topics)
    faults = Faults(pair, broker, rng, args.gone_s)
    plan = [name for name in args.faults for _ in range(args.times)]
    rng.shuffle(plan)
    survived: dict[str, list[float]] = {name: [] for name in args.faults}
    compared: dict[str, int] = {}
    began, loaded_s = time.monotonic(), 0.0
    try:
        await load.begun()
        await pair.start(load)
        first = pair.applied()
        going_since = time.monotonic()
        for number, name in enumerate(plan, 1):
            await asyncio.sleep(rng.uniform(0.2, 2.0))
            since = time.monotonic()
            await faults.every[name]()
            await pair.serving()
            survived[name].append(time.monotonic() - since)
            _say(f"{number:4d} of {len(plan)}  {name:10}  {survived[name][-1]:6.1f} s")
            if number % args.compare_every == 0 or number == len(plan):
                load.hold()
                loaded_s += time.monotonic() - going_since
                compared = await pair.compared()
                _say(f"{number:4d} of {len(plan)}  equal: {compared}")
                load.go_on()
                going_since = time.monotonic()
    except FaultError as error:
        raise FaultError(f"after {name} ({number} of {len(plan)}, seed {args.seed}): {error}") from error
    finally:
        load.stop()
        await pair.stop()
    figures: dict[str, object] = {f"{name}_survived": len(took) for name, took in survived.items()}
    figures |= {f"{name}_until_serving_s": round(statistics.median(took), 2) for name, took in survived.items() if took}
    took_s = time.monotonic() - began
    return (
        figures
        | compared
        | {
            "events_per_s": round((compared["events"] - first) / loaded_s),
            "damage_noticed": faults.noticed,
            "took_s": round(took_s),
        }
    )


def _say(text: str) -> None:
    sys.stdout.flush()
    print(text, file=sys.__stderr__, flush=True)


@contextlib.contextmanager
def _restarted_soon() -> Iterator[None]:
    """The supervisor's growing pause is for what dies by itself: here it is killed every few seconds."""
    longest = supervisor.LONGEST_PAUSE_S
    supervisor.LONGEST_PAUSE_S = supervisor.FIRST_PAUSE_S  # type: ignore[misc]
    try:
        yield
    finally:
        supervisor.LONGEST_PAUSE_S = longest  # type: ignore[misc]


@contextlib.contextmanager
def _said_to(path: Path) -> Iterator[None]:
    """What the processes say goes into a file, through a pipe: a process that may write no file may still talk. The file stays
    where something went wrong."""
    said, said_by = os.pipe()
    kept = os.dup(2)

    def drain() -> None:
        with path.open("wb", buffering=0) as file, os.fdopen(said, "rb", buffering=0) as every:
            while part := every.read(65_536):
                file.write(part)

    threading.Thread(target=drain, daemon=True).start()
    os.dup2(said_by, 2)
    os.close(said_by)
    own, sys.__stderr__ = sys.__stderr__, os.fdopen(os.dup(kept), "w")  # type: ignore[misc]
    try:
        yield
        path.unlink()
    except FaultError as error:
        error.add_note(f"what the processes said: {path}")
        raise
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        sys.__stderr__.close()
        sys.__stderr__ = own  # type: ignore[misc]
