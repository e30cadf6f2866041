"""The analyst as the process it is: starts alone, loads its programs later, stops when told, follows its parent."""

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.bench.services import free_port
from app.settings import Settings
from tests.engine.machines import machine

PATIENCE_S = 180


@contextmanager
def _process(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    """As the supervisor starts it; READY has been read."""
    command = [sys.executable, "-m", "app.child", "analyst"]
    environment = os.environ | {"IMS_SETTINGS": settings.to_json()}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "READY\n"
            yield process
        finally:
            process.kill()


@pytest.fixture
def settings(instance: str, tmp_path: Path) -> Settings:
    return Settings(instance=instance, data=str(tmp_path), port=free_port())


def _status(settings: Settings, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{settings.analyst_port}{path}", timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_it_is_there_without_an_engine_and_ready_with_one(settings: Settings, instance: str) -> None:
    with _process(settings) as process:
        assert (_status(settings, "/health/live"), _status(settings, "/health/ready")) == (200, 503)
        with machine(instance):
            assert _status(settings, "/health/ready") == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0


def test_it_stops_in_order_while_it_warms_up(settings: Settings, instance: str) -> None:
    with machine(instance), _process(settings) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0


def test_it_ends_with_its_parent(settings: Settings) -> None:
    with _process(settings) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 0


def test_its_port_is_open_before_anything_heavy_is_loaded() -> None:
    code = (
        "import sys, app.processes.analyst\n"
        "print(sorted({'numba', 'pandas', 'panel', 'polars', 'bokeh', 'sqlalchemy', 'pyarrow'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
