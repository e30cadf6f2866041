"""The resources of rules: documents, versions, what is done to them, export and import."""

from difflib import unified_diff
from functools import partial
from typing import ClassVar, Final

import msgspec
from tornado.web import RequestHandler

from app.api.dry_run import DryRuns
from app.api.parameters import Parameters, number
from app.api.problems import Fault, ProblemError
from app.api.requests import DraftRequest, RevertRequest, StepRequest, typed
from app.api.rule_base import LAST, RuleBase, number_or_missing
from app.api.rules_answers import (
    RuleAudit,
    RuleDocuments,
    RuleImport,
    RuleTest,
    RuleVersions,
    document_answer,
    step_answer,
    text_answer,
    version_answer,
)
from app.rules_stream import lines_of

YAML: Final = "application/yaml"
MAX_STEPS: Final = 1_000


class Documents(RuleBase):
    """/api/v1/rules."""

    async def get(self) -> None:
        """Every document: what is active, and what may become so."""
        self.checked_body()
        documents = await self.asked(self.context.rules.documents())
        self.json(RuleDocuments(documents=[document_answer(document) for document in documents.values()]))


class Versions(RuleBase):
    """/api/v1/rules/{document}/versions."""

    async def get(self, name: str) -> None:
        """All versions, newest first."""
        self.checked_body()
        document = await self.asked(self.context.rules.document(name))
        self.json(
            RuleVersions(versions=[version_answer(life) for _, life in sorted(document.lives.items(), reverse=True)])
        )


class Version(RuleBase):
    """/api/v1/rules/{document}/versions/{n}."""

    async def get(self, name: str, text: str) -> None:
        """A version, its text and its history."""
        self.checked_body()
        life, rules = await self.asked(self.context.rules.version(name, number_or_missing(name, text)))
        self.json(text_answer(life, rules))


class Diff(RuleBase):
    """/api/v1/rules/{document}/diff."""

    async def get(self, name: str) -> None:
        """Two versions as a unified text: the active and the newest one, where nothing is said; 0: before the first."""
        self.checked_body()
        parameters = Parameters(self, ("from", "to"))
        read = partial(number, least=0, most=LAST)
        first, second = parameters.read("from", read), parameters.read("to", read)
        parameters.check()
        rules = self.context.rules
        document = await self.asked(rules.document(name))
        active = document.active.version.version if document.active else 0
        first, second = active if first is None else first, document.newest if second is None else second
        before, after = [lines_of(await self.asked(rules.text(name, version))) for version in (first, second)]
        lines = unified_diff(before, after, f"{name} {first}", f"{name} {second}")
        self.answer("".join(lines).encode(), media_type="text/plain; charset=utf-8")


class Drafts(RuleBase):
    """/api/v1/rules/{document}/drafts."""

    async def post(self, name: str) -> None:
        """A new version."""
        request = typed(self.checked_body(), DraftRequest)
        life = await self.asked(self.context.rules.draft(name, request.text, request.comment, self.identity))
        self.json(version_answer(life), 201)


class Revert(RuleBase):
    """/api/v1/rules/{document}/revert."""

    async def post(self, name: str) -> None:
        """A new version with an old one's text."""
        request = typed(self.checked_body(), RevertRequest)
        life = await self.asked(self.context.rules.revert(name, request.to, request.comment, self.identity))
        self.json(version_answer(life), 201)


class Test(RuleBase):
    """/api/v1/rules/{document}/versions/{n}/test."""

    async def post(self, name: str, text: str) -> None:
        """What the version would change on the live positions."""
        request = typed(self.checked_body(), StepRequest)
        version = number_or_missing(name, text)
        life, impact = await self.asked(self.context.rules.test(name, version, request.comment, self.identity))
        self.json(RuleTest(version=version_answer(life), impact=impact))


class Steps(RuleBase):
    """/api/v1/rules/{document}/versions/{n}/submit, /approve, /reject and /withdraw."""

    async def post(self, name: str, text: str, action: str) -> None:
        """The next step of a version's life."""
        request = typed(self.checked_body(), StepRequest)
        rules = self.context.rules
        step = {"submit": rules.submit, "approve": rules.approve, "reject": rules.reject, "withdraw": rules.withdraw}[
            action
        ]
        life = await self.asked(step(name, number_or_missing(name, text), request.comment, self.identity))
        self.json(version_answer(life))


class Export(RuleBase):
    """/api/v1/rules/export."""

    async def get(self) -> None:
        """Every active document, as it was written, with a line `---` between two."""
        self.checked_body()
        self.set_header("Content-Disposition", 'attachment; filename="rules.yaml"')
        self.answer(self.context.rules.export().encode(), media_type=YAML)


class Import(RuleBase):
    """/api/v1/rules/import."""

    media_types: ClassVar = ("application/json", YAML)

    async def post(self) -> None:
        """Drafts of whatever differs from what is active; refused whole where anything is wrong."""
        body = self.checked_body()
        parameters = Parameters(self, ("comment",))
        comment = parameters.read("comment", str) or ""
        parameters.check()
        if self.request.headers.get("Content-Type", "").startswith(YAML):
            try:
                request = msgspec.convert({"text": body.decode(), "comment": comment}, DraftRequest)
            except UnicodeDecodeError as error:
                raise ProblemError(400, "malformed", f"not UTF-8: {error}") from error
            except msgspec.ValidationError as error:
                raise ProblemError(422, "invalid", "", (Fault(str(error), parameter="comment"),)) from error
        else:
            request = typed(body, DraftRequest)
        lives = await self.asked(self.context.rules.import_stream(request.text, request.comment, self.identity))
        self.json(RuleImport(versions=[version_answer(life) for life in lives]), 201 if lives else 200)


class Audit(RuleBase):
    """/api/v1/rules/audit."""

    async def get(self) -> None:
        """What was done, newest first."""
        self.checked_body()
        parameters = Parameters(self, ("document", "version", "limit", "cursor"))
        document = parameters.read("document", str)
        version = parameters.read("version", partial(number, least=1, most=LAST))
        limit = parameters.read("limit", partial(number, least=1, most=MAX_STEPS)) or 100
        before = parameters.read("cursor", partial(number, least=1, most=2**62))
        parameters.check()
        steps = await self.asked(self.context.rules.audit(document, version, before, limit + 1))
        cursor = str(steps[limit - 1].entry) if len(steps) > limit else None
        self.json(RuleAudit(steps=[step_answer(step) for step in steps[:limit]], next_cursor=cursor))


RESOURCES: Final[tuple[tuple[str, type[RequestHandler]], ...]] = (
    (r"/api/v1/rules", Documents),
    (r"/api/v1/rules/export", Export),
    (r"/api/v1/rules/import", Import),
    (r"/api/v1/rules/audit", Audit),
    (r"/api/v1/rules/([^/]+)/versions", Versions),
    (r"/api/v1/rules/([^/]+)/diff", Diff),
    (r"/api/v1/rules/([^/]+)/drafts", Drafts),
    (r"/api/v1/rules/([^/]+)/revert", Revert),
    (r"/api/v1/rules/([^/]+)/versions/([^/]+)", Version),
    (r"/api/v1/rules/([^/]+)/versions/([^/]+)/test", Test),
    (r"/api/v1/rules/([^/]+)/versions/([^/]+)/dry-run", DryRuns),
    (r"/api/v1/rules/([^/]+)/versions/([^/]+)/(submit|approve|reject|withdraw)", Steps),
)
"""Path and handler, in the order in which they are tried."""
