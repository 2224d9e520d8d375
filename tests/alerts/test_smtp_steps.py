"""What a refusal by an SMTP server leads to, by the step at which it comes, and the table of docs/alerts.md that says so."""

import socket
from pathlib import Path

import pytest

from luota.alerts.resolver import Resolver
from luota.alerts.smtp import Relay, Step
from luota.config import Email
from luota.core.retry import AttemptResult
from tests.alerts.notices import notice
from tests.alerts.test_smtp import ANN, BOB, LOGIN, certificate, send  # noqa: F401 (one is a fixture)
from tests.mailserver import MailServer
from tests.markdown import ROOT

# Where the answer stands, what it is, whether it ends the delivery, what is told.
ANSWERS = [
    ("greeting", "421 4.3.2 busy", False, 421, "connection: refused: 421 4.3.2 busy"),
    ("greeting", "554 5.7.1 not you", False, 554, "connection: refused: 554 5.7.1 not you"),
    ("greeting", "HTTP/1.1 400 Bad Request", False, None, "connection: the answer is not SMTP"),
    ("greeting", "DROP", False, None, "connection: the server closed the connection"),
    ("greeting", "HANG", False, None, "connection: no answer within 0.5 s"),
    ("EHLO", "421 4.3.2 busy", False, 421, "connection: refused: 421 4.3.2 busy"),
    ("EHLO", "550 5.7.1 who are you", False, 550, "connection: refused: 550 5.7.1 who are you"),
    ("EHLO", "DROP", False, None, "connection: the server closed the connection"),
    ("EHLO", "HANG", False, None, "connection: no answer within 0.5 s"),
    ("STARTTLS", "DROP", False, None, "TLS: the server closed the connection"),
    ("STARTTLS", "HANG", False, None, "TLS: no answer within 0.5 s"),
    ("EHLO over TLS", "DROP", False, None, "TLS: the server closed the connection"),
    ("EHLO over TLS", "HANG", False, None, "TLS: no answer within 0.5 s"),
    ("AUTH", "DROP", False, None, "login: the server closed the connection"),
    ("AUTH", "HANG", False, None, "login: no answer within 0.5 s"),
    ("MAIL", "421 4.7.0 too many", False, 421, "sender: refused: 421 4.7.0 too many"),
    ("MAIL", "451 4.3.0 later", False, 451, "sender: refused: 451 4.3.0 later"),
    ("MAIL", "530 5.7.0 login first", False, 530, "sender: refused: 530 5.7.0 login first"),
    ("MAIL", "550 5.7.1 unknown sender", False, 550, "sender: refused: 550 5.7.1 unknown sender"),
    ("MAIL", "552 5.3.4 too big", True, 552, "sender: refused: 552 5.3.4 too big"),
    ("MAIL", "DROP", False, None, "sender: the server closed the connection"),
    ("MAIL", "HANG", False, None, "sender: no answer within 0.5 s"),
    ("RCPT", "421 4.3.2 busy", False, 421, "recipients: refused: 421 4.3.2 busy"),
    ("RCPT", "450 4.2.0 greylisted", False, 450, f"recipients: refused {ANN}: 450 4.2.0 greylisted"),
    ("RCPT", "451 4.3.0 later", False, 451, f"recipients: refused {ANN}: 451 4.3.0 later"),
    ("RCPT", "530 5.7.0 login first", False, 530, f"recipients: refused {ANN}: 530 5.7.0 login first"),
    ("RCPT", "550 5.1.1 no such user", True, 550, f"recipients: refused {ANN}: 550 5.1.1 no such user"),
    ("RCPT", "552 5.2.2 mailbox full", False, 552, f"recipients: refused {ANN}: 552 5.2.2 mailbox full"),
    ("RCPT", "554 5.7.1 no relaying", True, 554, f"recipients: refused {ANN}: 554 5.7.1 no relaying"),
    ("RCPT", "DROP", False, None, "recipients: the server closed the connection"),
    ("RCPT", "HANG", False, None, "recipients: no answer within 0.5 s"),
    ("DATA", "421 4.3.2 busy", False, 421, "message: refused: 421 4.3.2 busy"),
    ("DATA", "450 4.3.0 later", False, 450, "message: refused: 450 4.3.0 later"),
    ("DATA", "451 4.3.0 later", False, 451, "message: refused: 451 4.3.0 later"),
    ("DATA", "550 5.7.1 spam", True, 550, "message: refused: 550 5.7.1 spam"),
    ("DATA", "552 5.3.4 too big", True, 552, "message: refused: 552 5.3.4 too big"),
    ("DATA", "554 5.6.0 no", True, 554, "message: refused: 554 5.6.0 no"),
    ("DATA", "535 5.7.8 login", False, 535, "message: refused: 535 5.7.8 login"),
    ("DATA", "DROP", False, None, "message: the server closed the connection"),
    ("DATA", "HANG", False, None, "message: no answer within 0.5 s"),
]


STEPS = {
    "greeting": Step.CONNECTION,
    "EHLO": Step.CONNECTION,
    "STARTTLS": Step.TLS,
    "EHLO over TLS": Step.TLS,
    "AUTH": Step.LOGIN,
    "MAIL": Step.SENDER,
    "RCPT": Step.RECIPIENTS,
    "DATA": Step.MESSAGE,
}
"""To which step belongs what a server answers there."""


def at(where, answer, certificate):
    """Return a server with an answer of this kind, and how Luota comes there."""
    context, trusted = certificate
    if where == "greeting":
        return MailServer(greeting=answer), {}
    if STEPS[where] is Step.TLS:
        return MailServer(starttls=context), {"security": "starttls", "host": "mail.test", "trusted": trusted}
    if where == "AUTH":
        return MailServer(accounts=LOGIN), {"username": "luota", "password": LOGIN["luota"]}
    return MailServer(), {}


@pytest.mark.parametrize(("step", "answer", "terminal", "status", "error"), ANSWERS)
async def test_the_step_and_the_code_decide(step, answer, terminal, status, error, certificate):
    server, how = at(step, answer, certificate)
    async with server:
        server.answers = {step: answer}
        result = await send(server, deadline=0.5 if answer == "HANG" else 20.0, **how)
    assert result == AttemptResult(ok=False, terminal=terminal, status=status, error=error)


@pytest.mark.parametrize("answer", ["DROP", "HANG"])
async def test_a_server_that_takes_no_part_in_tls_from_the_first_byte_on_is_told_by_its_step(answer):
    async with MailServer(greeting=answer) as server:
        result = await send(server, security="tls", deadline=0.5)
    assert result.error.startswith("connection: ")
    assert not result.terminal


async def for_one_of_two(answer):
    async with MailServer() as server:
        server.answers = {f"RCPT {BOB}": answer}
        return await send(server, ANN, BOB)


async def to_nobody(port_taken, **settings):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        lookup = (lambda host, port: ["127.0.0.1"]) if port_taken else no_such_name
        told = Email(host="mail.test", port=sock.getsockname()[1], security="plain", sender="luota@example.org")
        return await Relay(told, Resolver(lookup)).send(notice(), [ANN])


def no_such_name(host, port):
    raise socket.gaierror(socket.EAI_NONAME, "x")


async def to(server, **how):
    async with server:
        return await send(server, **how)


WRONG = {"username": "luota", "password": "wrong"}
NOT_CODES = {
    ("connection", "name does not exist"): lambda tls: to_nobody(port_taken=False),
    ("connection", "refuses the connection"): lambda tls: to_nobody(port_taken=True),
    ("connection", "does not speak SMTP"): lambda tls: to(MailServer(greeting="HTTP/1.1 400 Bad Request")),
    ("connection", "wants no TLS where security is tls"): lambda tls: to(MailServer(), security="tls"),
    ("TLS", "has a certificate that is not trusted"): lambda tls: to(MailServer(starttls=tls), security="starttls"),
    ("TLS", "offers no STARTTLS"): lambda tls: to(MailServer(), security="starttls"),
    ("login", "535"): lambda tls: to(MailServer(accounts=LOGIN), **WRONG),
    ("login", "offers no login"): lambda tls: to(MailServer(), **WRONG),
    ("login", "is not reached, the password file being unreadable"): lambda tls: to(
        MailServer(accounts=LOGIN), username="luota", password_file=Path("/none")
    ),
    ("recipients", "550 for one of several"): lambda tls: for_one_of_two("550 5.1.1 no such user"),
    ("recipients", "450 for one of several"): lambda tls: for_one_of_two("450 4.2.0 greylisted"),
    ("message", "250"): lambda tls: to(MailServer()),
}


def documented():
    """The table of docs/alerts.md, "Email", a row for each step and answer: the state."""
    text = (ROOT / "docs/alerts.md").read_text().split("## Email")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    assert rows[0] == ["step", "the server", "state", "what to do"]
    return {(step, what): state.strip("`") for step, what, state, _ in rows[2:]}


def state_of(result):
    return "delivered" if result.ok else "failed_terminal" if result.terminal else "failed_retrying"


async def test_each_step_and_answer_leads_to_the_state_that_the_docs_say(certificate):
    seen = {case: state_of(await play(certificate[0])) for case, play in NOT_CODES.items()}
    words = {"DROP": "drops the connection", "HANG": "says nothing in time"}
    for word in words:
        assert {STEPS[step] for step, answer, *_ in ANSWERS if answer == word} == set(Step)
    for step, answer, terminal, *_ in ANSWERS:  # played by the test above
        what = words.get(answer, answer[:3])
        if what != "HTT":
            state = "failed_terminal" if terminal else "failed_retrying"
            assert seen.setdefault(("any" if answer in words else STEPS[step], what), state) == state
    assert seen == documented()
