"""What the archive misses, from Kafka again: applied to the machine as it was before the gap, and written where it belongs."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.archive_manifest import Manifest, Missing
from app.archive_names import NothingError
from app.archive_reader import Past
from app.archive_replay import machine_of, steps, tell
from app.archive_writer import write_files
from engine.ring import Entry, Message
from engine.state import Machine
from engine.symbols import Symbols
from feeds.archive_columns import Codes
from feeds.archive_files import read
from feeds.decode import decode
from feeds.quarantine import Decoded, Origin

Record = tuple[int, bytes, tuple[tuple[str, bytes], ...]]
"""Offset, value, headers."""
Fetch = Callable[[str, int, int, int], Awaitable[list[Record]]]
"""Records of a topic's partition from one offset up to another, which is not included."""
_WITH_OFFSETS: Final = ("events", "prices", "corrections", "deals")


async def repair(
    folder: Path, manifest: Manifest, gap: Missing, topics: Sequence[str], fetch: Fetch, now_ns: int
) -> int:
    """Fill one gap; returns how many events, steps and corrections were found.

    Raises `NothingError` where the archive does not reach back to the engine's beginning, or the gap cannot be filled.
    """
    past = Past(folder, manifest, gap.at_ns)
    if past.parts[-1].generation.number != gap.generation:
        raise NothingError(f"places {gap.first:,} to {gap.last:,} are of an engine whose memory was lost with it")
    machine = machine_of(past, f"repair-{gap.generation}-{gap.first}.tables")
    try:
        for step in steps(past):
            if step.place >= gap.first:
                break
            tell(machine, step)
        entries = _Told(machine, gap)
        for topic, partition, first, stop in _ranges(folder, manifest, gap):
            records = await fetch(topics[topic], partition, first, stop)
            if records:
                _use(machine, _decoded(machine, topics[topic], topic, partition, records))
        codes = Codes(machine.tables)
        files = write_files(folder, gap.generation, entries.entries, codes) if entries.entries else []
        del codes
        manifest.repaired(gap, files, now_ns)
        return entries.count
    finally:
        machine.log = None
        machine.close()


class _Told:
    """`Machine.log`: keeps what the machine does, at the places of the gap."""

    def __init__(self, machine: Machine, gap: Missing) -> None:
        self.entries: list[Entry] = []
        self.count = 0
        self._gap = gap
        machine.log = self

    def __call__(self, kind: Message, payload: NDArray[Any], outcome: NDArray[np.uint8] | None) -> None:
        place = self._gap.first + len(self.entries)
        if place > self._gap.last:
            raise NothingError("Kafka has more messages for the gap than there were: it was written anew since")
        if outcome is None and kind == Message.EFFECTS:
            outcome = np.zeros(payload.size, np.uint8)
        elif outcome is not None:
            self.count += payload.size
        parts = [payload.view(np.uint8).reshape(-1), *([] if outcome is None else [outcome])]
        self.entries.append(Entry(kind, self._gap.at_ns, place, np.concatenate(parts)))


def _ranges(folder: Path, manifest: Manifest, gap: Missing) -> list[tuple[int, int, int, int]]:
    """(topic, partition, first, stop) of what is missing; it stops where the archive goes on."""
    begins = {(topic, partition): offset for topic, partition, offset in gap.told.applied}
    ends = {(topic, partition): offset for topic, partition, offset in gap.told.until}
    after = _first_after(folder, manifest, gap)
    made = []
    for place in sorted(begins.keys() | ends.keys() | after.keys()):
        first, stop = begins.get(place, 0), after.get(place, ends.get(place, 0))
        if stop > first:
            made.append((*place, first, stop))
    return made


def _first_after(folder: Path, manifest: Manifest, gap: Missing) -> dict[tuple[int, int], int]:
    """The first offset of each partition that was archived after the gap."""
    found: dict[tuple[int, int], int] = {}
    for name in _WITH_OFFSETS:
        for file in manifest.files(name, gap.generation):
            if file.last <= gap.last:
                continue
            table = read(folder / file.path, file.bytes, columns=["place", "topic", "partition", "offset"])
            columns = [np.asarray(table[column].to_numpy()) for column in ("place", "topic", "partition", "offset")]
            later = columns[0] > gap.last
            keys = columns[1][later].astype(np.int64) << 16 | columns[2][later]
            offsets = columns[3][later]
            for key in np.unique(keys).tolist():
                place = key >> 16, key & 0xFFFF
                least = int(offsets[keys == key].min())
                found[place] = min(found.get(place, least), least)
    return found


def _decoded(machine: Machine, name: str, topic: int, partition: int, records: Sequence[Record]) -> Decoded:
    offsets = np.array([offset for offset, _, _ in records], np.int64)
    received_ns = int(machine.tables.array["head"][0, 0])
    origin = Origin(name, topic, np.full(len(records), partition, np.uint16), offsets, received_ns)
    symbols = Symbols(machine.tables.array["symbols"])
    values, headers = [value for _, value, _ in records], [headers for _, _, headers in records]
    return decode(values, headers, symbols, origin, machine.markets)


def _use(machine: Machine, decoded: Decoded) -> None:
    """In the order in which the engine would."""
    doors = {Message.EVENTS: machine.apply, Message.DEALS: machine.step, Message.CORRECTIONS: machine.correct}
    ordered = (
        *decoded.messages,
        (Message.EVENTS, decoded.events),
        (Message.DEALS, decoded.steps),
        (Message.CORRECTIONS, decoded.corrections),
    )
    for kind, records in ordered:
        if kind in doors and len(records):
            doors[kind](records)
        elif kind == Message.MOVES:
            machine.move(records)
        elif len(records):
            machine.register(kind, records)


async def from_kafka(bootstrap: str, topic: str, partition: int, first: int, stop: int) -> list[Record]:
    """What a broker has of these offsets. Raises `NothingError` where it has not all of it any more."""
    from aiokafka import TopicPartition  # noqa: PLC0415  only where there is a broker

    from feeds.kafka_client import connected  # noqa: PLC0415  the same
    from feeds.kafka_poll import poll  # noqa: PLC0415  the same

    place, found = TopicPartition(topic, partition), list[Record]()
    async with connected(bootstrap) as consumer:
        consumer.assign([place])
        oldest = (await consumer.beginning_offsets([place]))[place]
        if oldest > first:
            raise NothingError(f"{topic}[{partition}] begins at {oldest:,}, {first:,} is gone")
        consumer.seek(place, first)
        while (at := await consumer.position(place)) < stop:
            polled = await poll(consumer, {place: at}.__getitem__, place, timeout_ms=1_000)
            found += [(r.offset, r.value, tuple(r.headers)) for r in polled.get(place, []) if r.offset < stop]
    return found
