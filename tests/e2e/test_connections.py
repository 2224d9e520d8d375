"""More connections than the process may have files: jobs, commands and notices still get through."""

import asyncio
import contextlib
import json
import socket
import sys

from tests.process import Daemon
from tests.receiver import Receiver

IDLE = 5000
WHOLE, BEGUN = b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n", b"POST /v1/runs/start HTTP/1.1\r\nhost: a\r\n"
LOWERED = ["sh", "-c", 'ulimit -n 512; exec "$@"', "sh"]


async def test_while_thousands_of_connections_idle_pings_commands_and_notices_get_through(tmp_path):
    async with contextlib.AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(Receiver())
        luota = await stack.enter_async_context(Daemon(tmp_path / "data", wrap=LOWERED))
        await luota.webhook("hook", receiver.url)
        job = await luota.monitor("job", "run")
        loop = asyncio.get_running_loop()
        for number in range(IDLE):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            async with asyncio.timeout(10):
                await loop.sock_connect(one, ("127.0.0.1", luota.port))
                with contextlib.suppress(OSError):  # it may have had to give way already
                    await loop.sock_sendall(one, (WHOLE, BEGUN, b"", BEGUN, b"", BEGUN)[number % 6])
        for number in range(10):
            run = (await luota.run(job, f"{number}")).json()["run"]["id"]
        assert (await luota.post(f"/v1/runs/{run}/fail", job, {"summary": "x"})).status_code == 202
        await receiver.wait(1, 30)
        command = ["-m", "luota", "incident", "list", "--json", "--data-dir", str(luota.data_dir)]
        delivery = {"attempts": 0}
        while not delivery["attempts"]:
            process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE)
            said, _ = await process.communicate()
            assert process.returncode == 0
            delivery = json.loads(said)["incidents"][0]["deliveries"][0]
        assert (delivery["state"], delivery["attempts"]) == ("delivered", 1)
        assert "Too many open files" not in luota.log
