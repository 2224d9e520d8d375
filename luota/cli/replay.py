"""The command that runs the core over a recorded or invented history."""

import contextlib
import os
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
from luota.core.replay import Replay
from luota.core.spec.trace import parse_line
from luota.core.spec.values import format_instant

_CHUNK = 64 * 1024
_STATUS = max(map(len, Status))


class _Incident(msgspec.Struct):
    kind: Kind
    action: Action


class _Line(msgspec.Struct, rename={"before": "from", "after": "to"}):
    at: str
    monitor: str
    before: Status
    after: Status
    incident: _Incident | None
    reason: str


_encode = msgspec.json.Encoder().encode


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
                raise LuotaError(Code.NOT_FOUND, said) from None
        _print(_read(lines, name), name, as_json=cli.as_json)


def _read(lines: Iterable[bytes], name: str) -> Iterator[bytes]:
    try:
        yield from lines
    except OSError as error:  # a directory, or a disk that fails
        said = f"{name} cannot be read: {error.strerror}. Name a file of JSON Lines, or - for stdin."
        raise LuotaError(Code.NOT_FOUND, said) from None


def _print(lines: Iterable[bytes], name: str, *, as_json: bool) -> None:
    """Print what happens in a history. A line that is refused ends it, after what happened before."""
    history, width = Replay(), 0
    out = bytearray()
    try:
        for number, raw in enumerate(lines, 1):
            if raw.isspace():
                continue
            try:
                steps = history.take(parse_line(raw))
            except LuotaError as error:
                raise LuotaError(error.code, f"{name} line {number}: {error.message}", field=error.field) from None
            for monitor, step in steps:
                if as_json:
                    out += _encode(_document(monitor, step))
                else:
                    width = max(width, len(monitor))
                    out += _text(monitor, step, width).encode(errors="backslashreplace")
                out += b"\n"
            if len(out) > _CHUNK:
                _write(out)
                out.clear()
    finally:
        _write(out)


def _write(out: bytearray) -> None:
    try:
        sys.stdout.buffer.write(out)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise  # the reader has seen enough
    except OSError as error:
        # What is left in the buffer would fail once more, with a traceback, when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise LuotaError(Code.UNAVAILABLE, f"The output cannot be written: {error.strerror}.") from None


def _document(monitor: str, step: Transition) -> _Line:
    incident = None
    if step.action is not None and step.action is not Action.COUNTED:
        assert step.kind is not None
        incident = _Incident(step.kind, step.action)
    return _Line(format_instant(step.at), monitor, step.before, step.after, incident, step.reason)


def _text(monitor: str, step: Transition, width: int) -> str:
    incident = "-" if step.action in (None, Action.COUNTED) else f"{step.kind} {step.action}"
    return (
        f"{format_instant(step.at)}  {shown(monitor):{width}}  {step.before:>{_STATUS}} → {step.after:{_STATUS}}  "
        f"{incident:17}  {shown(step.reason)}"
    )
