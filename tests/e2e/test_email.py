"""Email from end to end: the real daemon, a real SMTP server with STARTTLS and a login, one thread an incident."""

import asyncio

from tests.mailserver import MailServer
from tests.process import Daemon
from tests.receiver import self_signed


async def arrived(server, count):
    async with asyncio.timeout(20):
        while len(server.mails) < count:
            await asyncio.sleep(0.02)


async def test_an_incident_is_told_by_email_and_its_end_in_the_same_thread(tmp_path, monkeypatch):
    context, certificate = self_signed(tmp_path, "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))  # the daemon's host trusts it
    (tmp_path / "password").write_text("sEcReT\n")
    async with MailServer(starttls=context, accounts={"luota": "sEcReT"}) as server:
        settings = {
            "email.host": "localhost",
            "email.port": server.port,
            "email.username": "luota",
            "email.password_file": tmp_path / "password",
            "email.sender": "luota@example.org",
        }
        async with Daemon(tmp_path / "data", settings) as luota:
            channel = {"type": "email", "name": "desk", "to": ["ann@example.org", "bob@example.org"]}
            assert (await luota.api("POST", "/api/channels", channel))["channel"]["to"] == channel["to"]
            proof = (await luota.api("POST", "/api/channels/desk/test"))["delivery"]
            assert (proof["state"], proof["providerId"]) == ("delivered", "2.0.0 Ok: queued as 4F3A2")

            job = await luota.monitor("Invoices", "run", promise="Sent by 07:00")
            run = (await luota.run(job, "one")).json()["run"]
            failure = {"summary": "3 of 14 <b>failed</b>", "exitCode": 3, "output": "one\ntwo\n"}
            assert (await luota.post(f"/v1/runs/{run['id']}/fail", job, failure)).status_code == 202
            await arrived(server, 2)
            run = (await luota.run(job, "two")).json()["run"]
            assert (await luota.post(f"/v1/runs/{run['id']}/success", job)).status_code == 202
            await arrived(server, 3)
            assert "sEcReT" not in luota.log
            rows = luota.rows("SELECT id, type FROM deliveries ORDER BY seq")
    proof, opened, resolved = server.mails
    assert all(mail.tls and mail.login == "luota" for mail in server.mails)
    assert all(mail.recipients == ("ann@example.org", "bob@example.org") for mail in server.mails)
    assert opened.message["Subject"] == "Invoices: failed (open)"
    assert resolved.message["Subject"].startswith("Invoices: failed (resolved after ")
    assert resolved.message["In-Reply-To"] == opened.message["Message-ID"] != proof.message["Message-ID"]
    assert [mail.message["X-Luota-Delivery"] for mail in server.mails] == [id_ for id_, _ in rows]
    assert "3 of 14 <b>failed</b>" in opened.part("plain")
    assert "3 of 14 &lt;b&gt;failed&lt;/b&gt;" in opened.part("html")
    assert "Promise: Sent by 07:00" in opened.part("plain")
