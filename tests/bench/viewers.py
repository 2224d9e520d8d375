"""Open dashboards that do what the page's script does (luota/web/static/luota.js), in a process of their own.

python viewers.py PORT COOKIE PATH OF COUNT SECONDS IDS: each opens the stream of the overview at PATH, which is drawn
for OF, with the monitors in the file IDS as its rows; at the first `changed` it asks for what has changed since, but once a
second at most, of very much for those of its rows alone. The server must return each of its rows that has changed, and no others, or a
list of others that are to be shown now. They are opened one after the other within a second, so that their streams do
not beat at once. Prints JSON.
"""

import asyncio
import json
import re
import sys
import time
from functools import reduce
from pathlib import Path

_GATHER_S, _PACE_S = 0.05, 1.0
_FEW = 100
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_ROW = re.compile(r'data-row="([^"]+)"')
_DRAWN = re.compile(r'<li [^>]*data-row="([^"]+)"[^>]*>(?!</li>)')


class Viewer:
    """One open page, which shows the monitors `ids`."""

    def __init__(self, port: int, cookie: str, path: str, of: str, ids: list[str]) -> None:
        self._port = port
        head = f"Host: 127.0.0.1:{port}\r\nCookie: {cookie}\r\n"
        self._head = f"{head}HX-Request: true\r\nX-Luota-Live: 1\r\n\r\n"
        self._path = path
        self._of = of
        self._ids = ids
        self._pending: set[str] = set()
        self._began = -_PACE_S
        self.events = 0
        self.took: list[float] = []
        self.rows = 0
        self.lists = 0

    @property
    def _have(self) -> str:
        mixed = reduce(lambda all_, id_: all_ * 31 + int(id_[:8], 16) & 0xFFFF_FFFF, self._ids, 0)
        return f"{len(self._ids)}.{mixed}.1"  # and there are more

    async def look(self, after: float) -> None:
        """Follow the stream, from so many seconds on, until cancelled."""
        await asyncio.sleep(after)
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        rows = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(f"GET /stream?of={self._of} HTTP/1.1\r\n{self._head}".encode())
        refresh: asyncio.Task[None] | None = None
        try:
            while line := await reader.readline():
                if refresh is not None and refresh.done():
                    refresh.result()  # else nobody would hear what went wrong there
                if b'"ids":' in line:
                    self.events += 1
                    self._pending.update(json.loads(line[6:])["ids"])
                    if refresh is None or refresh.done():
                        refresh = asyncio.ensure_future(self._refresh(*rows))
            raise RuntimeError("the stream has ended")
        finally:
            writer.close()
            rows[1].close()

    async def _refresh(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(max(_GATHER_S, self._began + _PACE_S - time.monotonic()))
        self._began = time.monotonic()
        pending, self._pending = self._pending, set()
        wanted = [id_ for id_ in self._ids if id_ in pending or "*" in pending]
        ids = ",".join(wanted if len(pending) > _FEW or "*" in pending else pending)
        began = time.perf_counter()
        writer.write(f"GET {self._path}/rows?ids={ids}&have={self._have} HTTP/1.1\r\n{self._head}".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not head.startswith(b"HTTP/1.1 200") or length is None:
            raise RuntimeError(f"the rows were refused: {head.decode()}")
        body = (await reader.readexactly(int(length[1]))).decode()
        self.took.append((time.perf_counter() - began) * 1000)
        drawn = _DRAWN.findall(body)
        if 'id="rows"' in body:
            self.lists += 1
            self._ids = _ROW.findall(body)
            wanted = [id_ for id_ in self._ids if id_ in ids]
        if set(drawn) != set(wanted):
            raise RuntimeError(f"{len(wanted)} rows were asked for, and {len(drawn)} came")
        self.rows += len(drawn)


async def main(port: int, cookie: str, path: str, of: str, count: int, seconds: float, ids: list[str]) -> None:
    """Look for so long, and say what was seen."""
    viewers = [Viewer(port, cookie, path, of, ids) for _ in range(count)]
    looking = [asyncio.ensure_future(viewer.look(number / count)) for number, viewer in enumerate(viewers)]
    done, _ = await asyncio.wait(looking, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    for one in done:
        one.result()
    for one in looking:
        one.cancel()
    await asyncio.gather(*looking, return_exceptions=True)
    took = [ms for viewer in viewers for ms in viewer.took]
    seen = {"events": sum(v.events for v in viewers), "rows": sum(v.rows for v in viewers), "took_ms": took}
    seen["lists"] = sum(v.lists for v in viewers)
    print(json.dumps(seen))


if __name__ == "__main__":
    port_, cookie_, path_, of_, count_, seconds_, file = sys.argv[1:]
    asyncio.run(main(int(port_), cookie_, path_, of_, int(count_), float(seconds_), Path(file).read_text().split()))
