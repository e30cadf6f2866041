"""No code of a market and no name of a calculation outside the files that define them.

Comments and docstrings are prose and may say what they like. A name that is one English word means a calculation only
where it stands alone between quotes; a name with an underscore also as an identifier and inside longer texts.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest
import yaml

ROOT: Final = Path(__file__).parents[1]
FOLDERS: Final = ("app", "assets", "engine", "feeds", "layouts")
OWN: Final = {"engine/rule_model.py"}
"""Roles are words of the engine's own; a calculation may be called like the role it plays."""
_JS_STRING: Final = re.compile(r""""(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`""", re.DOTALL)
_JS_COMMENT: Final = re.compile(r"/\*.*?\*/|(?<![:\"'`])//[^\n]*", re.DOTALL)
_MARKUP_COMMENT: Final = re.compile(r"<!--.*?-->|/\*.*?\*/|\{#.*?#\}", re.DOTALL)
_QUOTED: Final = re.compile(r""""[^"\n]*"|'[^'\n]*'""")
_LANGUAGE: Final = re.compile(r"\b[a-z]{2}-[A-Z]{2}\b")
"""How numbers are written there, not a market."""
_WORD: Final = re.compile(r"[A-Za-z0-9_]+")


@cache
def market_codes() -> set[str]:
    return {str(market["code"]) for market in yaml.safe_load((ROOT / "assets" / "markets.yaml").read_text())}


@cache
def calculation_names() -> set[str]:
    documents = [yaml.safe_load(path.read_text()) for path in (ROOT / "assets" / "rules").glob("*.yaml")]
    return {name for document in documents for name in document.get("calculations") or {}}


class Search:
    """What to look for, and how a place that has it is told."""

    def __init__(self, codes: set[str], names: set[str]) -> None:
        self.codes = codes
        self.compound = {name for name in names if "_" in name}
        self.plain = names - self.compound

    def in_text(self, text: str) -> set[str]:
        """Names in what stands between two quotes."""
        words = set(_WORD.findall(_LANGUAGE.sub("", text)))
        # a column of a day is called like its calculation, with the day behind it
        days = {re.sub(r"_?\d$", "", word) for word in words}
        alone = re.sub(r"\.\d$", "", text.strip())
        return (words & self.codes) | ((words | days) & self.compound) | ({alone} & self.plain)

    def in_identifier(self, name: str) -> set[str]:
        return {name} & (self.codes | self.compound)

    def python(self, source: str) -> Iterator[tuple[int, str]]:
        """Line and name of everything found in Python."""
        tree = ast.parse(source)
        prose = {id(node) for node in _docstrings(tree)}
        for node in ast.walk(tree):
            line = getattr(node, "lineno", 0)
            if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and id(node) not in prose:
                text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
                yield from ((line, name) for name in self.in_text(text))
            for field in ("id", "attr", "arg", "name", "asname"):
                identifier = getattr(node, field, None)
                if isinstance(identifier, str):
                    yield from ((line, name) for name in self.in_identifier(identifier))

    def script(self, source: str) -> Iterator[tuple[int, str]]:
        """The same of JavaScript."""
        code = _JS_COMMENT.sub(_blank, source)
        for match in _JS_STRING.finditer(code):
            yield from ((_line(code, match.start()), name) for name in self.in_text(match[0][1:-1]))
        for match in _WORD.finditer(_JS_STRING.sub(_blank, code)):
            yield from ((_line(code, match.start()), name) for name in self.in_identifier(match[0]))

    def markup(self, source: str) -> Iterator[tuple[int, str]]:
        """The same of HTML and CSS, where what is not quoted may be a selector, but no code of a market."""
        code = _MARKUP_COMMENT.sub(_blank, source)
        for match in _QUOTED.finditer(code):
            yield from ((_line(code, match.start()), name) for name in self.in_text(match[0][1:-1]))
        for match in _WORD.finditer(_QUOTED.sub(_blank, code)):
            yield from ((_line(code, match.start()), name) for name in {match[0]} & self.compound)


def _docstrings(tree: ast.AST) -> Iterator[ast.AST]:
    """Strings that are statements of their own: they document what they stand below."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def sources() -> list[Path]:
    files = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if "vendor" not in path.parts)
    return sorted(path for path in files if path.suffix in {".py", ".js", ".html", ".css"})


def search() -> Search:
    return Search(market_codes(), calculation_names())


def found_in(path: Path, source: str) -> set[str]:
    look = search()
    way = {".py": look.python, ".js": look.script}.get(path.suffix, look.markup)
    return {f"{path.relative_to(ROOT)}:{line}: {name}" for line, name in way(source)}


def test_no_market_and_no_calculation_is_named_outside_its_own_file() -> None:
    paths = [path for path in sources() if str(path.relative_to(ROOT)) not in OWN]
    assert len(paths) > 150
    assert set().union(*(found_in(path, path.read_text()) for path in paths)) == set()


def test_there_is_something_to_look_for() -> None:
    assert len(market_codes()) >= 8
    assert len(calculation_names()) >= 15
    roles = (ROOT / "engine" / "rule_model.py").read_text()
    assert set().union(*(search().in_text(text) for text in re.findall(r'"(\w+)"', roles))) <= calculation_names()


CODE = min(market_codes())
COMPOUND = min(name for name in calculation_names() if "_" in name)
PLAIN = min(name for name in calculation_names() if "_" not in name)


@pytest.mark.parametrize(
    ("file", "planted", "name"),
    [
        ("engine/x.py", "if market == '{}':\n    pass", CODE),
        ("engine/x.py", "entity = f'{{book}}-{}-1'", CODE),
        ("engine/x.py", "code = b'{}'", CODE),
        ("engine/x.py", "{} = 3", CODE),
        ("engine/x.py", "row = values['{}']", PLAIN),
        ("engine/x.py", "columns = ('name', '{}.3')", PLAIN),
        ("engine/x.py", "number = tables.{}", COMPOUND),
        ("engine/x.py", "made = f({}=1)", COMPOUND),
        ("engine/x.py", "def {}(): ...", COMPOUND),
        ("engine/x.py", "names = 'name code {}_0 price'.split()", COMPOUND),
        ("assets/x.js", 'const column = "{}";', PLAIN),
        ("assets/x.js", "row.{} = 1; // why", COMPOUND),
        ("assets/x.js", "const columns = [`{}.${{day}}`];", COMPOUND),
        ("assets/x.js", "if (market === '{}') return;", CODE),
        ("assets/x.html", '<td data-column="{}">', PLAIN),
        ("assets/x.css", ".c-{} {{ color: red }}", COMPOUND),
    ],
)
def test_a_planted_name_is_found(file: str, planted: str, name: str) -> None:
    assert found_in(ROOT / file, planted.format(name)) == {f"{file}:1: {name}"}


@pytest.mark.parametrize(
    ("file", "prose"),
    [
        (
            "engine/x.py",
            '"""{plain} of {code}, {compound}."""\n# {compound} in {code}\nx = 1\n"""The {compound} one."""',
        ),
        ("engine/x.py", "raise ValueError('the {plain} rows could not be read')"),
        ("engine/x.py", "{plain} = limit - used"),
        ("assets/x.js", "// {compound} in {code}\n/* {compound} */ const {plain} = 'the {plain} rows';"),
        ("assets/x.css", "/* {compound} */ .{plain} {{ color: red }}"),
    ],
)
def test_prose_and_english_words_are_no_names(file: str, prose: str) -> None:
    assert found_in(ROOT / file, prose.format(plain=PLAIN, compound=COMPOUND, code=CODE)) == set()
