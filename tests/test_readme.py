"""What the README tells a reader to type works."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services import readme

_PAGE = readme.README.read_text() if readme.README.is_file() else ""
_BLOCKS = readme.blocks(_PAGE)


@pytest.fixture(scope="module")
def reader(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[readme.Reader]:
    def broker() -> str:
        return str(request.getfixturevalue("kafka"))

    with readme.Reader(tmp_path_factory.mktemp("readme"), broker) as someone:
        yield someone


def test_no_command_of_the_readme_goes_unproved() -> None:
    assert readme.unproved(_BLOCKS) == []


@pytest.mark.parametrize(
    "block", [pytest.param(block, id=f"line {block.line}") for block in _BLOCKS if block.way in ("test", "service")]
)
def test_the_commands_of_the_readme_work(reader: readme.Reader, block: readme.Block) -> None:
    reader.follow(block)


def test_blocks_are_found_with_their_way_and_line() -> None:
    page = "# T\n\n```sh\nmake run\n```\n\n```sh test\ncurl x\nls\n```\n"
    page += "text\n```python\nsh\n```\n```sh service\nims run\n```\n"
    assert readme.blocks(page) == [
        readme.Block(4, "", "make run\n"),
        readme.Block(8, "test", "curl x\nls\n"),
        readme.Block(16, "service", "ims run\n"),
    ]


def test_a_command_that_nothing_runs_is_named() -> None:
    page = "```sh\nmake run   # starts\n# a remark\nrm -rf x\n```\n```sh tset\nls\n```\n```bash\ncurl y\n```\n"
    assert readme.unproved(readme.blocks(page)) == ["4: rm -rf x", "7: ls", "10: curl y"]


def test_ports_data_and_broker_are_the_readers_own(tmp_path: Path) -> None:
    reader = readme.Reader(tmp_path, lambda: "broker:1")
    text = 'curl -H "Bearer $(cat .ims/api-token)" http://localhost:5007/x15006 --kafka localhost:9092 ./a.ims'
    translated = reader.translate(text)
    assert f"localhost:{reader.port + 1}/x15006" in translated
    assert "--kafka broker:1" in translated
    assert "/data/api-token" in translated
    assert translated.endswith("./a.ims")


def test_a_failing_command_fails_with_what_it_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readme.Reader, "_serve", lambda *_: None)
    reader = readme.Reader(tmp_path, lambda: "")
    assert reader.follow(readme.Block(1, "test", "echo $IMS_PORT; command -v python")).startswith(f"{reader.port}\n")
    with pytest.raises(AssertionError, match=r"line 7 ended with 3:\nseen"):
        reader.follow(readme.Block(7, "test", "echo seen\n(exit 3)\necho unseen"))
