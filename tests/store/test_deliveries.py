"""What the outbox costs does not grow with what waits in it, nor with what it has sent."""

import pytest

from luota.core.model import RunState
from luota.core.spec.values import DAY
from luota.engine import channels
from luota.engine.dead_routes import tell_joined
from luota.engine.routes import tell_channel
from luota.store.deliveries import waiting_tests
from tests.alerts.rig import rigged
from tests.clock import FakeClock
from tests.engines import ACTOR

MANY = 500


@pytest.fixture
async def rig(tmp_path):
    """A rig with a channel, by which nothing is sent."""
    async with rigged(tmp_path, FakeClock()) as rig:
        rig.hook = await rig.channel("hook", "http://192.0.2.1/")
        yield rig


async def heap(rig):
    """Let many notices wait in the channel, some due and some not, and many have been sent by it long ago."""

    async def work(tx):
        sql = (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) "
            "INSERT INTO deliveries (id, workspace_id, channel_id, type, notice, state, queued_at, next_attempt_at) "
            "SELECT ?2 || i, ?3, ?4, ?5, '{\"to\": ' || i || '}', iif(?6 IS NULL, 'delivered', 'queued'), i, ?6 FROM n"
        )
        kinds = (
            ("due", "incident.digest", tx.now - DAY),
            ("later", "incident.digest", tx.now + DAY),
            ("test", "channel.test", None),
            ("gap", "watch.gap", None),
        )
        for name, type_, due in kinds:
            await tx.execute(sql, MANY, name, rig.workspace.id, rig.hook, type_, due)

    await rig.engine.submit(work)


async def steps(db, done):
    """Await `done`; return how many steps SQLite took for it."""
    counted = []
    await db.set_progress_handler(lambda: counted.append(1), 1)
    await done
    await db.set_progress_handler(None, 1)
    return len(counted)


async def ended(rig):
    live = await rig.monitor()
    await rig.fail(live)
    run = await rig.begin(live)
    rig.engine.clock.advance(1)
    return await steps(rig.engine._db, rig.end(run, RunState.SUCCESS))


async def looked_for_tests(rig):
    return await steps(rig.engine.reader, waiting_tests(rig.engine.reader))


async def looked_for_a_test(rig):
    await rig.engine.submit(channels.test(rig.workspace.id, rig.hook, "hook", ACTOR))
    return await looked_for_tests(rig)


async def joined(rig):
    """Let the channel join, while another is a dead route."""

    async def work(tx):
        await tx.execute("UPDATE channels SET failed_at = 1, announced_at = NULL WHERE id = ?", other)
        await tell_channel(tx, rig.workspace.id, rig.hook)
        await tell_joined(tx, rig.workspace.id, rig.hook)

    rig.number += 1
    other = await rig.channel(f"other {rig.number}", "http://192.0.2.1/")
    counted = await steps(rig.engine._db, rig.engine.submit(work))
    await rig.engine.submit(channels.remove(rig.workspace.id, other, f"other {rig.number}", ACTOR))
    return counted


@pytest.mark.parametrize("what", [ended, looked_for_tests, looked_for_a_test, joined])
async def test_neither_an_end_nor_a_test_nor_a_channel_that_joins_is_slower_for_what_waits_or_was_sent(rig, what):
    before = await what(rig)
    await heap(rig)
    assert await what(rig) < before + MANY / 5
