"""Batch files: whole, once, with a report; or not at all."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.files_store import FileState
from tests.app.files_world import TODAY, World, files_world

TRADES = "op,sec,book,depot,kind,trade,settle,qty\n"


@pytest.fixture
def world(instance: str, tmp_path: Path) -> Iterator[World]:
    with files_world(instance, tmp_path) as made:
        yield made


def trades(*quantities: int, trailer: int | None = None) -> str:
    rows = "".join(f"BUY,S2,B1,D1,FIRM,{TODAY},{TODAY},{quantity}\n" for quantity in quantities)
    return f"{TRADES}{rows}#TRAILER,{len(quantities) if trailer is None else trailer}\n"


def test_rows_without_numbers_are_numbered_and_applied(world: World) -> None:
    world.drop("trades", "t.csv", trades(100, 200, 300))
    (report,) = world.load()
    assert (report.state, report.rows, report.applied, report.fault_count) == (FileState.LOADED, 3, 4, 0)
    assert (report.source, report.first_number) == ("file.trades", 1)
    assert world.row("S2", "B1") == {"td": 600, "sd": 0, "intraday_buy": 600, "intraday_sell": 0}


def test_the_same_content_counts_once_whatever_its_name_and_line_ends(world: World) -> None:
    world.drop("trades", "t.csv", trades(100, 200))
    world.load()
    before = world.state()
    world.drop(
        "trades", "again.csv", b"\xef\xbb\xbf" + trades(100, 200).replace(",", ";").replace("\n", "\r\n").encode()
    )
    (report,) = world.load()
    assert (report.state, report.same_as) == (FileState.DUPLICATE, 1)
    assert "loaded as file 1" in report.why
    assert world.state() == before


@pytest.mark.parametrize(
    ("content", "line", "column", "value", "said"),
    [
        (trades(1, trailer=2), 0, "", "#TRAILER,2", "counts 2 rows, the file has 1"),
        (trades(1).replace("BUY", "BYU"), 2, "op", "BYU", "expected one of BUY, SELL, SHORT_SELL"),
        (trades(1).replace(",1\n", ",x\n", 1), 2, "qty", "x", "expected a whole number"),
        (trades(1).replace(",1\n", ",1.5\n", 1), 2, "qty", "1.5", "a fraction"),
        (trades(1).replace(",1\n", ",\n", 1), 2, "qty", "", "it is empty"),
        (
            trades(1).replace(f"{TODAY},1", "04/10/2024,1"),
            2,
            "settle",
            "04/10/2024",
            "day and month cannot be told apart",
        ),
        (trades(1).replace(f"{TODAY},1", "2024-02-30,1"), 2, "settle", "2024-02-30", "there is no such day"),
        (trades(1).replace("qty", "quantity"), 1, "quantity", "", "no such column in files of trades; is it qty?"),
        (trades(1).replace(",qty", ",sec"), 1, "sec", "", "the column comes twice"),
        (trades(1).replace("kind,", "").replace("FIRM,", ""), 1, "kind", "", "the column is missing"),
        (
            trades(1).replace("BUY,S2", "BUY,S2,"),
            2,
            "",
            f"BUY,S2,,B1,D1,FIRM,{TODAY},{TODAY},1",
            "9 cells, the header 8",
        ),
        (trades(1).replace("S2", "S" * 1_000_000), 2, "sec", "SSSS", "it has 1,000,000 characters, at most 4,000"),
        (trades(1).replace("S2", '"S2'), 2, "", "", "a quotation mark is opened and never closed"),
        (trades(1).replace("S2", ""), 2, "", "", "BUY with security ''"),
        (trades(1, 1), 3, "", "", "repeats line 2"),
        (trades(1) + trades(1), 4, "", TRADES.strip(), "rows come after the trailer"),
        ("a\n#TRAILER,0\n", 1, "", "a", "this is not a header"),
        ("", 0, "", "", "it is empty"),
        (trades(1).encode().replace(b"D1", b"D\xfc"), 2, "", "", "0xFC, is not UTF-8"),
        (
            trades(1).replace("qty", "qty,src").replace(",1\n", ",1,x\n", 1),
            1,
            "seq",
            "",
            "both src and seq, or neither",
        ),
    ],
)
def test_a_file_with_a_fault_is_refused_whole_and_says_where_what_and_why(
    world: World, content: str | bytes, line: int, column: str, value: str, said: str
) -> None:
    before = world.state()
    world.drop("trades", "t.csv", content, vouched="TRAILER" not in str(content))
    world.patience()
    (report,) = world.load()
    first = report.faults[0]
    assert (report.state, first.line, first.column) == (FileState.REFUSED, line, column), report.faults
    assert said in first.detail
    assert value in first.value
    assert world.state() == before
    kept = world.data / report.archived
    assert kept.exists()
    assert kept.with_name(f"{kept.name}.report.json").exists()
    assert said in kept.with_name(f"{kept.name}.report.txt").read_text()


def test_every_fault_of_a_file_is_told_at_once(world: World) -> None:
    rows = "".join(f"BUY,S2,B1,D1,FIRM,{TODAY},{TODAY},x{at}\n" for at in range(1_500))
    world.drop("trades", "t.csv", f"{TRADES}{rows}#TRAILER,1500\n")
    (report,) = world.load()
    assert (report.fault_count, len(report.faults), report.faults[-1].line) == (1_500, 1_000, 1_001)


def test_a_file_without_its_end_waits_and_is_refused_when_nothing_more_comes(world: World) -> None:
    path = world.drop("trades", "t.csv", trades(1, 2).partition("#")[0])
    assert world.load() == []
    (waiting,) = world.desk.store.waiting()
    assert (waiting.feed, waiting.name) == ("trades", "t.csv")
    assert "no last line #TRAILER,count" in waiting.why
    path.write_text(trades(1, 2))
    assert [report.state for report in world.load()] == [FileState.LOADED]
    assert world.desk.store.waiting() == []
    world.drop("trades", "u.csv", trades(3).partition("#")[0])
    world.patience()
    (report,) = world.load()
    assert report.state == FileState.REFUSED
    assert "may be cut off" in report.why


def test_a_file_where_no_feed_looks_is_told_and_left_there(world: World) -> None:
    (world.data / "drop" / "trade").mkdir()
    lost = [world.drop("trade", "t.csv", trades(1)), world.drop(".", "u.csv", trades(2))]
    assert world.load() == []
    told = {(each.feed, each.name): each.why for each in world.desk.store.waiting()}
    assert "no feed 'trade'" in told["trade", "t.csv"]
    assert "no feed's folder" in told["", "u.csv"]
    for path in lost:
        path.unlink()
    world.load()
    assert world.desk.store.waiting() == []


def test_a_link_is_not_followed_to_what_only_we_may_read(world: World, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.csv"
    elsewhere.write_text(trades(1))
    link = world.drop("trades", "t.csv", "")
    link.unlink()
    link.symlink_to(elsewhere)
    world.patience()
    assert world.load() == []
    assert (link.is_symlink(), elsewhere.read_text()) == (True, trades(1))


def test_a_file_that_still_grows_is_left_alone(world: World) -> None:
    path = world.drop("trades", "t.csv", trades(1))
    world.desk.turn()
    world.moment += 10.0
    path.write_text(trades(1, 2))
    assert not world.desk.turn()
    assert world.desk.store.waiting()[0].why == "it is still being written"
    assert [report.rows for report in world.load()] == [2]


def test_a_checksum_vouches_for_a_file_and_a_wrong_one_refuses_it(world: World) -> None:
    bare = trades(7).partition("#")[0]
    world.drop("trades", "good.csv", bare, vouched=True)
    (report,) = world.load()
    assert (report.state, report.checksum) == (FileState.LOADED, "sha256")
    path = world.drop("trades", "bad.csv", trades(8), vouched=True)
    path.write_text(trades(9))
    assert world.load() == []
    world.patience()
    (report,) = world.load()
    assert report.state == FileState.REFUSED
    assert "its sha256 is" in report.why
    assert world.row("S2", "B1") == {"td": 7, "sd": 0, "intraday_buy": 7, "intraday_sell": 0}


def test_marks_between_thousands_quotes_padding_and_other_delimiters_are_read(world: World) -> None:
    rows = (
        f'BUY,S2,B1,D1,FIRM,{TODAY},{TODAY},"1,234,567",,\n"BUY","S2","B1","D1","FIRM",{TODAY},{TODAY},"1,000.00",,\n'
    )
    world.drop("trades", "excel.csv", f"{TRADES.strip()},,\n{rows},,,,,,,,,\n#TRAILER,2,,,,,,,,\n")
    world.drop("trades", "german.csv", trades(5).replace(",5\n", ",1.234.567\n", 1).replace(",", ";"))
    world.drop("trades", "wide.txt", trades(6).replace(",", "\t").encode("utf-16"))
    assert [report.why for report in world.load()] == ["", "", ""]
    assert world.row("S2", "B1") == {"td": 2_470_140, "sd": 0, "intraday_buy": 2_470_140, "intraday_sell": 0}


def test_a_start_of_day_replaces_the_books_in_it_and_no_other(world: World) -> None:
    world.drop("trades", "t.csv", trades(5).replace("B1", "B2"))
    world.load()
    world.drop(
        "positions",
        "sod.csv",
        "sec,book,depot,kind,sd\nS1,B1,D1,FIRM,100\nS2,B1,D1,FIRM,200\nS2,B3,D1,FIRM,7\n#TRAILER,3\n",
    )
    (report,) = world.load()
    assert (report.state, report.books, report.records) == (FileState.LOADED, ("B1", "B3"), 6)
    world.drop("positions", "sod2.csv", "sec,book,depot,kind,sd\nS2,B1,D1,FIRM,50\n#TRAILER,1\n")
    world.load()
    told = {book: (world.row("S2", book) or {}).get("td") for book in ("B1", "B2", "B3")}
    assert told == {"B1": 50, "B2": 5, "B3": 7}
    assert (world.row("S1", "B1") or {}).get("td", 0) == 0


def test_a_start_of_day_for_a_book_with_trades_is_refused_by_name_unless_somebody_takes_it_on(world: World) -> None:
    world.drop("trades", "t.csv", trades(5))
    world.load()
    world.drop("positions", "sod.csv", "sec,book,depot,kind,sd\nS2,B1,D1,FIRM,200\nS2,B2,D1,FIRM,1\n#TRAILER,2\n")
    (report,) = world.load()
    assert (report.state, report.can_be_forced) == (FileState.REFUSED, True)
    assert [(fault.column, fault.value) for fault in report.faults] == [("book", "B1")]
    assert world.row("S2", "B2") is None
    assert world.desk.store.force(report.id, "olga", "late custodian")
    world.load()
    forced = world.desk.store.report(report.id)
    assert forced is not None
    assert (forced.state, forced.forced_by, forced.comment) == (FileState.LOADED, "olga", "late custodian")
    assert world.row("S2", "B1") == {"td": 200, "sd": 200, "intraday_buy": 0, "intraday_sell": 0}


def test_what_was_said_between_two_equal_states_makes_the_second_count(world: World) -> None:
    first, second = (f"sec,book,depot,kind,sd\nS2,B1,D1,FIRM,{sd}\n#TRAILER,1\n" for sd in (10, 20))
    states = []
    for content in (first, first, second, first):
        world.drop("positions", "sod.csv", content)
        states += [report.state.value for report in world.load()]
    assert states == ["loaded", "duplicate", "loaded", "loaded"]
    assert (world.row("S2", "B1") or {})["sd"] == 10


def test_rows_that_name_the_unknown_are_told_and_wait(world: World) -> None:
    world.drop("trades", "t.csv", trades(1, 2).replace("S2", "NEW", 1))
    (report,) = world.load()
    assert (report.state, report.unknown, report.unknown_codes) == (FileState.LOADED, 1, {"no security 'NEW'": 1})
    assert [(entry.topic, entry.partition, entry.offset) for entry in world.kept] == [
        ("ims.trades", 255, report.position + 1)
    ]


def test_the_same_start_of_day_again_after_trades_is_a_duplicate_and_no_doubt(world: World) -> None:
    content = "sec,book,depot,kind,sd\nS2,B1,D1,FIRM,10\n#TRAILER,1\n"
    world.drop("positions", "sod.csv", content)
    world.load()
    world.drop("trades", "t.csv", trades(5))
    world.load()
    world.drop("positions", "sod.csv", content)
    (report,) = world.load()
    assert (report.state, report.same_as) == (FileState.DUPLICATE, 1)
    assert (world.row("S2", "B1") or {})["td"] == 15


def test_reference_comes_before_what_names_it_though_it_was_dropped_later(world: World) -> None:
    world.drop("trades", "t.csv", trades(1).replace("B1", "NEWBOOK"))
    world.drop("reference", "books.csv", "type,code,client\nbook,NEWBOOK,FUND9\n#TRAILER,1\n")
    assert [report.unknown for report in world.load()] == [0, 0]
    assert world.row("S2", "NEWBOOK") is not None


@pytest.mark.parametrize(
    ("feed", "content", "line", "column", "said"),
    [
        (
            "reference",
            "type,code,market\nsecurity,NEW1,US\nsecurity,NEW2,ATLANTIS\n",
            3,
            "market",
            "no market 'ATLANTIS'",
        ),
        ("reference", "type,code,kind\ncounterparty,C1,WIZARD\n", 2, "kind", "no kind of counterparty 'WIZARD'"),
        ("reference", "type,code,market\nsecurity,N,\nsecurity,,US\n", 3, "code", "empty"),
        (
            "reference",
            "type,code,valid_from,valid_to\nsecurity,NEW1,2026-01-02,2026-01-01\n",
            2,
            "valid_from",
            "is not before valid_to",
        ),
        ("reference", f"type,code,name\nsecurity,NEW1,{'n' * 200}\n", 2, "name", "are kept"),
        (
            "corporate_actions",
            f"type,sec,event,event_date\nannouncement,S1,DIVIDEND,2026-12-01\nannouncement,{'é' * 20},DIVIDEND,2026-12-01\n",
            3,
            "",
            "code has 40 bytes, at most 24",
        ),
    ],
)
def test_what_the_security_master_would_refuse_refuses_the_file_by_line(
    world: World, feed: str, content: str, line: int, column: str, said: str
) -> None:
    world.drop(feed, "t.csv", f"{content}#TRAILER,{content.count(chr(10)) - 1}\n")
    (report,) = world.load()
    assert report.state == FileState.REFUSED
    assert [(fault.line, fault.column) for fault in report.faults] == [(line, column)], report.faults
    assert said in report.why


def test_what_the_security_master_would_leave_out_of_a_record_is_told_by_line(world: World) -> None:
    rows = "security,NEW1,US,US0378331005,HTB\nsecurity,NEW2,US,US0378331006,SCORCHING\n"
    world.drop("reference", "t.csv", f"type,code,market,isin,temperature\n{rows}#TRAILER,2\n")
    (report,) = world.load()
    assert (report.state, report.remark_count) == (FileState.LOADED, 2), report.faults
    assert {(remark.line, remark.column, remark.value) for remark in report.remarks} == {
        (3, "isin", "US0378331006"),
        (3, "temperature", "SCORCHING"),
    }


def test_a_file_of_the_published_availability_is_loaded_with_its_bad_lines_told(world: World) -> None:
    lines = (
        "#BOF|2022.08.06|22:30:03\n#SYM|CUR|NAME|CON|ISIN|REBATERATE|FEERATE|AVAILABLE|\n"
        "AAC U|USD|ARES ACQUISITION CORP|468799337|KYG330321145|1.1000|1.2200|30000|\n"
        "BAD|USD|NAME|12|US0000000000|1.1|1.2|5|\n#EOF|2\n"
    )
    world.drop("availability", "usa.txt", lines)
    (report,) = world.load()
    assert (report.state, report.rows, report.remark_count, report.remarks[0].line) == (FileState.LOADED, 2, 1, 4)
    assert world.row("C468799337", "LEND-PUBLISHED") == {
        "td": 30_000,
        "sd": 30_000,
        "intraday_buy": 0,
        "intraday_sell": 0,
    }
    world.drop("availability", "cut.txt", lines.replace("#EOF|2", "#EOF|3"))
    (report,) = world.load()
    assert report.state == FileState.REFUSED
    assert "#EOF counts 3 records, the file has 2" in report.why
