"""A workspace with a past: monitors of every state, put on record through the real API while a fake clock runs.

await seed(tmp_path / "data", receiver.url)     # as of now; then Daemon(tmp_path / "data")

Beside `default` there is the workspace `hostile`, all of whose texts are of tests/hostile.py. Whoever signs in is
one of `USERS`; the owner of `hostile` is `EVE`. Drills need the daemon: `drill` runs one.
"""

import asyncio
import random
from ipaddress import ip_network

from luota.clock import SystemClock
from tests.clock import FakeClock
from tests.hostile import HOSTILE
from tests.served import Monitor, serving

PASSWORD = "correct horse battery"
USERS = {"owner": "ann@example.org", "operator": "bob@example.org", "viewer": "vic@example.org"}
EVE = "eve@example.org"
HOUR, MINUTE = 3_600_000, 60_000
HOURS, LAST = 14, 20 * MINUTE
"""How long the past is: the last of the hours has only begun."""
FRIENDLY = [
    (
        "Nightly backup",
        "heartbeat",
        {
            "schedule": {"every": 3600},
            "graceSeconds": 600,
            "promise": "A restorable copy of every database is never older than an hour.",
            "owner": "Ann",
            "runbook": "https://wiki.example.org/backup",
            "tags": {"team": "ops", "tier": "1"},
            "environment": "production",
        },
    ),
    (
        "Invoices",
        "run",
        {
            "graceSeconds": 900,
            "maxRuntimeSeconds": 900,
            "promise": "Invoices are sent by the full hour.",
            "owner": "Billing",
            "tags": {"team": "billing"},
            "environment": "production",
        },
    ),
    (
        "Sales report",
        "freshness",
        {
            "expectedFreshnessSeconds": 7200,
            "graceSeconds": 3600,
            "promise": "The sales report is never older than two hours.",
            "owner": "Data",
            "tags": {"team": "data"},
        },
    ),
    (
        "Payroll export",
        "run",
        {
            "promise": "Payroll reaches the bank each month.",
            "owner": "People",
            "runbook": "https://wiki.example.org/payroll",
            "tags": {"team": "billing"},
        },
    ),
    (
        "Certificates",
        "heartbeat",
        {
            "schedule": {"every": 7200},
            "graceSeconds": 300,
            "promise": "Certificates are renewed before they expire.",
            "owner": "Ann",
            "tags": {"team": "ops"},
        },
    ),
    ("Model training", "run", {"maxRuntimeSeconds": 3600, "tags": {"team": "data"}}),
    ("Log rotation", "heartbeat", {"schedule": {"every": 3600}, "graceSeconds": 14_400, "tags": {"team": "ops"}}),
    ("Shop import", "heartbeat", {"schedule": {"every": 3600}, "promise": "Orders of the shop are in the ledger."}),
    ("Seasonal sync", "heartbeat", {"schedule": {"every": 3600}}),
]
"""Name, mode and definition, one of each mode first."""
UNBROKEN = {
    "name": "x" * 120,
    "slug": "x" * 63,
    "mode": "run",
    "promise": "x" * 500,
    "owner": "x" * 120,
    "environment": "x" * 100,
    "runbook": f"https://wiki.example.org/{'x' * 1900}",
    "tags": {"x" * 40: "x" * 120},
}
"""One of `hostile` of whose texts each is a single long word."""


async def seed(data_dir, hook, now=None, *, hostile=True):
    """Write the past of `data_dir`, which ends at `now` (UTC ms, else the present). Notices go to `hook`, later."""
    clock = FakeClock((now or SystemClock().now()) - (HOURS - 1) * HOUR - LAST)
    async with serving(data_dir, clock=clock, allow=(ip_network("127.0.0.0/8"),)) as served:
        for role, email in USERS.items():
            who = {"email": email, "name": f"{email.partition('@')[0].title()} Example", "role": role}
            await served.api("POST", "/api/users", {**who, "password": PASSWORD})
        await served.api("POST", "/api/channels", {"type": "webhook", "name": "night-shift", "url": hook})
        jobs = {name: await served.monitor(mode, name=name, **definition) for name, mode, definition in FRIENDLY}
        on_the_minute = {"cron": f"{clock.now() // MINUTE % 60} * * * *", "timezone": "UTC"}
        await served.api("PATCH", f"/api/monitors/{jobs['Invoices'].id}", {"schedule": on_the_minute})
        eves = await _hostile(served, hook) if hostile else []
        for hour in range(HOURS):
            begin = clock.now()
            await _hour(served, jobs, hour)
            if hour in (1, HOURS - 1):
                await _hostile_signals(eves)
            await served.judge()
            clock.advance(begin + (HOUR if hour < HOURS - 1 else LAST) - clock.now())
            await served.judge()
        await _people(served)


async def drill(luota, monitor, kind, workspace="default"):
    """Run a drill on a Daemon to its end; return its id."""
    where = f"?workspace={workspace}"
    made = await luota.api("POST", f"/api/monitors/{monitor}/drills{where}", {"kind": kind})
    while (found := (await luota.api("GET", f"/api/drills/{made['drill']['id']}{where}"))["drill"])[
        "state"
    ] == "running":
        await asyncio.sleep(0.1)
    return found["id"]


async def _hour(served, jobs, hour):
    """Let one hour's signals arrive, and the misfortunes of the last hours happen."""
    chance, last = random.Random(hour), HOURS - 1
    deploy = "4f2c9e1" if hour < HOURS - 3 else "99aa001"
    rows = {"payload": {"host": "db1", "deploySha": deploy, "rows": chance.randint(1000, 9000)}}
    if hour != 5:
        await jobs["Nightly backup"].ping(rows)
    if hour != 7:
        run = await jobs["Invoices"].started(f"invoices-{hour}", {"deploySha": deploy, "host": "app1"})
        served.clock.advance(chance.randint(40, 240) * 1000)
        if hour == 9:
            await jobs["Invoices"].fail(run, {"summary": "The mail server refused the batch", "exitCode": 2})
        else:
            await jobs["Invoices"].success(run, {"summary": f"{chance.randint(80, 160)} invoices"})
    if hour % 2 == last % 2:
        await jobs["Sales report"].ping()
    if hour < last - 1:
        await jobs["Log rotation"].ping()
    if hour < last - 4 and hour % 2 == 0:
        await jobs["Certificates"].ping()
    run = await jobs["Payroll export"].started(f"payroll-{hour}", {"deploySha": deploy, "tags": {"region": "eu"}})
    served.clock.advance(chance.randint(40, 240) * 1000)
    if hour == last:
        lines = "".join(f"batch {number} of 40 written\n" for number in range(1, 18))
        body = {
            "summary": "exit status 3: disk quota exceeded on /srv/payroll",
            "exitCode": 3,
            "payload": {"batch": 18},
        }
        await jobs["Payroll export"].fail(run, {**body, "output": f"{lines}OSError: [Errno 122] Disk quota exceeded\n"})
    else:
        await jobs["Payroll export"].success(run)
    if hour < last - 1:
        run = await jobs["Model training"].started(f"training-{hour}")
        if hour < last - 2:
            await jobs["Model training"].success(run)
    if hour == 6:
        await jobs["Seasonal sync"].ping()
        await served.api("POST", f"/api/monitors/{jobs['Seasonal sync'].id}/pause", {})


async def _people(served):
    """Somebody has looked at one of the incidents already."""
    found = (await served.api("GET", "/api/incidents?state=open"))["incidents"]
    stale = next(one for one in found if one["kind"] == "missed")
    await served.api("POST", f"/api/incidents/{stale['id']}/acknowledge", {"reason": "Ann renews them by hand today"})
    await served.api("POST", f"/api/incidents/{stale['id']}/note", {"text": "The provider's API answers 429."})
    where = "?workspace=hostile"
    for one in (await served.api("GET", f"/api/incidents{where}"))["incidents"] if await _has_hostile(served) else []:
        for act, body in (("note", {"text": _text(2000)}), ("acknowledge", {"reason": _text(500)})):
            if one["state"] == "open" or act == "note":
                await served.api("POST", f"/api/incidents/{one['id']}/{act}{where}", body)


async def _has_hostile(served):
    return any(one["slug"] == "hostile" for one in (await served.api("GET", "/api/workspaces"))["workspaces"])


def _text(most):
    """All hostile texts that fit, the worst first."""
    return " ".join(text for text in HOSTILE.values() if len(text) < 400)[:most]


async def _hostile(served, hook):
    where = "?workspace=hostile"
    html = HOSTILE["html"]
    await served.api("POST", "/api/workspaces", {"name": html[:80], "slug": "hostile"})
    who = {"email": EVE, "name": html[:100], "role": "owner", "password": PASSWORD}
    await served.api("POST", f"/api/users{where}", who)
    channel = {"type": "webhook", "name": "<img src=x onerror=alert(1)>", "url": hook}
    await served.api("POST", f"/api/channels{where}", channel)
    jobs = []
    for mode, least in (
        ("run", {}),
        ("heartbeat", {"schedule": {"every": 3600}, "graceSeconds": 60}),
        ("freshness", {"expectedFreshnessSeconds": 3600, "graceSeconds": 60}),
    ):
        definition = {
            "name": html[:100],
            "slug": f"hostile-{mode}",
            "mode": mode,
            "promise": f"{html} {HOSTILE['markdown']}",
            "owner": html[:100],
            "runbook": "https://wiki.example.org/?q=%22%3E<script>alert(1)</script>",
            "environment": "<b>production",
            "tags": {"<i>team": html[:100], "long": "x" * 120},
            **least,
        }
        made = await served.api("POST", f"/api/monitors{where}", definition)
        jobs.append((mode, Monitor(served, made["monitor"], made["token"])))
    made = await served.api("POST", f"/api/monitors{where}", UNBROKEN)
    await served.api("POST", f"/api/channels{where}", {**channel, "name": "x" * 80, "url": f"{hook}?{'x' * 500}"})
    return [*jobs, ("unbroken", Monitor(served, made["monitor"], made["token"]))]


async def _hostile_signals(jobs):
    html = HOSTILE["html"]
    payload = {"payload": {html: html, **{name: text[:800] for name, text in HOSTILE.items()}}}
    for mode, job in jobs:
        if mode == "unbroken":
            label = {"host": "x" * 200, "environment": "x" * 200, "tags": UNBROKEN["tags"], "deploySha": "x" * 200}
            run = await job.started(
                f"{job.served.clock.now()}{'x' * 100}", {**label, "payload": {"x" * 300: "x" * 300}}
            )
            await job.fail(run, {"summary": "x" * 240, "exitCode": 1, "output": "x" * 5000})
            continue
        if mode != "run":
            await job.ping({"payload": {**payload["payload"], "host": html, "deploySha": html}})
            continue
        label = {"host": html, "environment": html, "tags": {"<u>region": html}, **payload}
        run = await job.started(f"{html}-{job.served.clock.now()}", {**label, "deploySha": html})
        output = "\n".join(text[:1500] for text in HOSTILE.values())
        await job.fail(run, {"summary": _text(240), "exitCode": 1, "output": output})
