"""`ims simulate`: a believable day to Kafka, or in memory through the real decoder into an engine of its own.

At the end it prints, as JSON, exactly what was sent: events, repeats, gaps, unreadable and unknown records. In memory
the engine's own counts stand beside it, and the exit code is 1 where they differ.
"""

import argparse
import asyncio
import datetime as dt
import os
import signal
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from app import world
from app.business_days import Turning
from app.listings import listings
from app.settings import Settings, SettingsError
from feeds import reference
from feeds.availability import AvailabilityError, load
from feeds.calendars import TradingDays
from feeds.currencies import in_units_of
from feeds.registry import feed_named, topics
from feeds.simulator import ENCODINGS, Simulator
from feeds.simulator_asides import baskets, vendors
from feeds.simulator_faults import FaultRates
from feeds.simulator_routes import Route, Spread
from feeds.universe import Universe, build
from feeds.wire import Drafts

TICK_S: Final = 0.02
_LARGEST: Final = 16_384
"""Events made and sent at a time when they are late or unpaced."""


def add(parser: argparse.ArgumentParser) -> None:
    """What can be asked for."""
    parser.add_argument("--to", choices=("memory", "kafka"), default="memory", help="where events go (memory)")
    parser.add_argument("--rate", type=int, default=5_000, help="events per second; 0: as fast as they go (5000)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same day (1)")
    parser.add_argument(
        "--encoding", choices=ENCODINGS, default="json", help="one event per record, or Arrow batches (json)"
    )
    parser.add_argument("--batch", type=int, default=1_000, help="events of an Arrow record (1000)")
    parser.add_argument("--securities", type=int, default=12_000, help="securities of the universe (12000)")
    parser.add_argument("--seconds", type=float, help="stop after so long; without it and --events, run until Ctrl-C")
    parser.add_argument(
        "--events", type=int, help="stop after so many events, faults included, beside the start of day"
    )
    parser.add_argument(
        "--kafka", metavar="HOST:PORT", default="127.0.0.1:9092", help="bootstrap servers (127.0.0.1:9092)"
    )
    parser.add_argument("--partitions", type=int, help="of topics that say much, if they are made (kafka 4, memory 1)")
    parser.add_argument(
        "--one-topic", action="store_true", help="everything as events in one topic, not a topic a feed"
    )
    parser.add_argument(
        "--events-topic", default="ims.events", help="topic of events, after which the others are named (ims.events)"
    )
    parser.add_argument("--reference-topic", default="ims.reference", help="topic of reference data (ims.reference)")
    parser.add_argument("--source", default="sim", help="prefix of the sources' names (sim)")
    parser.add_argument("--availability", metavar="FILE", help="a published stock-loan availability file")
    parser.add_argument(
        "--faults", choices=("on", "off"), default="on", help="repeats, gaps, unreadable and unknown records (on)"
    )
    parser.add_argument(
        "--no-start-of-day", action="store_true", help="send neither reference data nor opening positions"
    )


def run(args: argparse.Namespace) -> int:
    """Exit code 1 where the accounting differs, 2 for a command line, a file or a broker that cannot be used."""
    try:
        _check(args)
        source = Source(args)
    except (SettingsError, AvailabilityError, OSError, ValueError) as error:
        print(f"ims simulate: {error}", file=sys.stderr)  # noqa: T201
        return 2
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: source.stop())
    if args.to == "memory":
        return _to_memory(source, args)
    from aiokafka.errors import KafkaError  # noqa: PLC0415  the client is needed here only

    try:
        return asyncio.run(_to_kafka(source, args))
    except ValueError as error:
        print(f"ims simulate: {error}", file=sys.stderr)  # noqa: T201
        return 2
    except KafkaError as error:
        print(f"ims simulate: Kafka at {args.kafka}: {error}", file=sys.stderr)  # noqa: T201
        return 2


def _check(args: argparse.Namespace) -> None:
    for name, least in (("rate", 0), ("securities", 8), ("batch", 1), ("events", 0), ("partitions", 1), ("seed", 0)):
        value = getattr(args, name)
        if value is not None and value < least:
            raise ValueError(f"--{name} must be at least {least}")
    if args.batch > 1 << 16:
        raise ValueError("--batch must be at most 65536")


class Source:
    """The universe and the day to play, and when to send how much of it."""

    def __init__(self, args: argparse.Namespace) -> None:
        markets = world.markets()
        self.now = dt.datetime.now(dt.UTC)
        settings = Settings.load({})
        self.calendar = world.calendar(markets, self.now, settings.folder / "calendars")
        self.days = TradingDays.of(self.calendar.business_day, self.calendar.base_date, self.calendar.today)
        snapshot = load(Path(args.availability)) if args.availability else None
        universe = build(markets, listings(), args.securities, args.seed, snapshot, int(self.calendar.today[0]))
        self.universe: Universe = replace(
            universe, currencies=in_units_of(universe.currencies, settings.reporting_currency)
        )
        self._turning = Turning(markets, self.calendar.business_day, self.calendar.base_date, self.calendar.today)
        self._args = args
        self._limit = args.events if args.events is not None else sys.maxsize
        self._stopped = False
        self._sent = 0
        self._started = time.monotonic()
        self._reported = self._started

    def simulator(self, partitions: int, newest: Any = ()) -> Simulator:
        faults = FaultRates.usual() if self._args.faults == "on" else FaultRates()
        return Simulator(
            self.universe,
            self.days,
            self._args.seed,
            partitions,
            faults,
            self._args.source,
            newest,
            apart=not self._args.one_topic,
        )

    def everything(self, simulator: Simulator) -> list[reference.Record]:
        """Reference data; where every feed is sent, also baskets, and what vendors say of some securities."""
        more = [] if self._args.one_topic else [*baskets(self.universe), *vendors(self.universe)]
        return [*simulator.reference(), *more]

    def events(self, simulator: Simulator, count: int) -> Drafts:
        """The next `count` events, of the business days that it is now."""
        now_ns = time.time_ns()
        if (days := self._turning(now_ns)) is not None:
            simulator.turn(days)
        return simulator.next(count, now_ns)

    def stop(self) -> None:
        self._stopped = True

    def start(self) -> None:
        """The pace and `--seconds` count from here."""
        self._started = self._reported = time.monotonic()

    @property
    def done(self) -> bool:
        seconds = self._args.seconds
        late = seconds is not None and time.monotonic() - self._started >= seconds
        return self._stopped or late or self._sent >= self._limit

    def due(self) -> int:
        """How many events to send now; 0 where it is too early for the next ones."""
        left = min(_LARGEST, self._limit - self._sent)
        if self._args.rate == 0:
            return left
        return min(left, int((time.monotonic() - self._started) * self._args.rate) - self._sent)

    def sent(self, events: int) -> None:
        """Count them, and once a second say how far it is."""
        self._sent += events
        now = time.monotonic()
        if now - self._reported >= 1:
            self._reported = now
            rate = self._sent / (now - self._started)
            print(f"{self._sent:,} events, {rate:,.0f} a second", file=sys.stderr, flush=True)  # noqa: T201

    def summary(self, simulator: Simulator) -> dict[str, Any]:
        """What was sent, to be printed."""
        seconds = time.monotonic() - self._started
        return {
            "to": self._args.to,
            "encoding": self._args.encoding,
            "seed": self._args.seed,
            "seconds": round(seconds, 3),
            "events_per_s": round(self._sent / seconds) if seconds else 0,
            "sources": simulator.sources,
            "expected": asdict(simulator.expected),
        }


def _print(summary: dict[str, Any]) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(summary), indent=2).decode() + "\n")


def _topics(args: argparse.Namespace) -> str | list[str]:
    """The topic of every feed by its route, or the one of all events."""
    if args.one_topic:
        return str(args.events_topic)
    named = topics(args.events_topic, args.reference_topic)
    return [named[feed_named(route.feed).index] for route in Route]


def _to_memory(source: Source, args: argparse.Namespace) -> int:
    from app.simulated import Receiver  # noqa: PLC0415  the engine is needed here only

    simulator, topic = source.simulator(args.partitions or 1), _topics(args)
    receiver = Receiver(f"simulate-{os.getpid()}", source.universe.markets, source.calendar)
    try:
        receiver.reference(simulator.reference())
        if not args.no_start_of_day:
            for drafts in simulator.start_of_day(time.time_ns()):
                receiver.records(simulator.records(drafts, topic, args.encoding, args.batch))
        source.start()
        while not source.done:
            count = source.due()
            if count <= 0:
                time.sleep(TICK_S)
                continue
            drafts = source.events(simulator, count)
            receiver.records(simulator.records(drafts, topic, args.encoding, args.batch))
            receiver.asides(simulator, simulator.asides())
            source.sent(count)
        summary = source.summary(simulator)
        observed, rejected = receiver.observed(), receiver.rejected
        summary |= {"observed": asdict(observed), "rejected": rejected, "negative": receiver.negative}
    finally:
        receiver.close()
    summary["equal"] = observed == simulator.expected and rejected == 0
    _print(summary)
    return 0 if summary["equal"] else 1


async def _to_kafka(source: Source, args: argparse.Namespace) -> int:
    from feeds.simulator_kafka import Producer  # noqa: PLC0415  the client is needed here only

    topic = _topics(args)
    async with Producer(args.kafka) as producer:
        partitions = args.partitions or 4
        if isinstance(topic, str):
            partitions = await producer.make_topics(topic, args.reference_topic, partitions)
        else:
            wanted = dict(zip(topic[1:], Spread.of(partitions, apart=True).partitions[1:], strict=True))
            made = await producer.make_each(wanted, args.reference_topic)
            if made != wanted:
                raise ValueError(f"topics have other partitions than --partitions {partitions} makes: {made}")
        newest = await producer.newest(source.simulator(partitions).places(topic))
        simulator = source.simulator(partitions, list(newest.values()))

        async def send(drafts: Any) -> None:
            for records in simulator.records(drafts, topic, args.encoding, args.batch):
                await producer.send(records, time.time_ns() // 1_000_000)

        if not args.no_start_of_day:
            await producer.send_reference(
                args.reference_topic, source.everything(simulator), time.time_ns() // 1_000_000
            )
            for drafts in simulator.start_of_day(time.time_ns()):
                await send(drafts)
                await producer.flush()
        source.start()
        while not source.done:
            count = source.due()
            if count <= 0:
                await asyncio.sleep(TICK_S)
                continue
            await send(source.events(simulator, count))
            if not isinstance(topic, str):
                asides = simulator.asides()
                await producer.send_asides(topic, asides, simulator.spread.partitions, time.time_ns())
                for aside in asides:
                    simulator.explained(aside)
            source.sent(count)
        await producer.flush()
        summary = source.summary(simulator)
    summary |= {"kafka": args.kafka, "partitions": partitions, "after": newest}
    _print(summary)
    return 0
