"""What is wrong with a batch file, in the words of whoever has to mend it: line, column, value, what was expected."""

from dataclasses import dataclass, field
from typing import Final

from msgspec import Struct

KEPT: Final = 1_000
"""Faults of a file that are told one by one; the others are counted."""


class Fault(Struct, frozen=True, omit_defaults=True):
    """One thing that is wrong. `line`: from 1, with the header; of Parquet the row, from 1; 0: the file as a whole."""

    line: int
    detail: str
    column: str = ""
    value: str = ""

    def __str__(self) -> str:
        place = f"line {self.line:,}" if self.line else "the file"
        named = f", column {self.column}" if self.column else ""
        value = f": {self.value!r}" if self.value else ""
        return f"{place}{named}{value}: {self.detail}"


@dataclass(slots=True)
class Findings:
    """Faults refuse the file, remarks do not."""

    faults: list[Fault] = field(default_factory=list)
    fault_count: int = 0
    remarks: list[Fault] = field(default_factory=list)
    remark_count: int = 0
    forced: bool = False
    """Whether somebody took it on themselves: what is only doubtful is then a remark."""
    doubtful: int = 0
    """How many of the faults are doubts."""

    def doubt(self, line: int, detail: str, column: str = "", value: str = "") -> None:
        """The file is refused, unless somebody who may takes it on themselves."""
        if self.forced:
            self.remark(line, f"forced: {detail}", column, value)
        else:
            self.doubtful += 1
            self.fault(line, detail, column, value)

    @property
    def can_be_forced(self) -> bool:
        """Whether it is refused, and for nothing but doubts."""
        return 0 < self.fault_count == self.doubtful

    def fault(self, line: int, detail: str, column: str = "", value: str = "") -> None:
        """The file is refused."""
        self.fault_count += 1
        if len(self.faults) < KEPT:
            self.faults.append(Fault(line, detail, column, value))

    def remark(self, line: int, detail: str, column: str = "", value: str = "") -> None:
        """Somebody should know."""
        self.remark_count += 1
        if len(self.remarks) < KEPT:
            self.remarks.append(Fault(line, detail, column, value))


class FileFaultError(ValueError):
    """Reading on makes no sense."""

    def __init__(self, line: int, detail: str, column: str = "", value: str = "") -> None:
        super().__init__(detail)
        self.fault = Fault(line, detail, column, value)
