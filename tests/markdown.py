"""The fenced blocks of a Markdown file, for tests that run the documentation against the code."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Fence:
    """One block: its language, the label behind it, the second-level heading that it stands under, its text."""

    language: str
    label: str
    section: str
    text: str


def fences(path: Path) -> list[Fence]:
    """Return the fenced blocks of a file, in order."""
    found: list[Fence] = []
    section, opened, lines = "", None, []
    for line in path.read_text().splitlines():
        if line.startswith("```"):
            if opened is None:
                opened, lines = line.removeprefix("```").strip(), []
            else:
                language, _, label = opened.partition(" ")
                found.append(Fence(language, label.strip(), section, "\n".join(lines)))
                opened = None
        elif opened is not None:
            lines.append(line)
        elif line.startswith("## "):
            section = line.removeprefix("## ").strip()
    assert opened is None, f"{path} has a block without an end"
    return found
