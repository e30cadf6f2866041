"""Kernels are kept by what they were made from."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app import compiled


def test_a_constant_of_the_model_changes_the_fingerprint(tmp_path: Path) -> None:
    model, kernel = tmp_path / "model.py", tmp_path / "kernel.py"
    model.write_text("DAYS = 5\n")
    kernel.write_text("import numba\n")
    before = compiled.fingerprint([model, kernel])
    assert compiled.fingerprint([kernel, model]) == before
    model.write_text("DAYS = 6\n")
    assert compiled.fingerprint([model, kernel]) != before


def test_what_compiled_code_is_made_of_is_found_through_imports() -> None:
    names = {path.name for path in compiled.sources()}
    assert {"kernel.py", "row.py", "model.py", "rule_model.py", "json_scanner.py", "events.py"} <= names
    assert "kafka.py" not in names


@pytest.mark.parametrize(
    "said",
    [
        "from engine.rows import sums",
        "from engine import rows",
        "from engine import other, rows",
        "from engine import rows as table",
        "from engine import (\n    other,\n    rows as table,\n)",
        "import engine.rows",
    ],
)
def test_a_module_is_made_of_what_it_imports_however_that_is_said(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "_ROOT", tmp_path)
    (tmp_path / "engine").mkdir()
    for name, text in (("kernel", f"import numba\n{said}\nX = 1\n"), ("rows", "A = 1\n"), ("other", "")):
        (tmp_path / "engine" / f"{name}.py").write_text(text)
    before = compiled.modules()
    (tmp_path / "engine" / "rows.py").write_text("A = 2\n")
    assert compiled.modules()["engine/kernel"] != before["engine/kernel"]


def test_kernels_of_old_sources_are_forgotten_but_the_newest_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(compiled.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kernels = tmp_path / "ims" / "kernels"
    for age in range(compiled.KEPT + 2):
        (kernels / f"old{age}").mkdir(parents=True)
        os.utime(kernels / f"old{age}", (1_000 - age, 1_000 - age))
    compiled.keep_kernels_by_source()
    left = {path.name for path in kernels.iterdir()}
    old = {f"old{age}" for age in range(compiled.KEPT - 1)}
    assert left == {compiled.fingerprint(compiled.sources()), *old}
    assert os.environ[compiled.VARIABLE] == str(kernels / compiled.fingerprint(compiled.sources()))


def test_another_version_begins_with_the_kernels_whose_sources_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(compiled.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    compiled.keep_kernels_by_source()
    before = Path(os.environ[compiled.VARIABLE])
    for module in ("engine_1/kernel", "feeds_1/json_scanner"):
        (before / module).parent.mkdir()
        (before / f"{module}.apply-1.py311.nbi").write_bytes(b"compiled")
    known = compiled.modules()
    assert known["engine/kernel"] != known["feeds/json_scanner"]
    monkeypatch.setattr(compiled, "modules", lambda: known | {"feeds/json_scanner": "changed"})
    monkeypatch.setattr(compiled, "fingerprint", lambda _: "next")
    monkeypatch.delenv(compiled.VARIABLE)
    compiled.keep_kernels_by_source()
    after = Path(os.environ[compiled.VARIABLE])
    assert {path.relative_to(after).as_posix() for path in after.rglob("*.nbi")} == {
        "engine_1/kernel.apply-1.py311.nbi"
    }


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compiled.VARIABLE, "elsewhere")
    compiled.keep_kernels_by_source()
    assert os.environ[compiled.VARIABLE] == "elsewhere"


def test_what_was_compiled_from_other_sources_does_not_count_as_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(compiled.VARIABLE, str(tmp_path))
    (tmp_path / "complete-of-others").touch()
    assert not compiled.are_kept()
    mark = compiled.marker()
    assert mark is not None
    mark.touch()
    assert compiled.are_kept()
    monkeypatch.delenv(compiled.VARIABLE)
    assert compiled.are_kept(), "nobody knows where: there is nothing to wait for"


UNKEPT = """
import resource, sys
from app import compiled
import numba
sys.path.insert(0, sys.argv[1])
import doubled
compiled.use_what_cannot_be_kept()
compiled.use_what_cannot_be_kept()
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
assert doubled.double(3) == 6
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
assert doubled.double(1.5) == 3.0
"""


def test_a_kernel_that_no_file_can_take_is_used_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "doubled.py").write_text("import numba\n\n@numba.njit(cache=True)\ndef double(x):\n    return x + x\n")
    environment = os.environ | {compiled.VARIABLE: str(tmp_path / "kept")}
    command = [sys.executable, "-c", UNKEPT, str(tmp_path)]
    done = subprocess.run(command, env=environment, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "a compiled kernel cannot be kept" in done.stdout
    assert len(list((tmp_path / "kept").rglob("*.nbc"))) == 1, "what could be kept is"
