"""The email channel against a real SMTP server, over real sockets."""

import socket
import ssl
import sys

import pytest

from luota.alerts.resolver import Resolver
from luota.alerts.smtp import Relay
from luota.config import Email, load
from luota.core.retry import ERROR_LENGTH, AttemptResult
from tests.alerts.notices import notice
from tests.hostile import HOSTILE
from tests.mailserver import MailServer
from tests.markdown import ROOT, fences
from tests.receiver import self_signed

ANN, BOB, EVE = "ann@example.org", "bob@example.org", "eve@example.org"
SENT = AttemptResult(ok=True, status=250, provider_id="2.0.0 Ok: queued as 4F3A2")
LOGIN = {"luota": "sEcReT"}
HOSTS_STORE = ssl.create_default_context()  # read once: it takes longer than most tests


def relay(server, security="plain", *, trusted=None, **settings):
    told = {"host": "127.0.0.1", "port": server.port, "security": security, "sender": "luota@example.org"}
    tls = HOSTS_STORE if trusted is None else ssl.create_default_context(cafile=trusted)
    # A name that the certificate is for, and that resolves to the server.
    return Relay(Email(**told | settings), Resolver(lambda host, port: ["127.0.0.1"]), tls=tls)


async def send(server, *recipients, security="plain", told=None, deadline=20.0, **settings):
    one = relay(server, security, **settings)
    return await one.send(told or notice(), recipients or (ANN,), deadline=deadline)


@pytest.fixture
async def server():
    async with MailServer() as started:
        yield started


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return self_signed(tmp_path_factory.mktemp("tls"), "mail.test")


async def test_all_recipients_get_one_message_in_one_transaction(server):
    assert await send(server, ANN, BOB) == SENT
    [mail] = server.mails
    assert (mail.sender, mail.recipients, mail.tls) == ("luota@example.org", (ANN, BOB), False)
    assert mail.message["Subject"] == "Invoices: failed (open)"
    assert server.connections == 1


async def test_starttls_is_demanded_used_and_its_certificate_checked(certificate):
    context, trusted = certificate
    async with MailServer(starttls=context) as server:
        assert await send(server, security="starttls", host="mail.test", trusted=trusted) == SENT
    assert server.mails[0].tls


async def test_tls_from_the_first_byte_on(certificate):
    context, trusted = certificate
    async with MailServer(tls=context) as server:
        assert await send(server, security="tls", host="mail.test", trusted=trusted) == SENT
    assert server.mails[0].tls


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_bad_certificate_is_told_and_nothing_is_sent_not_even_the_login(certificate, security):
    context, trusted = certificate
    kind = {"starttls": context} if security == "starttls" else {"tls": context}
    async with MailServer(accounts=LOGIN, **kind) as server:
        login = {"username": "luota", "password": "sEcReT"}
        unknown = await send(server, security=security, host="mail.test", **login)
        other = await send(server, security=security, host="other.test", trusted=trusted, **login)
    step = "TLS" if security == "starttls" else "connection"
    assert unknown == AttemptResult(ok=False, error=f"{step}: TLS certificate not trusted: self-signed certificate")
    assert other.error.startswith(f"{step}: TLS certificate not trusted: Hostname mismatch")
    assert server.mails == []


async def test_a_server_without_starttls_gets_nothing(server):
    result = await send(server, security="starttls", username="luota", password="sEcReT")
    assert result == AttemptResult(ok=False, error="TLS: the server does not offer it")
    assert server.mails == []


async def test_tls_with_a_server_that_speaks_without_it_is_a_failure_in_plain_words(server):
    result = await send(server, security="tls")
    assert result.error == "connection: TLS handshake failed; security may have to be another"


async def test_a_login_with_the_password_of_a_file_that_may_change(server, tmp_path):
    path = tmp_path / "password"
    async with MailServer(accounts=LOGIN) as server:
        one = relay(server, username="luota", password_file=path)
        missing = await one.send(notice(), [ANN])
        path.write_text("wrong\n")
        wrong = await one.send(notice(), [ANN])
        path.write_text("sEcReT\n")
        right = await one.send(notice(), [ANN])
    assert missing == AttemptResult(
        ok=False, error=f"login: {path}, the password file of [email]: No such file or directory"
    )
    assert wrong == AttemptResult(ok=False, status=535, error="login: refused: 535")
    assert right == SENT
    assert server.mails[0].login == "luota"


async def test_a_password_of_any_letters_is_sent(server):
    async with MailServer(accounts={"lüota": "pä ss\u20ac"}) as server:
        assert (await send(server, username="lüota", password="pä ss\u20ac")).ok


async def test_a_login_at_a_server_that_has_none_says_so(server):
    result = await send(server, username="luota", password="sEcReT")
    assert result == AttemptResult(ok=False, error="login: the server does not offer it")


async def test_a_server_that_knows_no_ehlo_is_greeted_by_helo(server):
    server.answers = {"EHLO": "502 5.5.1 what", "HELO": "250 mail.test"}
    assert await send(server) == SENT


async def test_the_lines_of_the_docs_are_settings(tmp_path):
    (lines,) = [fence.text for fence in fences(ROOT / "docs/alerts.md") if fence.label == "email"]
    (tmp_path / "luota.toml").write_text(lines)
    email = load(tmp_path / "luota.toml", {}, {}).email
    assert (email.host, email.usual_port, email.sender) == ("smtp.example.org", 587, "luota@example.org")


async def test_a_repeat_after_a_loss_of_the_answer_is_the_same_message(server):
    one = relay(server)
    server.answers = {"DATA": "DROP"}
    assert not (await one.send(notice(), [ANN])).ok
    server.answers = {}
    assert await one.send(notice(), [ANN]) == SENT
    first, second = server.mails
    assert first.raw == second.raw


@pytest.mark.parametrize("farewell", ["HANG", "DROP", "500 what"])
async def test_how_the_server_says_goodbye_undoes_nothing(server, farewell):
    server.answers = {"QUIT": farewell}
    assert await send(server, deadline=1.0) == SENT


async def test_nobody_listening_is_connection_refused():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        told = Email(host="127.0.0.1", port=port, security="plain", sender="luota@example.org")
        result = await Relay(told, Resolver()).send(notice(), [ANN])
    assert result == AttemptResult(ok=False, error="connection: connection refused")


async def test_the_next_address_is_tried_when_one_does_not_answer(server):
    told = Email(host="mail.test", port=server.port, security="plain", sender="luota@example.org")
    one = Relay(told, Resolver(lambda host, port: ["127.0.0.2", "127.0.0.1"]))
    assert await one.send(notice(), [ANN]) == SENT


async def test_a_name_that_does_not_exist_is_told():
    def lookup(host, port):
        raise socket.gaierror(socket.EAI_NONAME, "x")

    told = Email(host="mail.test", security="plain", sender="luota@example.org")
    result = await Relay(told, Resolver(lookup)).send(notice(), [ANN])
    assert result == AttemptResult(ok=False, error="connection: the host name does not exist")


async def test_a_recipient_who_is_refused_for_good_does_not_keep_the_others_from_it(server):
    server.answers = {f"RCPT {BOB}": "550 5.1.1 no such user"}
    result = await send(server, ANN, BOB, EVE)
    assert result == AttemptResult(
        ok=False,
        terminal=True,
        status=550,
        error=f"recipients: sent to 2 of 3; refused {BOB}: 550 5.1.1 no such user",
        provider_id=SENT.provider_id,
    )
    assert server.mails[0].recipients == (ANN, EVE)


async def test_a_recipient_who_is_refused_for_now_is_tried_again_and_the_others_are_not_told_twice(server):
    one = relay(server)
    server.answers = {f"RCPT {BOB}": "450 4.2.0 greylisted", f"RCPT {EVE}": "550 5.1.1 no such user"}
    first = await one.send(notice(), [ANN, BOB, EVE])
    assert (first.ok, first.terminal, first.status) == (False, False, 450)
    assert first.error.startswith("recipients: sent to 1 of 3; refused bob@example.org: 450")
    again = await one.send(notice(), [ANN, BOB, EVE])
    assert (again.ok, again.terminal, again.provider_id) == (False, False, None)
    server.answers = {f"RCPT {BOB}": "250 OK", f"RCPT {EVE}": "550 5.1.1 no such user"}
    last = await one.send(notice(), [ANN, BOB, EVE])
    assert (last.ok, last.terminal) == (False, True)
    assert [mail.recipients for mail in server.mails] == [(ANN,), (BOB,)]
    assert server.mails[0].raw == server.mails[1].raw


async def test_a_message_that_was_lost_on_the_way_counts_for_nobody(server):
    one = relay(server)
    server.answers = {f"RCPT {BOB}": "450 4.2.0 greylisted", "DATA": "451 later"}
    assert not (await one.send(notice(), [ANN, BOB])).ok
    server.answers = {}
    assert await one.send(notice(), [ANN, BOB]) == SENT
    assert server.mails[-1].recipients == (ANN, BOB)


async def test_what_a_server_says_is_shown_with_nothing_active_and_never_too_long():
    async with MailServer(greeting="554-\x1b[2J<b>\u202e\r\n554 x " + "y" * 400) as server:
        result = await send(server)
    assert result.error.startswith("connection: refused: 554 \\x1b[2J<b>\\u202e x yyy")
    assert result.error.isprintable()
    assert len(result.error) <= ERROR_LENGTH


async def test_a_server_that_repeats_the_password_does_not_get_it_into_an_error():
    async with MailServer(accounts={"luota": "other"}) as server:
        result = await send(server, username="luota", password="sEcReT")
    assert result == AttemptResult(ok=False, status=535, error="login: refused: 535")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
async def test_the_hostile_corpus_arrives_as_one_mail_for_its_recipient_alone(server, text):
    assert await send(server, told=notice(text=text)) == SENT
    [mail] = server.mails
    assert mail.recipients == (ANN,)
    assert not {"Bcc", "Cc"} & set(mail.message.keys())
    assert [part.get_content_type() for part in mail.message.iter_parts()] == ["text/plain", "text/html"]
    assert mail.part("plain").rstrip().endswith("Nobody reads replies.")
    assert mail.part("html").rstrip().endswith("</html>")


async def test_opened_updated_and_resolved_arrive_in_one_thread(server):
    other = "00000000-0000-4000-8000-00000000000"
    for number, type_ in enumerate(("opened", "updated", "resolved", "resolved")):
        delivery_id = f"{other}{min(number, 2)}"
        assert (await send(server, told=notice(f"incident.{type_}", delivery_id=delivery_id))).ok
    opened, updated, resolved, repeated = (mail.message for mail in server.mails)
    assert opened["In-Reply-To"] is None
    assert updated["In-Reply-To"] == resolved["In-Reply-To"] == opened["Message-ID"] == resolved["References"]
    assert repeated["Message-ID"] == resolved["Message-ID"] != updated["Message-ID"]


@pytest.mark.skipif(sys.platform != "linux", reason="uvloop")
def test_it_works_on_the_loop_that_the_daemon_runs(certificate):
    import uvloop

    context, trusted = certificate

    async def scenario():
        async with MailServer(starttls=context) as server:
            sent = await send(server, security="starttls", host="mail.test", trusted=trusted)
            bad = await send(server, security="starttls", host="mail.test")
            server.answers = {"DATA": "HANG"}
            late = await send(server, security="starttls", host="mail.test", trusted=trusted, deadline=0.5)
        async with MailServer(tls=context) as server:
            return sent, bad, late, await send(server, security="tls", host="mail.test")

    sent, bad, late, tls = uvloop.run(scenario())
    assert sent == SENT
    assert bad.error == "TLS: TLS certificate not trusted: self-signed certificate"
    assert late.error == "message: no answer within 0.5 s"
    assert tls.error == "connection: TLS certificate not trusted: self-signed certificate"
