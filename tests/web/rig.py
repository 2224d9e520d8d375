"""Who people are, with a real engine on a real file: what the tests of `luota.web.auth` share."""

import contextlib
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from luota.core.errors import LuotaError
from luota.engine import people
from luota.engine.audit import Actor
from luota.store.reads import fetch
from luota.web.auth import Auth
from luota.web.passwords import Passwords
from tests.engines import engine_on, workspace_of

CHEAP = {"time_cost": 1, "memory_cost": 8, "parallelism": 1}
ANN, PASSWORD = "ann@example.org", "correct horse battery"
HOST = Actor("operator", "unix socket")
MINUTE = 60_000


class Counting(PasswordHasher):
    """A real one that remembers what it was asked to do, and with which parameters."""

    def __init__(self):
        super().__init__(**CHEAP)
        self.done = []

    def hash(self, password, *, salt=None):
        self.done.append("hash")
        return super().hash(password, salt=salt)

    def verify(self, hash, password):
        self.done.append(("verify", hash.split("$")[:4]))
        return super().verify(hash, password)


class Rig:
    def __init__(self, engine):
        self.engine, self.clock = engine, engine.clock
        self.hasher = Counting()
        self.passwords = Passwords(self.hasher)
        self.auth = self.with_url(None)

    def with_url(self, url, trusted=(), **settings):
        return Auth(self.engine, self.passwords, public_url=url, trusted=trusted, **settings)

    @property
    def workspace(self):
        return workspace_of(self.engine)

    async def user(self, email=ANN, role="owner", password=PASSWORD):
        hashed = None if password is None else PasswordHasher(**CHEAP).hash(password)
        work = people.create_user(self.workspace, email, email.partition("@")[0], role, hashed, HOST)
        return await self.engine.submit(work)

    async def sign_in(self, email=ANN, password=PASSWORD, **request):
        return await self.auth.sign_in(scope(**request), email, password)

    async def refused(self, code, *given, **request):
        with pytest.raises(LuotaError) as error:
            await self.sign_in(*given, **request)
        assert error.value.code is code, error.value.message
        return error.value

    async def session(self, token, **request):
        return await self.auth.session(scope(token, **request))

    async def rows(self, sql):
        return await fetch(self.engine.reader, sql)


def scope(token=None, address="192.0.2.1", method="POST", cookie="luota", **headers):
    sent = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
    if token is not None:
        sent["cookie"] = f"theme=dark; {cookie}={token}"
    return {
        "type": "http",
        "method": method,
        "path": "/",
        "query_string": b"",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in sent.items()],
        "client": (address, 1234),
        "server": ("192.168.1.20", 8080),
    }


@contextlib.asynccontextmanager
async def rigged(path: Path, clock=None):
    async with engine_on(path, clock) as engine:
        rig = Rig(engine)
        try:
            yield rig
        finally:
            rig.passwords.close()


@pytest.fixture
async def rig(tmp_path):
    async with rigged(tmp_path) as rig:
        yield rig
