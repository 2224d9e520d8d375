"""An engine in the test's own process, on a directory of its own; the death of one of its tasks fails the test."""

import contextlib

from luota.engine import Engine
from luota.engine.audit import Actor
from tests.clock import FakeClock
from tests.prepared import prepare

ACTOR = Actor("test", "test")


def no_death(name, error):
    if error is not None:
        raise error


@contextlib.asynccontextmanager
async def engine_on(directory, clock=None):
    """An open engine of a fresh instance, closed at the end. It stands in the clock's own instant unless one is given."""
    await prepare(directory)
    engine = await Engine.open(directory, clock or FakeClock(), "a test")
    await engine.watch(no_death)
    try:
        yield engine
    finally:
        await engine.close()


def workspace_of(engine):
    """Return the workspace that every instance begins with."""
    return next(iter(engine.registry.workspaces.values()))
