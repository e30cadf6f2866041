"""Which texts a column has, among the rows that pass a filter: what a person chooses from."""

import numpy as np

from app.gateway.messages import Values, ValuesFound
from engine.views import Inventory, Query


def of(inventory: Inventory, query: Query, asked: Values, now_ns: int) -> ValuesFound:
    """The answer to a request. Raises `QueryError`, `TornReadError`. Takes a pass over the table: not for the event loop."""
    found = inventory.membership(query, now_ns)
    assert found.grouping is not None, "the query is grouped by the column"
    texts, labels, rows = found.grouping.texts[0], found.grouping.labels[0], found.grouping.rows
    if asked.search:
        fits = texts.containing(asked.search)[labels]
        labels, rows = labels[fits], rows[fits]
    shown = texts.labels[labels[: asked.limit]].tolist()
    named = [label.decode("utf-8", "replace") for label in shown]
    return ValuesFound(
        r=asked.r,
        column=asked.column,
        values=list(zip(named, rows[: asked.limit].tolist(), strict=True)),
        distinct=len(labels),
        rows=int(np.sum(rows)),
    )
