"""What is in the repository can be installed anywhere, from any mirror."""

import re
import tomllib

from tests.services.readme import CHECKOUT

_PIN = re.compile(r"([a-z0-9-]+)(?:\[[^]]+\])?==([^ ]+)(?: ; .+)? \\")


def test_the_lock_has_names_versions_and_hashes_and_no_address() -> None:
    lines = (CHECKOUT / "requirements.lock").read_text().splitlines()
    kinds = [line.startswith(("    --hash=sha256:", "    # ")) or bool(_PIN.fullmatch(line)) for line in lines]
    assert all(kinds), lines[kinds.index(False)]
    assert not any("://" in line for line in lines)


def test_the_lock_holds_everything_that_is_asked_for() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    names = {re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower() for requirement in wanted}
    locked = {
        match[1] for line in (CHECKOUT / "requirements.lock").read_text().splitlines() if (match := _PIN.match(line))
    }
    assert names - locked == set()
