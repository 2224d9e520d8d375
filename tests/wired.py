"""Runs a snippet as its platform would: files laid out below one directory, the platform's variables set.

wired = Wired(tmp_path, snippet, key)   # the job is a script that tests give
done = wired.run("echo hello; exit 3", LUOTA_... overrides)
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import yaml

from luota.core.model import Mode
from luota.web.snippets import snippets

TOKEN_FROM_STORE = {"github", "gitlab", "circleci", "render", "fly", "vercel"}
SHELLS = ("curl", "crontab", "systemd", "github", "gitlab", "circleci", "render", "fly")
PROGRAMS = ("python", "node", "vercel")
_PLATFORM = {
    "github": {"GITHUB_RUN_ID": "771", "GITHUB_RUN_ATTEMPT": "1", "GITHUB_JOB": "job", "GITHUB_SHA": "4f2c1e9"},
    "gitlab": {"CI_JOB_ID": "9001", "CI_COMMIT_SHA": "4f2c1e9"},
    "circleci": {"CIRCLE_WORKFLOW_JOB_ID": "a-b-c", "CIRCLE_NODE_INDEX": "0", "CIRCLE_SHA1": "4f2c1e9"},
    "render": {"RENDER_GIT_COMMIT": "4f2c1e9"},
    "fly": {},
    "vercel": {"CRON_SECRET": "s3cret", "VERCEL_GIT_COMMIT_SHA": "4f2c1e9"},
}


def crontab_command(line: str) -> str:
    """What cron hands to /bin/sh -c of a line in /etc/cron.d, see crontab(5)."""
    command = line.split(None, 6)[6]
    assert len(command) < 1000
    assert not re.search(r"(?<!\\)%", command), "cron ends the command at a bare %"
    return command.replace(r"\%", "%")


def systemd_words(line: str, environ: dict[str, str]) -> list[str]:
    """The arguments of a command line in a unit: quotes, C escapes, %%, then variables, see systemd.service(5)."""
    words, word, quote, position = [], None, "", 0
    escapes = {"\\": "\\", '"': '"', "'": "'", "n": "\n", "t": "\t"}
    while position < len(line):
        c = line[position]
        if c == "\\":
            position += 1
            word = (word or "") + escapes[line[position]]
        elif quote:
            word, quote = (word, "") if c == quote else (word + c, quote)
        elif c in "'\"" and word is None:
            word, quote = "", c
        elif c.isspace():
            words, word = (words if word is None else [*words, word]), None
        else:
            word = (word or "") + c
        position += 1
    assert not quote
    words = words if word is None else [*words, word]
    out = []
    for text in words:
        assert not re.search(r"%(?!%)", text.replace("%%", "")), "a specifier"
        text = text.replace("%%", "%")
        if re.fullmatch(r"\$\w+", text):
            out += environ.get(text[1:], "").split()
        else:
            out.append(
                re.sub(r"\$\$|\$\{(\w+)\}", lambda m: environ.get(m[1], "") if m[1] else "$", text)  # a bare $x stays
            )
    return out


class Wired:
    def __init__(self, root: Path, key: str, files: tuple[tuple[str, str], ...], token: str) -> None:
        self.root, self.key, self.token = root, key, token
        self.repo = root / "repo"
        self.paths: list[Path] = []
        for name, text in files:
            path = root / name.lstrip("/") if name.startswith("/") else self.repo / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(re.sub(r"(?<![\w.])/(usr/local/bin|srv/output|etc/luota)/", rf"{root}/\1/", text))
            path.chmod(0o755)
            self.paths.append(path)
        self.output = root / "srv/output/your-file"
        self.output.parent.mkdir(parents=True, exist_ok=True)

    def prepare(self, job: str) -> None:
        """Put the text of the job in its place: sh, or the snippet's own language."""
        if self.key in PROGRAMS:
            for path in self.paths:
                path.write_text(re.sub(r"pass  # your job|// your job", lambda _: job, path.read_text()))
        else:
            for place in (self.root / "usr/local/bin/your-job", self.repo / "your-job"):
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(f"#!/bin/sh\n{job}\n")
                place.chmod(0o755)
            (self.repo / "your-file").unlink(missing_ok=True)
            if self.output.exists():
                (self.repo / "your-file").symlink_to(self.output)

    def run(self, job: str | None = None, **environ: str) -> subprocess.CompletedProcess[bytes]:
        """Run the wired job, of which `job` is the text as in `prepare`; variables are those of its platform.

        Where others run at the same time it has to be prepared before, and is given no `job`: each process that is
        forked meanwhile keeps the program that is just written open, which then cannot be executed.
        """
        if job is not None:
            self.prepare(job)
        base = {"PATH": "/usr/bin:/bin", "HOME": str(self.root), "TMPDIR": str(self.root)}
        base |= _PLATFORM.get(self.key, {})
        if self.key in TOKEN_FROM_STORE:
            base["LUOTA_INGEST_TOKEN"] = self.token
        return getattr(self, f"_{self.key}")(base | environ)

    def _do(self, command: list[str], environ: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            command, cwd=self.repo, env=environ, capture_output=True, stdin=subprocess.DEVNULL, timeout=120
        )

    def _steps(self, shell: list[str], steps: list[str], environ: dict[str, str]):
        for step in steps:
            done = self._do([*shell, step], environ)
            if done.returncode:
                break
        return done

    def _curl(self, environ):
        return self._do(["sh", str(self.paths[0])], environ)

    def _crontab(self, environ):
        self.repo.mkdir(exist_ok=True)
        *values, line = self.paths[0].read_text().splitlines()
        environ = dict(value.split("=", 1) for value in values) | environ
        return self._do(["/bin/sh", "-c", crontab_command(line)], environ)

    def _systemd(self, environ):
        self.repo.mkdir(exist_ok=True)
        lines = [line.split("=", 1) for line in self.paths[0].read_text().splitlines() if "=" in line]
        unit = dict(lines)
        values = shlex.split(Path(unit["EnvironmentFile"]).read_text())
        environ = dict(value.split("=", 1) for value in values) | environ
        done = self._do(systemd_words(unit["ExecStart"], environ), environ)
        if done.returncode == 0 and "ExecStartPost" in unit:
            after = unit["ExecStartPost"]
            assert after.startswith("-")
            done.stderr += self._do(systemd_words(after[1:], environ), environ).stderr
        return done

    def _github(self, environ):
        job = yaml.safe_load(self.paths[0].read_text())["jobs"]["job"]
        contexts = {"secrets.LUOTA_INGEST_TOKEN": self.token, "strategy.job-index": "0"}  # without a matrix it is 0
        contexts |= {name: environ.pop(name) for name in contexts if name in environ}
        values = {
            name: re.sub(r"\$\{\{ (.+?) \}\}", lambda found: contexts[found[1]], value)
            for name, value in job["env"].items()
        }
        assert values["LUOTA_INGEST_TOKEN"] == self.token
        return self._steps(["bash", "-ec"], [step["run"] for step in job["steps"] if "run" in step], values | environ)

    def _gitlab(self, environ):
        (job,) = yaml.safe_load(self.paths[0].read_text()).values()
        return self._do(["bash", "-eo", "pipefail", "-c", "\n".join(job["script"])], job["variables"] | environ)

    def _circleci(self, environ):
        (job,) = yaml.safe_load(self.paths[0].read_text())["jobs"].values()
        steps = [step["run"] for step in job["steps"] if isinstance(step, dict)]
        return self._steps(["bash", "-eo", "pipefail", "-c"], steps, job["environment"] | environ)

    def _render(self, environ):
        (service,) = yaml.safe_load(self.paths[0].read_text())["services"]
        values = {item["key"]: item["value"] for item in service["envVars"] if "value" in item}
        return self._do(["bash", "-c", service["startCommand"]], values | environ)

    def _fly(self, environ):
        words = shlex.split(self.paths[0].read_text().split("\n", 1)[1])
        values = dict(words[i + 1].split("=", 1) for i, word in enumerate(words) if word == "--env")
        return self._do(words[words.index(".") + 1 :], values | environ)

    def _python(self, environ):
        return self._do([sys.executable, str(self.paths[0])], environ)

    def _node(self, environ):
        return self._do(["node", str(self.paths[0])], environ)

    def _vercel(self, environ):
        (entry,) = json.loads(self.paths[0].read_text())["crons"]
        route = self.repo / f"app{entry['path']}/route.js"
        assert route == self.paths[1]
        (self.repo / "route.mjs").write_text(route.read_text())
        call = """import { GET } from "./route.mjs";
const call = (key) => GET(new Request("http://x/", { headers: { authorization: `Bearer ${key}` } }));
const secret = process.env.CRON_SECRET;
delete process.env.CRON_SECRET;
for (const key of ["undefined", ""]) if ((await call(key)).status !== 401) process.exit(98);
process.env.CRON_SECRET = secret;
if ((await call("wrong")).status !== 401) process.exit(99);
process.stdout.write(await (await call("s3cret")).text());
"""
        (self.repo / "call.mjs").write_text(call)
        return self._do(["node", "call.mjs"], environ)


def wired(
    root: Path,
    url: str,
    key: str,
    mode: str,
    id: str = "45d1e22d-8fdd-4df1-8b67-ffc2c88fc67c",
    token: str = "wfm1.none",
) -> Wired:
    """The snippet `key` for a monitor of a mode at the Luota at `url`, laid out below `root`."""
    (snippet,) = [s for s in snippets(Mode(mode), url, id, token, 'Nightly: 100% "backup"') if s.key == key]
    return Wired(root / f"{key}-{mode}", key, snippet.files, token)


def environ_without_luota() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("LUOTA_")}
