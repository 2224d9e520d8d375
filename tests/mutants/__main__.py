"""Takes each protection away, one at a time, and sees to it that a test fails: `python -m tests.mutants [WORD…]`.

A guard that nobody misses is not tested. Each mutant is an exact text of a file, what takes its place, and
the tests that must fail then; with words given, only mutants whose names hold one of them run. Exit status 0
when every mutant was killed, 1 when one survived, or its text is not found any more, or its tests cannot be
run or fail without it.
"""

import compileall
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue

from tests.mutants import access, storage, supervision, verdicts
from tests.mutants.mutant import Mutant

ROOT = Path(__file__).resolve().parents[2]
MUTANTS = [*access.MUTANTS, *supervision.MUTANTS, *storage.MUTANTS, *verdicts.MUTANTS]  # those that wait go first
AT_ONCE = 6
"""More than CI has processors, as some tests wait."""
WITHIN_S = 60


def tree(parent: Path, number: int) -> Path:
    """Return a copy of all that the tests need, with the byte code, which takes longer to make than most tests."""
    copy = parent / f"tree-{number}"
    copy.mkdir()
    for name in ("luota", "tests"):
        shutil.copytree(ROOT / name, copy / name)
    compileall.compile_dir(copy / "luota", quiet=2)
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copyfile(path, copy / path.name)
    return copy


def fails(copy: Path, tests: tuple[str, ...], *options: str, within: int = 3 * WITHIN_S) -> tuple[str, str]:
    """Run tests in a copy, `within` so many seconds: ("passed" | "failed" | "broken", the end of what pytest said)."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", f"--timeout={WITHIN_S}", *options]
    # Byte code is checked by time and size, which two mutants of one second may share: none is kept of a mutant.
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            [*command, f"--basetemp={copy}-tmp", *tests],
            cwd=copy,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=within,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "failed", "it hung"
    verdict = {0: "passed", 1: "failed"}.get(done.returncode, "broken")
    return verdict, done.stdout[-3000:]


def judge(one: Mutant, trees: "Queue[Path]") -> tuple[bool, str]:
    """Return whether a mutant was killed, and a line about it."""
    try:
        text = (ROOT / one.file).read_text()
    except FileNotFoundError:
        return False, f"GONE      {one.name}: there is no {one.file}"
    if text.count(one.old) != 1:
        return False, f"GONE      {one.name}: its text stands {text.count(one.old)} times in {one.file}"
    copy = trees.get()
    began = time.monotonic()
    try:
        Path(importlib.util.cache_from_source(copy / one.file)).unlink(missing_ok=True)
        (copy / one.file).write_text(text.replace(one.old, one.new))
        verdict, said = fails(copy, one.tests)
    finally:
        (copy / one.file).write_text(text)
        trees.put(copy)
    took = f"{time.monotonic() - began:.1f} s"
    match verdict:
        case "failed":
            return True, f"killed    {one.name} ({took})"
        case "passed":
            return False, f"SURVIVED  {one.name}: {', '.join(one.tests)}"
        case _:
            return False, f"BROKEN    {one.name}\n{said}"


def main(words: list[str]) -> int:
    """Run the mutants; return the exit status."""
    chosen = [one for one in MUTANTS if not words or any(word in one.name for word in words)]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as parent:
        trees: Queue[Path] = Queue()
        for number in range(AT_ONCE):
            trees.put(tree(Path(parent), number))
        whole = tree(Path(parent), AT_ONCE)
        tests = tuple(dict.fromkeys(test for one in chosen for test in one.tests))
        killed = 0
        with ThreadPoolExecutor(AT_ONCE + 1) as pool:
            without = pool.submit(fails, whole, tests, "-n", "3", "--dist", "worksteal", within=10 * WITHIN_S)
            for well, line in pool.map(lambda one: judge(one, trees), chosen):
                killed += well
                print(line, flush=True)
            verdict, said = without.result()
    print(f"{killed} of {len(chosen)} mutants killed in {time.monotonic() - began:.0f} s")
    if verdict != "passed":
        print(f"without any mutant the tests {verdict}, so that none of this counts:\n{said}")
    return 0 if killed == len(chosen) and verdict == "passed" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
