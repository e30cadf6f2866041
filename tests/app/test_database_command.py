"""`ims database` tells which versions there are, and brings them to the newest, before a service does."""

from pathlib import Path

import pytest

from app.cli import main
from app.database import Chain, connect, upgrade

NEWEST = {chain: chain.versions()[-1] for chain in Chain}


def test_upgrade_makes_what_is_missing_and_status_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--data", str(tmp_path)]
    assert main(["database", "status", *data]) == 0
    assert capsys.readouterr().out.count("not there yet") == len(Chain)
    assert list(tmp_path.iterdir()) == []

    engine = connect(f"sqlite:///{tmp_path / 'journal.db'}")
    upgrade(engine, Chain.JOURNAL, "v0001")
    engine.dispose()
    assert main(["database", "status", *data]) == 3
    assert "v0001     lacks v0002" in capsys.readouterr().out

    assert main(["database", "upgrade", *data]) == 0
    capsys.readouterr()
    assert main(["database", "status", *data]) == 0
    shown = capsys.readouterr().out
    assert [line.split()[:2] for line in shown.splitlines()] == [[chain, NEWEST[chain]] for chain in Chain]


def test_a_database_that_cannot_be_had_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "journal.db").write_text("this is no database, and long enough to be seen as none " * 20)
    assert main(["database", "status", "--data", str(tmp_path)]) == 1
    assert "journal" in capsys.readouterr().err
