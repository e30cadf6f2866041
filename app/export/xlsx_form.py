"""An Excel workbook, written as it is made: memory holds a chunk of lines, whatever the file's length.

Sheets are XML in a zip. Texts are kept once each, in the table of strings at the end; cells name them by number. What is longer
than a sheet may be goes on in the next one. The sheet About says what the file is, and of which moment.
"""

import io
import re
import zipfile
from collections.abc import Iterator
from typing import Final
from xml.sax.saxutils import escape

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from app.export.cells import PER_CHUNK, TextMaker, defused, heading, number_texts
from engine.views import Column, Lines

MAX_LINES: Final = 1_048_575
"""Of a sheet, beside its heading."""
MAX_SHEET_BYTES: Final = 1_900_000_000
"""Before it is packed: beyond 2 GB a zip needs fields that not every spreadsheet reads."""
_LEVEL: Final = 1
_EPOCH: Final = 25_569.0
"""The first of January 1970 as spreadsheets count days."""
_DAY_MS: Final = 86_400_000
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_HEAD: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0d\x0e-\x1f\ufffe\uffff]")
_LOOKS_ESCAPED: Final = re.compile("_(?=x[0-9A-Fa-f]{4}_)")
_STYLES: Final = (
    f'{_HEAD}<styleSheet xmlns="{_MAIN}"><numFmts count="1"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd\\ hh:mm:ss.000"/>'
    '</numFmts><fonts count="2"><font/><font><b/></font></fonts><fills count="2"><fill><patternFill patternType="none"/></fill>'
    '<fill><patternFill patternType="gray125"/></fill></fills><borders count="1"><border/></borders><cellStyleXfs count="1">'
    '<xf/></cellStyleXfs><cellXfs count="3"><xf/><xf numFmtId="164" applyNumberFormat="1"/><xf fontId="1" applyFont="1"/>'
    "</cellXfs></styleSheet>"
)
_TIME_STYLE, _HEADING_STYLE = 1, 2


class _Sink(io.RawIOBase):
    """Where the zip goes: bytes that were written and not yet taken. It cannot be sought in, so the zip does not try."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(data)  # type: ignore[call-overload]
        self._parts.append(part)
        return len(part)

    def taken(self) -> bytes:
        """What has been written since the last time."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


class _SharedTexts:
    """The table of strings."""

    def __init__(self) -> None:
        self.items: list[str] = []

    def cells(self, texts: list[str], style: int = 0) -> list[str]:
        """A cell for each text, nothing for no text."""
        styled = f' s="{style}"' if style else ""
        made = []
        for text in texts:
            made.append(f'<c t="s"{styled}><v>{len(self.items)}</v></c>' if text else "<c/>")
            if text:
                self.items.append(text)
        return made

    def parts(self) -> Iterator[bytes]:
        """The table as XML."""
        count = len(self.items)
        yield f'{_HEAD}<sst xmlns="{_MAIN}" count="{count}" uniqueCount="{count}">'.encode()
        for start in range(0, count, PER_CHUNK):
            yield "".join(_item(text) for text in self.items[start : start + PER_CHUNK]).encode()
        yield b"</sst>"


def written(lines: Lines, about: dict[str, str]) -> Iterator[tuple[int, bytes]]:
    """The file in parts, each with the number of lines written by then."""
    sink, texts = _Sink(), _SharedTexts()
    headings = "".join(texts.cells([heading(column) for column in lines.columns], _HEADING_STYLE))
    maker = TextMaker(lines, lambda _at, labels: texts.cells([defused(label) for label in labels]), _numbers)
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        done, sheets = 0, 0
        while done < lines.count or not sheets:
            sheets += 1
            with archive.open(f"xl/worksheets/sheet{sheets}.xml", "w") as sheet:
                size = sheet.write(f'{_HEAD}<worksheet xmlns="{_MAIN}">{_PANE}<sheetData>'.encode())
                size += sheet.write(f"<row>{headings}</row>".encode())
                until = min(done + MAX_LINES, lines.count)
                while done < until and size < MAX_SHEET_BYTES:
                    stop = min(done + PER_CHUNK, until)
                    size += sheet.write(maker.chunk(done, stop, "<row>", "", "</row>"))
                    done = stop
                    yield done, sink.taken()
                sheet.write(b"</sheetData></worksheet>")
        archive.writestr(f"xl/worksheets/sheet{sheets + 1}.xml", _about(texts, about))
        with archive.open("xl/sharedStrings.xml", "w") as table:
            for part in texts.parts():
                table.write(part)
        for name, text in _frame([*(f"Rows {n}" if n > 1 else "Rows" for n in range(1, sheets + 1)), "About"]).items():
            archive.writestr(name, text)
    yield done, sink.taken()


_PANE: Final = (
    '<sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>'
    "</sheetView></sheetViews>"
)


def _numbers(column: Column, raw: NDArray[np.int64]) -> pa.StringArray:
    """Cells of numbers; an empty one where there is no value."""
    if column.unit == "time":
        days = pa.array(raw // column.scale / _DAY_MS + _EPOCH, mask=raw == column.unknown).cast(pa.string())
        return pc.fill_null(pc.binary_join_element_wise(f'<c s="{_TIME_STYLE}"><v>', days, "</v></c>", ""), "<c/>")
    return pc.fill_null(pc.binary_join_element_wise("<c><v>", number_texts(column, raw), "</v></c>", ""), "<c/>")


def _item(text: str) -> str:
    kept = ' xml:space="preserve"' if text != text.strip() or "\n" in text else ""
    return f"<si><t{kept}>{_escaped(text)}</t></si>"


def _escaped(text: str) -> str:
    """As XML; characters that XML has not, and what looks like one that was written so, as spreadsheets write them."""
    text = _LOOKS_ESCAPED.sub("_x005F_", text)
    return escape(_CONTROL.sub(lambda found: f"_x{ord(found[0]):04X}_", text))


def _about(texts: _SharedTexts, about: dict[str, str]) -> str:
    rows = "".join(f"<row>{''.join(texts.cells([name, defused(value)]))}</row>" for name, value in about.items())
    return f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetData>{rows}</sheetData></worksheet>'


def _frame(sheets: list[str]) -> dict[str, str]:
    """The small parts of a workbook: what there is, and where."""
    numbers = range(1, len(sheets) + 1)
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    override = "".join(
        f'<Override PartName="/xl/{name}.xml" ContentType="{kind}.{what}+xml"/>'
        for name, what in [
            ("workbook", "sheet.main"),
            ("styles", "styles"),
            ("sharedStrings", "sharedStrings"),
            *((f"worksheets/sheet{n}", "worksheet") for n in numbers),
        ]
    )
    listed = "".join(
        f'<sheet name="{name}" sheetId="{n}" r:id="rId{n}"/>' for n, name in zip(numbers, sheets, strict=True)
    )
    related = "".join(
        f'<Relationship Id="rId{n}" Type="{_RELATIONS}/{what}" Target="{target}.xml"/>'
        for n, (what, target) in enumerate(
            [
                *(("worksheet", f"worksheets/sheet{n}") for n in numbers),
                ("styles", "styles"),
                ("sharedStrings", "sharedStrings"),
            ],
            1,
        )
    )
    return {
        "xl/workbook.xml": f'{_HEAD}<workbook xmlns="{_MAIN}" xmlns:r="{_RELATIONS}"><sheets>{listed}</sheets></workbook>',
        "xl/styles.xml": _STYLES,
        "xl/_rels/workbook.xml.rels": f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">{related}</Relationships>',
        "_rels/.rels": (
            f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
            f'Type="{_RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
        ),
        "[Content_Types].xml": (
            f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Default Extension="xml" ContentType="application/xml"/>{override}</Types>'
        ),
    }
