"""Commands that look after Luota's own data: copies, and whether all is well."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from luota.cli import client
from luota.cli.command import Cli, api
from luota.cli.output import fields
from luota.clock import SystemClock
from luota.core.errors import Code, LuotaError
from luota.store import backup as copies
from luota.store.db import FILE, OwnerLock

File = Annotated[Path, typer.Argument(metavar="FILE", help="The copy.")]


def prune(cli: Cli) -> None:
    """Delete what has outlived retention, now instead of within the hour."""
    reply = cli.call("POST", api("prune"), {})
    cli.answer(reply, f"Deleted {reply['deleted']} rows.")


def backup(cli: Cli, *, file: File) -> None:
    """Write a whole copy to FILE, which must not exist, also while the daemon runs. It holds all secrets."""
    data_dir = cli.config.data_dir
    with _created(file) as target:
        client.prepare(data_dir, create=False)
        # Made beside the original: as its owner, this process may not be able to write where FILE is.
        with _scratch(data_dir / f".backup-{os.getpid()}.db") as scratch:
            copies.copy(data_dir, scratch)
            copies.examine(scratch)
            with scratch.open("rb") as source:
                shutil.copyfileobj(source, target, 1 << 20)
        target.flush()
        os.fsync(target.fileno())
        size = target.tell()
    cli.answer({"file": str(file.absolute()), "bytes": size}, f"Wrote {size} bytes to {file}.")


def restore(cli: Cli, *, file: File) -> None:
    """Put a copy in the place of the present data, which is kept beside it. No daemon may run."""
    data_dir = cli.config.data_dir
    try:
        source = file.open("rb")
    except OSError as error:
        raise LuotaError(Code.NOT_FOUND, f"{file} cannot be read: {error.strerror}.", field="file") from None
    with source:
        client.prepare(data_dir, create=True)
        lock = OwnerLock(data_dir)
        lock.acquire("luota restore")
        with contextlib.ExitStack() as undo:
            undo.callback(lock.release)
            scratch = undo.enter_context(_scratch(data_dir / f".restore-{os.getpid()}.db"))
            with _explained(data_dir), scratch.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
                target.flush()
                os.fsync(target.fileno())
            try:
                copies.examine(scratch, called=file)
            except LuotaError as error:
                raise LuotaError(error.code, error.message, field="file") from None
            now = datetime.fromtimestamp(SystemClock().now() / 1000, UTC)
            kept = data_dir / f"{FILE}.before-{now:%Y%m%dT%H%M%S.%fZ}"
            with _explained(data_dir):
                existed = copies.put_in_place(data_dir, scratch, kept)
    reply = {"dataDir": str(data_dir.absolute()), "kept": str(kept.absolute()) if existed else None}
    said = f" What was there before is kept as {kept}." if existed else ""
    cli.answer(reply, f"Restored {data_dir} from {file}.{said}")


def doctor(cli: Cli) -> None:
    """Look whether all is well with settings, data, daemon and channels. Exits 1 if something is not."""
    from luota.cli.checks import examine  # noqa: PLC0415 - needed here alone

    found = examine(cli)
    reply = {"checks": [{"check": name, "state": state, "detail": detail} for name, state, detail in found]}
    cli.answer(reply, fields((f"{state:7}  {name}", detail) for name, state, detail in found))
    if any(state == "failed" for _, state, _ in found):
        raise typer.Exit(1)


@contextlib.contextmanager
def _created(file: Path) -> Iterator[BinaryIO]:
    """Create a file that nobody else may read; it is removed if the block fails."""
    try:
        file.touch(0o600, exist_ok=False)
        opened = file.open("wb")
    except FileExistsError:
        said = f"{file} exists already: name a file that is not there yet."
        raise LuotaError(Code.CONFLICT, said, field="file") from None
    except OSError as error:
        raise LuotaError(Code.CONFLICT, f"{file} cannot be made: {error.strerror}.", field="file") from None
    try:
        with opened as target, _explained(file):
            yield target
    except BaseException:
        with contextlib.suppress(OSError):
            file.unlink()
        raise


@contextlib.contextmanager
def _scratch(path: Path) -> Iterator[Path]:
    """Make an empty file that nobody else may read, for the block; it may be moved away inside."""
    with _explained(path):
        path.touch(0o600, exist_ok=False)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LuotaError(Code.UNAVAILABLE, f"{error.filename or path} cannot be written: {error.strerror}.") from None
