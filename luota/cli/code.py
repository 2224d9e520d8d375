"""Monitors and channels as a file: written by `export`, brought about by `apply`."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from luota.cli.channels import Workspace
from luota.cli.command import Cli, api
from luota.cli.output import shown, table
from luota.core.errors import Code, LuotaError, invalid
from luota.core.spec.channels import WANTS_KEYS, parse_channel, parse_wants, wants_json
from luota.core.spec.documents import decode_document
from luota.core.spec.monitors import KEYS, definition_json, parse_definition, parse_edit
from luota.core.spec.values import parse_slug, slug_of


class Change:
    """One thing to bring about: what it is, how it differs from what there is, and the requests that do it.

    `action` is `create`, `edit` or `keep`; `differs` has the values before and after by key.
    """

    def __init__(self, noun: str, name: str, before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> None:
        self.noun = noun
        self.name = name
        self.requests: list[tuple[str, str, dict[str, Any]]] = []
        old = before or {}
        self.differs = {key: (old.get(key), value) for key, value in after.items() if old.get(key) != value}
        self.action = "create" if before is None else "edit" if self.differs else "keep"

    def json(self) -> dict[str, Any]:
        """Return it for scripts."""
        changes = {key: {"before": before, "after": after} for key, (before, after) in self.differs.items()}
        told = changes if self.action == "edit" else {}  # what is created may hold secrets
        return {"type": self.noun, "name": self.name, "action": self.action, "changes": told}


def export(cli: Cli, *, workspace: Workspace = None) -> None:
    """Print the monitors and channels of a workspace as JSON, for `luota apply`. It holds no secret."""
    monitors = cli.call("GET", api("monitors", workspace=workspace))["monitors"]
    channels = cli.call("GET", api("channels", workspace=workspace))["channels"]
    document = {
        "channels": [{key: c[key] for key in ("name", "type", "to", *WANTS_KEYS) if key in c} for c in channels],
        "monitors": [{key: m[key] for key in KEYS if key in m} for m in monitors],
    }
    cli.answer(document, json.dumps(document, indent=2, ensure_ascii=False))


def apply(
    cli: Cli,
    *,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="As `luota export` prints it; TOML if it ends in .toml.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    workspace: Workspace = None,
) -> None:
    """Bring about the monitors and channels of FILE; what it does not name stays as it is."""
    wanted = _read(file)
    planned = [*_channels(cli, wanted["channels"], workspace), *_monitors(cli, wanted["monitors"], workspace)]
    reply: dict[str, Any] = {"dryRun": dry_run, "changes": [change.json() for change in planned], "secrets": {}}
    for change in () if dry_run else planned:
        for method, path, body in change.requests if change.action != "keep" else ():
            answered = cli.call(method, path, body)
            if "secret" in answered:
                reply["secrets"][change.name] = answered["secret"]
    rows = [(change.action, change.noun, change.name, _in_words(change)) for change in planned]
    text = table(("ACTION", "TYPE", "NAME", "CHANGES"), rows, empty="Nothing is named in the file.")
    for name, secret in reply["secrets"].items():
        text += f"\n\nsecret of {shown(name)}  {secret}\nIt is shown this once."
    cli.answer(reply, text)


def _channels(cli: Cli, wanted: list[dict[str, Any]], workspace: str | None) -> Iterator[Change]:
    found = cli.call("GET", api("channels", workspace=workspace))["channels"]
    present = {channel["name"]: channel for channel in found}
    for doc in wanted:
        given = {key: doc[key] for key in WANTS_KEYS if key in doc}
        wants = parse_wants(given)
        channel = present.get(doc["name"])
        if channel is None:
            if doc.get("type") != "email" and "url" not in doc:
                said = f"channel {doc['name']} is not there yet: give its url, or add it first (luota channel add)."
                raise invalid("channels", said)
            parse_channel(doc)
            change = Change("channel", doc["name"], None, doc)
            change.requests.append(("POST", api("channels", workspace=workspace), doc))
            yield change
            continue
        for key in ("type", "to"):
            if key in doc and doc[key] != channel.get(key):
                said = f"{key} of channel {doc['name']} cannot change: remove it and add another."
                raise LuotaError(Code.CONFLICT, said, field="channels")
        after = wants_json(wants)
        change = Change("channel", doc["name"], channel, {key: after[key] for key in given})
        change.requests.append(("PATCH", api("channels", channel["id"], workspace=workspace), given))
        yield change


def _monitors(cli: Cli, wanted: list[dict[str, Any]], workspace: str | None) -> Iterator[Change]:
    found = cli.call("GET", api("monitors", workspace=workspace))["monitors"]
    present = {monitor["slug"]: monitor for monitor in found}
    seen: set[str] = set()
    for doc in wanted:
        slug = slug_of(doc["name"]) if doc.get("slug") is None else parse_slug(doc["slug"], "slug")
        if slug in seen:
            raise invalid("monitors", f"{slug} stands twice in the file. Give each monitor a slug of its own.")
        seen.add(slug)
        try:
            if slug not in present:
                after = definition_json(parse_definition({**doc, "slug": slug}))
                body = {key: value for key, value in after.items() if value is not None}
                change = Change("monitor", slug, None, body)
                change.requests.append(("POST", api("monitors", workspace=workspace), body))
                yield change
                continue
            monitor = present[slug]
            before = {key: monitor[key] for key in KEYS if key in monitor}
            after = definition_json(parse_edit(before, {**doc, "slug": slug}))
        except LuotaError as error:
            raise LuotaError(error.code, f"monitor {slug}: {error.message}", field=error.field) from None
        change = Change("monitor", slug, before, after)
        body = {key: after for key, (_, after) in change.differs.items()}
        change.requests.append(("PATCH", api("monitors", monitor["id"], workspace=workspace), body))
        yield change


def _read(file: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the two lists of a file; INVALID for what is not one."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise LuotaError(Code.NOT_FOUND, f"{file} cannot be read: {error.strerror}.", field="file") from None
    if file.suffix == ".toml":
        try:
            document: dict[str, Any] = tomllib.loads(raw.decode())
        except (ValueError, RecursionError) as error:  # also of int(), beyond 4300 digits
            raise invalid("file", f"{file} is not valid TOML: {error}.") from None
    else:
        try:
            document = decode_document(raw)
        except LuotaError as error:
            raise invalid("file", f"{file}: {error.message}") from None
    for key, value in document.items():
        if key not in {"monitors", "channels"}:
            raise invalid("file", f"{file}: {key!r} is not known; there are monitors and channels.")
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise invalid("file", f"{file}: {key} must be a list of objects.")
        names = [one.get("name") for one in value]
        if not all(isinstance(name, str) and name for name in names):
            raise invalid("file", f"{file}: each of {key} needs a name.")
        if key == "channels" and len(set(names)) < len(names):
            raise invalid("file", f"{file}: channels names the same one twice.")
    return {key: document.get(key, []) for key in ("channels", "monitors")}


def _in_words(change: Change) -> str:
    if change.action != "edit":
        return ""
    return "; ".join(f"{key}: {shown(before)} → {shown(after)}" for key, (before, after) in change.differs.items())
