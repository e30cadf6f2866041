"""Workbooks opened again, by the standard library: cells as a spreadsheet reads them."""

import io
import re
import zipfile
from xml.etree import ElementTree as ET

_CELL = re.compile(r"_x([0-9A-F]{4})_")
_S = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def workbook(data: bytes) -> dict[str, list[list[str | float | None]]]:
    """By name of the sheet its rows, as a spreadsheet reads them: texts, numbers, None for an empty cell."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None

        def read(name: str) -> ET.Element:
            return ET.fromstring(archive.read(name))

        texts = ["".join(t.text or "" for t in item.iter(f"{_S}t")) for item in read("xl/sharedStrings.xml")]
        texts = [_CELL.sub(lambda found: chr(int(found[1], 16)), text) for text in texts]
        sheets = [sheet.attrib["name"] for sheet in read("xl/workbook.xml").iter(f"{_S}sheet")]

        def cell(of: ET.Element) -> str | float | None:
            value = of.find(f"{_S}v")
            if value is None or value.text is None:
                return None
            return texts[int(value.text)] if of.attrib.get("t") == "s" else float(value.text)

        return {
            name: [[cell(of) for of in row] for row in read(f"xl/worksheets/sheet{n}.xml").iter(f"{_S}row")]
            for n, name in enumerate(sheets, 1)
        }
