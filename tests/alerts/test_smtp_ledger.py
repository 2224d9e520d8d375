"""Each row of the table of docs/alerts.md, "Email", from the incident to the ledger, against a real scripted server."""

import asyncio
import contextlib
from functools import partial
from pathlib import Path

from luota.alerts.resolver import Resolver
from luota.alerts.sender import Sender
from luota.alerts.types import routes
from luota.clock import SystemClock
from luota.engine import channels, monitors
from luota.store.reads import fetch
from tests.alerts.rig import Rig
from tests.engines import ACTOR, engine_on
from tests.alerts.test_smtp import ANN, BOB, LOGIN, certificate, relay  # noqa: F401 (one is a fixture)
from tests.alerts.test_smtp_steps import STEPS, at, documented
from tests.mailserver import MailServer

NO_NAME = "luota-test.invalid"
"""A name that never exists (RFC 6761 section 6.4)."""
WRONG = {"username": "luota", "password": "wrong"}
ENDS = {"drops the connection": "DROP", "says nothing in time": "HANG"}


def plays(step, what, certificate):  # noqa: F811
    """How each row is played: the server, its script, the settings of Luota; wherever in the step an answer can stand."""
    tls, _ = certificate
    odd = {
        ("connection", "name does not exist"): (MailServer(), {}, {"host": NO_NAME}),
        ("connection", "refuses the connection"): (None, {}, {}),
        ("connection", "does not speak SMTP"): (MailServer(greeting="HTTP/1.1 400 Bad Request"), {}, {}),
        ("connection", "wants no TLS where security is tls"): (MailServer(), {}, {"security": "tls"}),
        ("TLS", "has a certificate that is not trusted"): (MailServer(starttls=tls), {}, {"security": "starttls"}),
        ("TLS", "offers no STARTTLS"): (MailServer(), {}, {"security": "starttls"}),
        ("login", "535"): (MailServer(accounts=LOGIN), {}, WRONG),
        ("login", "offers no login"): (MailServer(), {}, WRONG),
        ("login", "is not reached, the password file being unreadable"): (
            MailServer(accounts=LOGIN),
            {},
            {"username": "luota", "password_file": Path("/none")},
        ),
        ("recipients", "550 for one of several"): (MailServer(), {f"RCPT {BOB}": "550 5.1.1 no"}, {}),
        ("recipients", "450 for one of several"): (MailServer(), {f"RCPT {BOB}": "450 4.2.0 later"}, {}),
        ("message", "250"): (MailServer(), {}, {}),
    }
    if (step, what) in odd:
        return [odd[step, what]]
    answer = ENDS.get(what, f"{what} no")
    places = [(where, *at(where, answer, certificate)) for where in STEPS if step in ("any", STEPS[where])]
    return [(server, {where: answer}, settings) for where, server, settings in places]


class Nowhere:
    port = 1  # of the machine's own, on which nobody listens


async def state_after(rig, name, server, script, settings):
    """Play one row; return the state of its delivery, its attempts, and the recorded attempts themselves."""
    async with server or contextlib.nullcontext():
        if server is not None:
            server.answers = script
        one = relay(server or Nowhere, **settings)
        if settings.get("host") == NO_NAME:
            one._resolver = Resolver()  # the machine's own
        one.send = partial(
            one.send, deadline=1.0 if "HANG" in {*script.values(), server and server._greeting} else 20.0
        )
        to = [ANN, BOB] if any(key.startswith("RCPT b") for key in script) else [ANN]
        channel_id = await rig.add("email", name, to=to)
        live = await rig.monitor(channels=[name])
        await rig.fail(live)
        rig.send_by(routes(None, rig.engine.clock, one))
        sql = "SELECT state, attempts, next_attempt_at, last_error, id FROM deliveries WHERE channel_id = ? AND attempts > 0"
        async with asyncio.timeout(40):
            while not (rows := await fetch(rig.engine.reader, sql, (channel_id,))):
                await asyncio.sleep(0.01)
        await rig.stop()
    # Else each of the hundred channels would hear of the incidents of all rows, and of all dead routes.
    await rig.engine.submit(monitors.archive(live.id, ACTOR))
    await rig.engine.submit(channels.remove(rig.workspace.id, channel_id, name, ACTOR))
    ((state, attempts, again, error, delivery_id),) = rows
    recorded = await fetch(rig.engine.reader, "SELECT ok, error FROM attempts WHERE delivery_id = ?", (delivery_id,))
    assert recorded == [(+(state == "delivered"), error)]
    assert attempts == 1
    assert (again is not None) == (state == "failed_retrying")
    return state, error


async def test_each_row_leads_through_sender_and_ledger_to_the_state_that_the_docs_say(rig, certificate):  # noqa: F811
    seen = {}
    table = documented()
    for number, (step, what) in enumerate(table):
        for turn, (server, script, settings) in enumerate(plays(step, what, certificate)):
            state, error = await state_after(rig, f"row {number}.{turn}", server, script, settings)
            assert seen.setdefault((step, what), state) == state, (step, what, turn)
            if state != "delivered":
                named = STEPS[next(iter(script))] if step == "any" else step
                assert error.startswith(f"{named}: "), (step, what, error)
    assert len(table) >= 30
    assert seen == table
