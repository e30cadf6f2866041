import asyncio
import contextlib
import html
import http.client
import http.cookies
import json
import os
import re
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from app import tickets
from app.bench.services import free_port
from app.identity import Identity, Role, read_token
from app.pages.login import PER_PERSON
from app.settings import Settings
from app.users_store import FILE, Users

SECRET = "s" * 43
PASSWORD = "a long password"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A page server for ann and bob, with neither engine nor gateway."""
    folder, port = tmp_path_factory.mktemp("data"), free_port()
    users = Users(folder / FILE)
    users.add("ann", PASSWORD, [Role.TRADER])
    users.add("bob", PASSWORD, [Role.ADMIN])
    users.add("dora", PASSWORD, [Role.TRADER], ["FUND1"])
    settings = Settings(instance=f"login-{port}", port=port, data=str(folder))
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


@dataclass
class Browser:
    """Keeps cookies, follows nothing."""

    settings: Settings
    cookies: dict[str, str] = field(default_factory=dict)
    set_cookies: str = ""

    def ask(
        self, path: str, form: dict[str, str] | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, http.client.HTTPMessage, str]:
        body = None if form is None else urllib.parse.urlencode(form)
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if form is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.settings.port, timeout=30)) as connection:
            connection.request("GET" if form is None else "POST", path, body, sent | (headers or {}))
            response = connection.getresponse()
            text = response.read().decode()
        self.set_cookies = "\n".join(response.headers.get_all("Set-Cookie", []))
        for name, morsel in http.cookies.SimpleCookie(self.set_cookies).items():
            self.cookies[name] = morsel.value
        return response.status, response.headers, text

    def login(self, user: str, password: str, wanted: str = "/rules") -> tuple[int, http.client.HTTPMessage, str]:
        _, _, page = self.ask(f"/login?next={urllib.parse.quote(wanted)}")
        form = dict(re.findall(r'name="(_xsrf|next)" value="([^"]*)"', html.unescape(page)))
        return self.ask("/login", form | {"user": user, "password": password})

    def session(self) -> dict[str, object]:
        _, _, page = self.ask("/rules")
        found = re.search(r'<script type="application/json" id="ims-page">(.*?)</script>', page)
        assert found is not None
        session: dict[str, object] = json.loads(found[1])["session"]
        return session


@pytest.fixture
def browser(server: Settings) -> Browser:
    return Browser(server)


@pytest.fixture
def ann(server: Settings) -> Browser:
    signed_in = Browser(server)
    assert signed_in.login("ann", PASSWORD)[0] == 303
    return signed_in


@pytest.mark.parametrize("path", ["/rules?document=tw&version=3", "/inventory?sec=X"])
def test_a_page_asks_who_is_there_and_leads_back(browser: Browser, path: str) -> None:
    status, headers, _ = browser.ask(path)
    assert (status, headers["Location"].lstrip(".")) == (302, f"/login?next={urllib.parse.quote_plus(path)}")
    status, headers, _ = browser.login("ann", PASSWORD, path)
    assert (status, headers["Location"]) == (303, path)
    status, _, page = browser.ask(path)
    assert status == 200
    assert "ann" in page


def test_the_cookie_is_not_for_scripts_nor_for_other_sites(browser: Browser, server: Settings) -> None:
    browser.login("ann", PASSWORD)
    assert re.search(rf"ims-login-{server.port}=.*HttpOnly.*SameSite=Lax", browser.set_cookies)
    assert browser.cookies[f"ims-login-{server.port}"] not in browser.ask("/rules")[2]


def test_a_wrong_password_and_an_unknown_name_are_told_the_same(browser: Browser, server: Settings) -> None:
    told = {browser.login(name, "not this one, no")[::2] for name in ("ann", "nobody-here")}
    assert {status for status, _ in told} == {401}
    problems = {re.findall(r'role="alert">([^<]*)', page)[0] for _, page in told}
    assert problems == {"✕ User or password is wrong"}
    assert f"ims-login-{server.port}" not in browser.cookies


def test_too_many_wrong_passwords_have_to_wait_and_others_have_not(server: Settings) -> None:
    guesser = Browser(server)
    statuses = [guesser.login("guessed", f"guess {n}")[0] for n in range(PER_PERSON + 1)]
    assert statuses == [401] * PER_PERSON + [429]
    assert int(guesser.login("guessed", PASSWORD)[1]["Retry-After"]) > 0
    assert Browser(server).login("bob", PASSWORD)[0] == 303


def test_a_form_that_is_not_ours_is_refused(browser: Browser) -> None:
    form = {"user": "ann", "password": PASSWORD}
    assert browser.ask("/login", form)[0] == 403
    browser.ask("/login")
    _, _, page = browser.ask("/login")
    token = re.findall(r'name="_xsrf" value="([^"]*)"', page)[0]
    assert browser.ask("/login", form | {"_xsrf": token}, {"Sec-Fetch-Site": "cross-site"})[0] == 403
    assert browser.ask("/login", form | {"_xsrf": token[:-2] + "xx"})[0] == 403
    assert browser.ask("/login", form | {"_xsrf": token})[0] == 303


def test_what_a_form_brings_back_is_text(browser: Browser) -> None:
    page = browser.login('"><script>alert(1)</script>', "not this one, no")[2]
    assert "<script>alert(1)" not in page


def test_a_pages_token_is_of_its_user_with_the_roles_of_today(ann: Browser) -> None:
    session = ann.session()
    made_s = 0.0
    assert read_token(SECRET, str(session["token"]), made_s) == Identity("ann", frozenset({Role.TRADER}))
    assert (session["user"], session["roles"], session["open"]) == ("ann", ["trader"], False)
    status, headers, body = ann.ask("/token")
    assert (status, headers["Cache-Control"], json.loads(body)["user"]) == (200, "no-store", "ann")
    assert ann.ask("/token", headers={"Sec-Fetch-Site": "cross-site"})[0] == 403


def test_who_is_kept_to_clients_gets_his_pages_and_not_the_inventory(server: Settings) -> None:
    dora = Browser(server)
    dora.login("dora", PASSWORD)
    assert [dora.ask(path)[0] for path in ("/locates", "/positions", "/inventory", "/inventory/")] == [
        200,
        200,
        302,
        302,
    ]
    assert dora.ask("/inventory")[1]["Location"] == "/locates"
    offered = re.findall(r'<nav class="pages".*?</nav>', dora.ask("/locates")[2], re.DOTALL)[0]
    assert re.findall(r'href="(/[a-z]+)"', offered) == ["/overview", "/positions", "/locates", "/limits"]
    token = str(json.loads(dora.ask("/token")[2])["token"])
    assert read_token(SECRET, token, 0.0).clients == frozenset({"FUND1"})
    given = json.loads(dora.ask("/ticket")[2])
    on_page = re.findall(r"ticket[^0-9]*([0-9.]+[A-Za-z0-9_.-]+)", dora.ask("/positions")[2])
    for ticket in (given["ticket"], *on_page):
        opened = tickets.read(SECRET, ticket, 0.0)
        assert opened is not None
        assert opened.clients == frozenset({"FUND1"})
    assert (given["kept"], bool(on_page)) == (True, True)


@pytest.mark.parametrize("path", ["/token", "/ticket"])
def test_nobody_gets_a_token(browser: Browser, path: str) -> None:
    assert browser.ask(path)[0] == 401


@pytest.mark.parametrize(
    "path", ["/rules/autoload.js?bokeh-autoload-element=x", "/rules/metadata", "/inventory/metadata"]
)
def test_bokehs_other_doors_are_shut(ann: Browser, path: str) -> None:
    assert ann.ask(path)[0] == 404


def test_signing_out_ends_the_cookie_wherever_a_copy_is(ann: Browser, server: Settings) -> None:
    copy = Browser(server, dict(ann.cookies))
    assert copy.ask("/token")[0] == 200
    assert ann.ask("/logout", {}, {"Sec-Fetch-Site": "cross-site"})[0] == 403
    status, headers, _ = ann.ask("/logout", {})
    assert (status, headers["Location"]) == (303, "/login")
    assert copy.ask("/token")[0] == 401
    assert copy.ask("/rules")[0] == 302


async def _websocket(ann: Browser, cookies: dict[str, str], path: str) -> WebSocketClientConnection:
    page = ann.ask(path)[2]
    token = re.findall(r'"token": *"([^"]+)"', page)[-1]
    settings = ann.settings
    headers = {"Origin": f"http://127.0.0.1:{settings.port}"}
    if cookies:
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    asked = HTTPRequest(f"ws://127.0.0.1:{settings.port}{path}/ws", headers=headers)
    return await websocket_connect(asked, subprotocols=["bokeh", token])


@pytest.mark.parametrize("path", ["/rules", "/inventory"])
async def test_a_websocket_without_a_login_is_refused_even_with_a_pages_own_token(ann: Browser, path: str) -> None:
    with pytest.raises(HTTPClientError, match="403"):
        await _websocket(ann, {}, path)


@pytest.mark.parametrize("path", ["/rules", "/inventory"])
async def test_a_websocket_ends_when_its_login_does(ann: Browser, path: str) -> None:
    socket = await _websocket(ann, ann.cookies, path)
    assert await asyncio.wait_for(socket.read_message(), 120) is not None
    await asyncio.to_thread(ann.ask, "/logout", {})
    while await asyncio.wait_for(socket.read_message(), 120) is not None:
        pass
    assert socket.close_code == 1008


def test_users_that_cannot_be_read_let_nobody_in_and_are_told(ann: Browser, browser: Browser) -> None:
    file = ann.settings.folder / FILE
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    try:
        assert ann.ask("/rules")[0] == 302
        assert ann.ask("/token")[0] == 503
        status, _, page = browser.ask("/login")
        assert status == 503
        assert "cannot be read" in page
        assert browser.login("ann", PASSWORD)[0] == 503
    finally:
        file.write_bytes(whole)
    assert Browser(ann.settings).login("ann", PASSWORD)[0] == 303
