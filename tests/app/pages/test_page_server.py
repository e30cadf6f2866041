import contextlib
import http.client
import http.server
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from app import tickets
from app.bench.services import free_port
from app.pages import assets
from app.pages.security import policy, websocket_origins
from app.settings import Settings

SECRET = "s" * 43


class Echo(http.server.BaseHTTPRequestHandler):
    """An API that answers with what it was asked."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        asked = {"method": self.command, "path": self.path, "headers": dict(self.headers), "body": body}
        answer = b"" if self.command == "HEAD" else json.dumps(asked).encode()
        self.send_response(422 if "refuse" in self.path else 200)
        self.send_header("Content-Type", "application/problem+json" if "refuse" in self.path else "application/json")
        self.send_header("X-Of-The-Api", "yes")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = _answer  # noqa: N815

    def log_message(self, *_args: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    port = free_port()
    return Settings(instance=f"pages-{port}", port=port, data=str(tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="module")
def server(settings: Settings) -> Iterator[Settings]:
    """A page server with neither engine nor gateway."""
    environment = os.environ | {"IMS_SETTINGS": settings.to_json(), "IMS_SECRET": SECRET}
    command = [sys.executable, "-m", "app.child", "pages"]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "READY\n"
        yield settings
        process.terminate()
        assert process.wait(10) == 0


@pytest.fixture
def api(server: Settings) -> Iterator[None]:
    echo = http.server.ThreadingHTTPServer(("127.0.0.1", server.api_port), Echo)
    thread = threading.Thread(target=echo.serve_forever)
    thread.start()
    yield
    echo.shutdown()
    echo.server_close()
    thread.join()


def ask(
    settings: Settings, path: str, method: str = "GET", body: str | None = None, headers: dict[str, str] | None = None
) -> tuple[int, http.client.HTTPMessage, bytes]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", settings.port, timeout=30)) as connection:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read()


def test_a_page_opens_without_an_engine_and_brings_a_fresh_ticket(server: Settings) -> None:
    status, _, body = ask(server, "/inventory")
    assert status == 200
    found = re.search(r'<script type="application/json" id="ims-page">(.*?)</script>', body.decode())
    assert found is not None
    config = json.loads(found[1])
    assert config["gateway_port"] == server.gateway_port
    assert tickets.valid(SECRET, config["ticket"], time.time())
    assert not tickets.valid("another", config["ticket"], time.time())


def test_the_root_leads_to_the_inventory(server: Settings) -> None:
    status, headers, _ = ask(server, "/")
    assert (status, headers["Location"]) == (302, "/overview")


def test_a_long_open_page_gets_a_new_ticket(server: Settings) -> None:
    status, headers, body = ask(server, "/ticket")
    assert status == 200
    assert headers["Cache-Control"] == "no-store"
    assert tickets.valid(SECRET, json.loads(body)["ticket"], time.time() + tickets.VALID_S - 60)


def test_nothing_in_a_page_comes_from_another_server(server: Settings) -> None:
    _, headers, body = ask(server, "/inventory")
    links = re.findall(r"""(?:src|href)=["']([^"']+)["']""", body.decode())
    assert links
    assert [link for link in links if "//" in link.replace("/assets//", "")] == []
    assert "connect-src 'self' blob: ws://127.0.0.1:" in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_theme_that_is_asked_for_is_in_the_page_and_nothing_else_can_be(server: Settings) -> None:
    assert b'data-theme="light"' in ask(server, "/inventory?theme=light")[2]
    body = ask(server, "/inventory?theme=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")[2]
    assert b"alert(1)" not in body
    assert b'data-theme="dark"' in body


def test_assets_of_a_version_are_kept_for_good_and_others_are_asked_for_again(server: Settings) -> None:
    status, headers, body = ask(server, f"{assets.address()}/grid/main.js")
    assert status == 200
    assert "immutable" in headers["Cache-Control"]
    assert body == (assets.FOLDER / "grid" / "main.js").read_bytes()
    assert ask(server, "/assets/grid/main.js")[1]["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["/assets/markets.yaml", "/assets/__init__.py", "/assets/rules/default.yaml", "/assets/../app/settings.py"]
)
def test_only_what_a_browser_needs_of_the_assets_is_given_out(server: Settings, path: str) -> None:
    assert ask(server, path)[0] in (403, 404)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_the_api_is_asked_what_the_page_server_was_asked(server: Settings, api: None, method: str) -> None:
    headers = {"Authorization": "Bearer x", "Idempotency-Key": "k-1", "Content-Type": "application/json"}
    body = None if method == "GET" else '{"security":"S1"}'
    status, answered, raw = ask(server, "/api/v1/locates?client=C%201&limit=5", method, body, headers)
    heard = json.loads(raw)
    assert (status, answered["X-Of-The-Api"]) == (200, "yes")
    assert (heard["method"], heard["path"], heard["body"]) == (
        method,
        "/api/v1/locates?client=C%201&limit=5",
        body or "",
    )
    assert {name: heard["headers"].get(name) for name in headers} == headers
    assert heard["headers"]["X-Forwarded-For"] == "127.0.0.1"


def test_a_refusal_of_the_api_comes_back_as_it_is(server: Settings, api: None) -> None:
    status, headers, _ = ask(server, "/api/v1/refuse")
    assert (status, headers["Content-Type"]) == (422, "application/problem+json")
    assert ask(server, "/api/v1/locates", "HEAD")[0] == 200


@pytest.mark.parametrize("path", ["/api/v1/locates", "/health/live", "/metrics"])
def test_without_an_engine_the_answer_is_a_problem_and_not_a_page(server: Settings, path: str) -> None:
    status, headers, body = ask(server, path)
    assert (status, headers["Content-Type"]) == (502, "application/problem+json")
    assert msgspec.json.decode(body)["status"] == 502


def test_nothing_but_the_programs_addresses_is_forwarded(server: Settings, api: None) -> None:
    for path in ("/apix/v1", "/admin", "/metrics/x", "/healthz"):
        assert ask(server, path)[0] == 404


def test_a_session_that_was_not_signed_here_is_refused(server: Settings) -> None:
    assert ask(server, "/inventory?bokeh-session-id=made-up")[0] == 403


@pytest.mark.parametrize("host", ["evil.example", 'x"; script-src *', "a b"])
def test_a_policy_cannot_be_widened_by_a_host_name(host: str) -> None:
    assert "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:;" in policy(host, 5008)
    assert policy(host, 5008).count("script-src") == 1


def test_websockets_are_for_pages_of_this_machine() -> None:
    assert websocket_origins("127.0.0.1", 5006) == ["127.0.0.1:5006", "localhost:5006"]
    assert "desk.example:80" in websocket_origins("desk.example", 80)
    assert all(name.endswith(":5006") for name in websocket_origins("0.0.0.0", 5006))


def test_every_asset_is_text_of_our_own_or_has_its_licence_beside_it() -> None:
    for name in assets.served():
        assert Path(name).suffix in assets.SERVED
        assert not name.endswith(".min.js")
