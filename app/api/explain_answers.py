"""What /api/v1/explain answers, as types: the OpenAPI document is made from them."""

import datetime as dt
from typing import Annotated

from msgspec import Meta, Struct

from app.api.answers import percent, time_of
from engine.explain import Explanation, Input
from engine.explain_returns import is_overborrow, suggested_returns
from engine.explain_rows import Rows
from engine.explain_split import By, split
from engine.rule_model import WEIGHT_UNIT, Unit


class RowAnswer(Struct, frozen=True, kw_only=True):
    """A row of the position table."""

    book: str
    client: str
    entity: str
    aggregation_unit: str
    depot: str
    kind: str
    gives: Annotated[int, Meta(description="What it adds to the input's quantity on that day.")]
    projected: Annotated[int, Meta(description="Its quantity on that day.")]
    td: int
    sd: int


class RuleAnswer(Struct, frozen=True, kw_only=True):
    """The rule that gives an input its weight, as it stands."""

    id: str
    document: str
    version: int
    note: str


class InputAnswer(Struct, frozen=True, kw_only=True):
    """What a calculation takes in."""

    name: str
    title: str
    kind: Annotated[str, Meta(description="rows, decided, fact, clock or calculation")]
    category: str
    stability: str
    measure: str
    condition: Annotated[str, Meta(description="Which rows it is from, as SQL; empty where it is from none.")]
    quantity: int
    weight: Annotated[float | None, Meta(description="Null: the expression names it, and it is not part of the total.")]
    share: Annotated[int, Meta(description="What it adds to the total: weighed and rounded down by its size.")]
    rule: RuleAnswer | None
    rows: Annotated[list[RowAnswer], Meta(description="Just those that contribute: what they give is the quantity.")]
    calculation: Annotated["ExplanationAnswer | None", Meta(description="The number inside this number, explained.")]


class ExplanationAnswer(Struct, frozen=True, kw_only=True):
    """A number and all that it is made of: the shares add up to `total`, of which the expression makes `value`."""

    calculation: str
    title: str
    description: str
    scope: str
    client: str | None
    aggregation_unit: str | None
    day: int
    date: dt.date
    unit: Annotated[str, Meta(description="shares; money, reporting: hundredths of a currency; basis_points")]
    currency: Annotated[str | None, Meta(description="Of an amount in the security's currency.")]
    expression: str
    total: int
    value: int
    inputs: list[InputAnswer]


class GroupAnswer(Struct, frozen=True, kw_only=True):
    """A part of the value. An empty group: rows that have none; `limit`: what the expression holds the number by."""

    group: str
    quantity: int


class SplitAnswer(Struct, frozen=True, kw_only=True):
    """The value by groups that add up to it."""

    by: By
    groups: list[GroupAnswer]


class ReturnAnswer(Struct, frozen=True, kw_only=True):
    """A borrow to give back, the dearest first."""

    book: str
    depot: str
    rate_percent: Annotated[float | None, Meta(description="A year; null where nobody said.")]
    borrowed: int
    quantity: int


class ExplainAnswer(Struct, frozen=True, kw_only=True):
    """An explanation, all of one moment."""

    security: str
    market: str
    rules: Annotated[dict[str, int], Meta(description="The documents in force and their versions.")]
    as_of: Annotated[dt.datetime | None, Meta(description="The newest event that is in the numbers, of any security.")]
    explanation: ExplanationAnswer
    split: SplitAnswer | None
    suggested_returns: Annotated[list[ReturnAnswer] | None, Meta(description="Of the number that plays overborrow.")]


def explain_answer(explanation: Explanation, by: By | None) -> ExplainAnswer:
    """What a program is told of an explanation."""
    copy = explanation.copy
    return ExplainAnswer(
        security=bytes(copy.record["code"]).decode(),
        market=copy.market.code,
        rules={document.name: document.version for document in copy.catalogue.documents},
        as_of=time_of(copy.as_of_ns) if copy.as_of_ns > 0 else None,
        explanation=_explanation(explanation),
        split=None if by is None else _split(explanation, by),
        suggested_returns=_returns(explanation) if is_overborrow(explanation) else None,
    )


def _explanation(explanation: Explanation) -> ExplanationAnswer:
    info, copy = explanation.calculation, explanation.copy
    return ExplanationAnswer(
        calculation=info.name,
        title=info.title,
        description=info.description,
        scope=info.scope,
        client=explanation.client,
        aggregation_unit=explanation.aggregation_unit,
        day=explanation.day,
        date=copy.days[explanation.day],
        unit=info.unit,
        currency=bytes(copy.record["currency"]).decode() if info.unit == Unit.MONEY else None,
        expression=info.expression,
        total=explanation.total,
        value=explanation.value,
        inputs=[_input(each, explanation) for each in explanation.inputs],
    )


def _input(given: Input, explanation: Explanation) -> InputAnswer:
    rule = RuleAnswer(id=given.rule, document=given.document, version=given.version, note=given.note)
    places = zip(given.rows.tolist(), given.given.tolist(), strict=True)
    return InputAnswer(
        name=given.name,
        title=given.title,
        kind=given.kind,
        category=given.category,
        stability=given.stability,
        measure=given.measure,
        condition=given.condition,
        quantity=given.quantity,
        weight=None if given.weight is None else given.weight / WEIGHT_UNIT,
        share=given.share,
        rule=rule if given.rule else None,
        rows=[_row(explanation.copy.rows, place, gives, explanation.day) for place, gives in places],
        calculation=None if given.nested is None else _explanation(given.nested),
    )


def _row(rows: Rows, place: int, gives: int, day: int) -> RowAnswer:
    record = rows.record[place]
    return RowAnswer(
        book=rows.book[place],
        client=rows.client[place],
        entity=rows.entity[place],
        aggregation_unit=rows.aggregation_unit[place],
        depot=rows.depot[place],
        kind=rows.kind[place],
        gives=gives,
        projected=int(rows.projected[place, day]),
        td=int(record["td"]),
        sd=int(record["sd"]),
    )


def _split(explanation: Explanation, by: By) -> SplitAnswer:
    groups = split(explanation, by).items()
    return SplitAnswer(by=by, groups=[GroupAnswer(group=name, quantity=quantity) for name, quantity in groups])


def _returns(explanation: Explanation) -> list[ReturnAnswer]:
    rows = explanation.copy.rows
    return [
        ReturnAnswer(
            book=rows.book[each.row],
            depot=rows.depot[each.row],
            rate_percent=percent(each.rate),
            borrowed=each.borrowed,
            quantity=each.quantity,
        )
        for each in suggested_returns(explanation.copy, explanation.day)
    ]
