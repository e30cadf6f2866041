"""What every bench shares: medians of runs, percentiles, the machine, and the peak memory of a tree of processes."""

import contextlib
import os
import platform
import resource
import statistics
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
import psutil
from numpy.typing import ArrayLike

LEAST_RUNS: Final = 3
LONGEST_S: Final = 86_400
"""No measurement takes longer."""
_SAMPLE_S: Final = 0.25
_MB: Final = 1024 * 1024


def medians(run: Callable[[], Mapping[str, float]], runs: int = LEAST_RUNS) -> dict[str, float]:
    """Call `run` that many times; every figure it gives, as the median of its values, and `runs`.

    A figure that one run lacks is left out of the result: a median of fewer runs is not what it says it is.
    """
    if runs < 1:
        raise ValueError(f"runs: {runs} is fewer than one")
    results = [run() for _ in range(runs)]
    shared = [name for name in results[0] if all(name in result for result in results)]
    return {name: statistics.median(result[name] for result in results) for name in shared} | {"runs": runs}


def percentiles(latencies_ms: ArrayLike) -> dict[str, float]:
    """`p50_ms` and `p99_ms` of single latencies, in milliseconds. Raises `ValueError` when there are none."""
    values = np.asarray(latencies_ms, dtype=np.float64)
    if values.size == 0:
        raise ValueError("no latency was measured")
    p50, p99 = np.percentile(values, [50, 99])
    return {"p50_ms": float(p50), "p99_ms": float(p99)}


def cores() -> int:
    """Cores this process may use, which a container or taskset makes fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> dict[str, object]:
    """`cpu` (model), `cores`, `memory_gb` (of the machine), `python`."""
    return {
        "cpu": _cpu_model(),
        "cores": cores(),
        "memory_gb": round(psutil.virtual_memory().total / 1024**3, 1),
        "python": platform.python_version(),
    }


def own_peak_mb() -> float:
    """Peak resident memory of this process since it began, in megabytes (2^20 bytes); its children's is not in it."""
    scale = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / _MB, 1)


class PeakMemory:
    """Peak resident memory of a process and all its descendants while a block runs.

    `with PeakMemory() as peak: ...`, then `peak.mb`. Memory shared by several processes counts once
    (the largest mapping of it), their own memory and files each.
    """

    def __init__(self, pid: int | None = None, sample_s: float = _SAMPLE_S) -> None:
        self._root = psutil.Process(pid)
        self._sample_s = sample_s
        self._done = threading.Event()
        self._peak = 0
        self._thread = threading.Thread(target=self._watch, name="peak-memory", daemon=True)

    @property
    def mb(self) -> float:
        """Megabytes (2^20 bytes) at the highest sample so far."""
        return round(self._peak / _MB, 1)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        self._sample()

    def _watch(self) -> None:
        self._sample()
        while not self._done.wait(self._sample_s):
            self._sample()

    def _sample(self) -> None:
        own, shared = 0, 0
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in (self._root, *self._root.children(recursive=True)):
                process_own, process_shared = _resident(process)
                own += process_own
                shared = max(shared, process_shared)
        self._peak = max(self._peak, own + shared)


def _resident(process: psutil.Process) -> tuple[int, int]:
    """Bytes of a process's own memory and files, and of shared memory; zero once it has gone."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        with contextlib.suppress(psutil.Error):
            return int(process.memory_info().rss), 0  # not Linux: what there is
        return 0, 0
    sizes = {
        name: int(value.split()[0]) * 1024
        for name, _, value in (line.partition(":") for line in status.splitlines())
        if name in ("RssAnon", "RssFile", "RssShmem")
    }
    return sizes.get("RssAnon", 0) + sizes.get("RssFile", 0), sizes.get("RssShmem", 0)


def _cpu_model() -> str:
    with contextlib.suppress(FileNotFoundError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
