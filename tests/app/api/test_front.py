"""POSTs of locates and orders take a shorter way through the server; nobody outside can tell which way a request went."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tornado.httputil import HTTPHeaders, parse_request_start_line

from app.api import server
from app.api.request_head import Plain
from app.identity import Identity, Role, issue_token
from tests.app.api.api_world import NOON_NS, Api, serving

PATHS = ("/api/v1/locates", "/api/v1/orders")
PLAIN = Plain("POST", PATHS)
LOCATE = {"security": "S1", "client": "FUND1", "quantity": 1}
ORDER = {"order": "O1", "security": "S1", "client": "FUND1", "book": "B1", "side": "long", "quantity": 1}
DATE = re.compile(rb"Date: [^\r]*\r\n")


@pytest.fixture
async def api(instance: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(instance, tmp_path) as made:
        yield made


class Caller:
    """A connection on which bytes are sent as they are."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, api: Api) -> "Caller":
        return cls(*await asyncio.open_connection("127.0.0.1", api.settings.api_port, limit=1 << 24))

    async def answer(self) -> bytes:
        """The next answer but its date; what there was of it where the server hung up."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            body = await self.reader.readexactly(int(length[1])) if length else b""
        except asyncio.IncompleteReadError as error:
            return error.partial + b" and no more"
        except ConnectionResetError:
            return b" and no more"
        return DATE.sub(b"", head + body)

    async def ask(self, *parts: bytes) -> bytes:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
            await asyncio.sleep(0)
        answer = await self.answer()
        while answer.startswith(b"HTTP/1.1 100"):
            answer = await self.answer()
        return answer


def asked(api: Api, path: str, body: Any, key: str, *more: str, token: str = "") -> bytes:
    """A plain request; `more`: further lines of its head."""
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {token or api.token}"]
    lines += ["Content-Type: application/json", f"Idempotency-Key: {key}", *more, f"Content-Length: {len(content)}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + content


LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


# the same answer


BODIES = st.sampled_from(
    [
        LOCATE,
        LOCATE | {"quantity": 2_000},
        LOCATE | {"security": "nothing"},
        LOCATE | {"security": "T1"},
        LOCATE | {"security": "S4"},
        LOCATE | {"client": "FUND2", "on_insufficient": "pend", "max_rate": 0.1},
        ORDER,
        ORDER | {"order": "O2", "book": "?"},
        ORDER | {"order": "O1", "quantity": 2},
        [LOCATE, LOCATE | {"client": "FUND2"}],
        [LOCATE, LOCATE | {"security": "nothing"}],
        [ORDER | {"order": "O3"}, ORDER | {"order": "O4", "side": "short"}],
        [ORDER, ORDER],
        [],
        {"x": 1},
        b"",
        b"{",
        b"\xff\xfe",
        b" " * 70_000,
    ]
)
LINES = st.sampled_from(
    [
        "Connection: close",
        "connection:keep-alive",
        "Connection: Upgrade",
        "Accept: text/csv",
        "X-Odd:  \tspaced \t",
        "Content-Type: text/csv",
        "IDEMPOTENCY-KEY: another",
        "Expect: 100-continue",
        "Transfer-Encoding: chunked",
        "Content-Length: 3",
        "Host: y",
        "no colon",
        "Bad Name: x",
        "X-Latin: \u00e9",
        "X-Bare:\n x",
    ]
)
KEYS = st.sampled_from(["k1", "k2", "k3", "k4", "", "with space", "k" * 129, "\u00e9"])
WHO = st.sampled_from(["", "wrong", "reader", "of-fund1"])


def tokens(api: Api) -> dict[str, str]:
    reader = Identity("rita", frozenset({Role.COMPLIANCE}))
    trader = Identity("tom", frozenset({Role.TRADER}), frozenset({"FUND1"}))
    made = {
        name: issue_token(api.settings.secret, who, 600, NOON_NS / 1e9)
        for name, who in (("reader", reader), ("of-fund1", trader))
    }
    return {"": api.token, "wrong": "wrong"} | made


REQUESTS = st.tuples(
    st.sampled_from(PATHS), BODIES, KEYS, st.lists(LINES, max_size=1), WHO, st.lists(st.integers(0, 400), max_size=3)
)


def test_both_ways_answer_every_request_with_the_same_bytes(instance: str, tmp_path: Path) -> None:
    """Two services are asked the same; one of them on connections that are tornado's already."""

    async def compare(short: Api, long: Api, requests: list[Any]) -> None:
        for path, body, key, more, who, cuts in requests:
            answers = []
            for api in (short, long):
                caller = await Caller.open(api)
                if api is long:
                    assert (await caller.ask(LIVE)).startswith(b"HTTP/1.1 200")
                text = asked(api, path, body, key, *more, token=tokens(api)[who])
                ends = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
                answers.append(await caller.ask(*(text[at:end] for at, end in pairwise(ends))))
                caller.writer.close()
            assert answers[0] == answers[1]

    with asyncio.Runner() as runner:
        worlds = AsyncExitStack()

        async def opened() -> list[Api]:
            return [
                await worlds.enter_async_context(serving(f"{instance}-{way}", tmp_path / way))
                for way in ("short", "long")
            ]

        short, long = runner.run(opened())

        @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.lists(REQUESTS, min_size=1, max_size=6))
        def check(requests: list[Any]) -> None:
            runner.run(compare(short, long, requests))

        try:
            check()
        finally:
            runner.run(worlds.aclose())


HEAD_LINES = st.one_of(
    LINES,
    st.sampled_from(
        ["Host: x", "Host: [::1]:80", "Host: a,b", "Content-Length: 10", "Content-Length: +1", "Content-Length: 1_0"]
    ),
    st.text(st.characters(max_codepoint=255), max_size=12),
)


@given(st.sampled_from(PATHS), st.lists(HEAD_LINES, max_size=5), st.text(st.characters(max_codepoint=255), max_size=3))
def test_a_head_that_is_read_here_means_the_same_to_tornado(path: str, lines: list[str], odd: str) -> None:
    lines = ["Host: x", f"Idempotency-Key: {odd}", "Content-Length: 1", *lines]
    head = "\r\n".join([f"POST {path} HTTP/1.1", *lines]).encode("latin-1")
    if (found := PLAIN.read(head)) is None:
        return
    first, _, rest = head.decode("latin-1").partition("\r\n")
    headers = HTTPHeaders.parse(rest + "\r\n")
    assert tuple(parse_request_start_line(first)) == ("POST", found.path, "HTTP/1.1")
    assert (found.authorization, found.content_type) == (
        headers.get("Authorization", ""),
        headers.get("Content-Type", ""),
    )
    assert (found.key, str(found.length)) == (headers.get("Idempotency-Key"), headers["Content-Length"])
    assert found.last == (headers.get("Connection", "").lower() == "close")
    assert not {"Transfer-Encoding", "Expect", "Upgrade"} & set(headers)


# connections


async def test_requests_that_come_together_are_answered_one_after_the_other_whoever_serves_them(api: Api) -> None:
    caller = await Caller.open(api)
    first, second = (asked(api, PATHS[0], LOCATE, key) for key in ("first", "second"))
    caller.writer.write(first + second + LIVE + asked(api, PATHS[1], ORDER, "third"))
    answers = [await caller.answer() for _ in range(4)]
    assert [b'"id":"L0000000001"' in answers[0], b'"id":"L0000000002"' in answers[1]] == [True, True]
    assert answers[2].endswith(b'{"status":"live"}')
    assert b'"order":"O1"' in answers[3]
    caller.writer.close()


async def test_a_list_that_comes_in_pieces_is_one_request(api: Api) -> None:
    text = asked(api, PATHS[0], [LOCATE | {"reference": f"R{n}"} for n in range(1_000)], "list")
    caller = await Caller.open(api)
    answer = await caller.ask(*(text[at : at + 7_000] for at in range(0, len(text), 7_000)))
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.count(b'"state":"approved"') == 1_000
    caller.writer.close()


async def test_who_does_not_read_holds_up_only_himself_and_gets_everything(api: Api) -> None:
    loop, lists = asyncio.get_running_loop(), 2
    lines = [LOCATE | {"reference": f"R{n}"} for n in range(1_000)]
    with socket.socket() as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        lazy.setblocking(False)
        await loop.sock_connect(lazy, ("127.0.0.1", api.settings.api_port))
        while not api.service._front.lines:  # noqa: ASYNC110  nobody is told
            await asyncio.sleep(0.001)
        for line in api.service._front.lines:
            line._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        await loop.sock_sendall(lazy, b"".join(asked(api, PATHS[0], lines, f"list{n}") for n in range(lists)))
        while not any(line._unsent for line in api.service._front.lines):  # noqa: ASYNC110  nobody is told
            await asyncio.sleep(0.001)
        assert (await api.locate("S2", quantity=1))["state"] == "approved"
        got = bytearray()
        while got.count(b'"id":"L') < lists * len(lines):
            got += await loop.sock_recv(lazy, 1 << 20)
    assert got.count(b"HTTP/1.1 20") == lists


async def test_who_hangs_up_before_the_answer_finds_it_under_his_key(api: Api) -> None:
    caller = await Caller.open(api)
    caller.writer.write(asked(api, PATHS[0], LOCATE, "lost"))
    await caller.writer.drain()
    while api.service.desk.live_count == 0:  # noqa: ASYNC110  the desk tells nobody
        await asyncio.sleep(0)
    caller.writer.close()
    again = await Caller.open(api)
    while (answer := await again.ask(asked(api, PATHS[0], LOCATE, "lost"))).startswith(b"HTTP/1.1 409"):
        assert b"key-in-flight" in answer
    assert b'"id":"L0000000001"' in answer
    assert api.service.desk.live_count == 1
    again.writer.close()


@pytest.mark.parametrize("begun", [b"", b"POST /api/v1/loc", b"POST /api/v1/locates HTTP/1.1\r\nHost: x\r\n"])
async def test_a_head_that_never_ends_loses_its_connection(
    api: Api, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(server, "IDLE_S", 0.0)
    caller = await Caller.open(api)
    caller.writer.write(begun)
    await _swept(api, caller)


async def test_a_body_that_comes_byte_by_byte_gains_no_time(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "BODY_S", 0.0)
    caller = await Caller.open(api)
    caller.writer.write(asked(api, PATHS[0], LOCATE, "slow")[:-1])
    await _swept(api, caller)
    assert api.service.desk.live_count == 0


async def _swept(api: Api, caller: Caller) -> None:
    """The next sweeps of the service hang up."""

    async def sweep() -> None:
        while True:
            await api.service.tick(NOON_NS)
            await asyncio.sleep(0.01)

    sweeping = asyncio.create_task(sweep())
    assert await caller.answer() == b" and no more"
    sweeping.cancel()
    caller.writer.close()


async def test_a_body_that_nobody_may_send_is_not_kept(api: Api) -> None:
    caller = await Caller.open(api)
    text = asked(api, PATHS[0], b" " * (1 << 20), "big", token="wrong")
    half = len(text) // 2
    caller.writer.write(text[:half])
    await caller.writer.drain()
    lines: list[Any] = []
    while not lines or lines[0]._asked is None:
        lines = list(api.service._front.lines)
        await asyncio.sleep(0.001)
    assert len(lines[0]._got) == 0
    assert (await caller.ask(text[half:])).startswith(b"HTTP/1.1 401")
    assert (await caller.ask(asked(api, PATHS[0], LOCATE, "next"))).startswith(b"HTTP/1.1 200")
    caller.writer.close()


async def test_a_fault_of_the_program_is_a_500_and_the_connection_goes_on(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = await Caller.open(api)
    with monkeypatch.context() as broken:
        broken.setattr(api.service.decisions, "submit", None)
        answer = await caller.ask(asked(api, PATHS[0], LOCATE, "a"))
    assert answer.startswith(b"HTTP/1.1 500")
    assert b"detail" not in answer
    assert (await caller.ask(asked(api, PATHS[0], LOCATE, "b"))).startswith(b"HTTP/1.1 200")
    caller.writer.close()


@pytest.mark.parametrize("length", ["\u00b2", "+2", "-2", "2_0", "0x2", ""])
async def test_a_length_that_is_no_number_is_refused(api: Api, length: str) -> None:
    caller = await Caller.open(api)
    head = asked(api, PATHS[0], b"", "a").replace(b"Content-Length: 0", f"Content-Length: {length}".encode("latin-1"))
    answer = await caller.ask(head + b"{}")
    assert answer.startswith((b"HTTP/1.1 400", b" and no more"))
    caller.writer.close()


async def test_answers_are_counted_whichever_way_they_took(api: Api) -> None:
    for head in (b"", LIVE):
        caller = await Caller.open(api)
        if head:
            await caller.ask(head)
        await caller.ask(asked(api, PATHS[0], LOCATE, f"key{len(head)}"))
        caller.writer.close()
    text = (await api.get("/metrics")).body.decode()
    assert 'ims_api_answers_total{status="200"} 3.0' in text
    assert "ims_locate_request_seconds_count 2.0" in text
