"""What all snippets are made of: the values of one monitor."""

from msgspec import Struct

from luota.core.model import Mode
from luota.core.schedule import Schedule

LOCAL_JOB, LOCAL_OUTPUT = "/usr/local/bin/your-job", "/srv/output/your-file"
"""What people replace in a snippet for a host: the job, and for freshness the file that it renews."""
JOB, OUTPUT = "./your-job", "./your-file"
"""The same in a repository, relative to its root."""


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
