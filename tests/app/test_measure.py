"""Figures of benches mean what their names say."""

import subprocess
import sys

import numpy as np
import pytest

from app.bench import measure


def test_medians_are_taken_figure_by_figure() -> None:
    runs = iter([{"a_ms": 1.0, "b_ms": 9.0}, {"a_ms": 5.0, "b_ms": 7.0}, {"a_ms": 3.0, "b_ms": 8.0}])
    assert measure.medians(lambda: next(runs)) == {"a_ms": 3.0, "b_ms": 8.0, "runs": 3}


def test_a_figure_that_a_run_lacks_is_not_reported() -> None:
    runs = iter([{"a_ms": 1.0, "b_ms": 9.0}, {"a_ms": 5.0}])
    assert measure.medians(lambda: next(runs), 2) == {"a_ms": 3.0, "runs": 2}


def test_no_run_is_refused() -> None:
    with pytest.raises(ValueError, match="runs"):
        measure.medians(dict, 0)


def test_percentiles_are_those_of_numpy() -> None:
    assert measure.percentiles(np.arange(101)) == {"p50_ms": 50.0, "p99_ms": 99.0}
    with pytest.raises(ValueError, match="no latency"):
        measure.percentiles([])


def test_the_machine_is_described() -> None:
    machine = measure.machine()
    assert machine["cpu"]
    assert isinstance(machine["cores"], int)
    assert machine["cores"] >= 1


def test_peak_memory_counts_children() -> None:
    """A child's child that fills 200 MB is seen, also after it has given them back."""
    fills = "block = bytearray(b'x' * (200 << 20)); print(len(block), flush=True); input()"
    starts = f"import subprocess, sys; input(); subprocess.run([sys.executable, '-c', {fills!r}], check=True)"
    with subprocess.Popen([sys.executable, "-c", starts], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        with measure.PeakMemory(child.pid, sample_s=0.01) as peak:
            assert peak.mb < 200
            child.stdin.write(b"\n")
            child.stdin.flush()
            child.stdout.readline()
            while peak.mb < 200:
                assert child.poll() is None
            child.communicate(b"\n")
    assert 200 <= peak.mb < 600  # both the text and the block were there for a moment
