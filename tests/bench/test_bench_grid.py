"""The grid's bench at a small size: it measures what it says, and ends."""

import argparse

from app.bench import grid


def test_the_bench_of_grids_gives_its_figures() -> None:
    parser = argparse.ArgumentParser()
    grid.add(parser)
    small = "--sessions 3 --rows 5 --securities 200 --seconds 0.5 --runs 1 --million 1000".split()
    figures = grid.run(parser.parse_args(small))
    assert figures["sessions"] == 3
    for name in ("p50_ms", "p99_ms", "frames_per_s", "gateway_core_percent", "shared_p99_ms", "sort_number_ms"):
        assert isinstance(figures[name], float)
    assert 0 < float(str(figures["frames_per_s"])) <= 3 * 21
    assert figures["large_rows"] == 1_000
