"""The bytes of a poll -> one batch of events, whatever the encoding of each record."""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import numpy as np

from engine.events import EVENT
from engine.symbols import Symbols
from feeds import arrow_events, json_events
from feeds.quarantine import Decoded, Origin, Reason, Unreadable

Headers: TypeAlias = tuple[tuple[str, bytes], ...]
Values: TypeAlias = Sequence[bytes | None]

HEADER: Final = "enc"
JSON: Final = b"json"
ARROW: Final = b"arrow"


def _refuse(values: Sequence[bytes], symbols: Symbols, origin: Origin) -> Decoded:
    """Records of an encoding that nobody reads."""
    del symbols
    detail = f"header {HEADER} is neither {JSON.decode()} nor {ARROW.decode()}"
    entries = [origin.unreadable(at, Reason.ENCODING, detail, value) for at, value in enumerate(values)]
    return Decoded(np.empty(0, EVENT), entries)


_DECODERS: Final[tuple[Callable[[Sequence[bytes], Symbols, Origin], Decoded], ...]] = (
    json_events.decode,
    arrow_events.decode,
    _refuse,
)
_NUMBER: Final = {JSON: 0, ARROW: 1}
_UNKNOWN: Final = 2


def decode(values: Values, headers: Sequence[Headers], symbols: Symbols, origin: Origin) -> Decoded:
    """Events in the order of the records within each partition. `headers`: of each record; without `enc` it is JSON.

    Never raises for what is in a record; no statement of ours runs per record of a poll of one encoding.
    """
    present = [b"" if value is None else value for value in values] if None in values else values
    numbers = {each: _number(each) for each in set(headers)}
    if len(set(numbers.values())) == 1:
        return _DECODERS[next(iter(numbers.values()))](present, symbols, origin)  # type: ignore[arg-type]
    of_record = np.fromiter(map(numbers.__getitem__, headers), np.uint8, len(values))
    parts = []
    for number, decoder in enumerate(_DECODERS):
        chosen = np.flatnonzero(of_record == number)
        if chosen.size:
            parts.append(decoder(list(map(present.__getitem__, chosen.tolist())), symbols, origin.take(chosen)))  # type: ignore[arg-type]
    return _merged(parts)


def _number(headers: Headers) -> int:
    """The decoder of a record with these headers."""
    named = dict(headers).get(HEADER, JSON)
    return _NUMBER.get(named, _UNKNOWN)


def _merged(parts: Sequence[Decoded]) -> Decoded:
    """Several encodings of one poll, put back into the order of their partitions."""
    if not parts:
        return Decoded(np.empty(0, EVENT))
    events = np.concatenate([part.events for part in parts])
    order = np.lexsort((events["offset"], events["partition"]))  # stable: the rows of one record stay in order
    unreadable: list[Unreadable] = [entry for part in parts for entry in part.unreadable]
    return Decoded(events[order], sorted(unreadable, key=lambda entry: (entry.partition, entry.offset)))


def warm(symbols: Symbols) -> None:
    """Compile, or load, what decoding needs, so that the first events do not wait for it."""
    json_events.decode([b"{}"], symbols, Origin.of("", 1))
    arrow_events.warm(symbols)
