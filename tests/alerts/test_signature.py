"""Signed as Standard Webhooks 1.0 prescribes, judged by the published library."""

import asyncio

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from luota.clock import SystemClock
from luota.engine import channels
from luota.store.reads import fetch
from tests.alerts.rig import Rig, rigged
from tests.engines import ACTOR
from tests.receiver import Receiver


class Signed(Rig):
    """A webhook, and what arrives of it."""

    async def hook(self, url, **more):
        self.hooked = await self.add("webhook", "hook", url=url, **more)

    async def rotate(self):
        return await self.engine.submit(channels.rotate_secret(self.workspace.id, self.hooked, "hook", ACTOR))

    async def request(self, receiver):
        """Send a test notice; return the request that it made."""
        await self.test(self.hooked)
        return receiver.requests[-1]


@pytest.fixture
async def rig(tmp_path):
    async with rigged(tmp_path, SystemClock(), Signed) as rig:
        await rig.start()
        yield rig


async def test_the_published_library_accepts_a_signed_webhook_and_no_changed_one(rig):
    secret = channels.new_secret()
    async with Receiver() as receiver:
        await rig.hook(receiver.url, secret=secret)
        request = await rig.request(receiver)
        body = Webhook(secret).verify(request.body, dict(request.headers))
        assert body["type"] == "channel.test"
        assert body["delivery"]["id"] == request.headers["webhook-id"]
        for changed in (request.body + b" ", b"{}"):
            with pytest.raises(WebhookVerificationError):
                Webhook(secret).verify(changed, dict(request.headers))
        with pytest.raises(WebhookVerificationError):
            Webhook(channels.new_secret()).verify(request.body, dict(request.headers))


async def test_for_a_day_after_a_rotation_both_secrets_verify_and_then_the_new_one_alone(rig):
    first = channels.new_secret()
    async with Receiver() as receiver:
        await rig.hook(receiver.url, secret=first)
        second, ends = await rig.rotate()
        assert 86_300_000 < ends - rig.engine.clock.now() <= 86_400_000
        request = await rig.request(receiver)
        assert request.headers["webhook-signature"].count("v1,") == 2
        for secret in (first, second):
            Webhook(secret).verify(request.body, dict(request.headers))

        third, _ = await rig.rotate()
        request = await rig.request(receiver)
        for secret in (second, third):
            Webhook(secret).verify(request.body, dict(request.headers))
        with pytest.raises(WebhookVerificationError):
            Webhook(first).verify(request.body, dict(request.headers))

        async def a_day_later(tx):
            sql = "UPDATE channels SET settings = json_set(settings, '$.secrets[1].until', ?)"
            await tx.execute(sql, tx.now)

        await rig.engine.submit(a_day_later)
        request = await rig.request(receiver)
        Webhook(third).verify(request.body, dict(request.headers))
        with pytest.raises(WebhookVerificationError):
            Webhook(second).verify(request.body, dict(request.headers))


async def test_a_webhook_of_an_older_luota_is_unsigned_until_its_secret_is_rotated(rig):
    async with Receiver() as receiver:
        await rig.hook(receiver.url)
        assert "webhook-signature" not in (await rig.request(receiver)).headers
        secret, ends = await rig.rotate()
        assert ends is None
        request = await rig.request(receiver)
        Webhook(secret).verify(request.body, dict(request.headers))


async def test_headers_of_the_channel_are_sent_along(rig):
    async with Receiver() as receiver:
        await rig.hook(receiver.url, headers={"Authorization": "Bearer t0ken"})
        assert (await rig.request(receiver)).headers["authorization"] == "Bearer t0ken"


async def test_secrets_are_in_no_audit_entry_no_delivery_and_no_log(rig, caplog):
    caplog.set_level(0)
    secret = channels.new_secret()
    async with Receiver() as receiver:
        await rig.hook(receiver.url + "/s3cret", secret=secret, headers={"Authorization": "Bearer s3cret"})
        await rig.request(receiver)
        receiver.default = lambda reader, writer: asyncio.sleep(0, writer.transport.abort())
        await rig.request(receiver)
        new, _ = await rig.rotate()
    await rig.request(receiver)  # nobody listens now
    kept = ""
    for table in ("audit_entries", "deliveries", "attempts"):
        kept += str(await fetch(rig.engine.reader, f"SELECT * FROM {table}"))
    for word in ("s3cret", secret, new, secret.removeprefix("whsec_")):
        assert word not in kept
        assert word not in caplog.text
