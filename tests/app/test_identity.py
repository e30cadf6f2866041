"""A token says who asks, for as long as it is good; users are kept with nothing that opens a door."""

import base64
import json
import stat
from pathlib import Path

import jwt
import pytest

from app.identity import LOCAL, MACHINE, Identity, IdentityError, Role, _key, issue_token, read_token
from app.users_store import Users, UsersError

NOW_S = 1_790_000_000.0
SECRET = "a secret of forty-three characters or fewer"
ANNA = Identity("anna", frozenset({Role.TRADER, Role.ADMIN}))


def test_a_token_says_who_it_is_until_it_expires() -> None:
    token = issue_token(SECRET, ANNA, 60, NOW_S)
    assert read_token(SECRET, token, NOW_S + 59) == ANNA
    with pytest.raises(IdentityError, match="expired"):
        read_token(SECRET, token, NOW_S + 60)


@pytest.mark.parametrize("ttl_s", [0, -1, 366 * 86_400 + 1])
def test_no_token_is_good_for_no_time_or_for_ever(ttl_s: float) -> None:
    with pytest.raises(ValueError, match="a token is good for"):
        issue_token(SECRET, ANNA, ttl_s, NOW_S)


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "others"},
        {"aud": "ims-pages"},
        {"exp": None},
        {"exp": "tomorrow"},
        {"sub": None},
        {"sub": ""},
        {"roles": "admin"},
        {"clients": "FUND1"},
        {"clients": [7]},
        {"clients": [""]},
    ],
)
def test_a_token_for_something_else_proves_nothing(claims: dict[str, object]) -> None:
    genuine = jwt.decode(issue_token(SECRET, ANNA, 60, NOW_S), options={"verify_signature": False})
    changed = {name: value for name, value in (genuine | claims).items() if value is not None}
    with pytest.raises(IdentityError):
        read_token(SECRET, jwt.encode(changed, _key(SECRET), algorithm="HS256"), NOW_S)


def test_a_token_signed_by_nobody_or_by_another_proves_nothing() -> None:
    head, body, _ = issue_token(SECRET, ANNA, 60, NOW_S).split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    for token in (f"{none}.{body}.", f"{head}.{body}.", issue_token("other", ANNA, 60, NOW_S), "", "a.b.c", "é"):
        with pytest.raises(IdentityError):
            read_token(SECRET, token, NOW_S)


def test_roles_that_are_unknown_give_nothing() -> None:
    claims = {"iss": "ims", "aud": "ims-api", "sub": "x", "exp": int(NOW_S) + 9, "roles": ["owner", "ops", 7, {}]}
    token = jwt.encode(claims, _key(SECRET), algorithm="HS256")
    assert read_token(SECRET, token, NOW_S) == Identity("x", frozenset({Role.OPS}))


def test_a_token_for_clients_shows_them_and_nobody_else() -> None:
    dora = Identity("dora", frozenset({Role.TRADER}), frozenset({"FUND1", "FUND2"}))
    read = read_token(SECRET, issue_token(SECRET, dora, 60, NOW_S), NOW_S)
    assert read == dora
    assert [read.sees(client) for client in ("FUND1", "FUND2", "FUND3", "")] == [True, True, False, False]
    assert all(ANNA.sees(client) for client in ("FUND1", "FUND3", ""))


def test_a_user_kept_to_clients_is_kept_to_them_with_any_token(tmp_path: Path) -> None:
    users = Users(tmp_path / "users.json")
    users.add("anna", "correct horse", [Role.TRADER], ["FUND1", "FUND2"])
    for given, left in ((None, {"FUND1", "FUND2"}), ({"FUND2", "FUND3"}, {"FUND2"}), ({"FUND3"}, set())):
        token = Identity("anna", frozenset(Role), None if given is None else frozenset(given))
        assert users.admit(token) == Identity("anna", frozenset({Role.TRADER}), frozenset(left))
    users.close()


def test_the_static_token_may_not_approve_and_the_page_without_users_may_all() -> None:
    assert Role.ADMIN not in MACHINE.roles
    assert LOCAL.roles == frozenset(Role)


async def test_a_user_comes_in_with_the_right_password_only(tmp_path: Path) -> None:
    users = Users(tmp_path / "users.json")
    assert not users.exist()
    users.add("anna", "correct horse", [Role.TRADER])
    assert users.exist()
    assert await users.login("anna", "correct horse") == Identity("anna", frozenset({Role.TRADER}))
    assert await users.login("anna", "correct horsf") is None
    assert await users.login("bob", "correct horse") is None
    assert await users.login("anna", "x" * 2_000) is None
    users.close()


def test_the_file_holds_no_password_and_is_its_owners_only(tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    users = Users(path)
    users.add("anna", "correct horse", [Role.TRADER])
    users.add("bob", "correct horse", [Role.ADMIN, Role.OPS])
    text = path.read_text()
    assert "correct horse" not in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    one, other = (user["password"] for user in json.loads(text)["users"])
    assert one["salt"] != other["salt"]
    assert one["hash"] != other["hash"]
    users.close()


def test_who_is_removed_is_out_at_once_and_lost_roles_are_gone(tmp_path: Path) -> None:
    users, elsewhere = Users(tmp_path / "users.json"), Users(tmp_path / "users.json")
    assert users.admit(LOCAL) == LOCAL
    elsewhere.add("anna", "correct horse", [Role.TRADER])
    assert users.admit(ANNA) == Identity("anna", frozenset({Role.TRADER}))
    assert users.admit(LOCAL) is None
    elsewhere.remove("anna")
    assert users.admit(ANNA) is None
    assert users.exist()
    for made in (users, elsewhere):
        made.close()


@pytest.mark.parametrize(
    ("name", "password", "roles"),
    [
        ("anna", "correct horse", [Role.OPS]),
        ("local", "correct horse", [Role.OPS]),
        ("api", "correct horse", [Role.OPS]),
        ("ims", "correct horse", [Role.OPS]),
        ("a b", "correct horse", [Role.OPS]),
        ("", "correct horse", [Role.OPS]),
        ("x" * 65, "correct horse", [Role.OPS]),
        ("bob", "short", [Role.OPS]),
        ("bob", "correct horse", []),
    ],
)
def test_a_user_that_cannot_be_is_refused_and_the_others_stay(
    tmp_path: Path, name: str, password: str, roles: list[Role]
) -> None:
    users = Users(tmp_path / "users.json")
    users.add("anna", "correct horse", [Role.TRADER])
    with pytest.raises(UsersError):
        users.add(name, password, roles)
    assert [user.name for user in users.all()] == ["anna"]
    with pytest.raises(UsersError, match="no user bob"):
        users.remove("bob")
    users.close()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    path.write_text("{")
    with pytest.raises(UsersError, match="users"):
        Users(path).all()
    path.write_text('{"format": 3, "users": []}')
    with pytest.raises(UsersError, match="newer"):
        Users(path).add("anna", "correct horse", [Role.OPS])
    assert "anna" not in path.read_text()
