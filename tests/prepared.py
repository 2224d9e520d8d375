"""A data directory that is on the present schema already, which spares each test the time of all migrations.

The instance in it, with its secret and its first workspace, is still made by whoever opens it first.
"""

import tempfile
from pathlib import Path

from luota.store.db import FILE, open_writer

_MIGRATED: list[bytes] = []
"""The empty file of this process's tests, once it was made."""


async def prepare(data_dir: Path) -> None:
    """Put a migrated file without an instance into `data_dir`. A directory with anything in it stays as it is."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(data_dir.iterdir()):
        return
    if not _MIGRATED:
        with tempfile.TemporaryDirectory() as once:
            db = await open_writer(Path(once))
            await db.close()
            _MIGRATED.append((Path(once) / FILE).read_bytes())
    path = data_dir / FILE
    path.touch(mode=0o600)
    path.write_bytes(_MIGRATED[0])
