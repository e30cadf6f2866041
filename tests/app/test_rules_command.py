"""The command line reaches the rules of a running service, and says in words what cannot be."""

import asyncio
import io
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.analyst.dry_run import DryRunRequest
from app.bench.services import free_port
from app.cli import main
from app.identity import Identity, Role, issue_token, read_token
from app.rules_life import Action
from app.settings import Settings
from engine.rule_model import Document
from tests.app.api.api_world import NOON_NS, Api, serving


@pytest.fixture(autouse=True)
def no_settings_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IMS_API_TOKEN", "IMS_SECRET", "IMS_DATA", "IMS_PORT", "IMS_HOST"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def api(instance: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(instance, tmp_path) as made:
        yield made


class Shell:
    """`ims rules` against the service of the test."""

    def __init__(self, api: Api, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
        self.api = api
        self.captured = capfdbinary

    async def rules(self, *arguments: str, who: str = "") -> tuple[int, bytes, str]:
        """Exit code, standard output and error."""
        settings = self.api.settings
        given = ["rules", *arguments, "--port", str(settings.port), "--data", settings.data]
        if who:
            roles = frozenset({Role.ADMIN if who == "bob" else Role.TRADER})
            given += ["--token", issue_token(settings.secret, Identity(who, roles), 60, NOON_NS / 1e9)]
        self.captured.readouterr()
        code = await asyncio.to_thread(main, given)
        out, err = self.captured.readouterr()
        return code, out, err.decode()

    async def good(self, *arguments: str, who: str = "") -> bytes:
        code, out, err = await self.rules(*arguments, who=who)
        assert code == 0, err
        return out


@pytest.fixture
def shell(api: Api, capfdbinary: pytest.CaptureFixture[bytes]) -> Shell:
    return Shell(api, capfdbinary)


async def test_a_file_becomes_rules_in_force(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def found(*_: Any) -> dict[str, Any]:
        return {
            "securities_changed": 2,
            "took_ms": 12,
            "totals": {"for_loan": {"before": 1_000, "after": 900}},
            "securities": [{"security": "S1", "changes": {"for_loan": {"day": 0, "before": 5, "after": 4}}}],
            "under_water": [{"security": "S1", "remaining_before": 1, "remaining_after": -1, "located": 2}],
        }

    monkeypatch.setattr(shell.api.service._analyst, "impact", found)
    file = tmp_path / "rules.yaml"
    await shell.good("export", str(file))
    assert file.read_bytes() == await shell.good("export")
    file.write_bytes(file.read_bytes().replace(b"volume_30d\n    weight: 0.3\n", b"volume_30d\n    weight: 0.2\n"))
    assert b"tw" in await shell.good("import", str(file), "--comment", "lower, by letter")
    tested = (await shell.good("test", "tw", "2")).decode()
    for words in ("2 securities", "for_loan", "900", "UNDER WATER  S1"):
        assert words in tested
    await shell.good("submit", "tw", "2")
    code, _, err = await shell.rules("approve", "tw", "2")
    assert (code, "admin" in err) == (1, True)
    assert b"active" in await shell.good("approve", "tw", "2", "--comment", "fine", who="bob")
    assert await shell.good("export") == file.read_bytes()
    assert b"nothing differs" in await shell.good("import", str(file))
    listed = (await shell.good("list", "tw")).decode().splitlines()
    assert ["active" in listed[0], "retired" in listed[1], "lower, by letter" in listed[0]] == [True, True, True]
    assert b"by api, approved by bob" in await shell.good("list")
    history = (await shell.good("show", "tw", "2", "--history")).decode()
    assert [line.split()[1] for line in history.splitlines()] == [
        Action.IMPORT,
        Action.TEST,
        Action.SUBMIT,
        Action.APPROVE,
        Action.ACTIVATE,
    ]
    diff = (await shell.good("diff", "tw", "1", "2")).decode()
    assert "+    weight: 0.2\n" in diff
    reverted = await shell.good("revert", "tw", "1", "--comment", "back")
    assert b"draft" in reverted
    assert b"withdrawn" in await shell.good("withdraw", "tw", "3")


async def test_show_gives_the_bytes_as_they_were_written(shell: Shell) -> None:
    tw = next(document for document in shell.api.machine.book.documents if document.name == "tw")
    assert isinstance(tw, Document)
    assert await shell.good("show", "tw") == tw.text.encode()
    assert await shell.good("show", "tw", "1") == tw.text.encode()


async def test_every_problem_of_a_file_is_a_line_with_its_place(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "tw.yaml"
    text = (
        (await shell.good("show", "tw"))
        .decode()
        .replace("weight: 0.3", "weight: lots")
        .replace("input: borrowed", "input: no")
    )
    file.write_text(text)
    code, out, err = await shell.rules("import", str(file))
    assert (code, out) == (1, b"")
    line = 1 + text[: text.index("lots")].count("\n")
    assert f"  tw:{line}:" in err
    assert len(err.splitlines()) >= 3


async def test_what_there_is_not_is_said(shell: Shell, tmp_path: Path) -> None:
    for arguments in (
        ("show", "xx"),
        ("show", "tw", "9"),
        ("submit", "tw", "9"),
        ("import", str(tmp_path / "none.yaml")),
    ):
        code, out, err = await shell.rules(*arguments)
        assert (code, out) == (1, b"")
        assert err.startswith("ims rules: ")
        assert "Traceback" not in err
    code, _, err = await shell.rules("list", "--token", "nonsense")
    assert (code, "token" in err) == (1, True)


def test_where_nothing_runs_the_command_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--port", str(free_port()), "--data", str(tmp_path)]
    assert main(["rules", "list", *where]) == 1
    assert "no token" in capsys.readouterr().err
    assert not (tmp_path / "api-token").exists()
    assert main(["rules", "list", *where, "--token", "x"]) == 1
    assert "start it with `ims run`" in capsys.readouterr().err
    assert (
        main(["rules", "list", "--port", "none"][:2] + where + ["--host", "no.such.host.invalid", "--token", "x"]) == 1
    )
    assert "nothing answers" in capsys.readouterr().err


# users and tokens


def users(tmp_path: Path, *arguments: str) -> int:
    return main(["users", *arguments, "--data", str(tmp_path)])


def test_users_are_added_listed_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse\n"))
    assert users(tmp_path, "add", "anna", "--role", "trader", "--role", "ops", "--password-stdin") == 0
    assert users(tmp_path, "list") == 0
    assert capsys.readouterr().out.split() == ["anna", "ops", "trader"]
    answers = iter(["correct horse", "correct house"])
    monkeypatch.setattr("getpass.getpass", lambda _prompt: next(answers))
    assert users(tmp_path, "add", "bob", "--role", "admin") == 1
    assert "not the same" in capsys.readouterr().err
    assert users(tmp_path, "remove", "bob") == 1
    assert users(tmp_path, "remove", "anna") == 0


def token(tmp_path: Path, *arguments: str) -> int:
    return main(["token", "--data", str(tmp_path), *arguments])


def test_a_token_has_the_roles_of_its_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert token(tmp_path, "--user", "robot") == 1
    assert token(tmp_path, "--user", "robot", "--role", "ops", "--ttl", "7d") == 0
    secret = Settings(data=str(tmp_path)).secret
    made = capsys.readouterr().out.strip()
    assert read_token(secret, made, time.time() + 6 * 86_400) == Identity("robot", frozenset({Role.OPS}))
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse\n"))
    users(tmp_path, "add", "anna", "--role", "trader", "--password-stdin")
    assert token(tmp_path, "--user", "anna") == 0
    assert read_token(secret, capsys.readouterr().out.strip(), time.time()).roles == {Role.TRADER}
    for arguments in (
        ("--user", "anna", "--role", "admin"),
        ("--user", "robot", "--role", "ops"),
        ("--user", "api", "--role", "ops"),
        ("--user", "anna", "--ttl", "0"),
        ("--user", "anna", "--ttl", "9999d"),
        ("--user", "anna", "--ttl", "soon"),
    ):
        assert token(tmp_path, *arguments) == 1
        assert capsys.readouterr().err.startswith("ims token: ")


async def test_a_dry_run_is_told_in_lines_as_a_file_and_whole(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[DryRunRequest] = []
    outcome = {"state": "approved", "reason": None, "approved": 600, "decrement": 600, "rule": "all", "version": 1}
    would = outcome | {"state": "rejected", "reason": "limit_exceeded", "approved": 0, "rule": "large", "by": "rules"}
    count = {"requests": 3, "requested": 1_600, "approved": 1_000, "decrement": 1_000}
    sides = {"was": count, "would": count | {"approved": 400}}
    line = {"id": "L0000000002", "client": "FUND1", "security": "S1", "requested": 600, "was": outcome, "would": would}
    run = {
        "lines": [line | {"later": outcome | {"by": "otto"}}],
        "since": "2026-11-15T00:00:00Z",
        "until": "2026-11-22T00:00:00Z",
        "complete": False,
        "requests": 3,
        "unknown": 2,
        "differ": 1,
        "total": sides,
        "reviews": {"was": 5, "would": 1, "spared": 4, "decided": 3, "decided_alike": 2},
        "states": [{"from_state": "approved", "to_state": "rejected"} | sides],
        "rules": [{"rule": "large", "version": 2} | sides],
    }

    async def found(request: DryRunRequest) -> bytes:
        asked.append(request)
        return msgspec.json.encode(run) if request.form == "application/json" else b"id,at\r\n"

    monkeypatch.setattr(shell.api.service.rules, "_doors", replace(shell.api.service.rules._doors, dry_run=found))
    told = (await shell.good("dry-run", "locates", "1", "--from", "2024-10-01", "--lines", "5")).decode()
    for words in ("3 requests", "1 would differ", "not read to its end", "5 ->", "large (version 2)", "limit_exceeded"):
        assert words in told
    assert "(then approved 600 [all] by otto)" in told
    assert asked[0].lines == 5
    file = tmp_path / "lines.csv"
    await shell.good("dry-run", "locates", "1", "--csv", str(file))
    assert (file.read_bytes(), asked[1].lines, asked[1].form) == (b"id,at\r\n", 100_000, "text/csv")
    assert msgspec.json.decode(await shell.good("dry-run", "locates", "1", "--json")) == run
    code, _, err = await shell.rules("dry-run", "locates", "1", "--from", "never")
    assert (code, "no moment" in err) == (1, True)
