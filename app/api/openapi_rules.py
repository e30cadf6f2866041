"""The part of the OpenAPI document that is about rules."""

from typing import Any, Final

from app.analyst.dry_run import MOST_LINES
from app.api import dry_run_answers, rules_answers
from app.api.formats import Form
from app.api.openapi_parts import content, operation, parameter, ref
from app.api.requests import DraftRequest, RevertRequest, StepRequest
from app.rules_desk import TESTED_LINES

RULE_TYPES: Final = (
    DraftRequest,
    RevertRequest,
    StepRequest,
    rules_answers.RuleDocuments,
    rules_answers.RuleVersions,
    rules_answers.RuleVersion,
    rules_answers.RuleText,
    rules_answers.RuleTest,
    rules_answers.RuleImport,
    rules_answers.RuleAudit,
    dry_run_answers.RuleDryRun,
)
_DOCUMENT: Final = {
    "name": "document",
    "in": "path",
    "required": True,
    "description": "The name of a document of rules.",
    "schema": {"type": "string"},
}
_VERSION: Final = {"name": "version", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1}}
_STEPS: Final = {
    "submit": "Ask another person to check a tested version (trader, ops)",
    "approve": "Let a submitted version become active on its date (admin; never who made it)",
    "reject": "Refuse a submitted version for good (admin; never who made it)",
    "withdraw": "Take back a version that is not active yet (who made it, or admin)",
}
_LINES: Final[dict[str, Any]] = {"type": "integer", "minimum": 0, "maximum": MOST_LINES, "default": TESTED_LINES}
_YAML: Final = {"schema": {"type": "string"}}


def rule_paths() -> dict[str, Any]:
    """Path -> operations."""
    version = {"200": content("The version.", "RuleVersion")}
    draft = {"201": content("The draft.", "RuleVersion")}
    return {
        "/api/v1/rules": {
            "get": operation("All documents of rules", {"200": content("Documents.", "RuleDocuments")}, (503,))
        },
        "/api/v1/rules/{document}/versions": {
            "get": operation(
                "All versions of a document, newest first",
                {"200": content("Versions.", "RuleVersions")},
                (404, 503),
                parameters=[_DOCUMENT],
            )
        },
        "/api/v1/rules/{document}/versions/{version}": {
            "get": operation(
                "A version, its text and its history",
                {"200": content("The version.", "RuleText")},
                (404, 503),
                parameters=[_DOCUMENT, _VERSION],
            )
        },
        "/api/v1/rules/{document}/diff": {
            "get": operation(
                "What two versions differ in",
                {"200": {"description": "A unified diff.", "content": {"text/plain": {"schema": {"type": "string"}}}}},
                (404, 422, 503),
                parameters=[
                    _DOCUMENT,
                    parameter("from", "A version; the active one. 0: before the first.", type="integer", minimum=0),
                    parameter("to", "A version; the newest one.", type="integer", minimum=0),
                ],
            )
        },
        "/api/v1/rules/{document}/drafts": {
            "post": operation(
                "A new version (trader, ops); 422 with every problem of the text, each with line and column",
                draft,
                (400, 409, 422, 503),
                parameters=[_DOCUMENT],
                requestBody=_body("DraftRequest"),
            )
        },
        "/api/v1/rules/{document}/revert": {
            "post": operation(
                "A new version with the text of an old one (trader, ops)",
                draft,
                (400, 404, 409, 422, 503),
                parameters=[_DOCUMENT],
                requestBody=_body("RevertRequest"),
            )
        },
        "/api/v1/rules/{document}/versions/{version}/test": {
            "post": operation(
                "What a version would change on the live positions (trader, ops, admin)",
                {"200": content("The version, and the impact.", "RuleTest")},
                (400, 404, 409, 422, 503),
                parameters=[_DOCUMENT, _VERSION],
                requestBody=_body("StepRequest", required=False),
            )
        },
        "/api/v1/rules/{document}/versions/{version}/dry-run": {
            "get": operation(
                "What a version would have decided on the requests of a period, against what was decided",
                {"200": _dry_run()},
                (404, 406, 422, 503),
                parameters=[
                    _DOCUMENT,
                    _VERSION,
                    parameter("from", "A day (UTC) or a moment; seven days before the end."),
                    parameter("to", "A day (UTC), which is in it, or a moment, which is not; now."),
                    parameter("limit", "So many lines of those that differ.", **_LINES),
                ],
            )
        },
        **{
            f"/api/v1/rules/{{document}}/versions/{{version}}/{step}": {
                "post": operation(
                    summary,
                    version,
                    (400, 404, 409, 422, 503),
                    parameters=[_DOCUMENT, _VERSION],
                    requestBody=_body("StepRequest", required=False),
                )
            }
            for step, summary in _STEPS.items()
        },
        "/api/v1/rules/export": {
            "get": operation(
                "All active documents, as they were written, with a line --- between two",
                {"200": {"description": "One YAML stream.", "content": {"application/yaml": {}}}},
                (),
            )
        },
        "/api/v1/rules/import": {
            "post": operation(
                "Drafts of whatever differs from what is active (trader, ops); refused whole where anything is wrong",
                {
                    "200": content("Nothing differs.", "RuleImport"),
                    "201": content("The drafts.", "RuleImport"),
                },
                (400, 422, 503),
                parameters=[parameter("comment", "Why, where the body is YAML.")],
                requestBody={
                    "required": True,
                    "content": {"application/yaml": _YAML, "application/json": {"schema": ref("DraftRequest")}},
                },
            )
        },
        "/api/v1/rules/audit": {
            "get": operation(
                "Who did what when, newest first",
                {"200": content("A page.", "RuleAudit")},
                (422, 503),
                parameters=[
                    parameter("document", "Of this document."),
                    parameter("version", "Of this version.", type="integer", minimum=1),
                    parameter("limit", "At most so many.", type="integer", minimum=1, maximum=1_000, default=100),
                    parameter("cursor", "`next_cursor` of the page before."),
                ],
            )
        },
    }


def _dry_run() -> dict[str, Any]:
    """The lines alone in CSV and Arrow."""
    answer = content("The comparison.", "RuleDryRun")
    text = {"schema": {"type": "string"}}
    answer["content"] |= {Form.CSV.value: text, Form.ARROW.value: text}
    return answer


def _body(name: str, *, required: bool = True) -> dict[str, Any]:
    return {"required": required, "content": {"application/json": {"schema": ref(name)}}}
