"""Snippets for hosts with a shell: curl in a script, crontab, a systemd timer; and for Render and Fly.io."""

import json
import shlex

from luota.core.model import Mode
from luota.core.schedule import Cron, Schedule
from luota.web.snippets.shell import ON_A_HOST, environment, job_script, ping, run_script, variables
from luota.web.snippets.times import DAY, HOUR, cron, gap, numeric, timer, when
from luota.web.snippets.wiring import JOB, LOCAL_JOB, LOCAL_OUTPUT, OUTPUT, Snippet, Wiring

RUNNER = "/usr/local/bin/luota-run"


def curl(wiring: Wiring) -> Snippet:
    """Return a script around the job, which every scheduler of a host can start."""
    head = "#!/bin/sh\n" + environment(wiring, "export ")
    if wiring.mode is Mode.RUN:
        files = [("job.sh", f"{head}exec {RUNNER} {LOCAL_JOB}\n"), (RUNNER, run_script(ON_A_HOST))]
        notes = "Make both files executable and schedule job.sh in place of the job, mode 700 as it holds the token. "
        notes += "Where luota is installed, this does the same without a script: luota exec -- COMMAND."
    else:
        files = [("job.sh", head + job_script(wiring, LOCAL_JOB, LOCAL_OUTPUT))]
        notes = "Schedule this script in place of the job; chmod 700, as it holds the token."
    return Snippet("curl", "curl", "sh", tuple(files), notes)


def crontab(wiring: Wiring) -> Snippet:
    """Return a file for /etc/cron.d: one line, since cron knows no continuation, without a %, which would end it."""
    values = "".join(f"{name}={value}\n" for name, value in variables(wiring))
    if wiring.mode is Mode.RUN:
        command, more = f"{RUNNER} {LOCAL_JOB}", [(RUNNER, run_script(ON_A_HOST))]
    else:
        command, more = f"{LOCAL_JOB} && {{ {' '.join(ping(wiring.mode, LOCAL_OUTPUT))}; }}", []
    line = f"{cron(wiring.schedule)} root {command}"
    notes = (
        "A file of its own, owned by root, chmod 600 (it holds the token). Replace root, behind the time, by the job's "
        "user. In a user's own table (crontab -e) leave that word out, and put the lines last: the values in them hold "
        "for each line below."
    )
    if more:
        notes = f"{notes} chmod 755 {RUNNER}."
    files = ((f"/etc/cron.d/luota-{wiring.slug}", f"{values}{line}\n"), *more)
    notes = f"{notes} {when(wiring.schedule, 'the timezone of the host')}"
    return Snippet("crontab", "crontab", "crontab", files, notes)


def systemd(wiring: Wiring) -> Snippet:
    """Return a service, its timer, and a file with the values."""
    # Not by the slug alone: a monitor called ssh must not replace ssh.service.
    unit, values = f"/etc/systemd/system/luota-{wiring.slug}", f"/etc/luota/{wiring.slug}.env"
    if wiring.mode is Mode.RUN:
        start = f"ExecStart={RUNNER} {LOCAL_JOB}\n"
        more = [(RUNNER, run_script(ON_A_HOST))]
    else:
        # `-`: a ping that could not be sent fails no unit. It is not reached when the job failed.
        told = _systemd_word(" ".join(ping(wiring.mode, LOCAL_OUTPUT)))
        start, more = f"ExecStart={LOCAL_JOB}\nExecStartPost=-/bin/sh -c {told}\n", []
    name = " ".join(wiring.name.split()).replace("%", "%%").replace("\\", "/")
    service = (
        f"[Unit]\nDescription={name}\nWants=network-online.target\nAfter=network-online.target\n\n"
        f"[Service]\nType=oneshot\nEnvironmentFile={values}\n{start}"
    )
    # By default systemd takes the liberty of a minute.
    when_due = f"{timer(wiring.schedule)}\nAccuracySec=1s\nPersistent=true"
    files = (
        (f"{unit}.service", service),
        (f"{unit}.timer", f"[Timer]\n{when_due}\n\n[Install]\nWantedBy=timers.target\n"),
        (values, environment(wiring)),
        *more,
    )
    notes = f"chmod 600 {values} (it holds the token), then systemctl daemon-reload and systemctl enable --now "
    notes += f"luota-{wiring.slug}.timer."
    if more:
        notes += f" chmod 755 {RUNNER}."
    if wiring.schedule is None:
        notes += " Put your own time into OnCalendar."
    if isinstance(wiring.schedule, Cron) and wiring.schedule.timezone != "UTC":
        notes += " When the clocks change, a timer leaves out what they skip and takes once what they double, unlike \
cron and the monitor: choose hours that they do not touch."
    return Snippet("systemd", "systemd timer", "ini", files, notes)


def _systemd_word(text: str) -> str:
    """Quote one argument of a unit's command line.

    systemd resolves backslashes even inside single quotes, `%` and `$`, see systemd.service(5) and
    systemd.unit(5).
    """
    for character, written in (("\\", "\\\\"), ("'", "\\'"), ("%", "%%"), ("$", "$$")):
        text = text.replace(character, written)
    return f"'{text}'"


def render(wiring: Wiring) -> Snippet:
    """Return a Blueprint and the script that its cron job starts."""
    script, command = _start(wiring, sha="$RENDER_GIT_COMMIT", host="render")
    blueprint = (
        f'services:\n  - type: cron\n    name: "{wiring.slug}"\n    runtime: node # that of your job\n'
        '    buildCommand: ""\n'
        f'    schedule: "{numeric(cron(wiring.schedule))}"\n    startCommand: {command}\n    envVars:\n'
        f"      - key: LUOTA_API_BASE_URL\n        value: {json.dumps(wiring.base_url)}\n"
        f'      - key: LUOTA_MONITOR_ID\n        value: "{wiring.monitor_id}"\n'
        "      - key: LUOTA_INGEST_TOKEN\n        sync: false\n"
    )
    notes = f"Both files go into the repository; Render asks for the secret LUOTA_INGEST_TOKEN, which is the \
monitor's token. {when(wiring.schedule, 'UTC')}"
    return Snippet("render", "Render", "yaml", (("render.yaml", blueprint), script), notes)


def fly(wiring: Wiring) -> Snippet:
    """Return the commands that set the secret and schedule a Machine, and the script that it starts."""
    script, command = _start(wiring, sha="", host="fly.io")
    commands = (
        f"fly secrets set LUOTA_INGEST_TOKEN={shlex.quote(wiring.token)}\n"
        f"fly machine run --schedule {_interval(wiring.schedule)} --restart no \\\n"
        f"  --env LUOTA_API_BASE_URL={shlex.quote(wiring.base_url)} \\\n"
        f"  --env LUOTA_MONITOR_ID={wiring.monitor_id} \\\n  . {command}\n"
    )
    notes = (
        "Copy the script and curl into the image, then run the commands in the app's directory; the token is a secret \
of the app. Fly.io chooses the minute itself, so give the monitor an interval and a generous grace."
    )
    if gap(wiring.schedule) < HOUR:
        notes += " It starts a Machine once an hour at most, and this monitor expects signals closer together: it \
would be in incident between them. Run a scheduler inside the Machine, or let the monitor expect no more than a signal \
every hour."
    return Snippet("fly", "Fly.io", "sh", (("terminal", commands), script), notes)


def _start(wiring: Wiring, *, sha: str, host: str) -> tuple[tuple[str, str], str]:
    """Return a script for an image, with its name, and the command that starts it."""
    if wiring.mode is Mode.RUN:
        return ("luota-run.sh", run_script(f"{host}-{ON_A_HOST}", host, sha)), f"sh luota-run.sh {JOB}"
    text = job_script(wiring, JOB, OUTPUT, host=host, sha=sha)
    return ("start.sh", f"#!/bin/sh\n{text}"), "sh start.sh"


def _interval(schedule: Schedule | None) -> str:
    """Return the longest interval that Fly.io knows and that is no longer than the monitor's; hourly below an hour."""
    length = gap(schedule)
    return "hourly" if length < DAY else "daily" if length < 7 * DAY else "weekly" if length < 28 * DAY else "monthly"
