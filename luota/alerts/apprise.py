"""The apprise channel: one URL, by which the library Apprise reaches more than a hundred services (docs/alerts.md).

Apprise blocks, so that each attempt has a thread, of few. What it dials there is judged (`apprise_attempt`).
"""

import asyncio
import contextlib
import functools
import importlib
import importlib.util
import logging
import os
import re
import shlex
import sys
import threading
import warnings
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from weakref import WeakValueDictionary

import httpx
import msgspec

from luota.alerts.answer import beginning, secrets_of_target
from luota.alerts.apprise_attempt import ATTEMPT, DETAILS_BYTES, Attempt, Listener, judge
from luota.alerts.brief import brief, names
from luota.alerts.guard import AddressPolicy
from luota.alerts.notice import Notice
from luota.alerts.words import OUTPUT_CHARACTERS, details, title
from luota.core.retry import ERROR_LENGTH, AttemptResult
from luota.core.text import cut, middle, shortened, tail, visible
from luota.core.text import head as beginning_of

log = logging.getLogger(__name__)

DEADLINE_SECONDS = 10.0
PLACE_SECONDS = 20.0
THREADS = 16
"""How many attempts are under way at once."""
THREADS_OF_ONE = 2
"""How many threads one URL has, so that one that hangs leaves some to the others. A thread whose name lookup never
ends cannot be cut off: it goes on, and counts for its URL alone, so that no other is kept waiting for it."""
APART_SECONDS = 1.0
"""Between the parts of a message that is too long for a service; Apprise's own 5.5 s would outlast the attempt."""
LONGEST_MORE_SECONDS = 60.0
"""How much longer than the deadline an attempt may take for further parts; the next one goes on where it ended."""
MOST_PARTS = 9
"""A digest or a gap of more parts is told by names alone, and by shorter ones if that is still too long. With the few
that go out before a storm is known (`Pace`), a hundred incidents at once are at most 12 messages."""
SHORTER = (60, 40, 24, 16, 12, 10, 8)
"""To how many characters names are shortened, the first that is short enough; where none is, they stay whole."""
MOST_REMEMBERED = 1000
LONGEST_TITLE = 200
SHORT = 512
"""A service that takes fewer characters than this has the title in the first message alone."""
GONE = 410

UNKNOWN = "Apprise does not know this URL: look its form up at https://appriseit.com"

_TYPES = {"incident.opened": "failure", "incident.resolved": "success", "channel.test": "info"}
_STATUS = re.compile(r"\berror=([1-5][0-9]{2})\b")
_MARK = re.compile(r"([<@])(?=\S)")

# They log whole URLs, which hold the secrets of channels, and warn of hosts, such as with `verify=no`.
for _name in ("apprise", "requests", "urllib3"):
    logging.getLogger(_name).addHandler(logging.NullHandler())
    logging.getLogger(_name).propagate = False
    warnings.filterwarnings("ignore", module=rf"{_name}\b")
logging.getLogger("apprise").addHandler(Listener())
logging.getLogger("apprise").setLevel(logging.DEBUG)  # of which only the listener hears


Messages = tuple[tuple[str, str], ...]
"""Title and text of each."""


class _Sent:
    """How many parts of each message have arrived, so that its next attempt goes on there. Shared by threads.

    Of the last MOST_REMEMBERED messages, until a restart; a message that became another since begins anew.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: dict[str, tuple[int, int]] = {}

    def before(self, delivery_id: str, said: Messages) -> int:
        with self._lock:
            of, count = self._of.get(delivery_id, (0, 0))
            return count if of == hash(said) else 0

    def note(self, delivery_id: str, said: Messages, count: int) -> None:
        with self._lock:
            self._of.pop(delivery_id, None)
            self._of[delivery_id] = (hash(said), count)
            while len(self._of) > MOST_REMEMBERED:
                del self._of[next(iter(self._of))]

    def forget(self, delivery_id: str) -> None:
        with self._lock:
            self._of.pop(delivery_id, None)


_PREPARING = threading.Lock()


@functools.cache
def _prepare() -> Any:
    """Return the library, once nothing goes past the judgement: a proxy would be dialled in place of the service."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]
    sys.addaudithook(judge)
    return importlib.import_module("apprise")


def installed() -> bool:
    """Tell whether the extra `luota[apprise]` is there."""
    return importlib.util.find_spec("apprise") is not None


def missing() -> str:
    """Return what to do where the extra is not there; with the command, if the environment of Luota has a pip."""
    do = f"install luota[apprise] into {sys.prefix}"
    if sys.executable and importlib.util.find_spec("pip") is not None:  # those of uv and pipx have none
        do += f" ({shlex.quote(sys.executable)} -m pip install 'luota[apprise]')"
    return f"The package apprise is not installed: {do}, and restart Luota."


class Services:
    """Sends by Apprise, in a few threads, to addresses that `policy` allows. Used from one event loop.

    The threads are daemons: one that hangs does not hold up the end of the process.
    """

    def __init__(self, policy: AddressPolicy, *, threads: int = THREADS, deadline: float = DEADLINE_SECONDS) -> None:
        self._policy = policy
        self._deadline = deadline
        self._free = asyncio.Semaphore(threads)
        # Of the URLs in use alone: each holds secrets, and channels are removed.
        self._of_one: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._sent = _Sent()
        self._reading = asyncio.Semaphore(THREADS_OF_ONE)  # of URLs that are to be added

    async def send(self, notice: Notice, settings: Mapping[str, Any]) -> AttemptResult:
        """Make one attempt; never raises for what a service does. No part of the URL gets into the error.

        It waits for a thread at most PLACE_SECONDS, and then for the service at most the deadline, and APART_SECONDS
        more for each further part, at which all its connections are cut. Parts that arrived are not repeated by the
        next attempt. A URL that Apprise does not know and an answer of 410 are terminal.
        """
        url = settings["target"]
        if notice.type == "channel.test":
            own = asyncio.Semaphore(1)  # it waits for no other message of its URL
        else:
            own = self._of_one.setdefault(url, asyncio.Semaphore(THREADS_OF_ONE))
        try:
            async with asyncio.timeout(PLACE_SECONDS):
                await _take(own, self._free)
        except TimeoutError:
            return AttemptResult(ok=False, error="too many messages by Apprise wait for an answer")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[AttemptResult] = loop.create_future()
        attempt = Attempt(self._policy)
        within, limit = self._deadline, asyncio.timeout(self._deadline)

        def extend(further: int) -> None:
            nonlocal within
            more = min(further * APART_SECONDS, LONGEST_MORE_SECONDS)
            if not done.done() and (when := limit.when()) is not None:
                with contextlib.suppress(RuntimeError):  # it has passed
                    limit.reschedule(when + more)
                    within += more

        def finish(result: AttemptResult) -> None:
            own.release()
            if not done.done():
                done.set_result(result)

        def work() -> None:
            ATTEMPT.set(attempt)
            try:
                result = _notify(
                    url, notice, attempt, self._sent, lambda further: loop.call_soon_threadsafe(extend, further)
                )
            except BaseException as error:  # noqa: BLE001 - whatever a service's module does, the attempt has failed
                log.warning("delivery %s: Apprise broke off by %s", notice.delivery_id, type(error).__name__)
                result = AttemptResult(ok=False, error="Apprise broke off")
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits
                loop.call_soon_threadsafe(finish, result)

        try:
            threading.Thread(target=work, name="luota-apprise", daemon=True).start()
        except RuntimeError:
            finish(AttemptResult(ok=False, error="this machine gives Luota no more threads"))
        try:
            async with limit:
                result = await done
        except TimeoutError:
            return AttemptResult(
                ok=False, error=attempt.refusal or f"no answer within {within:g} s", unsent=attempt.refusal is not None
            )
        finally:
            attempt.end()
            self._free.release()
        if result.ok:
            self._sent.forget(notice.delivery_id)
        return result

    async def refusal(self, settings: Mapping[str, Any]) -> str | None:
        """Return why nothing can ever be sent to the URL in `settings`, without a part of it, or None.

        A URL that is not read within the deadline is refused too.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[str | None] = loop.create_future()
        attempt = Attempt(self._policy)

        def finish(said: str | None) -> None:
            self._reading.release()
            if not done.done():
                done.set_result(said)

        def work() -> None:
            said = _refusal(settings["target"], attempt)
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits
                loop.call_soon_threadsafe(finish, said)

        try:
            async with asyncio.timeout(self._deadline):
                await self._reading.acquire()
                try:
                    threading.Thread(target=work, name="luota-apprise", daemon=True).start()
                except RuntimeError:
                    finish("This machine gives Luota no more threads: try again.")
                return await done
        except TimeoutError:
            return f"Apprise did not read this URL within {self._deadline:g} s: try again."
        finally:
            attempt.end()


async def _take(first: asyncio.Semaphore, second: asyncio.Semaphore) -> None:
    """Acquire both or neither."""
    await first.acquire()
    try:
        await second.acquire()
    except BaseException:
        first.release()
        raise


def _refusal(url: str, attempt: Attempt) -> str | None:
    ATTEMPT.set(attempt)
    try:
        return None if _service(url)[0] is not None else f"{UNKNOWN}."
    except Exception as error:  # noqa: BLE001 - by whatever a service's module trips over in a URL, it cannot be sent to
        log.warning("Apprise broke off by %s while it read a URL", type(error).__name__)
        return f"{UNKNOWN}."


def _service(url: str) -> tuple[Any, Any, Any]:
    """Return the service that Apprise finds in a URL, or None, the library, and how it is to behave."""
    with _PREPARING:
        library = _prepare()
    asset = library.AppriseAsset(
        app_id="Luota",
        app_desc="Luota",
        async_mode=False,
        service_timeout=0,  # any other makes it use threads of its own
        http_redirects=False,
        interpret_emojis=False,
        interpret_escapes=False,
        allow_templates=False,
        storage_mode="memory",
    )
    return library.Apprise.instantiate(url, asset=asset), library, asset


def _notify(url: str, notice: Notice, attempt: Attempt, sent: _Sent, extend: Callable[[int], Any]) -> AttemptResult:
    """Let Apprise send what was not `sent` of a notice, in this thread; tell `extend` how many parts follow one."""
    service, library, asset = _service(url)
    if service is None:
        return AttemptResult(ok=False, terminal=True, error=f"{UNKNOWN}, and make the channel anew")
    service.overflow_mode = "split"  # should a part still be too long, once the service has made its form of it
    service.redirects = False
    service.request_rate_per_sec = min(service.request_rate_per_sec, APART_SECONDS)
    caller, kind = library.Apprise(service, asset=asset), _TYPES.get(notice.type, "warning")
    said = messages_of(notice, service)
    began = sent.before(notice.delivery_id, said)
    extend(max(0, len(said) - began - 1))
    for number, (head, part) in enumerate(said[began:], began + 1):
        result = caller.notify(title=head, body=part, body_format="text", notify_type=kind)
        if not result:
            break
        if attempt.ended:  # an answer that was cut off may look like a whole one
            return AttemptResult(ok=False, error="the answer came too late")
        sent.note(notice.delivery_id, said, number)
    else:
        return AttemptResult(ok=True)
    # Of what Apprise says only the status and the service's answer are taken: the rest may hold parts of the URL.
    words = " ".join(entry.message for entry in result.logs())
    found = _STATUS.search(words)
    status = int(found[1]) if found else None
    error, answer = f"{service.service_name} was not reached, or refused it", None
    if status:
        error = f"{service.service_name} refused it: HTTP {status}"
        if not httpx.codes.is_redirect(status):  # its text repeats where it leads
            answer = _beginning(attempt.answer, url)
    if answer:
        error += f": {answer}"
    unsent = attempt.refusal is not None
    error = (attempt.refusal or error)[:ERROR_LENGTH]
    return AttemptResult(ok=False, terminal=status == GONE, status=status, error=error, answer=answer, unsent=unsent)


def messages_of(notice: Notice, service: Any) -> Messages:
    """Return a notice as what a service of Apprise is to send, so short that it need not be split once more."""
    most, head = service.body_maxlen, inert(title(notice))
    head = middle(head, min(LONGEST_TITLE, most // 2))
    room = most if most < SHORT and service.notify_format == "text" else most * 3 // 4  # for what it escapes
    first = room - len(head) - len("\r\n")
    said: Messages
    if brief(notice) is None:  # of how docs/alerts.md reckons what a hundred incidents at once become
        said = ((head, _in_one(notice, first)),)
    elif most >= SHORT:
        said = tuple((head, part) for part in said_of(notice, first, first))
    else:
        said = tuple(("" if number else head, part) for number, part in enumerate(said_of(notice, room, first)))
    if service.body_max_line_count:  # it leaves out the others
        said = tuple((head, " · ".join(part.split("\n"))) for head, part in said)
    return said


def said_of(notice: Notice, most: int, first: int) -> tuple[str, ...]:
    """Return a notice in parts of at most `most` characters: all of it, or, where it names many, in fewer words.

    The first part is of at most `first` characters.
    """

    def named(length: int = sys.maxsize) -> tuple[str, ...]:
        shown = shortened((inert(visible(name)) for name in names(notice)), length)
        return tuple(parts(brief(notice, lambda name: shown[inert(visible(name))]) or "", most, first))

    whole = tuple(parts(inert(details(notice)), most, first))
    if len(whole) <= MOST_PARTS or brief(notice) is None:
        return whole
    return next((said for said in map(named, (sys.maxsize, *SHORTER)) if len(said) <= MOST_PARTS), named())


def _in_one(notice: Notice, most: int) -> str:
    """Return a notice in at most `most` characters: less of the output if need be, then of the facts those that fit."""
    said, run = inert(details(notice)), notice.run
    if len(said) > most and run is not None and run.output:
        output = tail(run.output.strip("\r\n"), OUTPUT_CHARACTERS)

        def with_output(length: int) -> str:
            shorter = msgspec.structs.replace(run, output=tail(output, length))
            return inert(details(msgspec.structs.replace(notice, run=shorter)))

        fitting = bisect_left(range(1, len(output)), True, key=lambda length: len(with_output(length)) > most)
        said = with_output(max(1, fitting))
    return _beginning_lines(said, most)


def _beginning_lines(text: str, most: int) -> str:
    """Return the first lines of `text` that fit, those left out that do not, at most `most` characters in all."""
    if len(text) <= most:
        return text
    lines, left = [], most - len("…")
    for line in text.split("\n"):
        if line and len(line) < left:
            lines.append(line)
            left -= len(line) + 1
    return "\n".join([*lines, "…"]) if lines else beginning_of(text, most)


def _beginning(answer: bytes, url: str) -> str | None:
    whole = len(answer) < DETAILS_BYTES
    return beginning(answer[:DETAILS_BYTES], whole, secrets_of_target(url)) or None


def parts(text: str, most: int, first: int | None = None) -> Iterator[str]:
    """Yield `text` in parts of at most `most` characters, cut at line ends or else between characters.

    The first part is of at most `first`, if that is another.
    """
    room = most if first is None else first
    while len(text) > room:
        end = text.rfind("\n", 1, room) + 1 or cut(text, room) or room
        yield text[:end]
        text, room = text[end:], most
    yield text


def inert(text: str) -> str:
    """Return `text` with a space of no width after each `<` and `@`: no service finds a mention or a tag in it."""
    return _MARK.sub("\\1\u200b", text)
