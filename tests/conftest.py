import importlib.util
import itertools
import signal
import sys

import pytest
import uvloop

from tests.chromium import chromium  # noqa: F401


if importlib.util.find_spec("sniffio") is None:
    sys.modules["sniffio"] = None  # httpcore tries to import it some times per request, each time by all of the path


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # in a shell's background it is ignored, by all children too


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="also run the tests that take minutes")


def pytest_asyncio_loop_factories():
    """Tests run in the event loop of the daemon, which is also faster than that of asyncio."""
    return {"uvloop": uvloop.new_event_loop}


LONGEST = ("e2e/test_without_luota", "e2e/test_alerts_storm", "browser/", "test_wheel", "alerts/", "cli/", "web/")
"""What takes longest goes first, so that what is left to the end is spread evenly over the workers."""
BESIDE_ONE_THAT_WAITS = 5


def _spread(items):
    """Put files that compute between those of tests/e2e, which wait most of the time."""
    files = {}
    for item in items:
        files.setdefault(item.nodeid.partition("::")[0].removeprefix("tests/"), []).append(item)
    names = sorted(files, key=lambda name: next((n for n, one in enumerate(LONGEST) if name.startswith(one)), 99))
    waiting = [name for name in names if name.startswith("e2e/")]
    others = iter([name for name in names if not name.startswith("e2e/")])
    order = [name for one in waiting for name in (one, *itertools.islice(others, BESIDE_ONE_THAT_WAITS))]
    return [item for name in (*order, *others) for item in files[name]]


def pytest_collection_modifyitems(config, items):
    items[:] = _spread(items)
    if not config.getoption("--long"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="takes minutes; runs only with --long"))


@pytest.fixture
def long(request) -> bool:
    """Whether --long was given: more rounds of what is random."""
    return request.config.getoption("--long")
