"""Tests of channels: attempted beside the lanes, and those who asked for one told of its end."""

import asyncio
import logging
import sqlite3

from luota.alerts.attempt import STORAGE_PAUSE_S, Attempts
from luota.core.errors import Code, LuotaError
from luota.core.retry import AttemptResult
from luota.engine import Engine
from luota.store import deliveries
from luota.store.deliveries import Evidence, Outgoing

log = logging.getLogger(__name__)

LOOK_EVERY_S = 30.0
WITHIN_S = 55.0
"""How long a test is waited for: longer than it takes behind a message to its address that hangs."""
MOST_ANSWERS = 100
"""To tests, whose words are remembered until they are shown."""

NOT_THE_DAEMON = (
    ". Luota does not run, so this command's own settings hold, and the channel keeps its state: "
    "give the command the daemon's (--config, LUOTA_…), or start Luota and test again."
)
"""What is said when a command that sends by itself is kept from it by its settings, which may not be the daemon's."""


_NO_ANSWER = AttemptResult(ok=False)


class Proofs:
    """Proves channels by real attempts: beside the lanes once it was started, and else by itself, for a command."""

    def __init__(self, engine: Engine, attempts: Attempts) -> None:
        self._engine = engine
        self._attempts = attempts
        self._running = False
        self._ended = False
        self._waiting: dict[str, asyncio.Event] = {}
        self._asked = asyncio.Event()
        self._under_test: set[str] = set()
        self._answers: dict[str, AttemptResult] = {}

    def start(self, group: asyncio.TaskGroup) -> None:
        """Attempt in `group` what is to be tested, from now on until the attempts stop."""
        self._running = True
        group.create_task(self._run(group), name="sender tests")

    def end(self) -> None:
        """Let nobody wait for a test any longer, since Luota stops; the attempts themselves go on until they finish."""
        self._ended = True
        for done in self._waiting.values():
            done.set()

    async def prove(self, delivery_id: str, within: float = WITHIN_S) -> None:
        """Have a test attempted, whatever else waits for its channel, and wait for the end of that.

        STOPPING when Luota stops before; the test is then made again by the next start, if its end is not recorded.
        """
        if not self._running:
            for outgoing in await deliveries.waiting_tests(self._engine.reader):
                if outgoing.id == delivery_id:
                    await self._test(outgoing)
            return
        done = self._waiting.setdefault(delivery_id, asyncio.Event())
        self._asked.set()
        try:
            if await deliveries.attempts_of(self._engine.reader, delivery_id) == 0 and not self._ended:
                async with asyncio.timeout(within):
                    await done.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting.pop(delivery_id, None)
        if self._ended and await deliveries.attempts_of(self._engine.reader, delivery_id) == 0:
            said = "Luota is stopping; nothing was proven. Test the channel again once Luota runs."
            raise LuotaError(Code.STOPPING, said)

    def answer(self, delivery_id: str) -> tuple[int | None, str | None]:
        """Return the status and the words by which a provider answered one of the latest tests, as far as it did."""
        result = self._answers.get(delivery_id, _NO_ANSWER)
        return result.status, result.answer

    async def _run(self, group: asyncio.TaskGroup) -> None:
        """Attempt the tests of all channels beside the lanes: they prove a route that rests or hangs, or was mended."""
        while not self._attempts.stopping:
            self._asked.clear()
            known = set(self._under_test)  # taken before reading: what is gone from it by then is recorded
            try:
                waiting = await deliveries.waiting_tests(self._engine.reader)
            except sqlite3.Error as error:
                log.warning("the outbox cannot be read: %s", error)
                await asyncio.sleep(STORAGE_PAUSE_S)
                continue
            for outgoing in waiting:
                if outgoing.id not in known:
                    self._under_test.add(outgoing.id)
                    self._attempts.spawn(group, self._test(outgoing), outgoing.id)
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._asked.wait()
            except TimeoutError:
                pass

    async def _test(self, outgoing: Outgoing) -> None:
        try:
            channel = await deliveries.channel_of(self._engine.reader, outgoing.channel_id)
            made = await self._attempts.make(asyncio.Semaphore(1), outgoing, channel, None, Evidence())
            if made is not None:
                self._keep(outgoing.id, made.result)
                alone = made.result.unsent and not self._running
                why = f"{(made.result.error or '').rstrip('.')}{NOT_THE_DAEMON}" if alone else None
                await self._attempts.record(made, outgoing.type, why)
                if (done := self._waiting.get(outgoing.id)) is not None:
                    done.set()
        except sqlite3.Error as error:
            log.warning("delivery %s cannot be read: %s", outgoing.id, error)
        finally:
            self._under_test.discard(outgoing.id)

    def _keep(self, delivery_id: str, result: AttemptResult) -> None:
        self._answers[delivery_id] = result
        while len(self._answers) > MOST_ANSWERS:
            del self._answers[next(iter(self._answers))]
