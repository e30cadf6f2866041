"""The bytes of a poll of one feed -> what they hold, whatever the encoding of each record."""

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from engine.model import Market
from engine.ring import Message
from engine.symbols import Symbols
from feeds import arrow_events, json_events
from feeds.master_door import Door
from feeds.quarantine import Decoded, Origin, Reason, Unreadable
from feeds.registry import FEEDS, Feed

Headers: TypeAlias = tuple[tuple[str, bytes], ...]
Values: TypeAlias = Sequence[bytes | None]

HEADER: Final = "enc"
JSON: Final = b"json"
ARROW: Final = b"arrow"


def _refuse(values: Sequence[bytes], origin: Origin, detail: str) -> Decoded:
    """Records of an encoding that nobody reads."""
    return Decoded(
        unreadable=[origin.unreadable(at, Reason.ENCODING, detail, value) for at, value in enumerate(values)]
    )


_NUMBER: Final = {JSON: 0, ARROW: 1}
_UNKNOWN: Final = 2
_UNNAMED: Final = 3
_NO_DECODER: Final = {
    _UNKNOWN: f"header {HEADER} is neither {JSON.decode()} nor {ARROW.decode()}",
    _UNNAMED: "a header has a name that is not UTF-8, so nobody knows how it is encoded",
}


def decode(
    values: Values,
    headers: Sequence[Headers],
    symbols: Symbols,
    origin: Origin,
    markets: Sequence[Market] = (),
    master: Door | None = None,
) -> Decoded:
    """What the records of a feed (`origin.topic_index`) hold, in their order within each partition.

    `headers`: of each record; without `enc` it is JSON. Never raises for what is in a record; of event feeds, no statement of
    ours runs per record of a poll of one encoding. With a security master it may take seconds.
    """
    feed = FEEDS[origin.topic_index]
    present = [b"" if value is None else value for value in values] if None in values else values
    numbers = {each: _number(each) for each in set(headers)}
    if len(set(numbers.values())) == 1:
        return _decode(feed, next(iter(numbers.values())), present, symbols, origin, markets, master)  # type: ignore[arg-type]
    of_record = np.fromiter(map(numbers.__getitem__, headers), np.uint8, len(values))
    parts = []
    for number in range(_UNNAMED + 1):
        chosen = np.flatnonzero(of_record == number)
        if chosen.size:
            some: Sequence[bytes] = list(map(present.__getitem__, chosen.tolist()))  # type: ignore[arg-type]
            parts.append(_decode(feed, number, some, symbols, origin.take(chosen), markets, master))
    return _merged(parts)


def _decode(
    feed: Feed,
    number: int,
    values: Sequence[bytes],
    symbols: Symbols,
    origin: Origin,
    markets: Sequence[Market],
    master: Door | None,
) -> Decoded:
    """Records of one encoding."""
    if number == _NUMBER[JSON]:
        return feed.decode(values, symbols, markets, origin, master)
    if number == _NUMBER[ARROW] and feed.permitted is not None:
        return arrow_events.decode(values, symbols, origin, feed.permitted)
    if number == _NUMBER[ARROW]:
        return _refuse(values, origin, f"the feed {feed.name} is not read as {ARROW.decode()}")
    return _refuse(values, origin, _NO_DECODER[number])


def _number(headers: Headers) -> int:
    """The decoder of a record with these headers."""
    if not all(named(name) for name, _ in headers):
        return _UNNAMED
    return _NUMBER.get(dict(headers).get(HEADER, JSON), _UNKNOWN)


def named(header: str) -> bool:
    """Whether the name of a header was text: what is not UTF-8 is read as surrogates (`feeds.kafka_poll`)."""
    return header.isascii() or not any("\udc80" <= letter <= "\udcff" for letter in header)


def _merged(parts: Sequence[Decoded]) -> Decoded:
    """Several encodings of one poll, put back into the order of their partitions."""
    unreadable: list[Unreadable] = [entry for part in parts for entry in part.unreadable]
    unreadable.sort(key=lambda entry: (entry.partition, entry.offset))
    if any(part.messages or part.steps.size or part.corrections.size for part in parts):
        # rare: one encoding after the other, each in its order
        messages = [message for part in parts for message in (*part.messages, *_rest(part))]
        return Decoded(unreadable=unreadable, messages=messages)
    if not parts:
        return Decoded()
    events = np.concatenate([part.events for part in parts])
    order = np.lexsort((events["offset"], events["partition"]))  # stable: the rows of one record stay in order
    return Decoded(events[order], unreadable)


def _rest(part: Decoded) -> list[tuple[Message, NDArray[Any]]]:
    """What comes behind the messages, as messages."""
    kinds = ((Message.EVENTS, part.events), (Message.DEALS, part.steps), (Message.CORRECTIONS, part.corrections))
    return [(kind, records) for kind, records in kinds if len(records)]


def warm(symbols: Symbols) -> None:
    """Compile, or load, what decoding needs, so that the first events do not wait for it."""
    json_events.decode([b"{}"], symbols, Origin.of("", 1))
    arrow_events.warm(symbols)
