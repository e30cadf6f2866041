"""Batch files over REST and on the command line."""

from pathlib import Path

import pytest

from app import cli
from app.files_store import FileReport, FilesStore, FileState, Waiting
from app.identity import Identity, Role, issue_token
from app.users_store import Users
from feeds.files_faults import Fault
from tests.app.api.api_world import NOON_NS, read, serving

PEOPLE = {"olga": frozenset({Role.OPS}), "tom": frozenset({Role.TRADER})}
DOUBT = Fault(0, "the book has trades of today, which this start of day would undo", "book", "B1")


def _store(folder: Path) -> FilesStore:
    """A loaded file, one refused for a doubt, one refused for a fault, one that waits."""
    store = FilesStore(folder / "files" / "files.db")
    for name, state, fault, forcible in (
        ("sod.csv", FileState.LOADED, None, False),
        ("late.csv", FileState.REFUSED, DOUBT, True),
        ("bad.csv", FileState.REFUSED, Fault(7, "expected a whole number", "qty", "x"), False),
    ):
        report = FileReport(feed="positions", name=name)
        store.add(report)
        report.state, report.can_be_forced = state, forcible
        report.faults, report.fault_count = ((fault,), 1) if fault else ((), 0)
        if state == FileState.LOADED:
            report.answers = f"{name}.answers.csv"
            (folder / report.answers).write_text("line,command\n2,new\n")
        store.save(report)
    store.wait([Waiting("trades", "t.csv", "2026-11-22T06:40:00", "it is still being written")])
    return store


async def test_files_are_listed_newest_first_and_each_has_its_report(instance: str, tmp_path: Path) -> None:
    _store(tmp_path).close()
    async with serving(instance, tmp_path) as api:
        page = read(await api.get("/api/v1/files?limit=2"))
        assert [(file["name"], file["state"]) for file in page["files"]] == [
            ("bad.csv", "refused"),
            ("late.csv", "refused"),
        ]
        assert page["waiting"][0]["why"] == "it is still being written"
        rest = read(await api.get(f"/api/v1/files?limit=2&cursor={page['next_cursor']}"))
        assert [file["name"] for file in rest["files"]] == ["sod.csv"]
        assert [file["id"] for file in read(await api.get("/api/v1/files?state=loaded&feed=positions"))["files"]] == [1]
        report = read(await api.get("/api/v1/files/3"))
        assert report["faults"] == [{"line": 7, "detail": "expected a whole number", "column": "qty", "value": "x"}]
        assert b"line 7, column qty: 'x': expected a whole number" in (await api.get("/api/v1/files/3/text")).body
        answers = await api.get("/api/v1/files/1/answers")
        assert (answers.body, answers.headers["Content-Type"]) == (b"line,command\n2,new\n", "text/csv; charset=utf-8")
        (tmp_path / "sod.csv.answers.csv").unlink()
        for path, status in (
            ("1/answers", 404),
            ("2/answers", 404),
            ("9", 404),
            ("x", 404),
            ("forms/nothing", 404),
            ("?state=gone", 422),
        ):
            assert (await api.get(f"/api/v1/files{'' if path[0] == '?' else '/'}{path}")).code == status, path
        form = read(await api.get("/api/v1/files/forms/positions"))
        assert form["folder"] == "drop/positions"
        assert {column["name"] for column in form["columns"]} >= {"sec", "book", "kind", "sd", "td"}


async def test_a_doubt_is_taken_by_ops_with_a_reason_and_a_fault_by_nobody(instance: str, tmp_path: Path) -> None:
    store = _store(tmp_path)
    async with serving(instance, tmp_path) as api:
        users = Users(tmp_path / "users.db")
        for who, roles in PEOPLE.items():
            users.add(who, f"a secret of {who}", roles)
        users.close()
        tokens = {
            who: issue_token(api.settings.secret, Identity(who, roles), 60, NOON_NS / 1e9)
            for who, roles in PEOPLE.items()
        }

        async def force(number: int, who: str, comment: str = "agreed") -> int:
            return (
                await api.call("POST", f"/api/v1/files/{number}/force", {"comment": comment}, token=tokens[who])
            ).code

        assert [await force(2, "tom"), await force(2, "olga", " "), await force(3, "olga"), await force(1, "olga")] == [
            403,
            422,
            409,
            409,
        ]
        assert store.forced() == []
        assert [await force(2, "olga"), await force(2, "olga")] == [202, 409]
        ((report, by, comment),) = store.forced()
        assert (report.id, by, comment) == (2, "olga", "agreed")
        document = read(await api.get("/api/v1/openapi.json"))
        assert "/api/v1/files/{id}/force" in document["paths"]
    store.close()


def test_the_command_line_lists_and_shows_files_and_tells_their_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _store(tmp_path).close()
    data = ["--data", str(tmp_path)]
    assert cli.main(["files", "list", *data]) == 0
    listed = capsys.readouterr().out
    assert "late.csv" in listed
    assert "it is still being written" in listed
    assert cli.main(["files", "show", "3", *data]) == 0
    assert "line 7, column qty: 'x': expected a whole number" in capsys.readouterr().out
    assert cli.main(["files", "columns", "trades"]) == 0
    assert "| `qty` | yes | a whole number |" in capsys.readouterr().out
    assert cli.main(["files", "show", "99", *data]) == 2
    assert cli.main(["files", "force", "3", "--comment", "x", *data]) == 2
    assert cli.main(["files", "columns", "nothing"]) == 2
    assert "no file 99" in capsys.readouterr().err


def test_a_file_is_put_into_the_folder_whole_with_its_checksum(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _store(tmp_path).close()
    (tmp_path / "drop" / "trades").mkdir(parents=True)
    file = tmp_path / "t.csv"
    file.write_text("op\n#TRAILER,0\n")
    given = ["files", "load", str(file), "--data", str(tmp_path), "--no-wait"]
    assert cli.main([*given, "--feed", "trades"]) == 0
    assert cli.main([*given, "--feed", "trades"]) == 2
    assert cli.main([*given, "--feed", "nothing"]) == 2
    assert "is waiting there already" in capsys.readouterr().err
    assert {path.name for path in (tmp_path / "drop" / "trades").iterdir()} == {"t.csv", "t.csv.sha256"}
