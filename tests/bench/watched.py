"""`luota serve`, with a note of how long its event loop was busy at a stretch.

python watched.py FILE ARGS...: runs `luota ARGS`. A callback asks for its next turn in a millisecond; what comes
later than that was a stretch in which the loop heard nobody. Each of more than a millisecond becomes a line of FILE
at the end: `<its end, us> <its length, us> <processor time of the loop's thread in it, us>`. Where the second is far
above the third, the machine had given the core to others, or the driver's thread held the interpreter's lock.
"""

import asyncio
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import uvloop

from luota.cli import main

_TURN_US = 1000
_run = uvloop.run
_stretches: list[str] = []


async def _watched(serve: Coroutine[Any, Any, int]) -> int:
    loop = asyncio.get_running_loop()
    asked, used = _us(), time.thread_time_ns()

    def turn() -> None:
        nonlocal asked, used
        now, processor = _us(), time.thread_time_ns()
        late = now - asked - _TURN_US
        if late > _TURN_US:
            _stretches.append(f"{time.time_ns() // 1000} {late} {(processor - used) // 1000}\n")
        asked, used = now, processor
        loop.call_later(_TURN_US / 1e6, turn)

    turn()
    return await serve


def _us() -> int:
    return time.perf_counter_ns() // 1000


if __name__ == "__main__":
    notes, sys.argv = Path(sys.argv[1]), ["luota", *sys.argv[2:]]
    uvloop.run = lambda serve: _run(_watched(serve))
    try:
        main()
    finally:
        notes.write_text("".join(_stretches))
