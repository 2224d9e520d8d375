"""The bare endpoint that ingest is measured against: Starlette, one route, a fixed answer, nothing behind it.

python bare.py PORT LENGTH: answers 202 with a JSON body of LENGTH bytes.
"""

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def app(length: int) -> Starlette:
    """Return the app; its answer is made once, so that encoding costs it nothing."""
    fixed = b'{"ok":true,"padding":"' + b"x" * (length - 24) + b'"}'

    async def ping(_: Request) -> Response:
        return Response(fixed, status_code=202, media_type="application/json")

    return Starlette(routes=[Route("/v1/monitors/{monitor_id}/ping", ping, methods=["POST"])])


if __name__ == "__main__":
    port, length = map(int, sys.argv[1:])
    uvicorn.run(
        app(length), host="127.0.0.1", port=port, loop="uvloop", http="httptools", access_log=False, log_level="warning"
    )
