"""Addresses of Unix sockets in directories of any depth."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LONGEST = 107
"""`sun_path` holds 108 bytes, one of them the final NUL."""


@contextmanager
def unix_address(path: Path) -> Iterator[str]:
    """Yield what to bind or connect to for the socket `path`, valid within the block.

    A path that is too long for the kernel is reached through its open directory. OSError when the
    directory cannot be opened.
    """
    if len(os.fsencode(path)) <= _LONGEST:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
