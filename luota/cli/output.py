"""Plain text for people: aligned, in UTC, with a dash for what is not known."""

from collections.abc import Iterable, Sequence


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
