"""The email channel: one SMTP session an attempt, with the operator's own server (docs/alerts.md, "Email").

What a refusal means depends on the step at which it comes. Up to and including the sender's address it is about
the settings or the server, which the operator can mend: it is tried again, whatever the code. From the recipients
on, a 5xx is about this message and cannot heal. A message that some recipients are refused for goes to the others,
and the attempt is a failure that says so.

The server is named by whoever runs Luota, so that its address is not judged: a relay on loopback is fine.
"""

import asyncio
import base64
import contextlib
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import cast

import aiosmtplib
from aiosmtplib import SMTP, SMTPException, SMTPHeloError, SMTPRecipientRefused, SMTPResponseException

from luota.alerts.answer import secrets_of, told
from luota.alerts.mail import compose
from luota.alerts.notice import Notice
from luota.alerts.resolver import Resolver, UnresolvedError
from luota.config import Email
from luota.core.errors import LuotaError
from luota.core.retry import ERROR_LENGTH, AttemptResult
from luota.core.text import head

DEADLINE_SECONDS = 30.0
"""Servers greet late on purpose, and look for spam before they answer."""
CONNECT_SECONDS = 8.0
QUIT_SECONDS = 2.0
PROVIDER_ID_LENGTH = 200
REMEMBERED = 1000

_LOGIN_CODES = frozenset({530, 534, 535, 538})
"""RFC 4954 section 6: a login is missing, wrong or too weak, which the operator can mend at any step."""


class Step(StrEnum):
    """How far a session has come; the word stands before the error's text."""

    CONNECTION = "connection"
    TLS = "TLS"
    LOGIN = "login"
    SENDER = "sender"
    RECIPIENTS = "recipients"
    MESSAGE = "message"


@dataclass
class _Session:
    """One session; `secrets` are those that the server was told, and may repeat at any step."""

    smtp: SMTP
    step: Step = Step.CONNECTION
    secrets: list[str] = field(default_factory=list)

    def said(self, answer: SMTPResponseException) -> str:
        return told(f"{answer.code} {answer.message}", self.secrets, ERROR_LENGTH)


class _SilentError(OSError):
    """None of the server's addresses answered in time; another kind than the end of the time for the whole attempt."""


class Relay:
    """The SMTP server of `[email]`, whose settings name a host.

    `tls` replaces the check of certificates against the host's store. It remembers, until the process ends,
    which recipients have got a message that others were refused for, and does not send it to them again.
    """

    def __init__(self, settings: Email, resolver: Resolver, *, tls: ssl.SSLContext | None = None) -> None:
        self._settings = settings
        self._resolver = resolver
        self._tls = tls or ssl.create_default_context()
        self._served: dict[str, frozenset[str]] = {}

    async def send(
        self, notice: Notice, recipients: Sequence[str], *, deadline: float = DEADLINE_SECONDS
    ) -> AttemptResult:
        """Send a notice once, and tell what came of it; never raises for what a server does.

        `deadline` (seconds) covers the attempt from the name lookup to the answer to the message. It is ok when
        the server has taken the message for every recipient. `provider_id` is what the server answered then,
        mostly its queue id; `status` is the code of the answer that decided.
        """
        settings = self._settings
        assert settings.host is not None
        assert settings.sender is not None
        # TLS is asked for by name, while the socket is connected to an address that was looked up before.
        session = _Session(
            SMTP(
                hostname=settings.host,
                local_hostname=settings.sender.rpartition("@")[2],
                use_tls=settings.security == "tls",
                start_tls=False,
                tls_context=self._tls,
                timeout=None,
            )
        )
        try:
            try:
                async with asyncio.timeout(deadline):
                    await self._connect(session)
                    result = await self._hand_over(session, notice, recipients)
            except SMTPResponseException as answer:
                result = _refused(session, answer)
            with contextlib.suppress(SMTPException, OSError):  # what was answered so far has decided
                async with asyncio.timeout(QUIT_SECONDS):
                    await session.smtp.quit()
        except TimeoutError:
            return _failed(session, f"no answer within {deadline:g} s")
        except (SMTPException, UnresolvedError, LuotaError, OSError, ValueError) as error:
            return _failed(session, _words(error))
        else:
            return result
        finally:
            _hang_up(session.smtp)

    async def _connect(self, session: _Session) -> None:
        """Come to where messages may be sent: over TLS and logged in, where that is set."""
        settings, smtp = self._settings, session.smtp
        await smtp.connect(sock=await self._dial())
        await _greet(smtp)
        if settings.security == "starttls":
            session.step = Step.TLS
            await smtp.starttls()
            await _greet(smtp)  # what was said before does not count any more, RFC 3207 section 4.2
        if settings.username is not None:
            session.step = Step.LOGIN
            password = settings.read_password()
            login = f"\0{settings.username}\0{password}"  # RFC 4616
            packed = (base64.b64encode(one.encode()).decode() for one in (login, password))
            session.secrets = [*secrets_of((password, *packed))]
            await smtp.login(settings.username.encode(), password.encode())

    async def _dial(self) -> socket.socket:
        """Return a socket connected to the first of the server's addresses that takes it."""
        host, port = self._settings.host, self._settings.usual_port
        assert host is not None
        failure: OSError = OSError()
        addresses = await self._resolver.addresses(host, port)
        for address in addresses:
            sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
            sock.setblocking(False)
            try:
                # One silent address must leave time for the next one.
                async with asyncio.timeout(CONNECT_SECONDS / len(addresses)):
                    await asyncio.get_running_loop().sock_connect(sock, (address, port))
            except OSError as error:
                sock.close()
                failure = error
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        raise _SilentError if isinstance(failure, TimeoutError) else failure

    async def _hand_over(self, session: _Session, notice: Notice, recipients: Sequence[str]) -> AttemptResult:
        """Send the message for all recipients that have not got it yet."""
        smtp, sender = session.smtp, self._settings.sender
        assert sender is not None
        message = compose(notice, sender, recipients)
        served = self._served.get(notice.delivery_id, frozenset())
        session.step = Step.SENDER
        size = [f"size={len(message)}"] if smtp.supports_extension("size") else []
        await smtp.mail(sender, options=size)
        session.step = Step.RECIPIENTS
        refusals: list[SMTPRecipientRefused] = []
        for recipient in recipients:
            if recipient not in served:
                try:
                    await smtp.rcpt(recipient)
                    served |= {recipient}
                except SMTPRecipientRefused as refusal:
                    if refusal.code == 421:  # the server hangs up, so that nobody gets anything now
                        raise
                    refusals.append(refusal)
        answer = None
        if len(served) > len(self._served.get(notice.delivery_id, ())):
            session.step = Step.MESSAGE
            answer = await smtp.data(message)
        self._served.pop(notice.delivery_id, None)
        provider_id = None if answer is None else told(answer.message, session.secrets, PROVIDER_ID_LENGTH) or None
        if not refusals:
            return AttemptResult(ok=True, status=None if answer is None else answer.code, provider_id=provider_id)
        session.step = Step.RECIPIENTS
        lasting = [refusal for refusal in refusals if not _terminal(refusal.code, Step.RECIPIENTS)]
        if lasting and served:
            self._served[notice.delivery_id] = served
            if len(self._served) > REMEMBERED:  # of cancelled deliveries, which never come back
                del self._served[next(iter(self._served))]
        outcome = f"sent to {len(served)} of {len(recipients)}; " if served else ""
        outcome += "refused " + "; ".join(f"{r.recipient}: {session.said(r)}" for r in refusals)
        decisive = (lasting or refusals)[0]
        return _failed(session, outcome, status=decisive.code, terminal=not lasting, provider_id=provider_id)


async def _greet(smtp: SMTP) -> None:
    """Say EHLO, or HELO where that is refused. The library would do it with the next command, which is another step."""
    try:
        await smtp.ehlo()
    except SMTPHeloError:
        if not smtp.is_connected:
            raise
        await smtp.helo()


def _hang_up(smtp: SMTP) -> None:
    """Close the connection without waiting for the other side, which may be silent for ever."""
    if smtp.transport is not None:
        cast(asyncio.WriteTransport, smtp.transport).abort()
    smtp.close()


def _terminal(code: int, step: Step) -> bool:
    """Tell whether a refusal cannot heal."""
    if not 500 <= code <= 599 or code in _LOGIN_CODES:
        return False
    if step is Step.RECIPIENTS:
        return code != 552  # RFC 5321 section 4.5.3.1.10: here it means "too many", or a full mailbox
    return step is Step.MESSAGE or (step is Step.SENDER and code == 552)  # 552 there: the message is too big


def _refused(session: _Session, answer: SMTPResponseException) -> AttemptResult:
    if not 200 <= answer.code <= 599:
        return _failed(session, "the answer is not SMTP")
    # What a server says at a login may repeat what it was told.
    said = str(answer.code) if session.step is Step.LOGIN else session.said(answer)
    refused = f"refused: {said}"
    return _failed(session, refused, status=answer.code, terminal=_terminal(answer.code, session.step))


def _failed(
    session: _Session,
    what: str,
    *,
    status: int | None = None,
    terminal: bool = False,
    provider_id: str | None = None,
) -> AttemptResult:
    error = head(f"{session.step}: {what}", ERROR_LENGTH)
    return AttemptResult(ok=False, terminal=terminal, status=status, error=error, provider_id=provider_id)


_WORDS: tuple[tuple[type[Exception], str], ...] = (
    # The first kind that occurs anywhere in the chain of causes gives the text.
    (_SilentError, "no connection in time"),
    (ssl.SSLError, "TLS handshake failed; security may have to be another"),
    (ConnectionRefusedError, "connection refused"),
    (aiosmtplib.SMTPServerDisconnected, "the server closed the connection"),
    (ConnectionError, "the server closed the connection"),
    (OSError, "no route to the server"),
)


def _words(error: BaseException) -> str:
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    for link in chain:
        if isinstance(link, ssl.SSLCertVerificationError):
            return f"TLS certificate not trusted: {link.verify_message.rstrip('.')}"
        if isinstance(link, UnresolvedError | LuotaError):
            return str(link)
    for kind, text in _WORDS:
        if any(isinstance(link, kind) for link in chain):
            return text
    # What is left are the library's own refusals to go on, in words without any input.
    return "the server does not offer it" if type(error) is SMTPException else "the answer cannot be read"
