"""`ims bench` prints figures a person reads and JSON that a program reads."""

import argparse
import json
import sys
import types

import pytest

from app import cli
from app.commands import bench


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bench `kernel` that takes no time."""

    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--events", type=int, default=5)

    def run(args: argparse.Namespace) -> dict[str, object]:
        return {"events_per_s": float(args.events), "rss_mb": 12.5}

    module = types.ModuleType("app.bench.kernel")
    module.__dict__.update(add=add, run=run)
    monkeypatch.setitem(sys.modules, "app.bench.kernel", module)


@pytest.mark.usefixtures("kernel")
def test_json_is_one_object_with_the_name_the_figures_and_the_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "kernel", "--json", "--events", "7000"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["bench"] == "kernel"
    assert report["events_per_s"] == 7000
    assert report["rss_mb"] == 12.5
    assert report["cores"] >= 1


@pytest.mark.usefixtures("kernel")
def test_the_table_has_a_line_per_figure(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "kernel", "--events", "7000"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines][:3] == ["bench", "events_per_s", "rss_mb"]
    assert lines[1].split()[1] == "7,000"


def test_an_unknown_bench_is_refused_with_the_names(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["bench", "nothing"])
    error = capsys.readouterr().err
    assert all(name in error for name in bench.BENCHES)
