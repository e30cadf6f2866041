"""Requests in batch files: each row is carried out once, in its order, and answered; whatever dies meanwhile."""

import csv
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from app.api_client import ApiClient
from app.bench.services import free_port
from app.files_store import FileReport, FileState
from app.settings import Settings
from tests.app.files_world import World, files_world

LOCATES = "security,client,quantity,allow_partial\nS1,FUND1,100,\nS2,FUND1,5,false\nS9,FUND2,7,\n#TRAILER,3\n"
ORDERS = (
    "command,order,security,client,book,side,quantity,executed\n"
    "new,o/1,S1,FUND1,B1,short,100,\nexecuted,o/1,,,,,,40\ncancel,o/1,,,,,,\nnew,o2,S1,FUND1,B1,short,5,\n#TRAILER,4\n"
)
ROWS = 7


class PlainApi:
    """Answers a key once; refuses what names S9."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[bytes, int, Any]] = {}
        self.done: list[tuple[str, Any]] = []
        """Path and fields of everything that was carried out."""

    def __call__(self, path: str, body: bytes, key: str) -> tuple[int, bytes]:
        if key not in self.answers:
            self.answers[key] = (body, *self._decided(path, json.loads(body)))
        first, status, answer = self.answers[key]
        if first != body:
            return 422, json.dumps({"title": "Unprocessable", "detail": "another request had this key"}).encode()
        return status, json.dumps(answer).encode()

    def _decided(self, path: str, asked: Any) -> tuple[int, Any]:
        if asked.get("security") == "S9":
            return 422, {
                "title": "Unprocessable",
                "detail": "",
                "errors": [{"detail": "no such", "pointer": "/security"}],
            }
        self.done.append((path, asked))
        if "orders" in path:
            name = asked.get("order") or path.removeprefix("/api/v1/orders/").split("/")[0]
            return 200, {"order": name, "state": "approved"}
        number = f"L{len(self.done):010d}"
        return 200, {"id": number, "state": "approved", "approved": asked["quantity"], "reason": None}


@pytest.fixture
def world(instance: str, tmp_path: Path) -> Iterator[World]:
    with files_world(instance, tmp_path) as made:
        made.api = PlainApi()
        yield made


def answered(world: World, report: FileReport) -> list[dict[str, str]]:
    with (world.data / report.answers).open() as file:
        return list(csv.DictReader(file))


def done(world: World) -> list[tuple[str, Any]]:
    assert isinstance(world.api, PlainApi)
    return world.api.done


def test_every_row_is_answered_and_a_bad_one_costs_no_other_its_answer(world: World) -> None:
    world.drop("locates", "morning.csv", LOCATES)
    (report,) = world.load()
    assert (report.state, report.rows, report.applied) == (FileState.LOADED, 3, 3)
    assert done(world) == [
        ("/api/v1/locates", {"security": "S1", "client": "FUND1", "quantity": 100}),
        ("/api/v1/locates", {"security": "S2", "client": "FUND1", "quantity": 5, "allow_partial": False}),
    ]
    told = [(row["line"], row["status"], row["state"], row["approved"]) for row in answered(world, report)]
    assert told == [("2", "200", "approved", "100"), ("3", "200", "approved", "5"), ("4", "422", "", "")]
    assert [(fault.line, fault.detail) for fault in report.set_aside] == [(4, "Unprocessable: security: no such")]
    assert "answers" in (world.data / f"{report.archived}.report.txt").read_text()


def test_steps_of_an_order_keep_their_order_and_go_where_they_belong(world: World) -> None:
    world.drop("order_requests", "sells.csv", ORDERS)
    (report,) = world.load()
    assert report.set_aside_count == 0
    assert [path for path, _ in done(world)] == [
        "/api/v1/orders",
        "/api/v1/orders/o%2F1/executed",
        "/api/v1/orders/o%2F1/cancel",
        "/api/v1/orders",
    ]
    assert [row["id"] for row in answered(world, report)] == ["o/1", "o%2F1", "o%2F1", "o2"]


def test_a_file_that_was_carried_out_is_not_carried_out_again_unless_somebody_says_so(world: World) -> None:
    world.drop("locates", "one.csv", LOCATES)
    world.drop("locates", "two.csv", LOCATES)
    assert [report.state for report in world.load()] == [FileState.LOADED, FileState.DUPLICATE]
    assert len(done(world)) == 2
    assert world.desk.store.force(2, "ops", "they are two")
    world.load()
    report = world.desk.store.report(2)
    assert report is not None
    assert report.state == FileState.LOADED
    assert len(done(world)) == 4


def test_rows_that_are_alike_want_an_id_each(world: World) -> None:
    world.drop("locates", "alike.csv", "security,client,quantity\nS1,FUND1,5\nS1,FUND1,5\n#TRAILER,2\n")
    (report,) = world.load()
    assert (report.state, report.can_be_forced) == (FileState.REFUSED, True)
    assert "give the rows an id each" in report.why
    named = "id,security,client,quantity\na,S1,FUND1,5\nb,S1,FUND1,5\nb,S1,FUND1,5\n,S1,FUND1,5\n#TRAILER,4\n"
    world.drop("locates", "named.csv", named)
    (report,) = world.load()
    assert (report.state, len(done(world))) == (FileState.LOADED, 3)
    world.drop("locates", "other.csv", "id,security,client,quantity\na,S1,FUND1,5\na,S1,FUND1,6\n#TRAILER,2\n")
    (report,) = world.load()
    assert (report.state, report.can_be_forced) == (FileState.REFUSED, False)


def test_nothing_is_asked_of_a_file_with_a_fault(world: World) -> None:
    world.drop("locates", "bad.csv", LOCATES.replace("S2,FUND1,5", "S2,FUND1,five"))
    (report,) = world.load()
    assert (report.state, report.faults[0].line, report.faults[0].column) == (FileState.REFUSED, 3, "quantity")
    assert done(world) == []


def test_a_loader_killed_at_any_step_carries_out_each_row_once(instance: str, tmp_path: Path) -> None:
    rows = "".join(f"S1,FUND1,{n}\n" for n in range(1, ROWS + 1))
    files = (("locates", f"security,client,quantity\n{rows}#TRAILER,{ROWS}\n"), ("order_requests", ORDERS))
    everything, at = ROWS + 4, 0
    while True:
        at += 1
        with files_world(instance, tmp_path / str(at)) as world:
            world.api = PlainApi()
            for feed, content in files:
                world.drop(feed, "f.csv", content)
            world.die_and_live(at)
            assert len(done(world)) == everything, f"killed at step {at}"
            reports = world.desk.store.reports(10)
            assert [report.state for report in reports if report.state != FileState.REFUSED] == [FileState.LOADED] * 2
            whole = [len(answered(world, report)) for report in reports if report.answers]
            assert sorted(whole) == [4, ROWS]
            if world.steps < at:
                break
    assert at > 20, "there were steps to die at"


def test_who_is_busy_is_asked_again_under_the_same_key_and_who_refuses_is_not() -> None:
    busy = json.dumps({"type": "/api/v1/docs#key-in-flight"}).encode()
    script = [
        (503, b"{}"),
        (429, b"{}"),
        (409, busy),
        (200, b"first"),
        (409, b'{"type":"#conflict"}'),
        (500, b"broken"),
    ]
    seen: list[tuple[str, str, bool]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.append(
                (self.path, self.headers["Idempotency-Key"], self.headers["Authorization"].startswith("Bearer "))
            )
            status, body = script.pop(0)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True  # without a word, as one that was idle for long

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  its name there
            pass

    settings = Settings(port=free_port())
    client = ApiClient(settings, "files", lambda: None)
    with pytest.raises(OSError, match="does not answer"):
        client("/a", b"{}", "k0")
    with HTTPServer(("127.0.0.1", settings.api_port), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        assert client("/a", b"{}", "k1") == (200, b"first")
        assert client("/b", b"{}", "k2")[0] == 409
        assert client("/c", b"{}", "k3")[0] == 500, "what fails for one row must not keep all others waiting"
        server.shutdown()
    assert seen == [("/a", "k1", True)] * 4 + [("/b", "k2", True), ("/c", "k3", True)]
