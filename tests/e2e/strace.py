"""Reads what `strace -f -y -xx` says of one daemon: which bytes went where, and in which order.

Instants are line numbers of the trace. A call begins at the line on which it was entered and ends at the
line on which it returned, which differ when another thread's call came in between.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

WRITES = "pwrite64,pwritev,pwritev2,write,writev,sendto,sendmsg"
SYNCS = "fsync,fdatasync"

_LINE = re.compile(r"(?P<pid>\d+) +(?P<rest>.*)")
_CALL = re.compile(r"(?P<name>\w+)\((?P<args>.*)")
_RESUMED = re.compile(r"<\.\.\. (?P<name>\w+) resumed>(?P<args>.*)")
_UNFINISHED = " <unfinished ...>"
_RETURNED = re.compile(r"\) += (?P<value>-?\d+)")
_TARGET = re.compile(r"\d+<(?P<target>(?:[^<>]|->)*)>")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_BYTE = re.compile(r"\\x([0-9a-f]{2})")


@dataclass(frozen=True)
class Call:
    """One call that succeeded; `data` is what it wrote, `offset` where in a file (pwrite64), else -1."""

    name: str
    target: str
    begin: int
    end: int
    data: bytes
    offset: int


def calls(trace: Path) -> Iterator[Call]:
    """Return the calls of a trace in the order of their ends."""
    entered: dict[str, tuple[int, str, str]] = {}
    for number, line in enumerate(trace.read_text().splitlines()):
        found = _LINE.fullmatch(line)
        if found is None or found["rest"].startswith(("+++", "---")):
            continue
        pid, rest = found["pid"], found["rest"]
        resumed = _RESUMED.fullmatch(rest)
        if resumed is not None:
            begin, name, args = entered.pop(pid)
            args += resumed["args"]
        else:
            call = _CALL.fullmatch(rest)
            assert call is not None, f"line {number + 1} of {trace}: {line[:200]}"
            begin, name, args = number, call["name"], call["args"]
        if args.endswith(_UNFINISHED):
            entered[pid] = begin, name, args.removesuffix(_UNFINISHED)
            continue
        returned = list(_RETURNED.finditer(args))
        target = _TARGET.match(args)
        if returned and target and int(returned[-1]["value"]) >= 0:
            yield _call(name, target["target"], begin, number, args[: returned[-1].start()], int(returned[-1]["value"]))


def _call(name: str, target: str, begin: int, end: int, args: str, written: int) -> Call:
    data = b"".join(bytes.fromhex(text.replace("\\x", "")) for text in _TEXT.findall(args))
    offset = int(args.rpartition(", ")[2]) if name == "pwrite64" else -1
    target = _BYTE.sub(lambda found: chr(int(found[1], 16)), target)  # -xx writes even paths this way
    return Call(name, target, begin, end, data[:written] if name in WRITES.split(",") else b"", offset)
