"""What vouches for a file beside it is read however it was written, and nothing else of it is ever told."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import files_sums
from app.files_store import FileState
from tests.app.files_world import World, files_world
from tests.app.test_files_sloppy import bought, trades

RIGHT = hashlib.sha256(trades(5).encode()).hexdigest()
WRONG = hashlib.sha256(b"something else").hexdigest()
SECRET = "the-key-of-the-house"


@pytest.fixture
def world(instance: str, tmp_path: Path) -> Iterator[World]:
    with files_world(instance, tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "{}  t.csv\n",
        "\\{} *t.csv\r\n",
        "SHA256 (t.csv) = {}\n",
        "\r\nAlgorithm       Hash           Path\r\n---------       ----           ----\r\nSHA256          {}   C:\\t.csv\r\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_checksum_is_found_in_whatever_writes_one(tmp_path: Path, text: str, encoding: str) -> None:
    for digest in (RIGHT, RIGHT.upper()):
        path = tmp_path / "t.csv.sha256"
        path.write_bytes(text.format(digest).encode(encoding))
        assert files_sums.read(path) == files_sums.Sum("sha256", RIGHT)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (f"{SECRET}\n".encode(), "has no sha256 of 64 hexadecimal digits"),
        (b"", "has no sha256"),
        (RIGHT[:63].encode(), "has no sha256"),
        (f"{RIGHT}0".encode(), "has no sha256"),
        (f"{RIGHT} a\n{WRONG} b\n".encode(), "has more than one sha256"),
        (b"\xff" + SECRET.encode(), "is no text"),
        (RIGHT.encode() + b" " * 70_000, "is no plain file of at most 65,536 bytes"),
    ],
)
def test_what_is_no_checksum_is_a_fault_that_shows_nothing_of_it(world: World, raw: bytes, said: str) -> None:
    path = world.drop("trades", "t.csv", trades(5))
    path.with_name("t.csv.sha256").write_bytes(raw)
    world.patience()
    (report,) = world.load()
    assert report.state == FileState.REFUSED
    assert said in report.why
    told = world.desk.store.report(report.id)
    assert SECRET not in str(told)
    assert not list(path.parent.iterdir())


def test_a_wrong_checksum_in_utf_16_refuses_its_file(world: World) -> None:
    path = world.drop("trades", "t.csv", trades(5))
    path.with_name("t.csv.sha256").write_bytes(WRONG.encode("utf-16"))
    world.patience()
    (report,) = world.load()
    assert report.state == FileState.REFUSED
    assert f"says {WRONG}" in report.why


@pytest.mark.parametrize("digest", [RIGHT, WRONG])
@pytest.mark.parametrize("beside", ["T.CSV.SHA256", "t.csv.Sha256", "t.csv.sha256"])
def test_a_checksum_is_known_by_any_capitals_and_goes_with_its_file(world: World, beside: str, digest: str) -> None:
    path = world.drop("trades", "t.csv", trades(5))
    path.with_name(beside).write_text(digest)
    world.patience()
    (report,) = world.load()
    assert (report.state, report.checksum) == (
        (FileState.LOADED, "sha256") if digest == RIGHT else (FileState.REFUSED, "")
    )
    assert not list(path.parent.iterdir())
    assert (world.data / f"{report.archived}.sha256").read_text() == digest


def test_a_checksum_is_that_of_the_very_name_where_two_differ_by_capitals_only(world: World) -> None:
    lower = world.drop("trades", "t.csv", trades(5))
    world.drop("trades", "T.CSV", trades(6))
    lower.with_name("T.CSV.SHA256").write_text(hashlib.sha256(trades(6).encode()).hexdigest())
    assert {report.name: report.checksum for report in world.load()} == {"t.csv": "", "T.CSV": "sha256"}
    assert bought(world) == 11


def test_a_pipe_or_a_link_in_place_of_a_checksum_is_neither_waited_for_nor_read(world: World, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{SECRET}\n")
    for name, quantity in (("pipe.csv", 5), ("link.csv", 6), ("good.csv", 7)):
        world.drop("trades", name, trades(quantity))
    folder = world.data / "drop" / "trades"
    os.mkfifo(folder / "pipe.csv.sha256")
    (folder / "link.csv.md5").symlink_to(secret)
    world.patience()
    reports = {report.name: report for report in world.load()}
    assert {name: report.state.value for name, report in reports.items()} == {
        "pipe.csv": "refused", "link.csv": "refused", "good.csv": "loaded",
    }  # fmt: skip
    for name in ("pipe.csv", "link.csv"):
        assert "beside it is no plain file" in reports[name].why
        assert SECRET not in (world.data / f"{reports[name].archived}.report.txt").read_text()
    assert not list(folder.iterdir())
    assert secret.read_text() == f"{SECRET}\n"
