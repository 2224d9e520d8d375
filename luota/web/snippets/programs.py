"""Snippets for programs: Python, Node, Vercel Cron and PowerShell, each with nothing but what the platform brings."""

import json
from textwrap import indent

from luota.core.model import Mode
from luota.web.snippets.times import cron, numeric, when
from luota.web.snippets.wiring import LOCAL_OUTPUT, Snippet, Wiring

_PYTHON_CALL = r'''import http.client
import json
import os
import platform
import sys
import time
import urllib.error
import urllib.request
@IMPORTS@
BASE_URL = @BASE_URL@
MONITOR_ID = @MONITOR_ID@
TOKEN = os.environ.get("LUOTA_INGEST_TOKEN") or @TOKEN@


def luota(path, body, tries=6):
    """Send one call, again after 1, 2, 4... seconds; return the reply, or None. Never raises."""
    headers = {"content-type": "application/json", "x-luota-key": TOKEN}
    request = urllib.request.Request(BASE_URL + path, json.dumps(body).encode(), headers)
    for attempt in range(tries):
        try:
            with urllib.request.urlopen(request, timeout=5) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as error:
            problem = f"{error.code} {error.read(500)}"
            if error.code < 500 and error.code not in (408, 429):
                break
        except (OSError, ValueError, http.client.HTTPException) as error:
            problem = error
        if attempt + 1 < tries:
            time.sleep(2**attempt)
    print(f"Luota could not be told: {problem}", file=sys.stderr)
    return None


def status_of(code):
    """Return with which status a process ends by sys.exit(code)."""
    if code is None:
        return 0
    if not isinstance(code, int):
        return 1
    status = int(code) if abs(code) <= sys.maxsize else -1  # as Python does
    return status & 0xFF if os.name == "posix" else status  # as Unix does


def main():
    pass  # your job


'''
_PYTHON_PING = """try:
    main()
except SystemExit as end:
    if status_of(end.code):
        raise
luota(f"/v1/monitors/{MONITOR_ID}/ping", {"payload": {"host": platform.node()}})
"""
_PYTHON_FRESHNESS = """try:
    main()
except SystemExit as end:
    if status_of(end.code):
        raise
try:
    changed = datetime.fromtimestamp(os.path.getmtime("@OUTPUT@"), timezone.utc).isoformat()
except OSError as error:
    print(f"Luota is not told: {error}", file=sys.stderr)
else:
    luota(f"/v1/monitors/{MONITOR_ID}/ping", {"occurredAt": changed, "payload": {"host": platform.node()}})
"""
_PYTHON_RUN = '''def text(value, most):
    """Return the end of a text in a form that JSON in UTF-8 can carry."""
    return str(value).replace("\\0", "").encode("utf-8", "replace")[-most:].decode("utf-8", "ignore")


signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
start = {"monitorId": MONITOR_ID, "externalRunId": str(uuid.uuid4()), "host": platform.node()}
started_at = datetime.now(timezone.utc).isoformat()
run = luota("/v1/runs/start", start, tries=3)
status, summary, output = 1, "", ""
try:
    main()
    status, summary = 0, "done"
except SystemExit as end:
    status = status_of(end.code)
    if end.code is not None and not isinstance(end.code, int):
        summary = output = str(end.code)
    raise
except BaseException as error:
    output = traceback.format_exc()
    summary = f"{type(error).__name__}: {error}"
    raise
finally:
    run = run or luota("/v1/runs/start", {**start, "startedAt": started_at})
    if run:
        verdict = "fail" if status else "success"
        summary = text(summary[:240], 1000) or f"exit status {status}"
        close = {"summary": summary, "exitCode": status, "output": text(output, 10000)}
        luota(f"/v1/runs/{run['run']['id']}/{verdict}", close)
'''

_NODE_CALL = """async function luota(path, body, tries = 6) {
  // Sends one call, again after 1, 2, 4... seconds; returns the reply, or undefined. Never throws.
  for (let attempt = 1; ; attempt += 1) {
    try {
      const reply = await fetch(baseUrl + path, {
        method: "POST",
        headers: { "content-type": "application/json", "x-luota-key": token },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(5000),
      });
      const text = await reply.text();
      if (reply.ok) return JSON.parse(text);
      const final = reply.status < 500 && ![408, 429].includes(reply.status);
      throw Object.assign(new Error(`${reply.status} ${text}`), { final });
    } catch (error) {
      if (error.final || attempt === tries) {
        console.error(`Luota could not be told: ${error.message}`);
        return undefined;
      }
    }
    await new Promise((done) => setTimeout(done, 1000 * 2 ** (attempt - 1)));
  }
}
"""
_NODE_STATUS = """// The process's own exit status: process.exitCode may be a string, and Unix keeps eight bits.
function exitStatus() {
  const code = Number(process.exitCode ?? 0);
  return process.platform === "win32" ? code : code & 0xff;
}
"""
_NODE_RUN = r"""// The end of a text in a form that JSON in UTF-8 can carry.
const text = (value, most) => Buffer.from(String(value).replaceAll("\0", "")).subarray(-most).toString();

async function asRun(job) {
  const start = { monitorId, externalRunId: crypto.randomUUID(), @ORIGIN@ };
  const startedAt = new Date().toISOString();
  let run = await luota("/v1/runs/start", start, 3);
  let verdict = "fail";
  let close = { summary: "failed", exitCode: 1 };
  try {
    const result = await job();
    const status = exitStatus();
    if (status) {
      close = { summary: `exit status ${status}`, exitCode: status };
    } else {
      verdict = "success";
      close = { summary: "done" };
    }
    return result;
  } catch (error) {
    try {
      close.output = text(error?.stack ?? error, 10000);
      close.summary = text(String(error).slice(0, 240), 1000) || "failed";
    } catch {
      // What was thrown has no text.
    }
    throw error;
  } finally {
    run ??= await luota("/v1/runs/start", { ...start, startedAt });
    if (run) await luota(`/v1/runs/${run.run.id}/${verdict}`, close);
  }
}
"""


def python(wiring: Wiring) -> Snippet:
    """Return a program around a function; an exception of the job passes through."""
    run, fresh = wiring.mode is Mode.RUN, wiring.mode is Mode.FRESHNESS
    imports = "import signal\nimport traceback\nimport uuid\n" if run else ""
    imports += "from datetime import datetime, timezone\n" if run or fresh else ""
    call = _PYTHON_CALL.replace("@IMPORTS@\n", f"{imports}\n").replace("@BASE_URL@", json.dumps(wiring.base_url))
    call = call.replace("@MONITOR_ID@", json.dumps(wiring.monitor_id)).replace("@TOKEN@", json.dumps(wiring.token))
    text = call + (
        _PYTHON_RUN if run else _PYTHON_FRESHNESS.replace("@OUTPUT@", LOCAL_OUTPUT) if fresh else _PYTHON_PING
    )
    notes = "Python 3.8 or newer, nothing to install. In a repository leave the token out and set LUOTA_INGEST_TOKEN."
    return Snippet("python", "Python", "python", (("job.py", text),), notes)


def node(wiring: Wiring) -> Snippet:
    """Return an ES module around a function; an error of the job passes through."""
    run, fresh = wiring.mode is Mode.RUN, wiring.mode is Mode.FRESHNESS
    imports = 'import { statSync } from "node:fs";\n' if fresh else ""
    imports += 'import { hostname } from "node:os";\n'
    values = _constants(wiring, f"process.env.LUOTA_INGEST_TOKEN ?? {json.dumps(wiring.token)}")
    job = "async function job() {\n  // your job\n}\n"
    if run:
        end = _NODE_RUN.replace("@ORIGIN@", "host: hostname()") + "\nawait asRun(job);\n"
    else:
        told = indent(_node_ping(wiring, "host: hostname()"), "  ")
        end = f"await job();\nif (!exitStatus()) {{\n{told}}}\n"
    text = f"{imports}\n{values}\n{_NODE_CALL}\n{_NODE_STATUS}\n{job}\n{end}"
    notes = "Node 20 or newer, nothing to install; a job that calls process.exit ends before Luota is told. In a \
repository leave the token out and set LUOTA_INGEST_TOKEN."
    return Snippet("node", "Node", "javascript", (("job.mjs", text),), notes)


def vercel(wiring: Wiring) -> Snippet:
    """Return a route handler and the cron entry that calls it."""
    imports = 'import { statSync } from "node:fs";\n\n' if wiring.mode is Mode.FRESHNESS else ""
    values = _constants(wiring, "process.env.LUOTA_INGEST_TOKEN")
    job = "async function job() {\n  // your job\n}\n"
    origin = 'host: "vercel", deploySha: process.env.VERCEL_GIT_COMMIT_SHA'
    helper = f"{_NODE_STATUS}\n{_NODE_RUN.replace('@ORIGIN@', origin)}\n" if wiring.mode is Mode.RUN else ""
    act = "  await asRun(job);\n"
    if wiring.mode is not Mode.RUN:
        act = indent(f"await job();\n{_node_ping(wiring, origin)}", "  ")
    handler = (
        "export async function GET(request) {\n"
        "  const secret = process.env.CRON_SECRET;\n"
        '  if (!secret || request.headers.get("authorization") !== `Bearer ${secret}`) {\n'
        '    return new Response("Unauthorized", { status: 401 });\n  }\n'
        f'{act}  return new Response("done");\n}}\n'
    )
    path = f"api/cron/{wiring.slug}"
    expression = numeric(cron(wiring.schedule))
    crons = {"crons": [{"path": f"/{path}", "schedule": expression}]}
    files = (
        ("vercel.json", json.dumps(crons, indent=2) + "\n"),
        (f"app/{path}/route.js", f"{imports}{values}\n{_NODE_CALL}\n{job}\n{helper}{handler}"),
    )
    notes = f"Set LUOTA_INGEST_TOKEN (the monitor's token) and a CRON_SECRET of your own in the project's environment \
variables; maxDuration must leave a minute for calls. {when(wiring.schedule, 'UTC')}"
    if "*" not in expression.split()[2::2]:
        notes += " Vercel refuses days of the month together with days of the week: leave out one of them, here and in \
the monitor."
    return Snippet("vercel", "Vercel Cron", "json", files, notes)


def _constants(wiring: Wiring, token: str) -> str:
    return (
        f"const baseUrl = {json.dumps(wiring.base_url)};\nconst monitorId = {json.dumps(wiring.monitor_id)};\n"
        f"const token = {token};\n"
    )


def _node_ping(wiring: Wiring, origin: str) -> str:
    where = "await luota(`/v1/monitors/${monitorId}/ping`"
    if wiring.mode is not Mode.FRESHNESS:
        return f"{where}, {{ payload: {{ {origin} }} }});\n"
    return (
        f'let occurredAt;\ntry {{\n  occurredAt = statSync("{LOCAL_OUTPUT}").mtime.toISOString();\n'
        "} catch (error) {\n  console.error(`Luota is not told: ${error.message}`);\n}\n"
        f"if (occurredAt) {where}, {{ occurredAt, payload: {{ {origin} }} }});\n"
    )


_POWERSHELL_CALL = """$BaseUrl = @BASE_URL@
$MonitorId = @MONITOR_ID@
$Token = @TOKEN@

# Sends one call, again after 1, 2, 4... seconds; returns the reply, or nothing. Never throws.
function Send-Luota($Path, $Body, $Tries = 6) {
  $bytes = [Text.Encoding]::UTF8.GetBytes(($Body | ConvertTo-Json -Compress -Depth 5))
  for ($attempt = 1; $attempt -le $Tries; $attempt++) {
    try {
      return Invoke-RestMethod -Method Post -Uri "$BaseUrl$Path" -Headers @{ 'x-luota-key' = $Token } `
        -ContentType 'application/json' -Body $bytes -TimeoutSec 5 -ErrorAction Stop
    } catch {
      $problem = $_.Exception.Message
      $code = 0
      try { $code = [int]$_.Exception.Response.StatusCode } catch { }
    }
    if ($code -ge 400 -and $code -lt 500 -and $code -notin 408, 429) { break }
    if ($attempt -lt $Tries) { Start-Sleep -Seconds ([Math]::Pow(2, $attempt - 1)) }
  }
  [Console]::Error.WriteLine("Luota could not be told: $problem")
}

"""
_POWERSHELL_JOB = """$global:LASTEXITCODE = 0
try {
  & 'C:\\Jobs\\your-job.exe' 2>&1 | ForEach-Object { "$_" } | Tee-Object -Variable lines | Out-Host
  $status = $LASTEXITCODE
} catch {
  $lines = @("$_")
  Write-Host $lines
  $status = 1
}
"""
_POWERSHELL_PING = """if ($status -eq 0) {
  $body = @{ payload = @{ host = [Environment]::MachineName } }
@OCCURRED@  $null = Send-Luota "/v1/monitors/$MonitorId/ping" $body
}
exit $status
"""
_POWERSHELL_OCCURRED = """  $file = Get-Item 'C:\\Output\\your-file' -ErrorAction SilentlyContinue
  if ($null -eq $file) {
    [Console]::Error.WriteLine('Luota is not told: there is no C:\\Output\\your-file')
    exit $status
  }
  $body.occurredAt = $file.LastWriteTimeUtc.ToString('o')
"""
_POWERSHELL_START = """$start = @{
  monitorId = $MonitorId
  externalRunId = [guid]::NewGuid().ToString()
  host = [Environment]::MachineName
}
$startedAt = (Get-Date).ToUniversalTime().ToString('o')
$run = Send-Luota '/v1/runs/start' $start 3
"""
_POWERSHELL_CLOSE = """if (-not $run) {
  $start.startedAt = $startedAt
  $run = Send-Luota '/v1/runs/start' $start
}
if ($run) {
  $bytes = [Text.Encoding]::UTF8.GetBytes((($lines -join "`n") -replace "`0", ''))
  $kept = [Math]::Min($bytes.Length, 10000)
  $close = @{
    summary = "exit status $status"
    exitCode = $status
    output = [Text.Encoding]::UTF8.GetString($bytes, $bytes.Length - $kept, $kept)
  }
  $verdict = if ($status -eq 0) { 'success' } else { 'fail' }
  $null = Send-Luota "/v1/runs/$($run.run.id)/$verdict" $close
}
exit $status
"""


def powershell(wiring: Wiring) -> Snippet:
    """Return a script around a program, for Windows PowerShell 5.1 and PowerShell 7."""
    call = _POWERSHELL_CALL
    for name, value in (("BASE_URL", wiring.base_url), ("MONITOR_ID", wiring.monitor_id), ("TOKEN", wiring.token)):
        call = call.replace(f"@{name}@", "'" + value.replace("'", "''") + "'")
    if wiring.mode is Mode.RUN:
        text = call + _POWERSHELL_START + _POWERSHELL_JOB + _POWERSHELL_CLOSE
    else:
        fresh = wiring.mode is Mode.FRESHNESS
        text = call + _POWERSHELL_JOB + _POWERSHELL_PING.replace("@OCCURRED@", _POWERSHELL_OCCURRED if fresh else "")
    notes = (
        "Start it from Task Scheduler in place of the program: powershell.exe -NoProfile -File C:\\Jobs\\job.ps1. Let \
only the job's user read it, as it holds the token."
    )
    return Snippet("powershell", "PowerShell", "powershell", (("job.ps1", text),), notes)
