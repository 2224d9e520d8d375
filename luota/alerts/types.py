"""The table of channel types: how a notice leaves, by the type of its channel.

How settings are written and checked: `luota.core.spec.channels`, which has the same types.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

import httpx
from msgspec import Struct

from luota.alerts import messages, slack, webhook
from luota.alerts.apprise import APART_SECONDS, Services, installed, missing
from luota.alerts.notice import Notice
from luota.alerts.pace import Pace
from luota.alerts.smtp import Relay
from luota.clock import Clock
from luota.core.retry import AttemptResult

Send = Callable[[Notice, Mapping[str, Any], int], Awaitable[AttemptResult]]
"""Make one attempt with a channel's settings at an instant (UTC ms). Never raises for what a provider does;
the error of the result holds no secret."""


Turn = Callable[[Mapping[str, Any], bool], AbstractAsyncContextManager[None]]


def _at_once(_: Mapping[str, Any], _first: bool) -> AbstractAsyncContextManager[None]:
    """Wait for nothing."""
    return nullcontext()


Refusal = Callable[[Mapping[str, Any]], Awaitable[str | None]]


async def _none(_: Mapping[str, Any]) -> None:
    """Refuse nothing."""


class Route(Struct, frozen=True):
    """What the sender needs of a type.

    A message goes out within `turn`, which waits until one may start to these settings, if told so before the others.
    `address`: what channels share that rest together when one of them is told to (429).
    `digests`: its readers are people, who get one message for many incidents at once.
    `together` returns how many of the incidents of monitors with these names one digest can name, two at least.
    `refusal` says why nothing can ever be sent to the URL in the settings, without a secret of it, or None: no
    channel is added then.
    `missing` is a sentence that says what this installation lacks for the type, and what to do: until then
    nothing is sent, and no channel of it can be added.
    """

    send: Send
    turn: Turn = _at_once
    address: Callable[[Mapping[str, Any]], str] | None = None
    digests: bool = False
    together: Callable[[Sequence[str]], int] = len
    missing: str | None = None
    refusal: Refusal = _none


NO_RELAY = (
    'No SMTP server: add host = "…" and sender = "…" below [email] in the file of luota serve --config, '
    "or set LUOTA_EMAIL_HOST and LUOTA_EMAIL_SENDER, and restart Luota."
)


def routes(
    client: httpx.AsyncClient, clock: Clock, relay: Relay | None = None, services: Services | None = None
) -> dict[str, Route]:
    """Return the table. `client` is from `transport.open_client` and outlives it; `clock` keeps the pace.

    No `relay`, no email; no `services`, or the extra not installed, no apprise.
    """
    to_hooks, to_services = Pace(slack.APART_S, clock), Pace(APART_SECONDS, clock)

    async def to_webhook(notice: Notice, settings: Mapping[str, Any], now: int) -> AttemptResult:
        body = messages.encode(notice)
        headers = {**settings.get("headers", {}), **webhook.signed(notice.delivery_id, body, settings, now)}
        return await webhook.send(
            client, settings["url"], body, headers, now=now, secrets=[*webhook.secrets_in(settings)]
        )

    async def to_slack(notice: Notice, settings: Mapping[str, Any], now: int) -> AttemptResult:
        return await slack.send(client, notice, settings, now, to_hooks)

    def hook_turn(settings: Mapping[str, Any], first: bool) -> AbstractAsyncContextManager[None]:
        return to_hooks.turn(slack.address(settings), first)

    def service_turn(settings: Mapping[str, Any], first: bool) -> AbstractAsyncContextManager[None]:
        return to_services.turn(settings["target"], first)

    async def to_email(notice: Notice, settings: Mapping[str, Any], _: int) -> AttemptResult:
        assert relay is not None
        return await relay.send(notice, settings["to"])

    async def to_apprise(notice: Notice, settings: Mapping[str, Any], _: int) -> AttemptResult:
        assert services is not None
        to_services.sent(settings["target"])  # not held up by one that hangs: it is a storm that is to be noticed
        return await services.send(notice, settings)

    async def unknown(settings: Mapping[str, Any]) -> str | None:
        assert services is not None
        return await services.refusal(settings)

    no_services = None if services and installed() else missing()
    return {
        "email": Route(to_email, digests=True, missing=None if relay else NO_RELAY),
        "webhook": Route(to_webhook),
        "slack": Route(to_slack, hook_turn, slack.address, digests=True, together=slack.together),
        "apprise": Route(to_apprise, service_turn, digests=True, missing=no_services, refusal=unknown),
    }
