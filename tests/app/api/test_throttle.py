"""A token that asks too often is told when to go on; others are not kept waiting."""

from pathlib import Path

import pytest

from app.api import service
from app.api.throttle import Throttle
from app.identity import Identity, Role, issue_token
from tests.app.api.api_world import NOON_NS, read, serving


class Time:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("rate", [0.5, 1, 3, 100])
def test_nobody_asks_more_often_than_the_rate_allows(rate: float) -> None:
    time = Time()
    throttle = Throttle(rate, time)
    let_in, seconds = 0, 20
    for _ in range(seconds * 50):
        let_in += throttle.wait_s("a") == 0
        time.now += 0.02
    assert seconds * min(rate, 50) * 0.9 <= let_in <= seconds * rate + max(1, rate)


@pytest.mark.parametrize("rate", [0.5, 1, 7])
def test_who_waits_as_long_as_he_is_told_is_let_in(rate: float) -> None:
    time = Time()
    throttle = Throttle(rate, time)
    while (wait_s := throttle.wait_s("a")) == 0:
        pass
    assert throttle.wait_s("b") == 0
    time.now += wait_s
    assert throttle.wait_s("a") == 0


def test_no_rate_is_no_limit() -> None:
    throttle = Throttle(0)
    assert not any(throttle.wait_s("a") for _ in range(10_000))


async def test_too_many_requests_are_a_429_for_their_token_only(
    instance: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a clock that stands still: nobody's bucket fills again
    monkeypatch.setattr(service, "Throttle", lambda _rate: Throttle(3, Time()))
    async with serving(instance, tmp_path) as api:
        other = issue_token(api.settings.secret, Identity("olga", frozenset({Role.OPS})), 600, NOON_NS / 1e9)
        codes = [(await api.get("/api/v1/locates")).code for _ in range(4)]
        assert codes == [200, 200, 200, 429]
        refused = await api.post({"security": "S1", "client": "FUND1", "quantity": 1})
        assert (refused.code, refused.headers["Retry-After"]) == (429, "1")
        assert read(refused)["type"] == "/api/v1/docs#too-many"
        assert (await api.call("GET", "/api/v1/locates", token=other)).code == 200
        assert (await api.call("GET", "/health/live")).code == 200
