"""What people do to monitors: create, edit, pause, resume, archive, a new token; and what of it is on record."""

import asyncio
import json

import pytest

from luota.core.spec.monitors import RESERVED_SLUGS
from luota.web.dashboard import PAGES
from tests.served import NOW, serving

HOUR = 3_600_000
HEARTBEAT = {"name": "Nightly", "mode": "heartbeat", "schedule": {"every": 3600}}


async def create(served, status=200, **changes):
    return await served.api("POST", "/api/monitors", {**HEARTBEAT, **changes}, status)


async def edit(monitor, status=200, **changes):
    return await monitor.served.api("PATCH", f"/api/monitors/{monitor.id}", changes, status)


async def do(monitor, what, body=None, status=200):
    return await monitor.served.api("POST", f"/api/monitors/{monitor.id}/{what}", body, status)


def audited(served):
    """Return action, target and detail of all entries, in order; each is the operator's over the socket."""
    sql = "SELECT action, target, detail, actor, source, at FROM audit_entries ORDER BY at, rowid"
    rows = served.rows(sql)
    assert {row[3:5] for row in rows} <= {("operator", "unix socket")}
    return [(action, target, json.loads(detail)) for action, target, detail, *_ in rows]


# Create


async def test_the_slug_comes_from_the_name_and_gets_a_number_where_it_is_taken(served):
    slugs = [(await create(served))["monitor"]["slug"] for _ in range(3)]
    assert slugs == ["nightly", "nightly-2", "nightly-3"]


async def test_a_long_name_gives_slugs_that_can_be_given_again(served):
    for _ in range(3):
        slug = (await create(served, name="x" * 120))["monitor"]["slug"]
        assert len(slug) <= 63
        monitor = (await served.api("GET", f"/api/monitors/{slug}"))["monitor"]
        await served.api("PATCH", f"/api/monitors/{slug}", {"slug": monitor["slug"]})


async def test_a_name_cut_at_a_hyphen_still_gives_a_sound_slug(served):
    name = "a" * 57 + " bcdef"
    for _ in range(2):
        slug = (await create(served, name=name))["monitor"]["slug"]
        await served.api("PATCH", f"/api/monitors/{slug}", {"slug": slug})


@pytest.mark.parametrize("name", ["New", "Preview"])
async def test_a_name_that_is_also_a_pages_gives_a_slug_with_a_number(served, name):
    assert (await create(served, name=name))["monitor"]["slug"] == f"{name.lower()}-2"


@pytest.mark.parametrize("slug", RESERVED_SLUGS)
async def test_a_slug_that_is_a_page_of_luota_is_refused_unless_a_monitor_has_it_from_before(served, slug):
    refused = await create(served, 400, slug=slug)
    assert (refused["field"], "Choose another" in refused["message"]) == ("slug", True)
    monitor = await served.monitor(slug="old")
    assert (await edit(monitor, 400, slug=slug))["field"] == "slug"
    await served.engine.writer._db.execute("UPDATE monitors SET slug = ? WHERE id = ?", (slug, monitor.id))
    await edit(monitor, owner="Ann")
    await edit(monitor, slug="other")


def test_every_page_of_luota_below_monitors_is_a_slug_that_no_monitor_gets():
    below = "/w/{workspace}/monitors/"
    found = {path.removeprefix(below).partition("/")[0] for _, path, *_ in PAGES if path.startswith(below)}
    assert found - {"{monitor}"} == set(RESERVED_SLUGS)


async def test_a_slug_that_is_asked_for_and_taken_conflicts_and_creates_nothing(served):
    await create(served, slug="job")
    refused = await create(served, 409, slug="job")
    assert refused["field"] == "slug"
    assert "job" in refused["error"]
    assert served.row("SELECT count(*) FROM monitors") == (1,)


async def test_of_many_monitors_with_one_slug_at_once_one_is_created(served):
    doc = json.dumps({**HEARTBEAT, "slug": "job"}).encode()
    calls = [served.call("POST", "/api/monitors", content=doc, local=True) for _ in range(6)]
    answers = await asyncio.gather(*calls)
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409, 409]


async def test_the_slug_of_an_archived_monitor_is_free_again(served):
    first = await served.monitor(slug="job")
    await first.archive()
    second = (await create(served, slug="job"))["monitor"]
    assert second["id"] != first.id
    assert (await served.api("GET", "/api/monitors/job"))["monitor"]["id"] == second["id"]


async def test_a_calendar_that_never_comes_again_is_refused(served):
    refused = await create(served, 400, schedule={"calendar": "2020-01-01 00:00:00", "timezone": "UTC"})
    assert refused["field"].startswith("schedule")


# Edit


async def test_an_edit_changes_only_what_it_names(served):
    monitor = await served.monitor(owner="Ann", promise="It arrives", tags={"a": "b"}, graceSeconds=60)
    before = await monitor.shown()
    after = (await edit(monitor, owner="Bob"))["monitor"]
    assert after == {**before, "owner": "Bob"}
    assert (await edit(monitor, owner=None, tags=None))["monitor"]["owner"] is None
    assert (await monitor.shown())["tags"] == {}
    assert (await monitor.shown())["promise"] == "It arrives"


async def test_an_edit_of_the_schedule_moves_the_deadline_at_once_and_the_token_stays(served):
    monitor = await served.monitor(schedule={"every": 3600}, graceSeconds=60)
    await monitor.ping()
    after = (await edit(monitor, schedule={"every": 7200}, graceSeconds=0))["monitor"]
    assert after["deadlineAt"] == "2026-04-29T03:33:11.398Z"
    assert (await monitor.ping()).status_code == 202


async def test_an_edit_to_a_slug_that_is_taken_conflicts_and_changes_nothing(served):
    one, other = await served.monitor(slug="one"), await served.monitor(slug="other")
    assert (await edit(one, 409, slug="other", owner="Bob"))["field"] == "slug"
    assert (await one.shown())["owner"] is None
    assert (await edit(one, slug="one"))["monitor"]["slug"] == "one"
    assert (await other.shown())["slug"] == "other"


async def test_a_new_slug_takes_the_place_of_the_old_one(served):
    monitor = await served.monitor(slug="old")
    await monitor.ping()
    await edit(monitor, slug="newer")
    assert (await served.api("GET", "/api/monitors/newer"))["monitor"]["id"] == monitor.id
    await served.api("GET", "/api/monitors/old", None, 404)
    assert (await create(served, slug="old"))["monitor"]["slug"] == "old"
    served.clock.advance(2 * HOUR)
    await served.judge()
    assert (await monitor.shown())["status"] == "incident"


async def test_the_mode_cannot_change(served):
    monitor = await served.monitor()
    assert (await edit(monitor, 400, mode="run"))["field"] == "mode"


async def test_a_refused_edit_leaves_no_entry(served):
    monitor = await served.monitor()
    await edit(monitor, 400, name="")
    await edit(monitor, 400, channels=["nope"])
    assert [action for action, *_ in audited(served)] == ["monitor.create"]
    assert (await monitor.shown())["name"] == "a heartbeat job"


# Pause


async def test_a_pause_without_an_end_lasts_until_resume(served):
    monitor = await served.monitor()
    await monitor.ping()
    paused = (await do(monitor, "pause"))["monitor"]
    assert (paused["status"], paused["pausedUntil"], paused["deadlineAt"]) == ("paused", None, None)
    served.clock.advance(10 * HOUR)
    await served.judge()
    assert (await monitor.ping()).json()["monitor"]["status"] == "paused"
    assert served.row("SELECT count(*) FROM heartbeats") == (2,)
    resumed = (await do(monitor, "resume"))["monitor"]
    assert resumed["status"] == "healthy"
    assert resumed["nextExpectedAt"] == "2026-04-29T12:33:11.398Z"
    assert served.row("SELECT count(*) FROM incidents") == (0,)


@pytest.mark.parametrize(
    "body",
    [{"for": "2h"}, {"for": 7200}, {"until": "2026-04-29T03:33:11.398Z"}, {"until": "2026-04-29T05:33:11,398+0200"}],
)
async def test_a_pause_ends_by_itself_at_its_time(served, body):
    monitor = await served.monitor()
    await monitor.ping()
    assert (await do(monitor, "pause", body))["monitor"]["pausedUntil"] == "2026-04-29T03:33:11.398Z"
    served.clock.advance(2 * HOUR - 1)
    await served.judge()
    assert (await monitor.shown())["status"] == "paused"
    served.clock.advance(1)
    await served.judge()
    shown = await monitor.shown()
    assert (shown["status"], shown["pausedUntil"]) == ("healthy", None)
    assert shown["nextExpectedAt"] == "2026-04-29T04:33:11.398Z"


async def test_a_pause_ends_at_the_next_healthy_signal_where_asked(served):
    monitor = await served.monitor("run")
    await monitor.success(await monitor.started("one"))
    await do(monitor, "pause", {"untilHealthy": True})
    await monitor.fail(await monitor.started("two"))
    assert (await monitor.shown())["status"] == "paused"
    await monitor.success(await monitor.started("three"))
    assert (await monitor.shown())["status"] == "healthy"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"for": "soon"}, "for"),
        ({"for": 0}, "for"),
        ({"for": -5}, "for"),
        ({"until": "2026-04-29T01:33:11.398Z"}, "until"),
        ({"until": "2026-04-30"}, "until"),
        ({"until": 7}, "until"),
        ({"for": 60, "until": "2027-01-01T00:00:00Z"}, "until"),
        ({"untilHealthy": "no"}, "untilHealthy"),
        ({"untl": "2027-01-01T00:00:00Z"}, "body"),
        ({"batch": 1, "actor": 2, "self": 3}, "body"),
    ],
)
async def test_a_pause_that_makes_no_sense_is_refused_with_its_field(served, body, field):
    monitor = await served.monitor()
    assert (await do(monitor, "pause", body, 400))["field"] == field
    assert (await monitor.shown())["status"] == "draft"


async def test_resuming_what_is_not_paused_conflicts(served):
    monitor = await served.monitor()
    assert "not paused" in (await do(monitor, "resume", None, 409))["error"]


async def test_a_pause_outlives_a_restart(tmp_path):
    async with serving(tmp_path) as served:
        monitor = await served.monitor()
        await do(monitor, "pause", {"for": 7200, "untilHealthy": True})
    async with serving(tmp_path) as served:
        monitor.served = served
        assert (await monitor.shown())["pausedUntil"] == "2026-04-29T03:33:11.398Z"
        assert (await monitor.ping()).json()["monitor"]["status"] == "healthy"


# Archive


async def test_an_archived_monitor_is_silent_and_its_history_stays(served):
    monitor = await served.monitor("run", schedule={"every": 3600})
    await monitor.fail(await monitor.started("failed"))
    await monitor.started("open")
    archived = (await do(monitor, "archive"))["monitor"]
    assert (archived["status"], archived["deadlineAt"], archived["incidentId"]) == ("archived", None, None)
    served.clock.advance(100 * HOUR)
    await served.judge()
    assert served.rows("SELECT state FROM incidents") == [("resolved",)]
    assert served.rows("SELECT external_run_id, state FROM runs ORDER BY 1") == [
        ("failed", "failed"),
        ("open", "unknown"),
    ]
    assert served.row("SELECT archived_at FROM monitors") == (NOW,)


async def test_an_archived_monitor_stays_archived_after_a_restart(tmp_path):
    async with serving(tmp_path) as served:
        monitor = await served.monitor()
        await monitor.ping()
        await monitor.archive()
    async with serving(tmp_path) as served:
        monitor.served = served
        assert (await monitor.ping()).status_code == 404
        assert (await served.api("GET", "/api/monitors"))["monitors"] == []


# On record


@pytest.mark.parametrize("given", [90, "90", "90s"])
async def test_an_edit_is_on_record_in_one_form_however_its_values_were_given(served, given):
    monitor = await served.monitor("run", maxRuntimeSeconds=60, owner="Ann")
    channel = (
        await served.api("POST", "/api/channels", {"type": "webhook", "name": "desk", "url": "http://192.0.2.1/"})
    )["channel"]
    await edit(monitor, maxRuntimeSeconds=given, channels=[channel["id"]], owner="", tags={}, name="a run job")
    (entry,) = [detail for action, _, detail in audited(served) if action == "monitor.edit"]
    assert entry == {
        "changes": {"maxRuntimeSeconds": 90, "owner": None, "channels": ["desk"]},
        "before": {"maxRuntimeSeconds": 60, "owner": "Ann", "channels": None},
    }


async def test_an_edit_to_what_is_so_already_is_none_and_is_not_on_record(served):
    monitor = await served.monitor(graceSeconds=60, owner="Ann")
    before = await monitor.shown()
    served.clock.advance(1000)
    assert (await edit(monitor, graceSeconds="1m", owner="Ann"))["monitor"] == before
    assert [action for action, _, _ in audited(served)] == ["monitor.create"]


async def test_each_change_is_one_entry_that_holds_no_secret(served):
    monitor = await served.monitor(owner="Ann", runbook="https://wiki.example/nightly")
    served.clock.advance(1)
    await edit(monitor, graceSeconds=90)
    served.clock.advance(1)
    await do(monitor, "pause", {"for": "2h"})
    served.clock.advance(1)
    await do(monitor, "resume")
    served.clock.advance(1)
    fresh = (await do(monitor, "token/rotate"))["token"]
    served.clock.advance(1)
    await monitor.archive()
    assert audited(served) == [
        ("monitor.create", monitor.id, {"name": "a heartbeat job"}),
        ("monitor.edit", monitor.id, {"changes": {"graceSeconds": 90}, "before": {"graceSeconds": 60}}),
        ("monitor.pause", monitor.id, {"until": "2026-04-29T03:33:11.400Z", "untilHealthy": False}),
        ("monitor.resume", monitor.id, {}),
        ("token.rotate", monitor.id, {}),
        ("monitor.archive", monitor.id, {}),
    ]
    kept = json.dumps(served.rows("SELECT * FROM audit_entries"))
    (salt,) = served.row("SELECT token_salt FROM monitors")
    assert not [secret for secret in (monitor.token, fresh, salt) if secret in kept]


async def test_looking_leaves_no_entry(served):
    monitor = await served.monitor()
    await monitor.shown()
    await served.api("GET", f"/api/monitors/{monitor.id}/token")
    await served.api("GET", "/api/monitors")
    await monitor.ping()
    assert len(audited(served)) == 1


async def test_a_change_that_cannot_be_written_is_503_and_leaves_everything_as_it_was(served):
    monitor = await served.monitor("run")
    async with served.full_disk():
        big = {"runbook": "https://wiki.example/" + "x" * 1900, "tags": {f"k{n}": "x" * 120 for n in range(16)}}
        for _ in range(20):  # what is free in the file may still take some
            answer = await served.call("POST", "/api/monitors", content=json.dumps({**HEARTBEAT, **big}), local=True)
            if answer.status_code != 200:
                break
        refused = {"error": "Storage unavailable", "message": "Storage unavailable: database or disk is full"}
        assert (answer.status_code, answer.json()) == (503, refused)
        assert (await edit(monitor, 503, **big, name="another")) == refused
        assert (await monitor.shown())["name"] == "a run job"
        entries = audited(served)
    assert audited(served) == entries
    assert (await edit(monitor, **big, name="another"))["monitor"]["name"] == "another"
