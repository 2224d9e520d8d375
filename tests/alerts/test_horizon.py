"""For how long a notice is tried again, and what comes after that."""

from tests.alerts.rig import rigged
from tests.clock import FakeClock
from tests.receiver import Receiver, reply

MINUTE = 60_000
HOUR = 60 * MINUTE


async def test_a_notice_is_tried_for_72_hours_across_restarts_and_then_announced_and_told_by_the_other_channel(
    tmp_path,
):
    clock = FakeClock()
    begun = clock.now()
    async with Receiver() as dead, Receiver() as alive:
        dead.default = reply(503)
        async with rigged(tmp_path, clock) as rig:
            await rig.channel("dead", dead.url)
            await rig.channel("alive", alive.url)
            await rig.fail(await rig.monitor(channels=["dead"]))
        states = []
        for after in (0, 40 * HOUR, 71 * HOUR + 50 * MINUTE, 73 * HOUR):
            clock.advance(begun + after - clock.now())
            async with rigged(tmp_path, clock) as rig:
                await rig.start()
                (_, state, _, again, *_), *others = await rig.until(lambda rows, n=len(states) + 1: rows[0][2] == n)
                states.append((state, again is None, sorted(one[0] for one in others)))
                if others:
                    await rig.until(lambda rows: [row[1] for row in rows[1:]] == ["delivered"] * 2)
    others = ["channel.failed", "incident.opened"]
    assert states == [("failed_retrying", False, [])] * 3 + [("failed_terminal", True, others)]
    assert {one.json["delivery"]["id"] for one in dead.requests} == {dead.requests[0].json["delivery"]["id"]}
    assert sorted(one.json["type"] for one in alive.requests) == others
