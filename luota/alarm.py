"""The alarm: one task that sleeps until the next deadline and judges it at that very instant."""

import asyncio
import contextlib
import logging

from luota.core.errors import LuotaError
from luota.engine import Engine
from luota.engine.channels import tell_gaps

log = logging.getLogger(__name__)

LONGEST_SLEEP_S = 30.0
"""A cap, so that a step of the clock or a suspend delays no verdict by more than this."""
STAMP_S = 4.0
"""The last-alive stamp is never older than 5 s (docs/verdicts.md, "Blind windows")."""
STORAGE_PAUSE_S = 1.0


class Alarm:
    """Judges what falls due, until it is cancelled. `ticked_at` (monotonic ms) says when it last looked."""

    def __init__(self, engine: Engine) -> None:
        self.ticked_at: int | None = None
        self._engine = engine

    async def run(self) -> None:
        """Sleep, judge, and tell of blind windows once all that they hid has been judged."""
        engine = self._engine
        while True:
            engine.deadlines_changed.clear()
            try:
                if await engine.judge(engine.clock.now()):
                    continue
                if engine.unverified_found:
                    engine.unverified_found = False
                    try:
                        await engine.submit(tell_gaps)
                    except BaseException:
                        engine.unverified_found = True
                        raise
            except LuotaError as error:
                if engine.writer.failure is None:  # else the writer has said so
                    log.warning("deadlines cannot be judged yet: %s", error)
                await asyncio.sleep(STORAGE_PAUSE_S)
                continue
            await self._sleep()

    async def _sleep(self) -> None:
        """Sleep until the earliest deadline, or until there is an earlier one."""
        engine = self._engine
        while True:
            # Each commit wakes it, and where deadlines are far away it does not come out of here for hours.
            self.ticked_at = engine.clock.monotonic()
            at = engine.registry.deadlines.next()
            now = engine.clock.now()
            if at is not None and at <= now:
                return
            # An early timer would find nothing due and come back a millisecond later.
            wait = LONGEST_SLEEP_S if at is None else min((at - now) / 1000, LONGEST_SLEEP_S)
            try:
                async with asyncio.timeout(wait):
                    await engine.deadlines_changed.wait()
            except TimeoutError:
                return
            engine.deadlines_changed.clear()
            if engine.unverified_found:
                return

    def sickness(self) -> str | None:
        """Return why deadlines are not judged at present, or None."""
        if self.ticked_at is None:
            return "the alarm has not ticked yet"
        silent = self._engine.clock.monotonic() - self.ticked_at
        at = self._engine.registry.deadlines.next()
        late = 0 if at is None else self._engine.clock.now() - at
        if silent > 3 * LONGEST_SLEEP_S * 1000 or late > 10_000:
            return "the alarm does not tick"
        return None


async def stamp(engine: Engine) -> None:
    """Commit every few seconds: the last-alive stamp stays fresh, and broken storage is noticed and left."""
    while True:
        with contextlib.suppress(LuotaError):  # the writer has said so, and says when it works again
            await engine.stamp(regular=True)
        await asyncio.sleep(STAMP_S)
