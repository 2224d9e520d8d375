"""Shell for all snippets that use it: one ping, and `luota-run`, which wraps a job as a run.

The token reaches curl through its standard input, since arguments are visible to everybody in `ps`. Every call
retries for about half a minute and ends within a minute and a half, so that a restart of Luota loses nothing and
a dead one neither blocks the job for long nor changes its exit status.
"""

import shlex

from luota.core.model import Mode
from luota.web.snippets.wiring import Wiring

RETRIES = "--retry 5 --retry-connrefused --max-time 10 --retry-max-time 60"
"""Not --retry-all-errors, which a curl before 7.71 does not know."""

_RUN = r"""#!/bin/sh
# luota-run COMMAND [ARGUMENT...]: tells Luota when COMMAND starts and how it ends; needs curl 7.52 or newer.
# Its exit status is COMMAND's own, whatever becomes of the calls. Standard error joins standard output.
run_id="@RUN_ID@"
host="@HOST@"
sha="@SHA@"

tmp=$(mktemp -d) && mkfifo "$tmp/all" "$tmp/kept" "$tmp/tail" || exec "$@" # without them the job runs alone
tab=$(printf '\t')

json() { # the text of stdin as the inside of a JSON string
  if command -v iconv >/dev/null; then
    iconv -c -f UTF-8 -t UTF-8 2>/dev/null
  else
    LC_ALL=C tr -cd '\11\12\40-\176'
  fi | LC_ALL=C tr -d '\000-\010\013-\037\177' | LC_ALL=C sed -e 's/[\\"]/\\&/g' -e "s/$tab/\\\\t/g" |
    LC_ALL=C awk '{ printf "%s%s", separator, $0; separator = "\\n" }'
}
call() { # call PATH OPTION...: sends $tmp/body, prints the reply
  path=$1
  shift
  echo "header=x-luota-key:$LUOTA_INGEST_TOKEN" | curl --config - -fsS -H "content-type: application/json" \
    --data-binary "@$tmp/body" --retry-connrefused "$@" "$LUOTA_API_BASE_URL$path"
}
start() { # start FIELDS OPTION...: prints the id of the run; sent twice, it is the same run
  printf '{"monitorId":"%s","externalRunId":"%s","host":"%s","deploySha":"%s"%s}' "$LUOTA_MONITOR_ID" \
    "$(printf %s "$run_id" | json)" "$(printf %s "$host" | json)" "$(printf %s "$sha" | json)" "$1" >"$tmp/body"
  shift
  call /v1/runs/start "$@" | sed -n 's/.*"run": *{ *"id": *"\([^"]*\)".*/\1/p'
}

started=$(date -u +%Y-%m-%dT%H:%M:%SZ)
run=$(start "" --retry 3 --max-time 5 --retry-max-time 10)
[ -n "$run" ] || echo "luota-run: the start could not be sent; the job runs, the end will be tried" >&2

# The job's output goes on as it comes, and its end is kept. Those who do it outlive a signal to the group.
exec 3<&0
(trap '' HUP INT TERM; exec tail -c 30000 <"$tmp/tail" >"$tmp/output") &
keeper=$!
(trap '' HUP INT TERM; exec cat <"$tmp/kept" >"$tmp/tail") &
feeder=$!
(trap '' HUP INT TERM PIPE; exec tee "$tmp/kept" <"$tmp/all" 2>/dev/null) &
shower=$!
"$@" <&3 3<&- >"$tmp/all" 2>&1 &
job=$!
trap 'kill "$job" 2>/dev/null' HUP INT TERM
wait "$job"
status=$?
while kill -0 "$job" 2>/dev/null; do # a signal ended the wait and not the job
  wait "$job"
  status=$?
done
# What the job left running may hold its output open: it is shown to its end, and not waited for.
for pause in 0.1 0.2 0.5 1 1; do
  kill -0 "$shower" 2>/dev/null || break
  sleep "$pause" 2>/dev/null || sleep 1
done
{
  kill -0 "$shower" && kill -KILL "$feeder"
  wait "$feeder" "$keeper"
} 2>/dev/null

verdict=success
[ "$status" -eq 0 ] || verdict=fail
[ -n "$run" ] || run=$(start ",\"startedAt\":\"$started\"" @RETRIES@)
if [ -n "$run" ]; then
  printf '{"summary":"exit status %s","exitCode":%s,"output":"%s"}' \
    "$status" "$status" "$(json <"$tmp/output")" >"$tmp/body"
  call "/v1/runs/$run/$verdict" -o /dev/null @RETRIES@ || echo "luota-run: the end could not be sent" >&2
fi
rm -rf "$tmp"
exit "$status"
"""

ON_A_HOST = "$(uname -n)-$(date +%s)-$$"
"""An id for each run where nothing else gives one."""


def run_script(run_id: str, host: str = "$(uname -n)", sha: str = "") -> str:
    """Return `luota-run`; the arguments stand inside double quotes of sh."""
    text = _RUN.replace("@RUN_ID@", run_id).replace("@HOST@", host).replace("@SHA@", sha)
    return text.replace("@RETRIES@", RETRIES)


def ping(mode: Mode, output: str, host: str = "$(uname -n)", sha: str = "") -> list[str]:
    """Return the lines of one ping in sh, to be joined by " " or by a continuation; it always ends with 0.

    `host` and `sha` stand inside double quotes. For freshness it carries when the file `output` last changed; where
    there is none, nothing is accepted and the output grows stale, as it should.
    """
    payload = r"\"payload\":{\"host\":\"@HOST@\"@SHA@}"
    payload = payload.replace("@HOST@", host).replace("@SHA@", rf",\"deploySha\":\"{sha}\"" if sha else "")
    occurred = rf"\"occurredAt\":\"$(date -Iseconds -r {output})\"," if mode is Mode.FRESHNESS else ""
    return [
        'echo "header=x-luota-key:$LUOTA_INGEST_TOKEN" | curl --config - -fsS -o /dev/null',
        RETRIES,
        f'-H "content-type: application/json" -d "{{{occurred}{payload}}}"',
        '"$LUOTA_API_BASE_URL/v1/monitors/$LUOTA_MONITOR_ID/ping"',
        '|| echo "Luota could not be told" >&2',
    ]


def block(lines: list[str], indent: str) -> str:
    """Return one command over several lines, each after `indent`, without a newline at the end."""
    return f" \\\n{indent}  ".join([indent + lines[0], *lines[1:]])


def variables(wiring: Wiring) -> list[tuple[str, str]]:
    """Return the three variables that every snippet reads."""
    return [
        ("LUOTA_API_BASE_URL", wiring.base_url),
        ("LUOTA_MONITOR_ID", wiring.monitor_id),
        ("LUOTA_INGEST_TOKEN", wiring.token),
    ]


def environment(wiring: Wiring, prefix: str = "") -> str:
    """Return the variables with their values as lines for sh, or for a systemd EnvironmentFile."""
    return "".join(f"{prefix}{name}={shlex.quote(value)}\n" for name, value in variables(wiring))


def job_script(wiring: Wiring, job: str, output: str, **origin: str) -> str:
    """Return sh that runs the job, pings when it succeeded, and ends with the job's status; `origin` as in `ping`."""
    return (
        f'{job}\nstatus=$?\nif [ "$status" -eq 0 ]; then\n'
        f'{block(ping(wiring.mode, output, **origin), "  ")}\nfi\nexit "$status"\n'
    )
