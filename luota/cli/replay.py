"""The command that runs the core over a recorded or invented history."""

import codecs
import contextlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from luota.cli.command import Cli
from luota.cli.output import shown
from luota.core.errors import Code, LuotaError
from luota.core.model import Action, Kind, Status, Transition
from luota.core.replay import Replay, Step
from luota.core.spec.trace import parse_line
from luota.core.spec.values import format_instant

_LINES_AT_ONCE = 512  # between two writes
_STATUS = max(map(len, Status))
_COUNTED = Action.COUNTED


class _Incident(msgspec.Struct, gc=False):
    kind: Kind
    action: Action


class _Line(msgspec.Struct, rename={"before": "from", "after": "to"}, gc=False):
    at: str
    monitor: str
    before: Status
    after: Status
    incident: _Incident | None
    reason: str


_encode_lines = msgspec.json.Encoder().encode_lines


def replay(
    cli: Cli,
    trace: Annotated[
        str, typer.Argument(metavar="TRACE", help="The history, JSON Lines in order of time; - is stdin.")
    ],
) -> None:
    """Judge a recorded or invented history: print each transition with its reason, one a line."""
    with contextlib.ExitStack() as opened:
        if trace == "-":
            lines, name = sys.stdin.buffer, "stdin"
        else:
            try:
                lines, name = opened.enter_context(Path(trace).open("rb")), trace
            except OSError as error:
                said = f"{trace} cannot be read: {error.strerror}. Name a file of JSON Lines, or - for stdin."
                raise LuotaError(Code.NOT_FOUND, said, field="trace") from None
        _print(_read(lines, name), name, as_json=cli.as_json)


def _read(lines: Iterable[bytes], name: str) -> Iterator[bytes]:
    try:
        yield from lines
    except OSError as error:  # a directory, or a disk that fails
        said = f"{name} cannot be read: {error.strerror}. Name a file of JSON Lines, or - for stdin."
        raise LuotaError(Code.NOT_FOUND, said, field="trace") from None


def _print(lines: Iterable[bytes], name: str, *, as_json: bool) -> None:
    """Print what happens in a history. A line that is refused ends it, after what happened before."""
    history, taken = Replay(), 0
    write = _write_json if as_json else _Table().write
    try:
        for number, raw in enumerate(lines, 1):
            if number == 1:
                raw = raw.removeprefix(codecs.BOM_UTF8)  # noqa: PLW2901 - some editors begin a file with it
            if not raw or raw.isspace():
                continue
            try:
                history.take(parse_line(raw))
            except LuotaError as error:
                raise LuotaError(error.code, f"{name} line {number}: {error.message}", field=error.field) from None
            taken += 1
            if taken % _LINES_AT_ONCE == 0:
                write(history.told())
    finally:
        write(history.told())


def _write_json(steps: Iterable[Step]) -> None:
    _write(_encode_lines([_document(monitor, step) for monitor, step in steps]))


class _Table:
    """Steps as text. The column of the monitors grows with the longest so far."""

    def __init__(self) -> None:
        self._width = 0

    def write(self, steps: Iterable[Step]) -> None:
        out = bytearray()
        for monitor, step in steps:
            self._width = max(self._width, len(monitor))
            out += _text(monitor, step, self._width).encode(errors="backslashreplace") + b"\n"
        _write(out)


def _write(out: bytes | bytearray) -> None:
    sys.stdout.buffer.write(out)
    sys.stdout.buffer.flush()


def _document(monitor: str, step: Transition) -> _Line:
    incident, action = None, step.action
    if action is not None and action is not _COUNTED:
        assert step.kind is not None
        incident = _Incident(step.kind, action)
    return _Line(format_instant(step.at), monitor, step.before, step.after, incident, step.reason)


def _text(monitor: str, step: Transition, width: int) -> str:
    incident = "-" if step.action in (None, _COUNTED) else f"{step.kind} {step.action}"
    return (
        f"{format_instant(step.at)}  {shown(monitor):{width}}  {step.before:>{_STATUS}} → {step.after:{_STATUS}}  "
        f"{incident:17}  {shown(step.reason)}"
    )
