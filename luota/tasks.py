"""Named, supervised tasks: one that dies takes the process down instead of leaving a daemon that watches nothing."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

Died = Callable[[str, BaseException | None], None]


def spawn(coro: Coroutine[Any, Any, Any], name: str, died: Died) -> "asyncio.Task[Any]":
    """Start `coro` as the task `name`.

    `died(name, error)` is called when it ends by itself: with the exception that ended it, or None when
    it returned although it should have run for ever. A cancelled task is not reported.
    """
    task = asyncio.get_running_loop().create_task(coro, name=name)

    def ended(done: "asyncio.Task[Any]") -> None:
        if not done.cancelled():
            died(name, done.exception())

    task.add_done_callback(ended)
    return task
