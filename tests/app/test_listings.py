"""A market of the demo universe is one file and one line; a file that cannot be used says why."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from stdnum import isin

from app import listings as module
from app import world
from app.listings import ListingError, listings
from engine.model import Market
from feeds.universe import build

ROOT = Path(module.__file__).parents[1]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shipped files, where a test may change them."""
    for path in (ROOT / "assets" / "markets").glob("*.yaml"):
        (tmp_path / "markets").mkdir(exist_ok=True)
        (tmp_path / "markets" / path.name).write_text(path.read_text())
    monkeypatch.setattr(module, "files", lambda _package: tmp_path)
    return tmp_path / "markets"


def test_every_file_of_the_folder_is_read() -> None:
    names = {path.stem for path in (ROOT / "assets" / "markets").glob("*.yaml")}
    assert names == set(module._FILES)


def test_another_market_is_one_file_and_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manner = yaml.safe_load((folder / "plain.yaml").read_text())
    manner |= {
        "code": "CA",
        "share": 0.5,
        "entity": "IMS-CANADA",
        "depots": [{"code": "CDS", "name": "Canadian Depository"}],
        "numbering": {"form": "digits", "prefix": "07"},
        "names": manner["names"] | {"forms": "Ltee | Ltd"},
    }
    (folder / "ca.yaml").write_text(yaml.safe_dump(manner))
    monkeypatch.setattr(module, "_FILES", (*module._FILES, "ca"))
    markets = (Market("CA", "XTSE", "America/Toronto", "CAD", "16:00", 1), *world.markets())
    universe = build(markets, listings(), 900, 1)
    here = universe.securities[universe.securities["market"] == 0]
    assert here.size > 250
    assert all(code.startswith(b"CA07") and isin.is_valid(code.decode()) for code in here["isin"].tolist())
    assert all(name.endswith((b"Ltee", b"Ltd")) for name in here["name"].tolist())
    assert b"IMS-CANADA" in universe.books["entity"]
    assert universe.depots["code"][universe.depot_of[0, 0]] == b"CDS"
    assert b"CAD" in universe.currencies["code"]
    assert np.count_nonzero(universe.home == 0) > 50


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"shear": 1}, "shear"),
        ({"share": "much"}, "share"),
        ({"numbering": {"form": "roman"}}, "numbering"),
        ({"depots": [{"code": "X"}]}, "name"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_field(folder: Path, wrong: dict[str, object], said: str) -> None:
    manner = yaml.safe_load((folder / "jp.yaml").read_text())
    (folder / "jp.yaml").write_text(yaml.safe_dump(manner | wrong))
    with pytest.raises(ListingError, match=rf"assets/markets/jp.yaml: .*{said}"):
        listings()


def test_text_that_is_no_yaml_is_refused(folder: Path) -> None:
    (folder / "jp.yaml").write_text("share: [")
    with pytest.raises(ListingError, match=r"jp\.yaml"):
        listings()
