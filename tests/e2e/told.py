"""A real daemon that tells everybody: one channel of each type, and the real receiver behind each."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.mailserver import MailServer
from tests.process import Daemon
from tests.receiver import Receiver


@dataclass(frozen=True)
class Told:
    """The daemon, and who hears of its channels `email`, `webhook`, `slack` and `apprise`."""

    luota: Daemon
    mail: MailServer
    webhook: Receiver
    slack: Receiver
    apprise: Receiver


@contextlib.asynccontextmanager
async def telling(data_dir: Path, settings: Mapping[str, object] | None = None) -> AsyncIterator[Told]:
    """Start it all, with these settings beside those of the mail."""
    async with MailServer() as mail, Receiver() as webhook, Receiver() as slack, Receiver() as apprise:
        own = {
            "email.host": "127.0.0.1",
            "email.port": mail.port,
            "email.security": "plain",
            "email.sender": "luota@example.org",
            "server.public_url": "https://luota.example.org",
        }
        async with Daemon(data_dir, {**own, **(settings or {})}) as luota:
            for type_, more in (
                ("webhook", {"url": webhook.url}),
                ("slack", {"url": slack.url}),
                ("email", {"to": ["ann@example.org"]}),
                ("apprise", {"url": f"json://127.0.0.1:{apprise.port}/"}),
            ):
                await luota.api("POST", "/api/channels", {"type": type_, "name": type_, **more})
            yield Told(luota, mail, webhook, slack, apprise)
