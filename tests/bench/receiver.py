"""A webhook receiver in a process of its own, which notes the instant at which each notice was whole.

python receiver.py PORT FILE: appends `<arrival, us> <body>` lines to FILE, buffered, until SIGTERM.
"""

import asyncio
import signal
import sys
import time

_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


async def main(port: int, path: str) -> None:
    """Listen until told to stop."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    with open(path, "wb") as notes:

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while True:
                    head = (await reader.readuntil(b"\r\n\r\n")).lower()
                    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
                    body = await reader.readexactly(length)
                    notes.write(b"%d %b\n" % (time.time_ns() // 1000, body))
                    writer.write(_ANSWER)
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()

        await asyncio.start_server(serve, "127.0.0.1", port, backlog=1024)
        await stopped.wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
