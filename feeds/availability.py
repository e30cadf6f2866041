"""The published stock-loan availability file: a lender's borrow fees and what can be borrowed, once per snapshot.

    #BOF|2022.08.06|22:30:03
    #SYM|CUR|NAME|CON|ISIN|REBATERATE|FEERATE|AVAILABLE|          (maybe FIGI| at the end)
    AAC U|USD|ARES ACQUISITION CORP|468799337|KYG330321145|1.1000|1.2200|30000|
    #EOF|17461

The frame (first two lines, and a last line whose count is right) holds for the whole file: without it the file is
refused. A line that cannot be used is kept with its number and the reason: loaded + quarantined is always the count.
"""

import datetime as dt
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from stdnum import figi as figis
from stdnum import isin as isins

from engine.model import RATE_UNIT, RATE_UNKNOWN, Flag, Kind, Op, SecurityFlag
from engine.records import BOOK as BOOK_RECORD
from engine.records import NAMED, SECURITY
from feeds.temperature import temperature_of
from feeds.wire import DRAFT, Drafts, Vocabulary, json_records

SOURCE: Final = "availability"
BOOK: Final = "LEND-PUBLISHED"
"""The book of the lender whose file it is."""
MAX_QUANTITY: Final = 10**15
MAX_RATE: Final = 100_000 * RATE_UNIT
"""A hundred thousand percent a year, far beyond any fee that was ever charged."""
_HEADER: Final = "#SYM|CUR|NAME|CON|ISIN|REBATERATE|FEERATE|AVAILABLE"
_RATE: Final = re.compile(r"-?[0-9]{1,6}(\.[0-9]{1,4})?")
_QUANTITY: Final = re.compile(r">?[0-9]{1,16}")
_CON: Final = re.compile(r"[1-9][0-9]{0,17}")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_MASK: Final = re.compile(r"X{2,12}[A-Z0-9]{0,10}")
_COUNT: Final = re.compile(r"[0-9]{1,9}")

RECORD: Final = np.dtype(
    [
        ("con", "<i8"),
        ("symbol", "S16"),
        ("currency", "S3"),
        ("name", "S64"),
        ("isin", "S12"),
        ("figi", "S12"),
        ("rebate", "<i4"),
        ("fee", "<i4"),
        ("quantity", "<i8"),
        ("at_least", "?"),
        ("masked", "?"),
    ]
)
"""One line. Rates in RATE_UNIT or RATE_UNKNOWN, quantity in shares; `at_least`: that is a floor, not a measure."""


class AvailabilityError(ValueError):
    """A file that is refused whole; names the file, the line and the reason."""

    def __init__(self, file: str, line: int, reason: str) -> None:
        super().__init__(f"{file}, line {line}: {reason}")
        self.file, self.line, self.reason = file, line, reason


class _BadLineError(ValueError):
    """A line that cannot be used."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line kept as it came; numbered from 1 with the file's first line."""

    number: int
    line: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a file says. `as_of` is the publisher's own clock, of which the file does not give the zone."""

    as_of: dt.datetime
    records: NDArray[np.void]
    quarantined: tuple[BadLine, ...]

    @property
    def size(self) -> int:
        return int(self.records.size)

    @property
    def codes(self) -> NDArray[np.bytes_]:
        """The securities' codes: the contract number is what identifies a line."""
        return codes_of(self.records["con"])

    def securities(self, market: int) -> NDArray[np.void]:
        """The file's securities as the engine's records, listed on the market of that index."""
        made = np.zeros(self.size, SECURITY)
        made["code"], made["ticker"] = self.codes, self.records["symbol"]
        for name in ("isin", "figi", "name", "currency", "fee", "rebate"):
            made[name] = self.records[name]
        made["market"] = market
        made["temperature"] = temperature_of(self.records["fee"])
        masked, at_least = self.records["masked"], self.records["at_least"]
        made["flags"] = masked * np.uint8(SecurityFlag.MASKED_ISIN) + at_least * np.uint8(SecurityFlag.AT_LEAST)
        made["country"] = np.where(masked, b"", self.records["isin"].astype("S2"))
        return made


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be set so that the former snapshot becomes the newer one; a security that disappeared is set to 0."""

    codes: NDArray[np.bytes_]
    quantities: NDArray[np.int64]

    @classmethod
    def between(cls, former: Snapshot | None, newer: Snapshot) -> Self:
        """Everything where there was no former one."""
        if former is None:
            return cls(newer.codes, newer.records["quantity"].copy())
        now = dict(zip(newer.records["con"].tolist(), newer.records["quantity"].tolist(), strict=True))
        was = dict(zip(former.records["con"].tolist(), former.records["quantity"].tolist(), strict=True))
        changed = {con: quantity for con, quantity in now.items() if was.get(con) != quantity}
        changed |= {con: 0 for con in was if con not in now}
        return cls(codes_of(np.array(list(changed), np.int64)), np.array(list(changed.values()), np.int64))

    def drafts(
        self, securities: NDArray[np.int32], *, source: int, book: int, first_seq: int, time_ns: int, flags: Flag | None
    ) -> Drafts:
        """One SET of external indicative stock per security; `securities`, `source`, `book` index a vocabulary."""
        made = np.zeros(self.codes.size, DRAFT)
        made["seq"] = first_seq + np.arange(made.size)
        made["time_ns"], made["quantity"] = time_ns, self.quantities
        made["security"], made["source"], made["book"], made["depot"] = securities, source, book, -1
        made["trade_date"] = made["settle_date"] = -1
        made["op"], made["kind"], made["flags"] = Op.SET, Kind.EXTERNAL_INDICATIVE, flags or 0
        return made


def records(
    change: Change, *, first_seq: int, time_ns: int, flags: Flag | None = None, source: str = SOURCE
) -> list[bytes]:
    """The change as JSON events of `source`, numbered from `first_seq`; securities, book and source must be known."""
    vocabulary = Vocabulary.of([source], [code.decode() for code in change.codes.tolist()], [BOOK], [])
    securities = np.arange(change.codes.size, dtype=np.int32)
    drafts = change.drafts(securities, source=0, book=0, first_seq=first_seq, time_ns=time_ns, flags=flags)
    return json_records(drafts, vocabulary)


def book() -> NDArray[np.void]:
    """The lender's book as the engine's record, shape (1,)."""
    return np.array([(BOOK.encode(), b"", b"", b"")], BOOK_RECORD)


def source() -> NDArray[np.void]:
    """The file as a source of events, shape (1,)."""
    return np.array([(SOURCE.encode(), b"published stock-loan availability")], NAMED)


def market_of(snapshot: Snapshot, currencies: Sequence[bytes]) -> int:
    """The file names no market: it is the first whose currency most of its lines are in. `currencies`: of the markets."""
    found, counts = np.unique(snapshot.records["currency"], return_counts=True)
    most = bytes(found[np.argmax(counts)]) if found.size else b""
    return list(currencies).index(most) if most in currencies else 0


def codes_of(cons: NDArray[np.int64]) -> NDArray[np.bytes_]:
    """Codes of contract numbers."""
    return np.asarray(np.strings.add(b"C", cons.astype("S20"))).astype("S24")


def load(path: Path) -> Snapshot:
    """Read a file. Raises `AvailabilityError` where it is refused, OSError where it cannot be read."""
    return parse(path.read_bytes(), path.name)


def parse(content: bytes, file: str = "availability") -> Snapshot:
    """Any bytes give a snapshot of which loaded + quarantined is the count in its last line, or `AvailabilityError`."""
    lines = [line.removesuffix(b"\r") for line in content.split(b"\n")]
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise AvailabilityError(file, 1, "the file is empty")
    as_of = _beginning(lines[0], file)
    columns = _columns(lines[1] if len(lines) > 1 else b"", file)
    _check_end(lines, file)
    rows, quarantined, reader = [], [], _Reader(columns)
    for number, line in enumerate(lines[2:-1], 3):
        try:
            rows.append(reader.row(number, line))
        except (_BadLineError, UnicodeDecodeError) as error:
            quarantined.append(BadLine(number, line, str(error)))
    return Snapshot(as_of, np.array(rows, RECORD), tuple(quarantined))


def _beginning(line: bytes, file: str) -> dt.datetime:
    parts = line.decode("ascii", "replace").rstrip("|").split("|")
    if parts[0] != "#BOF":
        raise AvailabilityError(file, 1, "does not begin with #BOF|date|time")
    try:
        return dt.datetime.strptime("|".join(parts[1:]), "%Y.%m.%d|%H:%M:%S")  # noqa: DTZ007  the file names no zone
    except ValueError:
        raise AvailabilityError(file, 1, "#BOF has no date as 2022.08.06 and time as 22:30:03") from None


def _columns(line: bytes, file: str) -> int:
    text = line.decode("ascii", "replace").rstrip("|")
    if text not in (_HEADER, f"{_HEADER}|FIGI"):
        raise AvailabilityError(file, 2, f"the header is not {_HEADER} (with or without FIGI)")
    return text.count("|") + 1


def _check_end(lines: list[bytes], file: str) -> None:
    parts = lines[-1].decode("ascii", "replace").rstrip("|").split("|")
    if parts[0] != "#EOF" or len(lines) < 3:  # noqa: PLR2004  a file has three lines at least
        raise AvailabilityError(file, len(lines), "does not end with #EOF|count: the file is cut off")
    if len(parts) != 2 or not _COUNT.fullmatch(parts[1]):  # noqa: PLR2004
        raise AvailabilityError(file, len(lines), "#EOF has no count")
    found = len(lines) - 3
    if int(parts[1]) != found:
        raise AvailabilityError(file, len(lines), f"#EOF counts {int(parts[1]):,} records, the file has {found:,}")


class _Reader:
    """Reads lines; remembers where each identifier was seen, for it may name one line only."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._seen: dict[tuple[str, str], int] = {}

    def row(self, number: int, line: bytes) -> tuple[object, ...]:
        """A line as a tuple of `RECORD`. Raises `_BadLineError` or UnicodeDecodeError."""
        fields = line.decode("utf-8").removesuffix("|").split("|")
        if len(fields) != self._columns:
            raise _BadLineError(f"{len(fields)} fields, not {self._columns}")
        symbol, currency, name, con, isin, rebate, fee, available = fields[:8]
        figi = fields[8] if len(fields) > 8 else ""  # noqa: PLR2004
        quantity, at_least = _quantity(available)
        masked = _check_isin(isin)
        row = (
            int(_match(_CON, con, "CON")),
            _text(symbol, "SYM", 16, required=True),
            _match(_CURRENCY, currency, "CUR").encode(),
            _text(html.unescape(name), "NAME", 64),
            isin.encode(),
            _check_figi(figi),
            _rate(rebate, "REBATERATE"),
            _rate(fee, "FEERATE"),
            quantity,
            at_least,
            masked,
        )
        named = {"CON": con, "SYM": symbol, "ISIN": "" if masked else isin, "FIGI": figi}
        self._claim(number, [(column, text) for column, text in named.items() if text])
        return row

    def _claim(self, number: int, identifiers: list[tuple[str, str]]) -> None:
        """Two lines that share an identifier disagree about what it names: the second one is for a person to judge."""
        for column, text in identifiers:
            if (column, text) in self._seen:
                raise _BadLineError(f"{column} {text} is also on line {self._seen[column, text]}")
        self._seen.update(dict.fromkeys(identifiers, number))


def _match(pattern: re.Pattern[str], text: str, column: str) -> str:
    if not pattern.fullmatch(text):
        raise _BadLineError(f"{column} {text[:40]!r} is not usable")
    return text


def _text(text: str, column: str, width: int, *, required: bool = False) -> bytes:
    """The text in UTF-8; never cut, because a shortened symbol names something else."""
    raw = text.encode()
    if len(raw) > width:
        raise _BadLineError(f"{column} has {len(raw)} bytes, at most {width} are kept")
    if not text.isprintable() or (required and not text.strip()) or (required and "#" in text[:1]):
        raise _BadLineError(f"{column} {text[:40]!r} is not usable")
    return raw


def _quantity(text: str) -> tuple[int, bool]:
    quantity = int(_match(_QUANTITY, text, "AVAILABLE").removeprefix(">"))
    if quantity > MAX_QUANTITY:
        raise _BadLineError(f"AVAILABLE {quantity} is more than {MAX_QUANTITY}")
    return quantity, text.startswith(">")


def _rate(text: str, column: str) -> int:
    """In RATE_UNIT, exactly: the file gives at most four decimals."""
    if text == "NA":
        return RATE_UNKNOWN
    whole, _, decimals = _match(_RATE, text, column).partition(".")
    size = int(whole.lstrip("-")) * RATE_UNIT + int(decimals.ljust(4, "0"))
    if size > MAX_RATE:
        raise _BadLineError(f"{column} {text} is out of range")
    return -size if whole.startswith("-") else size


def _check_isin(text: str) -> bool:
    """Whether the ISIN is masked; raises for one that is neither masked nor valid. It may be missing."""
    if text == "":
        return False
    if _MASK.fullmatch(text) and len(text) == 12:  # noqa: PLR2004  the length of an ISIN
        return True
    if isins.compact(text) != text or not isins.is_valid(text):
        raise _BadLineError(f"ISIN {text[:40]!r} is not valid")
    return False


def _check_figi(text: str) -> bytes:
    if text and (figis.compact(text) != text or not figis.is_valid(text)):
        raise _BadLineError(f"FIGI {text[:40]!r} is not valid")
    return text.encode()
