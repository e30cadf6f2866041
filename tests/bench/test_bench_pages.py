"""The benches of pages at a small size: they measure what they say, and end. No figure is judged here."""

import argparse
from types import ModuleType

import pytest

from app.bench import pages, sessions, soak


def _figures(module: ModuleType, options: str) -> dict[str, object]:
    parser = argparse.ArgumentParser()
    module.add(parser)
    found: dict[str, object] = module.run(parser.parse_args(options.split()))
    return found


def _positive(figures: dict[str, object], *names: str) -> None:
    for name in names:
        value = figures[name]
        assert isinstance(value, float)
        assert value > 0, name


@pytest.mark.usefixtures("chromium_path")
def test_a_page_has_its_first_data_and_is_back_after_a_kill() -> None:
    figures = _figures(pages, "--runs 1 --securities 400 --rate 500 --pages inventory feeds")
    _positive(figures, "inventory_first_data_ms", "feeds_first_data_ms", "back_ms")


def test_sessions_are_opened_looked_at_and_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMS_FRAME_MS", "50")  # the bench sets it: it goes back afterwards
    small = "--sessions 2 --rows 10 --securities 400 --rate 2000 --seconds 1 --rounds 1 --forgotten-s 0 --runs 1"
    figures = _figures(sessions, small)
    _positive(figures, "open_p50_ms", "p99_ms", "frames_per_s_and_grid", "gateway_core_percent_per_grid")


@pytest.mark.usefixtures("chromium_path")
def test_a_short_day_is_weighed_at_its_beginning_and_its_end() -> None:
    figures = _figures(soak, "--rounds 4 --securities 400 --rate 500")
    _positive(figures, "browser_heap_first_mb", "browser_heap_last_mb", "browser_nodes_last_count", "pages_last_mb")
