"""What all snippets are made of: the values of one monitor, and its schedule in other schedulers' words."""

import re

from msgspec import Struct

from luota.core.model import Mode
from luota.core.schedule import MACROS, Calendar, Cron, Every, Schedule

LOCAL_JOB, LOCAL_OUTPUT = "/usr/local/bin/your-job", "/srv/output/your-file"
"""What people replace in a snippet for a host: the job, and for freshness the file that it renews."""
JOB, OUTPUT = "./your-job", "./your-file"
"""The same in a repository, relative to its root."""
_ANY_CRON = "0 2 * * *"


class Snippet(Struct, frozen=True):
    """One way to wire a job: files to paste, as pairs of name and text, and one or two sentences of advice.

    A name is a path where the file has a place of its own. `language` is what highlighters call the first file's.
    """

    key: str
    title: str
    language: str
    files: tuple[tuple[str, str], ...]
    notes: str


class Wiring(Struct, frozen=True):
    """The values that go into the snippets of one monitor.

    `base_url` has no slash at its end; `slug` consists of a-z, 0-9 and hyphens, and is safe wherever it is put.
    """

    mode: Mode
    base_url: str
    monitor_id: str
    token: str
    name: str
    slug: str
    schedule: Schedule | None


def cron(schedule: Schedule | None) -> str:
    """Return five fields of cron: the monitor's own, those of its interval, or nightly as an example."""
    match schedule:
        case Cron():
            return MACROS.get(schedule.expression.lower(), schedule.expression)
        case Every(interval):
            minutes, hours = interval // 60_000, interval // 3_600_000
            if interval % 60_000 == 0 and 0 < minutes < 60 and 60 % minutes == 0:
                return f"*/{minutes} * * * *" if minutes > 1 else "* * * * *"
            if interval % 3_600_000 == 0 and 0 < hours < 24 and 24 % hours == 0:
                return f"0 */{hours} * * *" if hours > 1 else "0 * * * *"
    return _ANY_CRON


def timer(schedule: Schedule | None) -> str:
    """Return the lines of a systemd timer that say when; nightly where the schedule cannot be said in its words."""
    match schedule:
        case Calendar(expression, timezone):
            return f"OnCalendar={expression} {timezone}".replace("%", "%%")
        case Every(interval):
            return f"OnActiveSec=1s\nOnUnitActiveSec={interval // 1000}s"
        case Cron(_, timezone):
            minute, hour, *days = cron(schedule).split()
            if days == ["*", "*", "*"] and all(re.fullmatch(r"\*|\*/\d+|\d+", field) for field in (minute, hour)):
                at = [field.replace("*/", "0/") if "/" in field else field.zfill(2) for field in (hour, minute)]
                at = ["*" if field == "0*" else field for field in at]
                return f"OnCalendar=*-*-* {at[0]}:{at[1]}:00 {timezone}"
    return "OnCalendar=*-*-* 02:00:00"


def when(schedule: Schedule | None, zone: str) -> str:
    """Return a sentence on the times in a snippet: `zone` is where the scheduler reads its fields, as in "UTC"."""
    match schedule:
        case Cron(_, timezone) if timezone != zone:
            return f"The expression is read in {zone}; the monitor's is meant in {timezone}: shift it."
        case Calendar() | None:
            return f"Put your own time in; it is read in {zone}."
    return f"Times are read in {zone}."
