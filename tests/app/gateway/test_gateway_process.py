"""The gateway as the process it is: starts alone, outlives the writer, stops when told."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from app.bench.services import free_port
from app.gateway import writer
from app.settings import Settings

WRITER = """
import sys, time
from app.bench.synthetic import synthetic_tables
tables = synthetic_tables(sys.argv[1], 10, generation=sys.argv[2])
print("made", flush=True)
sys.stdin.read()
"""


@contextmanager
def writer_process(name: str, generation: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", WRITER, name, generation]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "made\n"
            yield process
        finally:
            process.kill()


def test_the_process_is_ready_without_an_engine_and_stops_in_order(gateway_settings: Settings, instance: str) -> None:
    settings = Settings(instance=instance, data=gateway_settings.data, port=free_port())
    environment = os.environ | {"IMS_SETTINGS": settings.to_json()}
    command = [sys.executable, "-m", "app.child", "gateway"]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "READY\n"
            with urllib.request.urlopen(f"http://127.0.0.1:{settings.gateway_port}/health/live") as answer:
                assert answer.status == 200
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        finally:
            process.kill()


def test_the_process_loads_nothing_heavy() -> None:
    code = (
        "import sys, app.processes.gateway\n"
        "print(sorted({'pandas', 'panel', 'polars', 'bokeh', 'sqlalchemy', 'pyarrow'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_killed_writer_is_down_and_its_tables_are_not_taken_up_again(instance: str) -> None:
    name = f"{instance}.tables"
    with writer_process(name, "first") as first:
        attachment = writer.attach(name)
        assert attachment is not None
        assert attachment.state(time.time_ns()) == "starting", "the rules are not known yet"
        attachment.columns = attachment.inventory.columns()
        assert attachment.state(time.time_ns()) == "live"
        first.kill()
        first.wait()
        assert attachment.state(time.time_ns()) == "down"
        assert writer.attach(name) is None
    with writer_process(name, "second"):
        assert attachment.tables.segment.stale
        again = writer.attach(name)
        assert again is not None
        assert again.tables.generation == "second"
        again.close()
    attachment.close()
