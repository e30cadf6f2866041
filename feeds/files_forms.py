"""The forms of batch files, one per feed of the registry, and what is particular to a feed's files."""

from dataclasses import replace
from functools import cache
from typing import Final

from engine.model import Kind
from feeds.files_columns import Column, FileForm, form_of
from feeds.registry import AVAILABILITY, FEEDS, Feed, Reader

STATES: Final = frozenset(
    {"reference", "availability", "prices", "positions", "depots", "external", "attributes", "fx"}
)
"""Feeds whose files say how things are, so that an older content can come again; those of the others say what has happened,
and a content that was loaded once is never loaded again."""
_BEGINNING: Final = {"positions": ("position", "book"), "locates": ("new", ""), "order_requests": ("new", "")}
"""Feed -> the sort of rows in a file without the column that says it, and the record that goes before each book's."""
_KEYS: Final = {
    "reference": ("type", "code"),
    "fx": ("code",),
    "positions": ("type", "sec", "book", "depot", "kind"),
    "locates": ("id",),
    "order_requests": ("id",),
}
"""Columns that name a row of a file: it must not come twice with different values. A row whose are empty has no name."""
_ANY_KIND: Final = {"prices": Kind.FIRM.name}
SOURCE_PREFIX: Final = "file."


def feeds() -> tuple[Feed, ...]:
    """Those whose files can be dropped."""
    return FEEDS


@cache
def form(feed: Feed) -> FileForm:
    """The columns of its files."""
    values = {}
    if feed.permitted is not None:
        values = {
            "op": tuple(op.name for op in feed.permitted.ops),
            "kind": tuple(kind.name for kind in feed.permitted.kinds),
        }
    if feed.name in _ANY_KIND:
        values["kind"] = (_ANY_KIND[feed.name],)  # no row is touched: any name will do
    made = form_of(feed.name, feed.records, values)
    default, begins = _BEGINNING.get(feed.name, ("", ""))
    return replace(made, default=default, begins=begins, asks=feed.reader == Reader.ENGINE)


def key(feed: Feed) -> tuple[str, ...]:
    """Columns that name a row; none where only whole rows can be compared."""
    return _KEYS.get(feed.name, ())


def source(feed: Feed) -> str:
    """The source of rows that have no number of their own."""
    return f"{SOURCE_PREFIX}{feed.name}"


def described(feed: Feed) -> str:
    """The form of a feed's files for a person: its columns, in Markdown."""
    shape = form(feed)
    lines = [f"### {feed.name}: {feed.title}", ""]
    if feed.index == AVAILABILITY:
        return "\n".join([*lines, _AVAILABILITY, ""])
    for tag, columns in shape.sorts.items():
        title = (shape.titles or {}).get(tag, "")
        if tag:
            lines += [f"Rows with `{shape.tag}` = `{tag}`: {title}", ""]
        lines += ["| column | needed | a cell is | means |", "|---|---|---|---|"]
        lines += [_row(column) for column in columns] + [""]
    if shape.default:
        told = f"A file without the column `{shape.tag}` has {shape.default} rows only"
        if shape.begins:
            told += ", and is the whole start of day of every book in it: each is emptied before its first row"
        lines += [f"{told}.", ""]
    if shape.asks:
        lines += [
            "The rows are carried out in their order; the answer to each is in `NAME.answers.csv` beside the report.",
            "",
        ]
    if shape.numbered:
        told = f"Without `src` and `seq` the loader numbers the rows itself, as `{source(feed)}`; without `ts`"
        lines += [f"{told} they are of the time at which the file was taken.", ""]
    return "\n".join(lines)


_AVAILABILITY: Final = """The published file of a lender, as `--availability` reads it: bars between cells, no header of names.

    #BOF|2022.08.06|22:30:03
    #SYM|CUR|NAME|CON|ISIN|REBATERATE|FEERATE|AVAILABLE|          (maybe FIGI| at the end)
    AAC U|USD|ARES ACQUISITION CORP|468799337|KYG330321145|1.1000|1.2200|30000|
    #EOF|17461"""


def _row(column: Column) -> str:
    told = column.expected.removesuffix(", or nothing").replace("|", "\\|")
    meaning = column.meaning + (f" Else {column.default}." if column.default else "")
    return f"| `{column.name}` | {'yes' if column.required else ''} | {told} | {meaning.strip()} |"
