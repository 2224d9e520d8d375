"""The sender: every notice is attempted, recorded, repeated and ordered; one dead channel delays no other."""

import asyncio
import re

from luota.alerts.guard import AddressPolicy
from luota.alerts.resolver import Resolver
from luota.alerts.sender import STUCK_MS, Sender
from luota.alerts.types import routes
from luota.core.errors import Code, LuotaError
from luota.engine import channels, monitors
from luota.engine.deliveries import BeginAttempt, record_cut_off
from luota.store.deliveries import CUT_OFF
from luota.store.reads import fetch
from tests.alerts.rig import LOOPBACK, Rig, plain_client
from tests.engines import ACTOR, engine_on
from tests.clock import FakeClock
from tests.markdown import ROOT, fences
from tests.receiver import Receiver, hang, reply


async def test_an_incident_and_its_recovery_reach_the_receiver_in_order_with_their_evidence(rig):
    async with Receiver() as receiver:
        live = await rig.first(receiver, "delivered")  # or the end would tell both
        await rig.succeed(live)
        await receiver.wait(2)
        opened, resolved = (request.json for request in receiver.requests)
        assert (opened["type"], resolved["type"]) == ("incident.opened", "incident.resolved")
        assert opened["incident"]["kind"] == "failed"
        assert opened["incident"]["state"] == "open"
        assert "3 of 14 failed" in opened["incident"]["summary"]
        assert resolved["incident"]["id"] == opened["incident"]["id"]
        assert resolved["incident"]["resolvedAt"] is not None
        assert opened["monitor"]["promise"] == "Sent by 07:00"
        assert opened["delivery"]["id"] != resolved["delivery"]["id"]
        rows = await rig.until(lambda rows: all(row[1] == "delivered" for row in rows))
        assert [row[2] for row in rows] == [1, 1]


async def due_now(tx):
    await tx.execute("UPDATE deliveries SET next_attempt_at = ? WHERE next_attempt_at IS NOT NULL", tx.now)


async def test_a_failed_attempt_is_kept_and_repeated_with_the_same_id(rig):
    async with Receiver() as receiver:
        receiver.answers[:] = [reply(503)]
        live = await rig.first(receiver, "failed_retrying")
        rows = await rig.rows()
        assert rows[0][3] > rig.engine.clock.now()
        assert rows[0][4] == "HTTP 503 from the receiver"
        await rig.stop()
        await rig.engine.submit(due_now)
        await rig.start()
        rows = await rig.until(lambda rows: rows[0][1] == "delivered")
        first, second = receiver.requests
        assert first.body == second.body
        sql = "SELECT number, ok, status, error FROM attempts ORDER BY number"
        attempts = await fetch(rig.engine.reader, sql)
        assert attempts == [(1, 0, 503, "HTTP 503 from the receiver"), (2, 1, 200, None)]


async def test_an_update_waits_for_the_opening_that_is_still_to_be_delivered(rig):
    async with Receiver() as receiver:
        receiver.answers[:] = [reply(503)]
        live = await rig.first(receiver, "failed_retrying")

        async def updated(tx):  # as if a kind had risen
            ((monitor_id, incident_id),) = await tx.fetch("SELECT monitor_id, id FROM incidents")
            facts = {"at": tx.now, "kind": "failed", "state": "open", "reason": "worse"}
            tx.batch.notify(tx.batch.live(monitor_id), "incident.updated", incident_id, facts)

        await rig.engine.submit(updated)
        other = await rig.monitor()
        await rig.fail(other)  # of another incident: not held up
        rows = await rig.until(lambda rows: len(rows) == 3 and rows[2][1] == "delivered")
        assert [row[1] for row in rows] == ["failed_retrying", "queued", "delivered"]


async def test_a_receiver_that_is_gone_for_good_ends_the_delivery_at_once(rig):
    async with Receiver() as receiver:
        receiver.answers[:] = [reply(410)]
        await rig.channel("hook", receiver.url)
        live = await rig.monitor()
        await rig.start()
        await rig.fail(live)
        rows = await rig.until(lambda rows: rows[0][1] != "queued")
        assert rows[0][1:4] == ("failed_terminal", 1, None)


async def test_the_log_names_type_channel_delivery_and_number_of_an_attempt_that_failed(rig, caplog):
    async with Receiver() as receiver:
        receiver.default = reply(301, {"location": "/elsewhere"})
        await rig.channel("night shift", receiver.url)

        async def renamed(tx):  # as none can be named now
            await tx.execute("UPDATE channels SET name = ?", "night\n\x1b[31m\u202eshift")

        await rig.engine.submit(renamed)
        await rig.fail(await rig.monitor())
        await rig.start()
        ((*_, delivery_id),) = await rig.until(lambda rows: rows[0][1] == "failed_retrying")
    told = [one.getMessage() for one in caplog.records if one.name == "luota.alerts.attempt"]
    why = "HTTP 301: redirect not followed: point the channel at its target"
    assert told == [f"incident.opened to night \\x1b[31m\\u202eshift, delivery {delivery_id}, attempt 1: {why}"]


async def test_a_line_of_the_log_about_a_failed_attempt_reads_as_the_page_shows_it(rig, caplog):
    async with Receiver() as receiver:
        receiver.default = reply(503)
        await rig.channel("desk", receiver.url)
        await rig.fail(await rig.monitor())
        await rig.start()
        ((*_, delivery_id),) = await rig.until(lambda rows: rows[0][1] == "failed_retrying")
    (shown,) = [one.text for one in fences(ROOT / "docs" / "alerts.md") if one.text.startswith("WARNING ")]
    (line,) = [one for one in caplog.records if one.name == "luota.alerts.attempt"]
    told = f"{line.levelname} {line.name}: {line.getMessage()}"
    assert told == re.sub(r"delivery [0-9a-f-]{36}", f"delivery {delivery_id}", shown)


async def test_a_retry_after_is_honoured(rig):
    async with Receiver() as receiver:
        receiver.answers[:] = [reply(429, {"retry-after": "3600"})]
        live = await rig.first(receiver, "failed_retrying")
        rows = await rig.rows()
        assert rows[0][3] >= rig.engine.clock.now() + 3_590_000


async def test_a_hanging_channel_does_not_delay_another(rig):
    async with Receiver() as dead, Receiver() as alive:
        dead.default = hang
        await rig.channel("dead", dead.url)
        await rig.channel("alive", alive.url)
        lives = [await rig.monitor() for _ in range(30)]  # more than the dead lane has places
        await rig.start()
        for live in lives:
            await rig.fail(live)
        await alive.wait(30)
        sql = "SELECT count(*) FROM deliveries d JOIN channels c ON c.id = d.channel_id WHERE c.name = 'dead' "
        assert (await fetch(rig.engine.reader, sql + "AND d.state = 'queued'"))[0] == (30,)


async def test_what_was_queued_while_no_sender_ran_is_sent_at_start(rig):
    async with Receiver() as receiver:
        await rig.channel("hook", receiver.url)
        lives = [await rig.monitor() for _ in range(100)]
        for live in lives:
            await rig.fail(live)
        await rig.start()
        await receiver.wait(100)
        ids = {request.json["delivery"]["id"] for request in receiver.requests}
        assert len(ids) == 100


async def test_an_address_that_is_not_allowed_is_never_dialled_and_the_reason_is_kept(rig):
    async with Receiver() as receiver:
        await rig.channel("hook", receiver.url)
        live = await rig.monitor()
        rig.policy = AddressPolicy()
        await rig.start()
        await rig.fail(live)
        rows = await rig.until(lambda rows: rows[0][1] == "failed_retrying")
        assert "allow_networks" in rows[0][4]
        assert receiver.connections == 0


async def test_a_test_notice_is_attempted_once_and_its_outcome_waited_for(rig):
    async with Receiver() as receiver:
        receiver.answers[:] = [reply(503)]
        channel_id = await rig.channel("hook", receiver.url)
        await rig.start()
        await rig.test(channel_id)
        (row,) = await rig.rows()
        assert row[:3] == ("channel.test", "failed_terminal", 1)
        assert receiver.requests[0].json["incident"] is None


async def test_a_monitor_that_names_its_channels_is_told_of_there_alone(rig):
    async with Receiver() as one, Receiver() as two:
        await rig.channel("one", one.url)
        await rig.channel("two", two.url)
        live = await rig.monitor(channels=["two"])
        await rig.start()
        await rig.fail(live)
        await two.wait(1)
        rows = await rig.until(lambda rows: rows[0][1] == "delivered")
        assert len(rows) == 1
        assert one.requests == []


async def test_a_notice_that_cannot_be_rendered_is_a_failed_attempt_and_holds_up_no_other(rig):
    async with Receiver() as receiver:
        await rig.channel("hook", receiver.url)
        await rig.fail(await rig.monitor())

        async def broken(tx):
            await tx.execute("UPDATE deliveries SET notice = '{}'")

        await rig.engine.submit(broken)
        await rig.fail(await rig.monitor())
        await rig.start()
        rows = await rig.until(lambda rows: rows[0][1] != "queued" and rows[1][1] != "queued")
        assert [row[1] for row in rows] == ["failed_retrying", "delivered"]
        assert rows[0][4] == "the notice could not be put together"


async def test_a_lane_that_stands_still_is_a_sickness_and_a_provider_that_does_is_none(timed):
    async with Receiver() as receiver:
        receiver.default = hang
        await timed.channel("hook", receiver.url)
        await timed.start()
        await timed.fail(await timed.monitor())
        await receiver.wait(1)
        timed.engine.clock.advance(STUCK_MS)
        assert timed.sender.sickness() is None
        timed.engine.clock.advance(1)
        assert timed.sender.sickness() == "the sender does not move"
        receiver.default = reply(200)
        timed.engine.notices_queued.set()
        await timed.stop()
        await timed.start()
        await timed.until(lambda rows: rows[0][1] == "delivered")
        assert timed.sender.sickness() is None


async def test_links_lead_to_the_public_address(rig):
    async with Receiver() as receiver:
        await rig.channel("hook", receiver.url)
        async with plain_client(LOOPBACK, Resolver()) as client:
            rig.send_by(routes(client, rig.engine.clock), "https://luota.example.org")
            await rig.fail(await rig.monitor())
            await receiver.wait(1)
            await rig.stop()
    incident = receiver.requests[0].json["incident"]
    assert incident["url"] == f"https://luota.example.org/incidents/{incident['id']}"


ATTEMPTS = "SELECT number, ok, status, error FROM attempts ORDER BY number"


async def test_an_attempt_that_was_cut_off_is_on_record_and_so_is_the_one_that_repeats_it(rig):
    async with Receiver() as receiver:
        receiver.answers[:] = [hang]
        await rig.channel("hook", receiver.url)
        await rig.start()
        before = rig.engine.clock.now()
        await rig.fail(await rig.monitor())
        await receiver.wait(1)
        await rig.stop()
        await rig.start()
        await rig.until(lambda rows: rows[0][1:3] == ("delivered", 2))
        first, second = receiver.requests
    assert first.body == second.body
    assert await fetch(rig.engine.reader, ATTEMPTS) == [(1, 0, None, CUT_OFF), (2, 1, 200, None)]
    ((started, ended),) = await fetch(
        rig.engine.reader, "SELECT started_at, finished_at FROM attempts WHERE number = 1"
    )
    assert before <= started == ended <= first.at


async def test_an_attempt_of_a_cancelled_notice_that_was_cut_off_is_on_record_and_it_stays_cancelled(rig):
    async with Receiver() as receiver:
        receiver.answers[:] = [hang]
        await rig.channel("hook", receiver.url)
        live = await rig.monitor()
        await rig.start()
        await rig.fail(live)
        await receiver.wait(1)
        await rig.succeed(live)
        await rig.stop()
        before = (await rig.rows())[0]
        await rig.start()
        opening, _ = await rig.until(lambda rows: rows[1][1] == "delivered")
    assert opening == (*before[:2], 1, *before[3:])
    sql = "SELECT ok, error FROM attempts WHERE delivery_id = ?"
    assert await fetch(rig.engine.reader, sql, (opening[5],)) == [(0, CUT_OFF)]


async def test_a_repeat_that_was_cut_off_is_on_record_with_its_own_number(rig):
    async with Receiver() as receiver:
        receiver.answers[:] = [reply(503), hang]
        await rig.first(receiver, "failed_retrying")
        await rig.stop()
        await rig.engine.submit(due_now)
        await rig.start()
        await receiver.wait(2)
        await rig.stop()
        await rig.start()
        await rig.until(lambda rows: rows[0][1:3] == ("delivered", 3))
    refused = (1, 0, 503, "HTTP 503 from the receiver")
    assert await fetch(rig.engine.reader, ATTEMPTS) == [refused, (2, 0, None, CUT_OFF), (3, 1, 200, None)]


async def test_a_test_that_was_cut_off_is_on_record_and_made_once_more(rig):
    async with Receiver() as receiver:
        receiver.answers[:] = [hang, reply(503)]
        channel_id = await rig.channel("hook", receiver.url)
        await rig.engine.submit(channels.test(rig.workspace.id, channel_id, "hook", ACTOR))
        await rig.start()
        await receiver.wait(1)
        await rig.stop()
        await rig.start()
        await rig.until(lambda rows: rows[0][:4] == ("channel.test", "failed_terminal", 2, None))
    refused = (2, 0, 503, "HTTP 503 from the receiver")
    assert await fetch(rig.engine.reader, ATTEMPTS) == [(1, 0, None, CUT_OFF), refused]


def refusing(engine, monkeypatch, refused):
    """Let the engine refuse the changes for which `refused` holds, as if nothing could be written."""
    submit = engine.submit

    async def unless_refused(change):
        if refused(change):
            raise LuotaError(Code.UNAVAILABLE, "Storage unavailable: the disk is full.")
        return await submit(change)

    monkeypatch.setattr(engine, "submit", unless_refused)


async def test_an_attempt_that_was_cut_off_and_not_recorded_at_the_start_is_when_the_next_one_begins(rig, monkeypatch):
    async with Receiver() as receiver:
        receiver.answers[:] = [hang]
        await rig.channel("hook", receiver.url)
        await rig.start()
        await rig.fail(await rig.monitor())
        await receiver.wait(1)
        await rig.stop()
        refusing(rig.engine, monkeypatch, lambda change: change is record_cut_off)
        await rig.start()
        await rig.until(lambda rows: rows[0][1:3] == ("delivered", 2))
    assert await fetch(rig.engine.reader, ATTEMPTS) == [(1, 0, None, CUT_OFF), (2, 1, 200, None)]


async def test_what_was_cut_off_is_not_forgotten_over_a_repeat_that_could_not_be_noted(rig, monkeypatch):
    async with Receiver() as receiver:
        receiver.answers[:] = [hang, reply(503)]
        await rig.channel("hook", receiver.url)
        await rig.start()
        await rig.fail(await rig.monitor())
        await receiver.wait(1)
        await rig.stop()
        with monkeypatch.context() as full:
            refusing(rig.engine, full, lambda change: change is record_cut_off or isinstance(change, BeginAttempt))
            await rig.start()
            await rig.until(lambda rows: rows[0][1:3] == ("failed_retrying", 1))
            await rig.stop()
        await rig.start()
        await rig.until(lambda rows: rows[0][2] == 2)
    refused = (1, 0, 503, "HTTP 503 from the receiver")
    assert await fetch(rig.engine.reader, ATTEMPTS) == [refused, (2, 0, None, CUT_OFF)]


async def test_an_attempt_that_was_begun_and_not_made_leaves_no_mark(rig, monkeypatch):
    submit = rig.engine.submit

    async def cancelled_at_once(change):
        await submit(change)
        if isinstance(change, BeginAttempt):
            await submit(cancel)

    async def cancel(tx):
        await tx.execute("UPDATE deliveries SET state = 'cancelled', next_attempt_at = NULL")

    async with Receiver() as receiver:
        await rig.channel("hook", receiver.url)
        await rig.fail(await rig.monitor())
        monkeypatch.setattr(rig.engine, "submit", cancelled_at_once)
        await rig.start()
        await rig.until(lambda rows: rows[0][1] == "cancelled")
        async with asyncio.timeout(10):
            while await fetch(rig.engine.reader, "SELECT 1 FROM deliveries WHERE begun_at IS NOT NULL"):
                await asyncio.sleep(0.01)
    assert receiver.requests == []
    assert await fetch(rig.engine.reader, ATTEMPTS) == []
