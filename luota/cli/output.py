"""Plain text for people: aligned, in UTC, with a dash for what is not known; and the stream that it goes to."""

import io
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from luota.core.errors import Code, LuotaError


class _Stdout(io.FileIO):
    """Standard output; a write that fails is a LuotaError, or BrokenPipeError where the reader has seen enough."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            # What is left in the buffers above would fail once more, with a traceback, when Python ends.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if isinstance(error, BrokenPipeError):
                raise
            raise LuotaError(Code.UNAVAILABLE, f"The output cannot be written: {error.strerror}.") from None


def prepare_streams() -> None:
    """Have `sys.stdout` raise UNAVAILABLE, in words, for what it cannot write; neither stream fails on a character."""
    out, escape = sys.stdout, "backslashreplace"  # for a name that the terminal's encoding lacks
    if isinstance(out, io.TextIOWrapper):
        buffer = io.BufferedWriter(_Stdout(out.fileno(), "w", closefd=False))
        lines, through = out.line_buffering, out.write_through
        sys.stdout = io.TextIOWrapper(buffer, out.encoding, escape, line_buffering=lines, write_through=through)
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors=escape)


def shown(value: object) -> str:
    """Return one value on one line; what a terminal would act upon is escaped."""
    match value:
        case None | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case dict():
            return shown(", ".join(f"{key}={text}" for key, text in value.items()))
        case list() | tuple():
            return shown(", ".join(map(str, value)))
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value))


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> str:
    """Return rows under headers, or the sentence `empty` where there is no row."""
    cells = [[shown(value) for value in row] for row in rows]
    return _aligned([list(headers), *cells]) if cells else empty


def fields(pairs: Iterable[tuple[str, object]]) -> str:
    """Return one line for each pair of a name and a value."""
    return _aligned([[name, shown(value)] for name, value in pairs])


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
