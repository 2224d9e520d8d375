"""What `luota doctor` looks at. Each check is a name, a state (`ok`, `warning` or `failed`) and what to know."""

import http.client
import json
import os
import stat
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from luota.cli import client
from luota.cli.command import Cli, api
from luota.clock import SystemClock
from luota.config import check
from luota.core.errors import LuotaError
from luota.core.spec.values import format_instant
from luota.store import backup as copies
from luota.store.db import FILE, refuse_lost

Check = tuple[str, str, str]

_ANSWER_WITHIN_S = 5.0


def examine(cli: Cli) -> list[Check]:
    """Return all checks, in the order in which they make sense; what cannot be looked at is left out."""
    config, mistakes = check(cli.config_file, os.environ, cli.overrides)
    if config is None:
        return [("settings", "failed", mistake.message) for mistake in mistakes]
    found = [("settings", "ok", f"they are sound; data in {config.data_dir.absolute()}")]
    try:
        client.prepare(config.data_dir, create=False)
    except LuotaError as error:
        return [*found, ("data directory", "failed", error.message)]
    for look in (_directory, _database, _daemon, _channels):
        found.extend(_told(look, cli))
    return found


def _told(look: Callable[[Cli], Iterator[Check]], cli: Cli) -> list[Check]:
    """Return what one look found; a refusal in the midst of it is one more finding."""
    found: list[Check] = []
    try:
        found.extend(look(cli))
    except LuotaError as error:
        found.append((look.__name__[1:], "failed", error.message))
    return found


def _directory(cli: Cli) -> Iterator[Check]:
    data_dir = cli.config.data_dir
    owner = data_dir.stat()
    if owner.st_mode & 0o077:
        said = f"others may look into it: chmod 700 {data_dir}"
        yield "data directory", "warning", said
    strangers = [path.name for path in sorted(data_dir.iterdir()) if path.lstat().st_uid != owner.st_uid]
    if strangers:
        yield "data directory", "failed", f"{', '.join(strangers)} must belong to the owner of {data_dir}: chown them"
    open_ = [
        path.name
        for path in sorted(data_dir.glob(f"{FILE}*"))
        if stat.S_ISREG(path.lstat().st_mode) and path.lstat().st_mode & 0o077
    ]
    if open_:
        yield "data directory", "warning", f"others may read {', '.join(open_)}, which holds secrets: chmod 600"
    if not strangers and not open_ and not owner.st_mode & 0o077:
        yield "data directory", "ok", "it and its files belong to one user, who alone may read them"


def _database(cli: Cli) -> Iterator[Check]:
    refuse_lost(cli.config.data_dir)
    alive_at = copies.examine(cli.config.data_dir / FILE)
    yield "database", "ok", "every page of it was read and is sound"
    now = SystemClock().now()
    if alive_at is not None and alive_at > now + client.RETRY_FOR_MS:
        said = f"it shows {format_instant(now)}, but Luota was alive at {format_instant(alive_at)}: set it right"
        yield "clock", "failed", said
    else:
        yield "clock", "ok", f"it shows {format_instant(now)}; Luota cannot tell whether that is right"


def _daemon(cli: Cli) -> Iterator[Check]:
    if not client.listens(cli.config.data_dir):
        yield "daemon", "failed", "it does not run: nothing is watched. Start it: luota serve"
        return
    try:
        cli.call("GET", "/healthz")
    except LuotaError as error:
        yield "daemon", "failed", f"it runs, but is not well: {error.message}"
        return
    yield "daemon", "ok", "it runs, judges deadlines and writes to the disk"
    base_url = cli.config.server.base_url
    problem = _unreachable(base_url)
    if problem is None:
        yield "address", "ok", f"Luota is reached at {base_url}"
    else:
        yield "address", "warning", f"from here {base_url}, which jobs and people are told, leads nowhere: {problem}"


def _unreachable(base_url: str) -> str | None:
    parts = urlsplit(base_url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_ANSWER_WITHIN_S)
    try:
        connection.request("GET", f"{parts.path}/healthz")
        reply = connection.getresponse()
        content = reply.read(1000)
        healthy = reply.status == http.client.OK and json.loads(content) == {"ok": True}
    except (OSError, ValueError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()
    return None if healthy else f"something else answers there, with status {reply.status}"


def _channels(cli: Cli) -> Iterator[Check]:
    for workspace in cli.call("GET", api("workspaces"))["workspaces"]:
        channels = cli.call("GET", api("channels", workspace=workspace["id"]))["channels"]
        name = f"channels of {workspace['slug']}"
        if not channels:
            yield name, "warning", "there are none: nobody is told of incidents. See: luota channel add --help"
        for channel in channels:
            prove = f"luota channel test {channel['name']}"
            if channel["failedAt"]:
                yield name, "failed", f"{channel['name']} is a dead route since {channel['failedAt']}: {prove}"
            elif not channel["provenAt"]:
                yield name, "warning", f"nobody knows yet whether {channel['name']} works: {prove}"
            else:
                yield name, "ok", f"{channel['name']} was proven at {channel['provenAt']}"
