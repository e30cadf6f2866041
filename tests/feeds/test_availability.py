"""The published availability file: loaded + quarantined is the count, or the file is refused whole."""

import datetime as dt
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import figi, isin

from app import world
from app.listings import listings
from engine.model import RATE_UNKNOWN, SecurityFlag, Temperature
from feeds import availability, json_events
from feeds.availability import AvailabilityError, Change, Snapshot, load, parse
from feeds.universe import build

REAL = Path(__file__).parents[3] / "shared" / "data" / "stock-loan-availability-usa-2022-08-06.txt"
HEADER = "#SYM|CUR|NAME|CON|ISIN|REBATERATE|FEERATE|AVAILABLE|"
LINES = (
    "A|USD|AGILENT TECHNOLOGIES INC|1715006|XXXXXXXU1016|1.9119|0.4081|>10000000|",
    "AAC U|USD|ARES ACQUISITION CORP|468799337|KYG330321145|1.1000|1.2200|30000|",
    "AB|USD|SMITH &amp; SONS &lt;NEW&gt;|7|XXXXXXX66011|-10.9035|13.2235|20000|",
    "AFFL|USD|AFFILIATED RESOURCES CORP|536520454|XXXXXXXA1088|NA|NA|25000|",
)


def file_of(*lines: str, count: int | None = None, header: str = HEADER, end: str = "\r\n") -> bytes:
    whole = ["#BOF|2022.08.06|22:30:03", header, *lines, f"#EOF|{len(lines) if count is None else count}"]
    return (end.join(whole) + end).encode()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real file where it is there, else one made of a simulated universe in its manner."""
    if REAL.exists():
        return REAL
    universe = build(world.markets()[:1], listings(), 17_461, 1)
    lines = []
    for number, row in enumerate(universe.securities):
        isin, name = row["isin"].decode(), row["name"].decode().upper().replace(" ", " &amp; ", 1)
        masked = isin if number % 7 == 0 else f"XXXXXXX{isin[7:]}"
        quantity = ">10000000" if number < 791 else str(100 + number)
        known = not 1_000 <= number < 1_035
        rates = [f"{row[rate] / 10_000:.4f}" if known else "NA" for rate in ("rebate", "fee")]
        lines.append(f"{row['ticker'].decode()}|USD|{name}|{10_000 + number}|{masked}|{'|'.join(rates)}|{quantity}|")
    path = tmp_path_factory.mktemp("availability") / REAL.name
    path.write_bytes(file_of(*lines))
    return path


def test_the_published_file_is_accounted_for_to_the_last_line(large: Path) -> None:
    snapshot = load(large)
    assert snapshot.size + len(snapshot.quarantined) == 17_461
    assert snapshot.as_of == dt.datetime(2022, 8, 6, 22, 30, 3)  # noqa: DTZ001  the file names no zone
    assert np.count_nonzero(snapshot.records["at_least"]) == 791
    assert np.count_nonzero(snapshot.records["fee"] == RATE_UNKNOWN) == 35
    assert np.count_nonzero(snapshot.records["masked"]) > 10_000
    assert not any(b"&amp;" in name for name in snapshot.records["name"].tolist())
    assert snapshot.quarantined == ()


def test_each_field_is_read_as_it_is_meant() -> None:
    first, spaced, named, unknown = parse(file_of(*LINES)).records
    assert (first["symbol"], first["quantity"], first["at_least"], first["masked"]) == (b"A", 10_000_000, True, True)
    assert (first["rebate"], first["fee"]) == (19_119, 4_081)
    assert (spaced["symbol"], spaced["isin"], spaced["masked"]) == (b"AAC U", b"KYG330321145", False)
    assert (named["name"], named["rebate"]) == (b"SMITH & SONS <NEW>", -109_035)
    assert (unknown["fee"], unknown["rebate"], unknown["at_least"]) == (RATE_UNKNOWN, RATE_UNKNOWN, False)


def test_securities_carry_flags_temperatures_and_no_invented_country() -> None:
    securities = parse(file_of(*LINES)).securities(market=3)
    assert securities["code"].tolist() == [b"C1715006", b"C468799337", b"C7", b"C536520454"]
    assert securities["temperature"].tolist() == [
        Temperature.GC,
        Temperature.WARM,
        Temperature.HTB,
        Temperature.UNKNOWN,
    ]
    assert securities["country"].tolist() == [b"", b"KY", b"", b""]
    assert securities["flags"].tolist()[:2] == [SecurityFlag.AT_LEAST | SecurityFlag.MASKED_ISIN, 0]
    assert set(securities["market"].tolist()) == {3}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("B|USD|NAME|8|XXXXXXXU1016|1.0|0.5|100|extra|", "9 fields, not 8"),
        ("B|USD|NAME|8", "4 fields, not 8"),
        ("", "1 fields, not 8"),
        ("B|USD|NAME|8|XXXXXXXU1016|1.0|0.5|lots|", "AVAILABLE 'lots'"),
        ("B|USD|NAME|8|XXXXXXXU1016|1.0|0.5|-5|", "AVAILABLE '-5'"),
        ("B|USD|NAME|8|XXXXXXXU1016|1.0|0.5|2000000000000000|", "more than"),
        ("B|USD|NAME|8|XXXXXXXU1016|1.0|1e3|100|", "FEERATE '1e3'"),
        ("B|USD|NAME|8|XXXXXXXU1016|1.0|0.12345|100|", "FEERATE '0.12345'"),
        ("B|USD|NAME|8|XXXXXXXU1016|999999.0|1.0|100|", "REBATERATE 999999.0 is out of range"),
        ("B|USD|NAME|0|XXXXXXXU1016|1.0|0.5|100|", "CON '0'"),
        ("B|USD|NAME|\u0661|XXXXXXXU1016|1.0|0.5|100|", "CON"),
        ("B|USD|NAME|8|US0378331006|1.0|0.5|100|", "ISIN 'US0378331006' is not valid"),
        ("B|usd|NAME|8|XXXXXXXU1016|1.0|0.5|100|", "CUR 'usd'"),
        (" |USD|NAME|8|XXXXXXXU1016|1.0|0.5|100|", "SYM ' '"),
        (f"B|USD|{'N' * 65}|8|XXXXXXXU1016|1.0|0.5|100|", "NAME has 65 bytes"),
        ("B|USD|NA\x07ME|8|XXXXXXXU1016|1.0|0.5|100|", "NAME 'NA\\x07ME'"),
        ("B|USD|NAME|1715006|XXXXXXXU1016|1.0|0.5|100|", "CON 1715006 is also on line 3"),
        ("A|USD|NAME|8|XXXXXXXU1016|1.0|0.5|100|", "SYM A is also on line 3"),
        ("B|USD|NAME|8|KYG330321145|1.0|0.5|100|", "ISIN KYG330321145 is also on line 4"),
    ],
)
def test_a_line_that_cannot_be_used_is_kept_with_its_number_and_reason(line: str, reason: str) -> None:
    snapshot = parse(file_of(*LINES, line))
    assert snapshot.size == len(LINES)
    (bad,) = snapshot.quarantined
    assert (bad.number, bad.line) == (7, line.encode())
    assert reason in bad.reason


def test_bytes_that_are_no_text_spoil_their_own_line_only() -> None:
    content = file_of(*LINES).replace(b"AGILENT", b"AGIL\xffNT")
    snapshot = parse(content)
    assert snapshot.size == 3
    assert b"\xff" in snapshot.quarantined[0].line
    assert "utf-8" in snapshot.quarantined[0].reason


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        (b"", 1, "empty"),
        (b"\r\n\r\n", 1, "empty"),
        (file_of(*LINES).replace(b"#BOF", b"#XXX"), 1, "#BOF|date|time"),
        (file_of(*LINES).replace(b"2022.08.06", b"2022.13.06"), 1, "no date"),
        (file_of(*LINES, header=HEADER.replace("CUR", "CCY")), 2, "the header is not"),
        (file_of(*LINES, header=HEADER + "MORE|"), 2, "the header is not"),
        (file_of(*LINES)[: file_of(*LINES).index(b"#EOF")], 6, "cut off"),
        (file_of(*LINES)[:120], 3, "cut off"),
        (b"#BOF|2022.08.06|22:30:03\n", 2, "the header is not"),
        (file_of(*LINES).replace(b"#EOF|4", b"#EOF|"), 7, "no count"),
        (file_of(*LINES).replace(b"#EOF|4", b"#EOF|4x"), 7, "no count"),
        (file_of(*LINES, count=5), 7, "counts 5 records, the file has 4"),
        (file_of(*LINES, count=17_461), 7, "counts 17,461 records, the file has 4"),
    ],
)
def test_a_file_without_its_frame_is_refused_whole(content: bytes, line: int, reason: str) -> None:
    with pytest.raises(AvailabilityError) as refused:
        parse(content, "morning.txt")
    assert refused.value.line == line or content == b"#BOF|2022.08.06|22:30:03\n"
    assert str(refused.value).startswith("morning.txt, line ")
    assert reason in str(refused.value)


def test_line_ends_trailing_blanks_and_a_figi_column_are_accepted() -> None:
    for end in ("\n", "\r\n"):
        assert parse(file_of(*LINES, end=end) + b"\n\n").size == 4
    good, bad = "BBG000BLNQ16", "BBG000BLNQ14"
    assert figi.is_valid(good)
    lines = [LINES[0] + good + "|", LINES[1] + "|", LINES[2] + bad + "|"]
    snapshot = parse(file_of(*lines, header=HEADER + "FIGI|"))
    assert snapshot.records["figi"].tolist() == [good.encode(), b""]
    assert "FIGI" in snapshot.quarantined[0].reason


def test_an_empty_list_of_securities_is_a_snapshot() -> None:
    assert parse(file_of()).size == 0


def test_the_difference_sets_what_changed_and_clears_what_disappeared() -> None:
    former = parse(file_of(*LINES))
    newer = parse(file_of(LINES[1].replace("|30000|", "|500|"), LINES[2], LINES[0].replace("1715006", "99")))
    change = Change.between(former, newer)
    found = dict(zip(change.codes.tolist(), change.quantities.tolist(), strict=True))
    assert found == {b"C468799337": 500, b"C99": 10_000_000, b"C1715006": 0, b"C536520454": 0}
    assert Change.between(newer, newer).codes.size == 0
    assert Change.between(None, newer).codes.size == 3


def test_a_change_becomes_numbered_events_of_the_lender() -> None:
    records = availability.records(Change.between(None, parse(file_of(*LINES))), first_seq=11, time_ns=5)
    events = [msgspec.json.decode(record, type=json_events.Event) for record in records]
    assert [event.seq for event in events] == [11, 12, 13, 14]
    assert {(event.src, event.op, event.kind, event.book, event.depot) for event in events} == {
        ("availability", "SET", "EXTERNAL_INDICATIVE", availability.BOOK, "")
    }
    assert (events[1].sec, events[1].qty, events[1].ts) == ("C468799337", 30_000, 5)


def test_a_snapshots_securities_take_the_place_of_the_simulated_us_ones(large: Path) -> None:
    snapshot = load(large)
    universe = build(world.markets(), listings(), 12_000, 1, snapshot)
    us = universe.securities["market"] == 0
    assert np.count_nonzero(us) == snapshot.size == universe.securities.size - universe.published
    assert us[universe.published :].all()
    assert b"AGILENT TECHNOLOGIES INC" in universe.securities["name"].tolist() or large != REAL


def test_a_universe_may_be_nothing_but_the_snapshot() -> None:
    universe = build(world.markets()[:1], listings(), 100, 1, parse(file_of(*LINES)))
    assert universe.securities["ticker"].tolist() == [b"A", b"AAC U", b"AB", b"AFFL"]
    assert universe.published == 0


def accounted(content: bytes) -> None:
    """The one property: a snapshot of which every record is accounted for, or `AvailabilityError`."""
    try:
        snapshot: Snapshot = parse(content)
    except AvailabilityError:
        return
    count = int(content.rstrip().rsplit(b"|", 1)[-1] or content.rstrip().rsplit(b"|", 2)[-2])
    assert snapshot.size + len(snapshot.quarantined) == count
    for code in snapshot.records[~snapshot.records["masked"]]["isin"].tolist():
        assert code == b"" or isin.is_valid(code.decode())


@given(st.binary(max_size=400))
def test_any_bytes_parse_or_are_refused(content: bytes) -> None:
    accounted(content)


@given(st.lists(st.binary(max_size=90).filter(lambda line: b"\n" not in line), max_size=6))
def test_any_lines_in_a_sound_frame_are_accounted_for(lines: list[bytes]) -> None:
    content = b"\n".join([b"#BOF|2022.08.06|22:30:03", HEADER.encode(), *lines, b"#EOF|%d" % len(lines)])
    accounted(content)
    assert parse(content).size <= len(lines)


@given(st.data())
def test_any_change_to_a_sound_file_is_accounted_for_or_refused(data: st.DataObject) -> None:
    content = bytearray(file_of(*LINES, LINES[0].replace("1715006", "4").replace("A|", "Z|")))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        match data.draw(st.integers(0, 2)):
            case 0:
                content[at] = data.draw(st.integers(0, 255))
            case 1:
                del content[at : at + data.draw(st.integers(1, 40))]
            case _:
                content[at:at] = data.draw(
                    st.sampled_from([b"|", b"\n", b"\r\n", b"&#0;", b"\xe2\x80\xa8", b"9" * 30, b">"])
                )
        if not content:
            break
    accounted(bytes(content))


@given(st.lists(st.text(max_size=20), min_size=8, max_size=8))
def test_any_fields_are_loaded_whole_or_kept(fields: list[str]) -> None:
    line = "|".join(field.replace("|", "").replace("\n", "") for field in fields).encode("utf-8", "surrogatepass")
    content = b"\n".join([b"#BOF|2022.08.06|22:30:03", HEADER.encode(), line, b"#EOF|1"])
    accounted(content)
