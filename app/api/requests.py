"""Bodies of requests -> typed lines, or a problem that names every field that is wrong."""

from functools import cache
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from app.api.problems import Fault, ProblemError, pointer
from engine.locates import Name, Quantity, Remark
from feeds.said_twice import said_twice

T = TypeVar("T", bound=Struct)

MAX_LINES: Final = 1_000
_MAX_FAULTS: Final = 100


Comment = Annotated[str, Meta(max_length=2_000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
"""Lines of text."""


class DraftRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text of rules, and what is to be said of it."""

    text: str
    comment: Comment = ""


class StepRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be said of a step."""

    comment: Comment = ""


class RevertRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Back to which version."""

    to: Annotated[int, Meta(ge=1)]
    comment: Comment = ""


class ApproveRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much a person grants of a pending request; all that is asked for where it is not said."""

    quantity: Quantity | None = None
    comment: Remark = ""


class RejectRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a person refuses."""

    comment: Remark = ""


class AskRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person wants to know before deciding."""

    comment: Annotated[str, Meta(min_length=1, max_length=400, pattern=r"^[^\x00-\x1f\x7f]*$")]


class ActionsRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same for many locates."""

    action: Annotated[
        Literal["approve", "reject", "ask", "release", "cancel"], Meta(description="What to do with each.")
    ]
    ids: Annotated[list[str], Meta(min_length=1, max_length=1_000, description="Ids of locates, each once.")]
    comment: Remark = ""


class EndRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who ends a locate, and why; all of it optional."""

    requested_by: Name = ""
    comment: Remark = ""


def lines(body: bytes, kind: type[T]) -> tuple[list[T], bool]:
    """The lines, and whether it was a single object. Raises `ProblemError`."""
    many = body.lstrip()[:1] == b"["
    one_decoder, many_decoder = _decoders(kind)
    try:
        found: list[T] = many_decoder.decode(body) if many else [one_decoder.decode(body)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _problem(body, kind, error) from error
    _refuse_repeated(body)
    if not many:
        return found, True
    if not 0 < len(found) <= MAX_LINES:
        raise _invalid([Fault(f"Expected 1 to {MAX_LINES:,} lines, got {len(found):,}", pointer="")])
    return found, False


@cache
def _decoders(kind: type[Struct]) -> tuple[msgspec.json.Decoder[Any], msgspec.json.Decoder[Any]]:
    """Of one line, and of a list of them."""
    return msgspec.json.Decoder(kind), msgspec.json.Decoder(list[kind])  # type: ignore[valid-type]


def end_request(body: bytes) -> EndRequest:
    """The body of a release or cancel; none is as good as an empty object. Raises `ProblemError`."""
    return typed(body, EndRequest)


def typed(body: bytes, kind: type[T]) -> T:
    """The body as a type; none is as good as an empty object. Raises `ProblemError`."""
    body = body if body.strip() else b"{}"
    try:
        value = msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _problem(body, kind, error) from error
    _refuse_repeated(body)
    return value


def _refuse_repeated(body: bytes) -> None:
    """Raises `ProblemError` for a field that is said twice in one object."""
    try:
        repeated = said_twice(body)
    except RecursionError as error:
        raise ProblemError(400, "malformed", str(error)) from error
    if repeated:
        raise _invalid([Fault("Said more than once", pointer=pointer(*path)) for path in repeated])


def _problem(body: bytes, kind: type[Struct], error: Exception) -> ProblemError:
    """The slow way, taken by wrong requests only: every fault instead of the first."""
    if not isinstance(error, msgspec.ValidationError):
        return ProblemError(400, "malformed", str(error))
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as malformed:
        return ProblemError(400, "malformed", str(malformed))
    faults: list[Fault] = []
    if isinstance(value, list):
        for number, line in enumerate(value):
            faults += _faults(line, kind, number)
    else:
        faults = _faults(value, kind)
    return _invalid(faults or [Fault(str(error), pointer="")])


def _invalid(faults: list[Fault]) -> ProblemError:
    shown = tuple(faults[:_MAX_FAULTS])
    count = f"{len(faults):,} fields are" if len(faults) > 1 else "one field is"
    return ProblemError(422, "invalid", f"{count} wrong", shown)


def _faults(value: Any, kind: type[Struct], *at: int) -> list[Fault]:
    if not isinstance(value, dict):
        return [Fault("Expected `object`", pointer=pointer(*at))]
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    faults = [Fault("Unknown field", pointer=pointer(*at, name)) for name in value if name not in fields]
    for name, field in fields.items():
        if name not in value:
            if field.required:
                faults.append(Fault("Missing", pointer=pointer(*at, name)))
            continue
        try:
            msgspec.convert(value[name], field.type)
        except msgspec.ValidationError as error:
            faults.append(Fault(str(error), pointer=pointer(*at, name)))
    return faults
