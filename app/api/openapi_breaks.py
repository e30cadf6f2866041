"""Breaks in the OpenAPI document."""

from typing import Any, Final

from app.api.openapi_parts import content, listed, operation, parameter, ref
from app.breaks import answers, requests
from app.breaks.elsewhere import Overdrawn
from app.breaks.handlers import LONGEST_TEXT, MAX_PAGE
from app.breaks.life import State
from app.breaks.listing import ORDERS
from app.breaks.several import AdjustState
from app.breaks.sides import BreakSides
from engine.break_kinds import BreakKind, Severity

BREAK_TYPES: Final = (
    answers.BreakPage,
    answers.BreakDetail,
    answers.BreakSummary,
    BreakSides,
    answers.BreakGroup,
    answers.BreakGroups,
    answers.BreakMatch,
    answers.AdjustmentAnswer,
    answers.AdjustmentPage,
    answers.ActionResults,
    Overdrawn,
    *requests.REQUEST_TYPES,
)
_ID: Final = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^B[0-9]{10}$"}}
_EXAMPLE: Final = "B0000000017"


def _named(name: str, letter: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "string", "pattern": f"^{letter}[0-9]{{10}}$"},
    }


def _body(kind: str, /, **example: Any) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": ref(kind), "example": example}}}


def _some(name: str, of: type[BreakKind] | type[Severity] | type[State] | type[AdjustState]) -> dict[str, Any]:
    return parameter(name, f"Any of these, with commas between them: {', '.join(of)}.")


def break_paths() -> dict[str, Any]:
    """Path -> operations."""
    detail = {"200": content("The break.", "BreakDetail")}
    base = "/api/v1/breaks"
    return _read(base, detail) | _steps(base, detail) | _several(base) | _adjustments(base)


def _read(base: str, detail: dict[str, Any]) -> dict[str, Any]:
    texts = {
        "market": "Of this market.",
        "security": "By any of its names.",
        "depot": "Of this depot.",
        "book": "Of this book.",
        "client": "Of this client's books.",
        "owner": "Whose it is; - for nobody's.",
        "group": "Of this group.",
    }
    filters = [
        _some("kind", BreakKind),
        _some("severity", Severity),
        _some("state", State),
        *(parameter(name, told, minLength=1) for name, told in texts.items()),
        parameter("held", "Whether shares are kept back for it.", enum=["true", "false"]),
        parameter("age_min", "Business days of its market, at least.", type="integer", minimum=0),
        parameter("value_min", "In the reporting currency, whatever its sign, at least.", type="integer", minimum=0),
        parameter(
            "text",
            "Only what has every word of it, in whatever letter case: as an identifier of its security (present or "
            "former, in whole), or anywhere in its id, kind, title, causes, owner, group, or the names of what it is "
            "about (security, ISIN, name, market, book, depot, type, client, unit, counterparty, contract, number, "
            "feed, source, topic, reason).",
            minLength=1,
            maxLength=LONGEST_TEXT,
        ),
        parameter("order", "What comes first: by default that on which most hangs.", enum=list(ORDERS), default="rank"),
        parameter("limit", "At most so many.", type="integer", minimum=1, maximum=MAX_PAGE, default=100),
        parameter("cursor", "`next_cursor` (or the header Next-Cursor) of the page before.", type="integer", minimum=0),
    ]
    told = {"type": "array", "items": ref("Overdrawn")}
    limits = {"200": {"description": "Those below zero.", "content": {"application/json": {"schema": told}}}}
    return {
        base: {
            "get": operation(
                "What does not agree, that on which most hangs first; resolved ones where they are asked for",
                {"200": listed("A page; the same rows in every form.", "BreakPage")},
                (406, 422, 503),
                parameters=filters,
            )
        },
        f"{base}/summary": {
            "get": operation("Breaks in numbers", {"200": content("By kind.", "BreakSummary")}, (422, 503))
        },
        f"{base}/overdrawn": {
            "get": operation("Limits of which more was used than there is", limits, (422, 503)),
        },
        f"{base}/{{id}}": {
            "get": operation("A break, its history, and what hangs on it", detail, (404, 422, 503), parameters=[_ID])
        },
        f"{base}/{{id}}/sides": {
            "get": operation(
                "Both sides: rows with their ladders, the events that made them, and when they last agreed",
                {"200": content("Beside each other.", "BreakSides")},
                (404, 422, 503),
                parameters=[_ID],
            )
        },
    }


def _steps(base: str, detail: dict[str, Any]) -> dict[str, Any]:
    steps: dict[str, tuple[str, dict[str, Any]]] = {
        "assign": ("Say whose it is", _body("AssignRequest", owner="anna")),
        "comment": ("Say something of it", _body("CommentRequest", comment="The custodian was asked.")),
        "acknowledge": ("It has been seen", _body("NoteRequest")),
        "hold": ("Keep shares out of what is available until it is solved", _body("HoldRequest", quantity=1_000)),
        "return": ("What was kept back is available again", _body("NoteRequest")),
    }
    found = {
        f"{base}/{{id}}/{name}": {
            "post": operation(summary, detail, (404, 409, 422, 503), parameters=[_ID], requestBody=body)
        }
        for name, (summary, body) in steps.items()
    }
    many = {
        "200": content("All of them could take it.", "ActionResults"),
        "207": content("Some could not: see each.", "ActionResults"),
    }
    body = _body("BreakActionsRequest", action="acknowledge", ids=[_EXAMPLE])
    return found | {
        f"{base}/actions": {"post": operation("The same step for many breaks", many, (422, 503), requestBody=body)}
    }


def _several(base: str) -> dict[str, Any]:
    bad = (404, 409, 422, 503)
    group, match = {"200": content("The group.", "BreakGroup")}, {"200": content("The match.", "BreakMatch")}
    return {
        f"{base}/groups": {
            "get": operation(
                "Groups that were not dissolved, the newest first",
                {"200": content("At most 1,000.", "BreakGroups")},
                (422, 503),
            ),
            "post": operation(
                "Breaks that belong together",
                {"201": content("The group.", "BreakGroup")},
                bad,
                requestBody=_body("GroupRequest", ids=[_EXAMPLE], name="Outage of the depository"),
            ),
        },
        f"{base}/groups/{{group}}/dissolve": {
            "post": operation(
                "No group any more", group, bad, parameters=[_named("group", "G")], requestBody=_body("NoteRequest")
            )
        },
        f"{base}/matches": {
            "post": operation(
                "Breaks that explain each other: they come to nothing, or are forced to, with a reason",
                {"201": content("The match.", "BreakMatch")},
                bad,
                requestBody=_body("MatchRequest", ids=[_EXAMPLE, "B0000000018"]),
            )
        },
        f"{base}/matches/{{match}}/undo": {
            "post": operation(
                "What it had resolved is open again",
                match,
                bad,
                parameters=[_named("match", "M")],
                requestBody=_body("NoteRequest"),
            )
        },
    }


def _adjustments(base: str) -> dict[str, Any]:
    bad = (404, 409, 422, 503)
    asked = _body(
        "AdjustRequest", book="B1", position_type="FIRM", depot="DTC", quantity=-1_000, comment="never bought"
    )
    found = {
        f"{base}/{{id}}/adjust": {
            "post": operation(
                "Ask for a change of our own books, which a second person approves",
                {"201": content("It waits.", "AdjustmentAnswer")},
                bad,
                parameters=[_ID],
                requestBody=asked,
            )
        },
        f"{base}/adjustments": {
            "get": operation(
                "Changes of our own books that were asked for, the newest first",
                {"200": content("All of them.", "AdjustmentPage")},
                (422, 503),
                parameters=[_some("state", AdjustState)],
            )
        },
    }
    for name, told in (
        ("approve", "A second person lets it into the books"),
        ("reject", "A second person refuses it"),
        ("withdraw", "Who asked thinks better of it"),
    ):
        found[f"{base}/adjustments/{{adjustment}}/{name}"] = {
            "post": operation(
                told,
                {"200": content("The adjustment.", "AdjustmentAnswer")},
                bad,
                parameters=[_named("adjustment", "A")],
                requestBody=_body("NoteRequest"),
            )
        }
    return found
