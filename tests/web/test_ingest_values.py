"""The values of bodies at their exact bounds, the forms of times, odd JSON, and that what is kept is what was sent."""

import json

import pytest

from luota.core.spec.values import format_instant as iso
from tests.served import NOW

KIB_32 = 32 * 1024
MINUTE, HOUR = 60_000, 3_600_000


def invalid(answer, field):
    """Check a 400 of the contract's shape."""
    assert answer.status_code == 400, answer.text
    body = answer.json()
    assert set(body) == {"error", "message", "field"}
    assert (body["error"], body["field"]) == ("Invalid request", field)


class Run:
    """A run monitor, and a fresh run for each call."""

    def __init__(self, monitor):
        self.monitor, self.number = monitor, 0

    async def send(self, route, fields, **how):
        """Send `fields` by one of the routes; raw bytes go as they are."""
        self.number += 1
        raw = isinstance(fields, bytes)
        if route == "start":
            external = f"job-{self.number}"
            own = b'{"monitorId":"%s","externalRunId":"%s"' % (self.monitor.id.encode(), external.encode())
            body = own + b"," + fields[1:] if raw else {"externalRunId": external, **fields}
            if raw:
                return await self.monitor.served.post("/v1/runs/start", body, self.monitor.token)
            return await self.monitor.start(external, body)
        run = await self.monitor.started(f"job-{self.number}")
        if route == "success":
            return await self.monitor.success(run, fields)
        body = b'{"summary":"s",' + fields[1:] if raw else {"summary": "it broke", **fields}
        return await self.monitor.fail(run, body)


@pytest.fixture
async def run(served):
    return Run(await served.monitor("run"))


ROUTES = ("start", "success", "fail")
CLOSES = ("success", "fail")


@pytest.mark.parametrize("route", ROUTES)
async def test_a_label_has_at_most_200_characters_and_is_a_text(served, run, route):
    for field, column in (("deploySha", "deploy_sha"), ("host", "host"), ("environment", "environment")):
        for text in ("", "x", "ä" * 200, "🙂" * 200):
            assert (await run.send(route, {field: text})).status_code == 202
            (kept,) = served.row(f"SELECT {column} FROM runs ORDER BY rowid DESC LIMIT 1")
            assert kept == text
        for wrong in ("x" * 201, 7, True, [], {}, "a\0b"):
            invalid(await run.send(route, {field: wrong}), field)


@pytest.mark.parametrize("route", ROUTES)
async def test_tags_hold_16_with_keys_of_40_and_values_of_120_characters(served, run, route):
    most = {f"{n:02}".ljust(40, "ä"): "ö" * 120 for n in range(16)}
    for tags in ({}, {"a": ""}, most, {"a b.c": "line\nbreak"}):
        assert (await run.send(route, {"tags": tags})).status_code == 202
        (kept,) = served.row("SELECT tags FROM runs ORDER BY rowid DESC LIMIT 1")
        assert json.loads(kept) == tags
    invalid(await run.send(route, {"tags": {f"k{n}": "v" for n in range(17)}}), "tags")
    invalid(await run.send(route, {"tags": {"k" * 41: "v"}}), "tags." + "k" * 41)
    invalid(await run.send(route, {"tags": {"region": "v" * 121}}), "tags.region")
    invalid(await run.send(route, {"tags": {"": "v"}}), "tags")
    for wrong in (1, None, True, [], {}):
        invalid(await run.send(route, {"tags": {"region": wrong}}), "tags.region")
    for wrong in ("x", 1, [], True):
        invalid(await run.send(route, {"tags": wrong}), "tags")
    invalid(await run.send(route, b'{"tags":{"region":"a","region":"b"}}'), "tags.region")
    invalid(await run.send(route, b'{"tags":{"region":"a\\u0000"}}'), "tags.region")


async def test_an_external_run_id_has_1_to_200_characters(served, run):
    monitor = run.monitor
    for text in ("x", "ä" * 200, " ", "a\nb", "'; --"):
        answer = await monitor.start(text)
        assert answer.json()["run"]["externalRunId"] == text
        assert served.row("SELECT count(*) FROM runs WHERE external_run_id = ?", text) == (1,)
    for wrong in ("", "x" * 201, 7, None, True, [], {}, "a\0b"):
        invalid(await monitor.start(wrong), "externalRunId")
    answer = await served.post("/v1/runs/start", {"monitorId": monitor.id}, monitor.token)
    invalid(answer, "externalRunId")


async def test_a_failure_needs_a_summary_of_1_to_240_characters(served, run):
    for text in ("x", "ä" * 240):
        assert (await run.send("fail", {"summary": text})).status_code == 202
        assert served.row("SELECT summary FROM runs ORDER BY rowid DESC LIMIT 1") == (text,)
    for wrong in ("", "x" * 241, 7, None, [], {}, "a\0b"):
        invalid(await run.send("fail", {"summary": wrong}), "summary")
    invalid(await run.monitor.fail(await run.monitor.started("bare"), {}), "summary")
    invalid(await run.monitor.fail(await run.monitor.started("bare"), b""), "summary")


async def test_a_success_takes_a_summary_of_at_most_240_characters(served, run):
    for text in ("", "x" * 240):
        assert (await run.send("success", {"summary": text})).status_code == 202
    for wrong in ("x" * 241, 7, [], {}):
        invalid(await run.send("success", {"summary": wrong}), "summary")


@pytest.mark.parametrize("route", CLOSES)
async def test_output_has_at_most_32_kib_of_utf_8(served, run, route):
    for text in ("", "x" * KIB_32, "ä" * (KIB_32 // 2), "🙂" * (KIB_32 // 4), "a\r\n\t\x1b[0m\x7f\u2028"):
        body = json.dumps({"output": text}, ensure_ascii=False).encode()
        assert (await run.send(route, body)).status_code == 202
        assert served.row("SELECT output FROM runs ORDER BY rowid DESC LIMIT 1") == (text,)
    for text in ("x" * (KIB_32 + 1), "ä" * (KIB_32 // 2) + "x", "🙂" * (KIB_32 // 4) + "x"):
        invalid(await run.send(route, json.dumps({"output": text}, ensure_ascii=False).encode()), "output")
    for wrong in (7, [], {}, True, "a\0b"):
        invalid(await run.send(route, {"output": wrong}), "output")


async def test_an_exit_code_is_a_whole_number_of_64_bits(served, run):
    for number in (0, -1, 255, 2**63 - 1, -(2**63)):
        assert (await run.send("fail", {"exitCode": number})).status_code == 202
        assert served.row("SELECT exit_code FROM runs ORDER BY rowid DESC LIMIT 1") == (number,)
    for wrong in (b"9223372036854775808", b"-9223372036854775809", b"1.0", b"1e3", b'"1"', b"true", b"[]", b"1e999"):
        invalid(await run.send("fail", b'{"exitCode":%s}' % wrong), "exitCode")


def payload_of(size):
    """Return an object that has this size as compact JSON in UTF-8, half of it in two-byte characters."""
    filler = size - len('{"k":""}')
    return '{"k":"%s%s"}' % ("ä" * (filler // 2), "x" * (filler % 2))


@pytest.mark.parametrize("route", ("ping", *ROUTES))
async def test_a_payload_is_an_object_of_at_most_32_kib_as_compact_json(served, run, route):
    beats = await served.monitor()

    async def send(raw):
        body = b'{"payload":%s}' % raw.encode()
        return await (beats.ping(body) if route == "ping" else run.send(route, body))

    column = {"ping": "payload", "start": "start_payload"}.get(route, "close_payload")
    table = "heartbeats" if route == "ping" else "runs"
    spaced = payload_of(KIB_32).replace(":", " : ").replace("}", " " * 20_000 + "}")
    for raw in ("{}", payload_of(KIB_32), spaced):
        assert (await send(raw)).status_code == 202
        assert served.row(f"SELECT count(*) FROM {table} WHERE {column} = ?", raw) == (1,)
    for raw in (payload_of(KIB_32 + 1), '"{}"', "[]", "[{}]", "1", "null", "true", '""'):
        invalid(await send(raw), "payload")


EXACT = (
    r'{"b":1,"a":{"z":[1,2.50,-0,1E+3]},"":""}',
    '{ "a" :\t[ ] ,\n "ä" : "\\u00e4\\/" }',
    r'{"nul":"a\u0000b","\u0000":"\ud83d\ude42"}',
    r'{"a":1,"a":2}',
    '{"big":%s,"small":-%s,"f":1e400,"g":0.1000000000000000055511151231257827}' % ("9" * 400, "9" * 30),
    '{"a":' * 63 + "{}" + "}" * 63,
    '{"a":%s1%s}' % ("[" * 63, "]" * 63),
    '{"html":"<script>alert(1)</script>","sql":"\'; DROP TABLE runs; --"}',
)


@pytest.mark.parametrize("raw", EXACT)
async def test_a_payload_that_is_accepted_is_kept_byte_for_byte(served, run, raw):
    beats = await served.monitor()
    body = b'{"payload":%s}' % raw.encode()
    assert (await beats.ping(body)).status_code == 202
    assert served.row("SELECT payload FROM heartbeats") == (raw,)
    assert (await run.send("start", body)).status_code == 202
    assert (await run.send("fail", body)).status_code == 202
    assert served.rows("SELECT start_payload, close_payload FROM runs") == [(raw, None), (None, raw)]


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b'{"payload":{"a":NaN}}', "payload"),
        (b'{"payload":{"a":[-Infinity]}}', "payload"),
        (b'{"tags":Infinity}', "tags"),
        (rb'{"payload":{"a":"\ud800"}}', "payload"),
        (rb'{"payload":{"\udfff":1}}', "payload"),
        (rb'{"output":"\ud83dx"}', "output"),
        (b'{"payload":' + b'{"a":' * 64 + b"{}" + b"}" * 65, "payload"),
        (b'{"payload":{"a":' + b"[" * 64 + b"]" * 64 + b"}}", "payload"),
        (b'{"payload":{},"payload":{}}', "payload"),
        (rb'{"output":"a","\u006futput":"b"}', "output"),
        (b'{"payload":{"a":"\xff"}}', "body"),
        (b'{"payload":{"a":"\xed\xa0\x80"}}', "body"),
        (b'{"payload":{"a":"\x00"}}', "body"),
        (b'{"payload":{"a":"\n"}}', "body"),
        (b'{"a":1,}', "body"),
        (b"{'a':1}", "body"),
        (b'{"a":01}', "body"),
        (b'{"a":1}{}', "body"),
        (b'{"a":1} x', "body"),
        (b'{"a"', "body"),
        (b"\xef\xbb\xbf{}", "body"),
        (b"\xff\xfe{\x00}\x00", "body"),
        (b"\x00", "body"),
        (b"[]", "body"),
        (b'"text"', "body"),
        (b"null", "body"),
        (b"7", "body"),
        (b"NaN", "body"),
        (b"summary=x&a=b", "body"),
        (b"[" * 60_000, "body"),
        (b'{"payload":' * 5000, "payload"),
        (b'{"output":' + b"9" * 60_000 + b"}", "output"),
    ],
)
async def test_odd_json_is_400_with_a_field_on_every_route(served, run, raw, field):
    beats = await served.monitor()
    known_to_pings = field in ("payload", "body") or b"Infinity" in raw or b"\\u" in raw
    if known_to_pings:
        invalid(await beats.ping(raw), field)
    invalid(await run.monitor.success(await run.monitor.started("a"), raw), field)
    if raw.startswith(b'{"payload"') and field == "payload":
        invalid(await run.send("start", raw), field)
        invalid(await run.send("fail", raw), field)
    assert served.rows("SELECT count(*) FROM heartbeats") == [(0,)]
    assert {state for (state,) in served.rows("SELECT state FROM runs")} == {"running"}


async def test_a_pings_host_and_deploy_sha_are_the_payloads_where_they_are_texts(served):
    monitor = await served.monitor()
    for payload, kept in (
        ({"host": "db1", "deploySha": "abc123"}, ("db1", "abc123")),
        ({"host": 7, "deploySha": ["x"]}, (None, None)),
        ({"host": "h" * 200, "deploySha": None}, ("h" * 200, None)),
        ({"nested": {"host": "x"}}, (None, None)),
    ):
        served.clock.advance(1)
        assert (await monitor.ping({"payload": payload})).status_code == 202
        newest = "SELECT host, deploy_sha FROM heartbeats ORDER BY received_at DESC LIMIT 1"
        assert served.row(newest) == kept


SAME = (
    "2026-04-29T01:33:11.398Z",
    "2026-04-29t01:33:11.398z",
    "2026-04-29 01:33:11.398Z",
    "2026-04-29T04:33:11.398+03:00",
    "2026-04-29T04:33:11.398+0300",
    "2026-04-29T04:33:11.398+03",
    "2026-04-28T20:03:11.398-05:30",
    "2026-04-29T04:33:11,398000000+03:00",
    "2026-04-29T01:33:11.3989999Z",
    "20260429T013311.398Z",
)


@pytest.mark.parametrize("text", SAME)
async def test_any_iso_8601_time_with_an_offset_is_kept_as_utc_milliseconds(served, run, text):
    beats = await served.monitor()
    answer = await beats.ping({"occurredAt": text})
    assert answer.json()["heartbeat"]["occurredAt"] == "2026-04-29T01:33:11.398Z"
    answer = await run.send("start", {"startedAt": text})
    assert answer.json()["run"]["startedAt"] == "2026-04-29T01:33:11.398Z"
    answer = await run.send("success", {"finishedAt": text})
    assert answer.json()["run"]["finishedAt"] == "2026-04-29T01:33:11.398Z"
    assert served.row("SELECT occurred_at FROM heartbeats") == (NOW,)


@pytest.mark.parametrize(
    "wrong",
    [
        *("2026-04-29T01:33:11.398", "2026-04-29", "01:33Z", "", "now", "1777426391398", "2026-02-30T00:00:00Z"),
        *("2026-04-29T25:00:00Z", "2026-04-29T01:33:11+24:00", "2026-04-29T01:33:11Z ", "٢٠٢٦-04-29T01:33:11Z"),
        *(1777426391398, 1.5, True, [], {}),
    ],
)
async def test_a_time_without_an_offset_or_of_another_form_is_400(served, run, wrong):
    beats = await served.monitor()
    invalid(await beats.ping({"occurredAt": wrong}), "occurredAt")
    invalid(await run.send("start", {"startedAt": wrong}), "startedAt")
    invalid(await run.send("success", {"finishedAt": wrong}), "finishedAt")
    invalid(await run.send("fail", {"finishedAt": wrong}), "finishedAt")


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"])
async def test_times_at_the_ends_of_the_calendar_are_kept_and_shown(served, run, text):
    beats, outputs = await served.monitor(), await served.monitor("freshness")
    shown = text if "." in text else text.replace("Z", ".000Z")
    for monitor in (beats, outputs):
        assert (await monitor.ping({"occurredAt": text})).json()["heartbeat"]["occurredAt"] == shown
        assert (await monitor.ping()).status_code == 202
        assert (await monitor.shown())["lastSignalAt"] == "2026-04-29T01:33:11.398Z"
    assert (await run.send("start", {"startedAt": text})).json()["run"]["startedAt"] == shown
    assert (await run.send("success", {"finishedAt": text})).json()["run"]["finishedAt"] == shown
    await served.judge()


@pytest.mark.parametrize(
    ("offset", "effective", "skewed"),
    [
        (-5 * MINUTE, 0, 0),
        (5 * MINUTE, 0, 0),
        (-5 * MINUTE - 1, -5 * MINUTE - 1, 1),
        (5 * MINUTE + 1, 0, 1),
        (10**12, 0, 1),
    ],
)
async def test_a_clock_more_than_five_minutes_off_is_marked_and_the_earlier_time_counts(
    served, run, offset, effective, skewed
):
    beats = await served.monitor()
    sent = (await beats.ping({"occurredAt": iso(NOW + offset)})).json()["heartbeat"]["occurredAt"]
    assert sent == iso(NOW + offset)
    marks = served.row("SELECT occurred_at, received_at, effective_at, skewed FROM heartbeats")
    assert marks == (NOW + offset, NOW, NOW + effective, skewed)
    await run.send("start", {"startedAt": iso(NOW + offset)})
    assert served.row("SELECT started_at, effective_at, skewed FROM runs") == (NOW + offset, NOW + effective, skewed)
    await run.send("success", {"finishedAt": iso(NOW + offset)})
    closed = served.row("SELECT finished_at, finish_received_at, skewed FROM runs WHERE state = 'success'")
    assert closed == (NOW + offset, NOW, skewed)


async def test_for_freshness_the_earlier_time_always_counts(served):
    outputs = await served.monitor("freshness")
    for minutes, effective in ((-30, -30), (-1, -1), (1, 0)):
        await outputs.ping({"occurredAt": iso(NOW + minutes * MINUTE)})
        found = served.rows("SELECT effective_at FROM heartbeats WHERE occurred_at = ?", NOW + minutes * MINUTE)
        assert found == [(NOW + effective * MINUTE,)]


async def test_a_signal_is_marked_late_only_after_expected_and_grace(served):
    beats = await served.monitor(schedule={"every": 3600}, graceSeconds=60)
    runs = await served.monitor("run", schedule={"every": 3600}, graceSeconds=60)
    await beats.ping()
    await runs.success(await runs.started("first"))
    served.clock.advance(HOUR + MINUTE)
    assert (await beats.ping()).status_code == 202
    await runs.success(await runs.started("second"))
    served.clock.advance(HOUR + MINUTE + 1)
    await served.judge()
    assert (await beats.shown())["status"] == "incident"
    assert (await beats.ping()).json()["monitor"]["status"] == "healthy"
    await runs.started("third")
    assert [late for (late,) in served.rows("SELECT late FROM heartbeats ORDER BY received_at")] == [0, 0, 1]
    assert [late for (late,) in served.rows("SELECT late FROM runs ORDER BY start_received_at")] == [0, 0, 1]
    resolved = served.rows("SELECT kind, state FROM incidents WHERE state = 'resolved'")
    assert resolved == [("missed", "resolved")] * 2
