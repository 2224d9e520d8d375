"""The sample workflows of a demo: what is promised, and what the job behind it does on a compressed schedule.

Each cycle is arranged so that its status can be met at almost any moment (docs/demo.md).
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle as again
from typing import Any

from luota.demo.jobs import Cycle, Job

_RUNBOOKS = "https://wiki.luota.example/runbooks/"


@dataclass(frozen=True, slots=True)
class Workflow:
    """A monitor's definition as the API takes it, and the cycle of its job."""

    definition: Mapping[str, Any]
    cycle: Cycle


def _workflow(name: str, promise: str, owner: str, team: str, tier: str, cycle: Cycle, **rules: object) -> Workflow:
    slug = name.lower().replace(" ", "-")
    return Workflow(
        {
            "name": name,
            "slug": slug,
            "promise": promise,
            "owner": owner,
            "runbook": _RUNBOOKS + slug,
            "tags": {"team": team, "tier": tier},
            "environment": "staging" if tier == "3" else "production",
            **rules,
        },
        cycle,
    )


async def _nightly_backup(job: Job) -> None:
    """Always healthy, on the grid of a calendar."""
    await job.occurrence(10)
    await job.ping(source="pg_dump", host="db-1", database="orders", megabytes=18_412)


async def _log_shipping(job: Job) -> None:
    """Always healthy, in short intervals."""
    await job.ping(source="vector", host="edge-2", lines=52_310)
    await asyncio.sleep(4)


_THUMBNAIL_SECONDS = again((0.6, 1.4, 0.9, 2.2, 1.1, 3.1, 1.7))


async def _image_thumbnails(job: Job) -> None:
    """Always healthy, with runs of different durations."""
    seconds = next(_THUMBNAIL_SECONDS)
    run = await job.start(host="media-1", deploySha="7d1e0aa", environment="production")
    await asyncio.sleep(seconds)
    images = round(seconds * 120)
    await job.success(run, summary=f"{images} images, 0 skipped", payload={"images": images})
    await asyncio.sleep(5 - seconds)


async def _invoices(job: Job) -> None:
    """Fails after a deploy, again and again until the next deploy."""
    for sha, failing, runs in (("4b825dc", False, 3), ("e83c516", True, 8), ("9fceb02", False, 4)):
        for _ in range(runs):
            host, tags = ("billing-2", {"template": "v2"}) if failing else ("billing-1", {"template": "v1"})
            run = await job.start(host=host, deploySha=sha, environment="production", tags=tags)
            await asyncio.sleep(1.2)
            if failing:
                await job.fail(run, "14 of 212 invoices could not be rendered", exitCode=3, output=_INVOICE_OUTPUT)
            else:
                await job.success(run, summary="212 invoices sent", payload={"invoices": 212, "failed": 0})
            await asyncio.sleep(5)


_INVOICE_OUTPUT = """\
rendering 212 invoices with template v2
invoice 2026-11-0871: KeyError: 'vat_number'
invoice 2026-11-0874: KeyError: 'vat_number'
… 12 more of the same
198 rendered, 14 failed; nothing was sent
"""


async def _crm_sync(job: Job) -> None:
    """Misses and recovers, again and again."""
    for _ in range(4):
        await job.ping(source="crm", host="sync-1", contacts=3_204)
        await asyncio.sleep(4)
    await asyncio.sleep(45)


async def _model_training(job: Job) -> None:
    """Trains for a while, then hangs, and ends after all."""
    shape = {"host": "gpu-1", "deploySha": "c0ffee1", "environment": "production", "tags": {"model": "churn"}}
    for seconds in (1.2, 2.1, 1.4, 3.2, 1.9):
        run = await job.start(**shape)
        await asyncio.sleep(seconds)
        await job.success(run, summary="churn model, AUC 0.87", payload={"auc": 0.87, "epochs": 12})
    run = await job.start(**shape)
    await asyncio.sleep(80)
    await job.success(run, summary="churn model, after a hang of the data loader", payload={"auc": 0.86})
    await asyncio.sleep(8)


async def _sales_report(job: Job) -> None:
    """Is renewed for a while, then grows stale."""
    for _ in range(6):
        await job.ping(source="warehouse.sales_daily", host="bi-1", rows=88_120)
        await asyncio.sleep(2.5)
    await asyncio.sleep(60)


async def _certificate_renewal(job: Job) -> None:
    """Fails, is resolved by hand, and stays unverified until it runs again, a long time later."""
    for days in (61, 51, 41, 31):
        run = await job.start(host="proxy-1", deploySha="1a2b3c4")
        await asyncio.sleep(1.5)
        await job.success(run, summary=f"not due: {days} days left", payload={"daysLeft": days})
    run = await job.start(host="proxy-1", deploySha="1a2b3c4")
    await asyncio.sleep(2)
    output = "order created\nchallenge dns-01: TXT record not found after 120 s\n"
    await job.fail(run, "The ACME challenge was not answered", exitCode=1, output=output)
    await asyncio.sleep(8)
    await job.resolve("renewed by hand; the next run must prove it")
    await asyncio.sleep(240)


async def _search_index(job: Job) -> None:
    """Fails twice of the three times that it may."""
    for seconds in (1.0, 1.6, 1.2, 2.4, 1.4):
        run = await job.start(host="search-1", deploySha="51ab1e0")
        await asyncio.sleep(seconds)
        await job.success(run, summary="41,870 documents", payload={"documents": 41_870})
    for _ in range(2):
        await asyncio.sleep(4)
        run = await job.start(host="search-1", deploySha="51ab1e0")
        await asyncio.sleep(1)
        await job.fail(run, "The index is locked by a merge", exitCode=75, output="waited 1 s for write.lock\n")
    await asyncio.sleep(50)


async def _payroll_export(job: Job) -> None:
    """Is paused; its signals are recorded all the same."""
    await job.ping(source="payroll", host="hr-1", employees=64)
    await job.pause()
    while True:
        await asyncio.sleep(9)
        await job.ping(source="payroll", host="hr-1", employees=64)


async def _warehouse_load(job: Job) -> None:
    """Comes late, inside its grace."""
    for _ in range(5):
        await job.ping(source="elt", host="dwh-1", tables=41)
        await asyncio.sleep(2.5)
    await asyncio.sleep(45)


async def _newsletter(_: Job) -> None:
    """Has never signalled."""
    await asyncio.Event().wait()


_UTC = {"timezone": "UTC"}

WORKFLOWS = (
    _workflow(
        "Nightly backup",
        "A copy of all orders lies off site.",
        "Ann, platform",
        "platform",
        "1",
        _nightly_backup,
        mode="heartbeat",
        schedule={"calendar": "*:*:0/10", **_UTC},
        graceSeconds=4,
    ),
    _workflow(
        "Invoices",
        "Every customer has their invoice by 07:00.",
        "Bea, finance",
        "finance",
        "1",
        _invoices,
        mode="run",
        schedule={"every": 9},
        graceSeconds=6,
        maxRuntimeSeconds=30,
    ),
    _workflow(
        "CRM sync",
        "Sales sees contacts that are at most an hour old.",
        "Carl, sales",
        "sales",
        "2",
        _crm_sync,
        mode="heartbeat",
        schedule={"every": 6},
        graceSeconds=3,
    ),
    _workflow(
        "Model batch training",
        "The churn scores are those of this week.",
        "Dora, data",
        "data",
        "2",
        _model_training,
        mode="run",
        maxRuntimeSeconds=12,
    ),
    _workflow(
        "Sales report",
        "The board sees yesterday's sales at breakfast.",
        "Dora, data",
        "data",
        "1",
        _sales_report,
        mode="freshness",
        expectedFreshnessSeconds=8,
        graceSeconds=4,
    ),
    _workflow(
        "Certificate renewal",
        "No visitor ever meets an expired certificate.",
        "Ann, platform",
        "platform",
        "1",
        _certificate_renewal,
        mode="run",
        maxRuntimeSeconds=60,
    ),
    _workflow(
        "Log shipping",
        "Logs can be searched within a minute.",
        "Ann, platform",
        "platform",
        "2",
        _log_shipping,
        mode="heartbeat",
        schedule={"every": 5},
        graceSeconds=5,
    ),
    _workflow(
        "Search index",
        "New products are found within five minutes.",
        "Eero, shop",
        "shop",
        "2",
        _search_index,
        mode="run",
        failuresBeforeIncident=3,
        maxRuntimeSeconds=60,
    ),
    _workflow(
        "Payroll export",
        "Salaries reach the bank on the 25th.",
        "Bea, finance",
        "finance",
        "1",
        _payroll_export,
        mode="heartbeat",
        schedule={"every": 10},
        graceSeconds=5,
    ),
    _workflow(
        "Image thumbnails",
        "No product page shows an empty picture.",
        "Eero, shop",
        "shop",
        "3",
        _image_thumbnails,
        mode="run",
        schedule={"every": 6},
        graceSeconds=5,
        maxRuntimeSeconds=10,
    ),
    _workflow(
        "Warehouse load",
        "Analysts query data of today.",
        "Dora, data",
        "data",
        "3",
        _warehouse_load,
        mode="heartbeat",
        schedule={"every": 6},
        graceSeconds=120,
    ),
    _workflow(
        "Newsletter",
        "Subscribers read the week's offers on Monday.",
        "Carl, sales",
        "sales",
        "3",
        _newsletter,
        mode="heartbeat",
        schedule={"calendar": "Mon 07:00", **_UTC},
        graceSeconds=1800,
    ),
)
