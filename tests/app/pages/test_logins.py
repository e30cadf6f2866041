from pathlib import Path

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine
from tornado.web import create_signed_value

from app.identity import LOCAL, Identity, Role
from app.pages.ended import EndedLogins
from app.pages.login import safe_next, same_origin
from app.pages.logins import TOKEN_S, VALID_S, Attempts, Logins
from app.users_store import FILE, Users

SECRET = "s" * 43
PORT = 5006
NAMES = ["127.0.0.1:5006", "localhost:5006"]


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def users(tmp_path: Path) -> Users:
    made = Users(tmp_path / FILE)
    made.add("ann", "a long password", [Role.TRADER])
    return made


def logins(users: Users, clock: Clock, secret: str = SECRET, host: str = "127.0.0.1") -> Logins:
    return Logins(users, ended(users, clock), secret, host, PORT, NAMES, clock)


def ended(users: Users, clock: Clock) -> EndedLogins:
    return EndedLogins(users._path.with_name("ended.jsonl"), clock)


def request(cookies: dict[str, str] | None = None, **headers: str) -> HTTPServerRequest:
    cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())} if cookies else {}
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    start = RequestStartLine("GET", "/rules", "HTTP/1.1")
    return HTTPServerRequest(headers=HTTPHeaders({"Host": NAMES[0]} | cookie | told), start_line=start)


def test_a_cookie_says_who_it_is_until_it_expires(users: Users, clock: Clock) -> None:
    desk = logins(users, clock)
    value = desk.issue("ann")
    login = desk.who(request({desk.cookie: value}))
    assert login is not None
    assert login.identity == Identity("ann", frozenset({Role.TRADER}))
    assert login.open_mode == ""
    clock.now_s += VALID_S - 1
    assert desk.read(value) is not None
    clock.now_s += 1
    assert desk.read(value) is None


def test_a_token_never_outlives_its_login(users: Users, clock: Clock) -> None:
    desk = logins(users, clock)
    login = desk.read(desk.issue("ann"))
    assert login is not None
    assert login.token_s(clock.now_s) == TOKEN_S
    assert login.token_s(login.expires_s - 10) == 10


def test_a_forged_cookie_is_nobody(users: Users, clock: Clock) -> None:
    desk = logins(users, clock)
    value = desk.issue("ann")
    payload = value.split("|")
    other = logins(users, clock, secret="another")
    assert other.read(value) is None
    assert desk.read(value[:-1] + ("0" if value[-1] != "0" else "1")) is None
    assert desk.read("|".join([*payload[:4], "12:" + "A" * 12, payload[5]])) is None
    for junk in ("", "|", "a" * 5000, "2|1:0|10:1795000000|1:x|4:AAAA|" + "0" * 64, "\N{SNOWMAN}"):
        assert desk.read(junk) is None


def test_a_cookie_of_another_name_or_port_is_nobody(users: Users, clock: Clock) -> None:
    desk = logins(users, clock)
    elsewhere = Logins(users, ended(users, clock), SECRET, "127.0.0.1", PORT + 3, NAMES, clock)
    assert desk.read(elsewhere.issue("ann")) is None
    assert desk.who(request({"ims-login": desk.issue("ann")})) is None


def test_a_signed_value_that_is_no_login_is_nobody(users: Users, clock: Clock) -> None:
    desk = logins(users, clock)
    for text in ("", "{}", "[1]", '{"user":"ann"}'):
        assert desk.read(create_signed_value(desk._key, desk.cookie, text, clock=clock).decode()) is None


def test_who_has_signed_out_is_out_and_others_are_not(users: Users, clock: Clock) -> None:
    desk = logins(users, clock)
    first, second = desk.issue("ann"), desk.issue("ann")
    login = desk.read(first)
    assert login is not None
    desk.end(login)
    assert desk.read(first) is None
    assert desk.read(second) is not None


def test_who_has_signed_out_is_out_of_the_next_process_too(users: Users, clock: Clock) -> None:
    desk = logins(users, clock)
    first, second = desk.issue("ann"), desk.issue("ann")
    login = desk.read(first)
    assert login is not None
    desk.end(login)
    with users._path.with_name("ended.jsonl").open("ab") as file:
        file.write(b'\n{"session":"half a l')  # killed while it wrote
    again = logins(users, clock)
    assert again.read(first) is None
    late = again.read(second)
    assert late is not None
    again.end(late)
    assert logins(users, clock).read(second) is None


def test_ended_logins_are_forgotten_once_their_cookie_is_too_old(users: Users, clock: Clock) -> None:
    known = ended(users, clock)
    for number in range(9_000):
        known.add(f"old-{number}", clock.now_s + 10)
    clock.now_s += 10
    for number in range(3_000):
        known.add(f"new-{number}", clock.now_s + 10)
    again = ended(users, clock)
    assert "old-0" not in again
    assert all(f"new-{number}" in again for number in range(3_000))


def test_who_is_removed_or_has_another_password_is_out_at_once(users: Users, clock: Clock) -> None:
    desk = logins(users, clock)
    value = desk.issue("ann")
    users.remove("ann")
    assert desk.read(value) is None
    users.add("ann", "another password", [Role.ADMIN])
    assert desk.read(value) is None
    login = desk.read(desk.issue("ann"))
    assert login is not None
    assert login.identity.roles == {Role.ADMIN}


def test_without_users_everybody_on_this_machine_is_local(tmp_path: Path, clock: Clock) -> None:
    nobody = Users(tmp_path / FILE)
    login = logins(nobody, clock).who(request())
    assert login is not None
    assert login.identity == LOCAL
    assert "no users" in login.open_mode


def test_without_users_a_page_for_other_machines_is_for_looking_only(tmp_path: Path, clock: Clock) -> None:
    login = logins(Users(tmp_path / FILE), clock, host="0.0.0.0").who(request())
    assert login is not None
    assert login.identity.roles == frozenset()


def test_without_users_a_strange_host_name_is_nobody(tmp_path: Path, clock: Clock) -> None:
    assert logins(Users(tmp_path / FILE), clock).who(request(Host="evil.example:5006")) is None


def test_the_first_user_ends_the_open_mode(tmp_path: Path, clock: Clock) -> None:
    users = Users(tmp_path / FILE)
    desk = logins(users, clock)
    assert desk.who(request()) is not None
    users.add("ann", "a long password", [Role.TRADER])
    assert desk.who(request()) is None


def test_tries_are_counted_per_key_and_forgotten_with_time(clock: Clock) -> None:
    attempts = Attempts(2, 60, clock)
    for _ in range(2):
        assert attempts.wait_s("a") == 0
        attempts.tried("a")
    assert attempts.wait_s("a") == 60
    assert attempts.wait_s("b") == 0
    clock.now_s += 59
    assert attempts.wait_s("a") == pytest.approx(1)
    clock.now_s += 1
    assert attempts.wait_s("a") == 0
    attempts.tried("a")
    attempts.tried("a")
    attempts.succeeded("a")
    assert attempts.wait_s("a") == 0


def test_a_flood_of_names_does_not_fill_the_memory(clock: Clock) -> None:
    attempts = Attempts(1, 60, clock, keys=100)
    for number in range(1000):
        attempts.tried(f"name {number}")
    assert len(attempts._tries) == 100
    assert attempts.wait_s("name 999") > 0


@pytest.mark.parametrize(
    ("wanted", "goes"),
    [
        ("/rules?document=tw&version=3", "/rules?document=tw&version=3"),
        ("/inventory", "/inventory"),
        ("https://evil.example/", "/overview"),
        ("//evil.example/", "/overview"),
        ("/\\evil.example", "/overview"),
        ("javascript:alert(1)", "/overview"),
        ("/login?next=/login", "/overview"),
        ("/rules\r\nSet-Cookie: x=y", "/overview"),
        ("", "/overview"),
    ],
)
def test_a_login_leads_to_pages_of_ours_only(wanted: str, goes: str) -> None:
    assert safe_next(wanted) == goes


def test_a_form_of_another_site_is_refused() -> None:
    assert same_origin(request(Sec_Fetch_Site="same-origin"))
    assert same_origin(request(Origin=f"http://{NAMES[0]}"))
    assert same_origin(request())
    assert not same_origin(request(Sec_Fetch_Site="cross-site"))
    assert not same_origin(request(Sec_Fetch_Site="same-site"))
    assert not same_origin(request(Origin="http://evil.example"))
    assert not same_origin(request(Origin="null"))
