"""All documents of rules as one YAML stream: their texts as they were written, with a line `---` between two."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from msgspec import Struct

from engine.rule_model import Document, Problem

SEPARATOR: Final = "---\n"
RESERVED: Final = frozenset({"audit", "export", "import"})
"""Words of the API's addresses, where documents have their names."""
_MARK: Final = re.compile(r"(?m)^(?:---|\.\.\.)(?=\s|$)")
_NAME: Final = re.compile(r"""(?m)^document:[ \t]*["']?([A-Za-z0-9_-]+)""")


class Part(Struct, frozen=True):
    """One document of a stream; `line`: the number of the stream's lines before it."""

    name: str
    text: str
    line: int


def join(documents: Sequence[Document]) -> str:
    """The stream. Each text ends with a line's end and holds no mark of a document (`text_problems`)."""
    return SEPARATOR.join(document.text for document in documents)


def split(stream: str) -> list[Part]:
    """What `join` was given, texts byte for byte; a document that says no name gets one that no document can have."""
    texts: list[list[str]] = [[]]
    for line in lines_of(stream):
        if line == SEPARATOR:
            texts.append([])
        else:
            texts[-1].append(line)
    parts, before = [], 0
    for number, lines in enumerate(texts, start=1):
        text = "".join(lines)
        found = _NAME.search(text)
        parts.append(Part(found[1] if found else f"#{number}", text, before))
        before += len(lines) + 1
    return parts


def lines_of(text: str) -> list[str]:
    """Lines with their ends. Not `splitlines`, which knows more ends of a line than YAML and people do."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def text_problems(name: str, text: str) -> list[Problem]:
    """What would keep a text from coming back from a stream as it was."""
    problems = [
        Problem(name, text.count("\n", 0, mark.start()) + 1, 1, f"one document at a time: a line begins with {mark[0]}")
        for mark in _MARK.finditer(text)
    ]
    if not text.strip():
        problems.append(Problem(name, 0, 0, "is empty"))
    if "\0" in text or text.startswith("\ufeff"):
        problems.append(Problem(name, 1, 1, "holds bytes that are no text of YAML"))
    return problems


def part_problems(parts: Sequence[Part]) -> list[Problem]:
    """What is wrong with parts before anybody has read their rules; lines are the stream's."""
    problems: list[Problem] = []
    names = [part.name for part in parts]
    for number, part in enumerate(parts):
        wrong = text_problems(part.name, part.text)
        if part.name.startswith("#"):
            wrong.append(Problem(part.name, 1, 1, "says no name: document"))
        elif part.name in RESERVED:
            wrong.append(Problem(part.name, 1, 1, "no document can have this name"))
        elif part.name in names[:number]:
            wrong.append(Problem(part.name, 1, 1, "there are two documents of this name"))
        problems += [moved(problem, part.line) for problem in wrong]
    return problems


def moved(problem: Problem, lines: int) -> Problem:
    """The same with so many lines before it."""
    return replace(problem, line=problem.line + lines) if problem.line else problem


def whole_lines(text: str) -> str:
    """The text with the end of its last line, which editors like to leave out."""
    return text if text.endswith("\n") or not text else text + "\n"
