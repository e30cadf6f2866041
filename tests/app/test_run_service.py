"""`ims run` as a whole: what dies comes back, what stops leaves nothing, what cannot start says why."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

from app import process_table
from app.bench import running, services
from engine import segment
from engine.rule_model import Role
from engine.tables import Reader, SegmentMissingError, Word

T = TypeVar("T")
PATIENCE_S = 180.0


@pytest.fixture(scope="module")
def service() -> Iterator[running.Service]:
    """One for all tests that leave it running; the last of them stops it."""
    with running.service("--securities", "400", "--rate", "500") as started:
        started.wait_ready()
        yield started


def _until(look: Callable[[], T]) -> T:
    """The first true answer of `look`, asked every few milliseconds; connections refused count as not yet."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            if found := look():
                return found
        except (urllib.error.URLError, ConnectionError, SegmentMissingError, TimeoutError):
            pass
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def _children(service: running.Service) -> dict[str, int]:
    """Process ids by name, of those that run; a spare that waits is none of them."""
    return {process.name: process.pid for process in process_table.read(service.data) if process.pid}


def _complete(service: running.Service) -> dict[str, int]:
    """The same, once all that belong to a service run."""
    _until(lambda: len(_children(service)) == len(process_table.read(service.data)))
    return _children(service)


def _every_process(service: running.Service) -> list[psutil.Process]:
    """Spares included."""
    return list(psutil.Process(service.process.pid).children())


def _get(address: str) -> int:
    with urllib.request.urlopen(address, timeout=5) as answer:
        return int(answer.status)


def _post(service: running.Service, key: str, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {service.token}", "Content-Type": "application/json", "Idempotency-Key": key}
    request = urllib.request.Request(f"{service.api}/api/v1/locates", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        decoded: dict[str, Any] = json.load(answer)
        return decoded


def _granted(service: running.Service, locate: str) -> dict[str, Any] | None:
    """A locate once it is approved: where the machine is so busy that inputs are stale, that is a moment after the answer."""
    request = urllib.request.Request(
        f"{service.api}/api/v1/locates/{locate}", headers={"Authorization": f"Bearer {service.token}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
    return found if found["state"] == "approved" else None


def _instance(service: running.Service) -> str:
    return f"run-{os.getpid()}-{service.port}"


def _popular(service: running.Service) -> str:
    """The code of the security with the largest remaining pool."""
    tables = Reader(f"{_instance(service)}.tables").tables()
    remaining = tables.array["values"][:, tables.catalogue.playing(Role.LEFT_SHORT), 1]
    return bytes(tables.array["security"][int(remaining.argmax())]["code"]).decode()


def _client(service: running.Service) -> str:
    clients = Reader(f"{_instance(service)}.tables").tables().array["book"]["client"]
    return bytes(clients[clients != b""][0]).decode()


@pytest.mark.parametrize(
    ("name", "offset"), [("gateway", 2), ("pages", 0), ("worker0", 1), ("analyst", 3), ("breaks", 4)]
)
def test_a_killed_process_comes_back_and_takes_no_other_along(service: running.Service, name: str, offset: int) -> None:
    before = _complete(service)
    os.kill(before[name], signal.SIGKILL)
    _until(lambda: _children(service).get(name, before[name]) != before[name])
    assert {**_children(service), name: 0} == {**before, name: 0}
    _until(lambda: _get(f"http://127.0.0.1:{service.port + offset}/health/ready") == 200)


def test_a_locate_survives_kill_9_of_the_engine_and_the_same_key_gets_the_same_answer(service: running.Service) -> None:
    body = {"security": _until(lambda: _popular(service)), "client": _client(service), "quantity": 100}
    _until(lambda: _get(f"{service.api}/health/ready") == 200)
    first = _post(service, "k1", body)
    granted = _until(lambda: _granted(service, first["id"]))
    assert granted is not None
    generation = Reader(f"{_instance(service)}.tables").tables().generation
    os.kill(_children(service)["engine"], signal.SIGKILL)
    _until(lambda: Reader(f"{_instance(service)}.tables").tables().generation != generation)
    _until(lambda: _get(f"{service.api}/health/ready") == 200)
    assert _post(service, "k1", body) == first
    assert _granted(service, first["id"]) == granted
    tables = Reader(f"{_instance(service)}.tables").tables()
    _until(lambda: tables.count(Word.LOCATED_SHARES) == granted["decrement"])


def test_a_file_of_requests_is_answered_row_by_row(service: running.Service) -> None:
    code, client = _until(lambda: _popular(service)), _client(service)
    _until(lambda: _get(f"{service.api}/health/ready") == 200)
    rows = [f"{code},{client},100,file-row", "NOBODY,FUND1,5,", f"{code},{client},{10**12},"]
    (service.data / "drop" / "locates" / "desk.csv").write_text(
        "\n".join(["security,client,quantity,reference", *rows, f"#TRAILER,{len(rows)}", ""])
    )
    reports = service.data / "archive" / "files"
    answers = _until(lambda: list(reports.rglob("*desk.csv.answers.csv")) and list(reports.rglob("*.report.json")))
    told = json.loads(answers[0].read_text())
    assert (told["state"], told["applied"], told["set_aside_count"]) == ("loaded", 3, 0)
    with next(reports.rglob("*desk.csv.answers.csv")).open() as file:
        first, unknown, much = csv.DictReader(file)
    assert _granted(service, first["id"]) is not None or first["state"] == "pending"
    assert (unknown["state"], unknown["reason"]) == ("rejected", "security_not_found")
    assert much["state"] in ("partially_approved", "pending")


def test_children_follow_a_killed_supervisor_and_the_next_start_cleans_up_and_stops_in_order(
    service: running.Service,
) -> None:
    children = _every_process(service)
    os.kill(service.process.pid, signal.SIGKILL)
    service.process.wait()
    _until(lambda: not [child for child in children if child.is_running()])
    with running.service("--securities", "400", port=service.port) as again:
        again.wait_ready()
        assert _get(f"{again.api}/health/live") == 200
        _stops_in_order(again)


def _stops_in_order(service: running.Service) -> None:
    """It leaves no memory and no process."""
    children = _every_process(service)
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(PATIENCE_S) == 0
    assert not list(segment.folder().glob(f"ims.{_instance(service)}.*"))
    assert not [child for child in children if child.is_running()]


def _refused(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.cli", "run", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    port = services.free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port + 1))
        taken.listen()
        refused = _refused("--port", str(port), "--data", str(tmp_path))
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"ims run: 127.0.0.1:{port + 1} cannot be used")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--rows", "0"), "rows"),
        (("--availability", "no-such-file.txt"), "no-such-file.txt"),
    ],
)
def test_settings_that_cannot_be_used_are_named(tmp_path: Path, arguments: tuple[str, ...], named: str) -> None:
    refused = _refused("--port", str(services.free_port()), "--data", str(tmp_path), *arguments)
    assert refused.returncode == 2
    assert named in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_truncated_availability_file_is_refused_whole(tmp_path: Path) -> None:
    file = tmp_path / "usa.txt"
    file.write_text(
        "#BOF|2022.08.06|22:30:03\n#SYM|CUR|NAME|CON|ISIN|REBATERATE|FEERATE|AVAILABLE|\nA|USD|AGILENT|1|X|1|0.4|5|\n"
    )
    refused = _refused("--port", str(services.free_port()), "--data", str(tmp_path), "--availability", str(file))
    assert refused.returncode == 2
    assert "usa.txt" in refused.stderr
    assert "#EOF" in refused.stderr
