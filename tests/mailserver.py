"""A real SMTP server on 127.0.0.1 that keeps what arrives and answers from a script.

async with MailServer() as server:
    server.answers = {"RCPT bob@example.org": "550 5.1.1 no such user", "DATA": "451 later"}
    ... send to server.port ...
    server.mails[0].message, server.mails[0].recipients

An answer stands for a command ("EHLO", "HELO", "STARTTLS", "AUTH", "MAIL", "RCPT address", "RCPT", "DATA", "QUIT"), and
"DROP" or "HANG" in its place for closing the connection and for silence. "EHLO" is for HELO too, and "EHLO over TLS" for
the one after STARTTLS. With DATA it comes after the message. `greeting` is what the server says first, in place of a
session: then nothing else is served.
"""

import asyncio
import email
import email.policy
import ssl
import warnings
from dataclasses import dataclass
from email.message import EmailMessage

from aiosmtpd.smtp import MISSING, SMTP, AuthResult


@dataclass(frozen=True)
class Mail:
    """One message as it arrived, with its envelope, and whether it came over TLS and after a login."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    tls: bool
    login: object

    @property
    def message(self) -> EmailMessage:
        return email.message_from_bytes(self.raw, policy=email.policy.default)

    def part(self, kind: str) -> str:
        """The decoded text of the part `text/kind`."""
        return self.message.get_body((kind,)).get_content()


class _Session(SMTP):
    """A session that answers STARTTLS from the script, too: the only command that asks no handler."""

    async def smtp_STARTTLS(self, arg):
        answer = await self.event_handler._answer(self, "STARTTLS", otherwise="")
        await (self.push(answer) if answer else super().smtp_STARTTLS(arg))


class MailServer:
    """Listens while its context is open. `accounts` are logins by name: given, the server demands one."""

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        starttls: ssl.SSLContext | None = None,
        accounts: dict[str, str] | None = None,
        greeting: str | None = None,
    ) -> None:
        self.answers: dict[str, str] = {}
        self.mails: list[Mail] = []
        self.connections = 0
        self._tls, self._starttls, self._accounts, self._greeting = tls, starttls, accounts, greeting
        self._sessions: list[SMTP] = []
        self._greeted: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> "MailServer":
        if self._greeting is None:
            self._server = await asyncio.get_running_loop().create_server(self._session, "127.0.0.1", 0, ssl=self._tls)
        else:
            self._server = await asyncio.start_server(self._greet, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info) -> None:
        self._server.close()
        for session in self._sessions:
            task = session._handler_coroutine
            if session.transport is not None:
                session.transport.abort()
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        for writer in self._greeted:
            writer.transport.abort()
        await self._server.wait_closed()

    async def _greet(self, reader, writer) -> None:
        self.connections += 1
        self._greeted.append(writer)
        if self._greeting == "HANG":
            await reader.read()
        elif self._greeting != "DROP":
            writer.write(self._greeting.encode() + b"\r\n")
            await writer.drain()
            await reader.read()
        writer.close()

    def _session(self) -> SMTP:
        self.connections += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that a login without TLS is a bad idea
            session = _Session(
                self,
                hostname="mail.test",
                ident="test",
                tls_context=self._starttls,
                require_starttls=self._starttls is not None,
                auth_required=self._accounts is not None,
                auth_require_tls=False,
                auth_exclude_mechanism=["LOGIN", "PLAIN"] if self._accounts is None else [],
                authenticator=self._login,
                loop=asyncio.get_running_loop(),
            )
        self._sessions.append(session)
        return session

    def _login(self, server, session, envelope, mechanism, data) -> AuthResult:
        login = getattr(data, "login", b"").decode()
        right = login in self._accounts and self._accounts[login] == data.password.decode()
        if not right:
            return AuthResult(success=False, handled=False, message=f"535 5.7.8 {data.password.decode()} is wrong")
        return AuthResult(success=True, handled=False, auth_data=login)

    async def _answer(self, server, *names: str, otherwise: str) -> str:
        answer = next((self.answers[name] for name in names if name in self.answers), otherwise)
        if answer == "HANG":
            await asyncio.Event().wait()
        if answer == "DROP":
            server.transport.abort()
        return answer

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        name = "EHLO over TLS" if session.ssl else "EHLO"
        answer = await self._answer(server, name, otherwise="")
        return [answer] if answer else responses

    async def handle_HELO(self, server, session, envelope, hostname):
        session.host_name = hostname
        return await self._answer(server, "HELO", "EHLO", otherwise="250 mail.test")

    async def handle_AUTH(self, server, session, envelope, args):
        return await self._answer(server, "AUTH", otherwise="") or MISSING

    async def handle_QUIT(self, server, session, envelope):
        return await self._answer(server, "QUIT", otherwise="221 Bye")

    async def handle_MAIL(self, server, session, envelope, address, options):
        answer = await self._answer(server, "MAIL", otherwise="250 OK")
        if answer.startswith("250"):
            envelope.mail_from = address
        return answer

    async def handle_RCPT(self, server, session, envelope, address, options):
        answer = await self._answer(server, f"RCPT {address}", "RCPT", otherwise="250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server, session, envelope):
        self.mails.append(
            Mail(
                envelope.mail_from,
                tuple(envelope.rcpt_tos),
                envelope.original_content,
                session.ssl is not None or self._tls is not None,
                session.auth_data,
            )
        )
        return await self._answer(server, "DATA", otherwise="250 2.0.0 Ok: queued as 4F3A2")
