"""What a receiver knows of a channel's secrets, and says in its answer, is told to nobody."""

import asyncio
import base64
import threading

import httpx
import pytest

from luota.alerts import webhook
from luota.alerts.answer import beginning, echoes, secrets_of_request
from luota.alerts.resolver import Resolver
from luota.clock import SystemClock
from luota.core.spec.channels import secret_key
from luota.engine import channels
from luota.store.reads import fetch
from tests.alerts.rig import LOOPBACK, plain_client, rigged
from tests.engines import ACTOR
from tests.mailserver import MailServer
from tests.receiver import Receiver, reply

HOST = "http://hook.example"
PASSWORD = "correct+h0rse/9"
PLAIN = base64.b64encode(f"\0luota\0{PASSWORD}".encode()).decode()


def told(said, path="/x", **headers):
    secrets = secrets_of_request(httpx.URL(HOST + path), httpx.Headers(headers))
    return beginning(said if isinstance(said, bytes) else said.encode(), True, secrets)


@pytest.fixture
async def rig(tmp_path):
    async with rigged(tmp_path, SystemClock()) as rig:
        await rig.start()
        yield rig


PACKED = {
    "as it was shown": str,
    "without its prefix": lambda secret: secret[6:],
    "without what fills it up": lambda secret: secret.rstrip("="),
    "safe for a URL": lambda secret: base64.urlsafe_b64encode(secret_key(secret)).decode(),
    "its key as hex": lambda secret: secret_key(secret).hex(),
    "packed once more": lambda secret: base64.b64encode(secret.encode()).decode(),
}


@pytest.mark.parametrize("packed", PACKED.values(), ids=PACKED.keys())
async def test_the_secrets_by_which_a_webhook_is_signed_stand_in_no_answer_error_or_id(rig, packed):
    async with Receiver() as receiver:
        first = channels.new_secret()
        hook = await rig.add("webhook", "hook", url=receiver.url, secret=first)
        second, _ = await rig.engine.submit(channels.rotate_secret(rig.workspace.id, hook, "hook", ACTOR))
        for secret in (first, second):
            said = f"bad signature with {packed(secret)}"
            for status in (401, 200):
                receiver.default = reply(status, {"x-request-id": packed(secret)}, said.encode())
                delivery_id = await rig.test(hook)
                _, answer = rig.sender.proofs.answer(delivery_id)
                assert answer.rstrip("=") == "bad signature with …"
        recorded = await fetch(rig.engine.reader, "SELECT error, provider_id FROM attempts")
        assert {(error or "").rstrip("=") for error, _ in recorded} == {
            "HTTP 401 from the receiver: bad signature with …",
            "",
        }
        assert {id_ for _, id_ in recorded} == {None}


def repeating(receiver, header):
    """An answer that has a header of the request as the receiver's own id and, between words, as its text."""

    async def answer(reader, writer):
        said = receiver.requests[-1].headers[header]
        await reply(202, {"x-request-id": said}, f"took <{said}> in".encode())(reader, writer)

    return answer


@pytest.mark.parametrize("header", ["webhook-id", "webhook-timestamp", "content-type", "user-agent"])
async def test_what_luota_says_of_itself_to_a_webhook_is_no_secret_and_stays_where_it_is_repeated(rig, header):
    async with Receiver() as receiver:
        receiver.default = repeating(receiver, header)
        hook = await rig.add("webhook", "hook", url=receiver.url, secret=channels.new_secret())
        delivery_id = await rig.test(hook)
        said = receiver.requests[0].headers[header]
        assert rig.sender.proofs.answer(delivery_id) == (202, f"took <{said}> in")
        assert await fetch(rig.engine.reader, "SELECT provider_id FROM attempts") == [(said,)]


@pytest.mark.parametrize("header", ["webhook-signature", "user-agent", "x-trace"])
async def test_the_signature_and_each_header_of_the_channel_are_hidden_where_they_are_repeated(rig, header):
    async with Receiver() as receiver:
        receiver.default = repeating(receiver, header)
        own = {"User-Agent": "s3cr3t-agent", "X-Trace": "s3cr3t-trace"}
        hook = await rig.add("webhook", "hook", url=receiver.url, secret=channels.new_secret(), headers=own)
        _, answer = rig.sender.proofs.answer(await rig.test(hook))
        assert answer.replace("=", "") == "took <…> in"
        assert await fetch(rig.engine.reader, "SELECT provider_id FROM attempts") == [(None,)]


async def test_what_other_channels_are_told_of_a_dead_route_holds_no_secret_of_it(rig):
    async with Receiver() as receiver, Receiver() as other:
        secret = channels.new_secret()
        hook = await rig.add("webhook", "hook", url=receiver.url, secret=secret)
        await rig.channel("other", other.url)
        receiver.default = reply(410, {}, f"gone; was signed with {secret}".encode())
        live = await rig.monitor(channels=["hook"])
        await rig.fail(live)
        await other.wait(1)
        assert other.requests[0].json["channel"] == {
            "id": hook,
            "name": "hook",
            "type": "webhook",
            "error": "HTTP 410 from the receiver: gone; was signed with …",
        }


@pytest.mark.parametrize(
    ("path", "headers", "secret"),
    [
        ("/x", {"authorization": 'Token token="s3cr3tv"'}, "s3cr3tv"),
        ("/x", {"authorization": "Token token=s3cr3tv"}, "s3cr3tv"),
        ("/x", {"authorization": "Bearer abc%2Bdef"}, "abc+def"),
        ("/x", {"authorization": f"Basic {base64.b64encode(b'user:password').decode()}"}, "user:password"),
        ("/x", {"cookie": "sid=verys99; b=oth8"}, "verys99"),
        ("/x", {"cookie": "sid=verys99; b=oth8"}, "oth8"),
        ("/x", {"x-auth": "id1,s3cr3tv"}, "s3cr3tv"),
        ("/x", {"x-auth": "id1|s3cr3tv"}, "s3cr3tv"),
        ("/x", {"x-auth": "{'id': 's3cr3tv'}"}, "s3cr3tv"),
        ("/bot12345:AAtok99/send", {}, "AAtok99"),
        ("/x/id7.s3cr3tvalue", {}, "s3cr3tvalue"),
        ("/x?auth=me:passw9", {}, "passw9"),
        ("/x?auth=me%3Apassw9", {}, "passw9"),
        ("/x?auth=me+passw9", {}, "passw9"),
        ("/x#frag", {"x-auth": "a@b?c=s3cr3tv&d"}, "s3cr3tv"),
    ],
)
def test_a_part_of_a_header_or_of_an_address_that_a_receiver_repeats_alone_is_hidden(path, headers, secret):
    assert told(f"<{secret}> is wrong", path, **headers) == "<…> is wrong"


@pytest.mark.parametrize(
    "secret", ["S3c@re#9", "P@ss1", "abc#123", "Tr0ub4d@r&3", "p@1:w0/r9+k", "aB3/dE5+g7", "aB3:dE5/g7"]
)
@pytest.mark.parametrize(
    "header",
    [
        lambda secret: {"authorization": "Basic " + base64.b64encode(f"ops:{secret}".encode()).decode()},
        lambda secret: {"cookie": f"lang=en; sid={secret}"},
        lambda secret: {"authorization": f'Token token="{secret}"'},
        lambda secret: {"x-api-key": f"id={secret}"},
        lambda secret: {"x-api-key": secret},
    ],
)
def test_a_secret_with_signs_that_stand_between_parts_is_hidden_whole(header, secret):
    assert told(f"key {secret} is gone", **header(secret)) == "key … is gone"
    assert echoes(secret, httpx.URL(HOST), httpx.Headers(header(secret)))


def test_words_that_stand_in_many_headers_and_addresses_stay():
    said = "Invalid Basic token: the Bearer token of this webhook, see https://hooks.slack.com, is no text/plain"
    headers = {
        "authorization": "Bearer s3cr3tv",
        "x-auth": "Basic token=abc9",
        "accept": "text/plain, application/json",
    }
    asked = httpx.URL("https://hooks.slack.com/services/webhook/token")
    assert beginning(said.encode(), True, secrets_of_request(asked, httpx.Headers(headers))) == said


@pytest.mark.parametrize(
    "said",
    [
        b"tok3n=2Dabcdef",
        b"tok3n-=\r\nabcdef",
        b"tok3n\\055abcdef",
        b"tok3n&hyphen;abcdef",
        b"tok3n-\r\n  abcdef",
        b"tok3n-abc&shy;def",
        "tok3n\u200b-abcdef".encode(),
        base64.b64encode(b"tok3n-abcdef"),
        base64.b64encode(b'{"key": "tok3n-abcdef"}'),
        b"q-" + base64.b64encode(b"tok3n-abcdef"),
        base64.urlsafe_b64encode(b"?>?>tok3n-abcdef"),
        base64.b64encode(b"tok3n%2Dabcdef"),
        b"tok3n-abcdef".hex().encode(),
        b"0x" + b"tok3n-abcdef".hex().upper().encode(),
        b"tok3n-abcdef".hex(":").encode(),
        b"tok3n-abcdef".hex("-").upper().encode(),
        b"tok3n-abcdef".hex(" ").encode(),
    ],
)
def test_a_secret_is_hidden_however_it_is_packed_or_wrapped(said):
    shown = told(b"you sent <" + said + b">", authorization="Bearer tok3n-abcdef")
    kept = shown.removeprefix("you sent <").removesuffix(">").strip("=")
    assert "…" in kept
    assert len(kept.replace("…", "")) <= len(said) - 15 or kept == "…"


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("between", ["", ":", "-"])
def test_a_secret_in_hex_is_hidden_beside_hex_that_is_written_in_another_way(between, order):
    secret, others = b"tok3n-abcdef-and-more-of-it", "9f86d081884c7d659a2feaa0c55ad015" * 4
    said = [secret.hex(between), others] if between else [secret.hex(), "9f:86:d0:81:88:4c:7d:65"]
    shown = told(" ".join(said[::order]).encode(), authorization="Bearer " + secret.decode())
    assert shown.replace(" ", "") == "".join(["…", said[1]][::order])


async def test_the_loop_goes_on_while_an_answer_is_searched_for_secrets(monkeypatch):
    began, went_on = threading.Event(), threading.Event()

    def slow(*said):
        began.set()
        assert went_on.wait(5)
        return beginning(*said)

    monkeypatch.setattr(webhook, "beginning", slow)
    async with Receiver() as receiver, plain_client(LOOPBACK, Resolver()) as client:
        receiver.default = reply(400, body=b"no such hook")
        going = asyncio.ensure_future(webhook.send(client, receiver.url, b"{}", {}, now=0))
        while not began.is_set():
            await asyncio.sleep(0.01)
        went_on.set()
        assert (await going).answer == "no such hook"


@pytest.mark.parametrize("said", ["Kq8+Yt3z", "3zPw9+Lm", "Kq8 Yt3z", "Lm4+Za7+Qx2="])
def test_any_8_characters_of_a_key_in_base64_are_hidden_across_its_plus_signs(said):
    assert told(f"<{said}>", authorization="Bearer Kq8+Yt3zPw9+Lm4+Za7+Qx2=").replace("=", "") == "<…>"


@pytest.mark.parametrize("said", ["no hook Passwört99".encode("latin-1"), "no hook Passwört99".encode()])
def test_a_secret_is_hidden_in_either_encoding_that_receivers_use(said):
    assert told(said, "/Passw%C3%B6rt99") == told(said, "/Passw%F6rt99") == "no hook …"


@pytest.mark.parametrize("said", [PASSWORD, PLAIN, base64.b64encode(PASSWORD.encode()).decode(), PLAIN[7:19]])
@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("MAIL", "451 no {} now"),
        ("RCPT", "450 no {} now"),
        ("RCPT bob@example.org", "550 no {} now"),
        ("DATA", "554 no {} now"),
        ("DATA", "250 no {} now"),
    ],
)
async def test_the_password_of_a_login_that_a_server_repeats_later_is_told_nowhere(command, answer, said):
    from tests.alerts.test_smtp import ANN, BOB, send

    async with MailServer(accounts={"luota": PASSWORD}) as server:
        server.answers = {command: answer.format(said)}
        result = await send(server, ANN, BOB, username="luota", password=PASSWORD)
        assert server.connections == 1
    shown = result.provider_id if answer.startswith("250") else result.error
    assert "no …" in shown
    assert shown.split("no …")[1].lstrip("=").startswith(" now")
    assert said not in str(result)
