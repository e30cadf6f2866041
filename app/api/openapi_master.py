"""The part of the OpenAPI document that is about the security master."""

from typing import Any, Final

from app.api import master_answers as told
from app.api.openapi_parts import content, operation, parameter, ref

MASTER_TYPES: Final = (
    told.DecideRequest,
    told.MergeRequest,
    told.SplitRequest,
    told.NamedAnswer,
    told.SecurityAnswer,
    told.HistoryOfSecurity,
    told.ExceptionPage,
    told.ExceptionHistory,
    told.OutcomeAnswer,
    told.Compositions,
    told.Counterparties,
)
_SECURITY: Final = {
    "name": "security",
    "in": "path",
    "required": True,
    "description": "Code, ISIN, CUSIP, SEDOL, FIGI, RIC or TICKER@MARKET; also a former one.",
    "schema": {"type": "string"},
}
_EXCEPTION: Final = {"name": "exception", "in": "path", "required": True, "schema": {"type": "string"}}
_DECIDED: Final = {
    "200": content("Carried out.", "OutcomeAnswer"),
    "202": content("Written down; it waits for the process that carries it out.", "OutcomeAnswer"),
}


def master_paths() -> dict[str, Any]:
    """Path -> operations."""
    return {
        "/api/v1/securities": {
            "get": operation(
                "Our code of the security with a name, now or formerly; nothing is no error",
                {"200": content("The code, or none.", "NamedAnswer")},
                (404, 422, 503),
                parameters=[
                    parameter("name", "Code, ISIN, CUSIP, SEDOL, FIGI, RIC, BBG or TICKER@MARKET, whole.")
                    | {"required": True}
                ],
            )
        },
        "/api/v1/securities/exceptions": {
            "get": operation(
                "Identifiers that sources differ on or securities share, and what of their records cannot be used",
                {"200": content("A page.", "ExceptionPage")},
                (404, 422, 503),
                parameters=[
                    parameter("state", "In this state.", enum=["open", "decided", "closed"]),
                    parameter("security", "Of this security, by any of its names."),
                    parameter("limit", "At most so many.", type="integer", minimum=1, maximum=1_000, default=100),
                    parameter("cursor", "`next_cursor` of the page before."),
                ],
            )
        },
        "/api/v1/securities/exceptions/{exception}": {
            "get": operation(
                "One exception, its states and decisions",
                {"200": content("The exception.", "ExceptionHistory")},
                (404, 503),
                parameters=[_EXCEPTION],
            )
        },
        "/api/v1/securities/exceptions/{exception}/decide": {
            "post": _deciding("Which value is right (a person; ops, admin)", "DecideRequest", _EXCEPTION)
        },
        "/api/v1/securities/{security}": {
            "get": operation(
                "The golden record, whose word each field is, every identifier, and what is open",
                {"200": content("The security.", "SecurityAnswer")},
                (404, 503),
                parameters=[_SECURITY],
            )
        },
        "/api/v1/securities/{security}/history": {
            "get": operation(
                "Versions, decisions and moved positions, the newest first",
                {"200": content("The history.", "HistoryOfSecurity")},
                (404, 503),
                parameters=[_SECURITY],
            )
        },
        "/api/v1/securities/{security}/composition": {
            "get": operation(
                "Pricing and creation baskets of an index or a fund",
                {"200": content("The baskets.", "Compositions")},
                (404, 503),
                parameters=[_SECURITY],
            )
        },
        "/api/v1/securities/{security}/merge": {
            "post": _deciding(
                "It becomes another security, with its names and positions (a person; ops, admin)",
                "MergeRequest",
                _SECURITY,
            )
        },
        "/api/v1/securities/{security}/split": {
            "post": _deciding(
                "Positions of a book or depot go to another security, or a merge is taken back (a person; ops, admin)",
                "SplitRequest",
                _SECURITY,
            )
        },
        "/api/v1/counterparties": {
            "get": operation("Whom we deal with", {"200": content("By code.", "Counterparties")}, (404, 503))
        },
    }


def _deciding(summary: str, body: str, of: dict[str, Any]) -> dict[str, Any]:
    request = {"required": True, "content": {"application/json": {"schema": ref(body)}}}
    return operation(summary, _DECIDED, (400, 404, 409, 422, 503), parameters=[of], requestBody=request)
