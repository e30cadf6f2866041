"""The benches of grids and of large tables at a small size: they measure what they say, and end."""

import argparse

from app.bench import export, grid


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


def test_the_bench_of_large_tables_gives_its_figures() -> None:
    parser = argparse.ArgumentParser()
    export.add(parser)
    small = "--rows 3000 --lines 1000 --securities 50 --sessions 2 --seconds 1 --runs 1"
    figures = export.run(parser.parse_args(small.split()))
    assert figures["rows"] == 3_000
    for name in ("group_market_cpu_ms", "pivot_cpu_ms", "csv_cpu_s", "xlsx_cpu_s", "arrow_mb", "beside_frame_p99_ms"):
        assert isinstance(figures[name], float)
