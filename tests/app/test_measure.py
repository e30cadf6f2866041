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
    """A child that fills 200 MB is seen, also after it has given them back."""
    script = "block = bytearray(b'x' * (200 << 20)); print(len(block), flush=True); input()"
    with measure.PeakMemory(sample_s=0.01) as alone:
        pass
    with measure.PeakMemory(sample_s=0.01) as peak:
        child = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        while peak.mb < alone.mb + 200:
            assert child.poll() is None
        child.communicate(b"\n")
    assert peak.mb < alone.mb + 500
