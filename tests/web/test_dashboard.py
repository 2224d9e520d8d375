"""The frame of all pages: who may call which route, what every answer carries, what a change must bring along."""

import re
from contextlib import aclosing

import pytest

from luota.core.roles import ROLES
from luota.web import api
from luota.web.dashboard import PAGES
from tests.served import NOBODY

ANYONE = {
    ("GET", "/sign-in"),
    ("POST", "/sign-in"),
    ("GET", "/setup/{token}"),
    ("POST", "/setup/{token}"),
    ("GET", "/password/{token}"),
    ("POST", "/password/{token}"),
    ("GET", "/stream"),  # and tells who is not signed in that alone
}
"""All that is answered without a session."""
CHANGES = [(method, path, needed) for method, path, needed, _ in PAGES if method != "GET"]


def filled(path, workspace="default"):
    """Return a path with ids that belong to nothing: whoever may not call it must be refused before that is looked at."""
    return re.sub(r"\{\w+\}", NOBODY, path.replace("{workspace}", workspace))


def test_only_signing_in_and_one_time_links_are_answered_without_a_session():
    assert {(method, path) for method, path, needed, _ in PAGES if needed == "anyone"} == ANYONE


def test_every_route_says_who_may_call_it_and_every_change_below_a_workspace_needs_more_than_a_viewer():
    for method, path, needed, _ in PAGES:
        assert needed in ("anyone", "user", *ROLES), path
        assert path.startswith("/w/{workspace}") == (needed in ROLES), path
        assert method in ("GET", "POST"), path
        if method == "POST" and needed in ROLES:
            assert needed in ("operator", "owner"), path


async def test_every_page_but_those_for_anyone_sends_a_stranger_to_sign_in(served):
    for method, path, needed, _ in PAGES:
        if needed != "anyone":
            answer = await served.call(method, filled(path), headers={"origin": served.base})
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/sign-in"), path


@pytest.mark.parametrize("role", ["viewer", "operator", "owner"])
async def test_every_route_refuses_a_role_below_the_one_it_needs_and_no_other(served, role):
    client, csrf = await served.sign_in(role)
    for method, path, needed, _ in PAGES:
        if needed not in ROLES:
            continue
        sent = {"csrf": csrf} if method == "POST" else None
        answer = await client.request(method, filled(path), data=sent)
        refused = ROLES.index(role) < ROLES.index(needed)
        assert (answer.status_code == 403) == refused, f"{role} {method} {path}: {answer.status_code}"
        assert answer.status_code < 500, f"{method} {path}: {answer.text}"


async def test_every_route_of_a_workspace_is_not_found_for_those_who_are_no_members(served):
    await served.api("POST", "/api/workspaces", {"name": "Other", "slug": "other"})
    client, csrf = await served.sign_in("owner")
    for method, path, needed, _ in PAGES:
        if needed in ROLES:
            answer = await client.request(
                method, filled(path, "other"), data={"csrf": csrf} if method == "POST" else None
            )
            assert answer.status_code == 404, f"{method} {path}"


@pytest.mark.parametrize("given", [{}, {"csrf": "wrong"}], ids=["none", "wrong"])
async def test_every_change_is_refused_without_the_sessions_csrf_token(served, given):
    client, _ = await served.sign_in("owner")
    for method, path, needed in CHANGES:
        if needed != "anyone":
            answer = await client.request(method, filled(path), data=given)
            assert answer.status_code == 403, path


async def test_every_change_is_refused_from_a_page_of_another_site(served):
    client, csrf = await served.sign_in("owner")
    for method, path, _ in CHANGES:
        answer = await client.request(
            method, filled(path), data={"csrf": csrf}, headers={"origin": "http://evil.example"}
        )
        assert answer.status_code == 403, path


async def test_the_api_takes_a_session_with_the_role_and_the_csrf_token_and_nothing_less(served):
    clients = {role: await served.sign_in(role) for role in ROLES}
    for method, path, needed, _ in api.ROUTES:
        called = filled(path, served.engine.registry.workspaces.copy().popitem()[0])
        assert (await served.call(method, called)).status_code == 401, path
        for role, (client, csrf) in clients.items():
            if method != "GET":
                answer = await client.request(method, called, json={})
                assert answer.status_code == 403, f"{role} {method} {path} without a token"
            answer = await client.request(method, called, headers={"x-csrf-token": csrf})
            refused = ROLES.index(role) < ROLES.index(needed)
            assert (answer.status_code == 403) == refused, f"{role} {method} {path}: {answer.status_code} {answer.text}"


@pytest.mark.parametrize("path", ["/sign-in", "/account", "/w/default", "/nowhere", "/w/nowhere"])
async def test_every_answer_carries_the_headers_that_keep_a_page_to_itself(served, path):
    client, _ = await served.sign_in()
    headers = (await client.get(path)).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert headers["x-request-id"].startswith("req_")


ONLY_OVER_TLS = ("strict-transport-security", "cross-origin-opener-policy")
"""Headers that browsers ignore over plain HTTP, some of them with an error in the console."""


@pytest.mark.parametrize("public_url", [None, "http://watch.example.lan", "https://watch.example.lan"])
async def test_headers_that_browsers_heed_only_over_tls_are_sent_only_there(serve, public_url):
    served = await serve(public_url=public_url)
    secure = public_url is not None and public_url.startswith("https")
    served.tcp.headers["origin"] = public_url or served.base
    person = {"email": "ann@example.org", "password": "correct horse battery"}
    await served.api("POST", "/api/users", person)
    signed_in = await served.tcp.post("/sign-in", data=person)
    assert signed_in.status_code == 303
    cookie = {"cookie": signed_in.headers["set-cookie"].partition(";")[0]}  # httpx keeps a Secure one to itself
    page = await served.tcp.get("/account", headers=cookie)
    assert page.status_code == 200
    for answer in (page, await served.tcp.get("/nowhere"), await served.tcp.get("/sign-in")):
        assert [name in answer.headers for name in ONLY_OVER_TLS] == [secure, secure]
    csrf = re.search(r'name="csrf" value="([^"]+)"', page.text)[1]
    out = await served.tcp.post("/sign-out", data={"csrf": csrf}, headers=cookie)
    assert (out.status_code, "clear-site-data" in out.headers) == (303, secure)


async def test_an_error_page_names_the_request_id_that_the_log_has(served):
    client, _ = await served.sign_in()
    answer = await client.get("/w/default/monitors/nothing")
    assert answer.status_code == 404
    assert answer.headers["x-request-id"] in answer.text


FORMS = sorted({path for method, path, *_ in PAGES if method == "POST"})


@pytest.mark.parametrize("path", FORMS)
async def test_the_address_of_a_form_that_is_reloaded_leads_to_a_page(served, path):
    client, _ = await served.sign_in()
    async with aclosing(client):
        job = await served.monitor(slug="job")
        (user_id,) = served.row("SELECT id FROM users")
        where = path.format(
            workspace="default", monitor=job.slug, user=user_id, channel=NOBODY, incident=NOBODY, token="x"
        )
        answer = await client.get(where, follow_redirects=True)
        of_nothing = {NOBODY, "x"} & set(where.split("/"))
        assert {hop.url.path for hop in answer.history[1:]} <= {"/"}, "none leads to the address of another form"
        assert answer.status_code == (404 if of_nothing else 200), where
        assert where.startswith(answer.url.path) or answer.url.path == "/w/default", where
        assert served.rows("SELECT 1 FROM audit_entries WHERE action IN ('session.close', 'token.rotate')") == []


async def test_a_bookmarked_pause_leads_to_its_monitor_and_a_reloaded_sign_out_to_the_front_page(served):
    client, _ = await served.sign_in()
    async with aclosing(client):
        for path, page in (("/w/default/monitors/a%20b/pause", "/w/default/monitors/a%20b"), ("/sign-out", "/")):
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, page)
    answer = await served.call("GET", "/w/default/monitors/job/pause")
    assert answer.headers["location"] == "/sign-in?next=%2Fw%2Fdefault%2Fmonitors%2Fjob%2Fpause"


async def test_the_page_of_a_refused_form_has_the_way_back_to_where_it_stood(served):
    client, csrf = await served.sign_in()
    async with aclosing(client):
        job = await served.monitor(slug="job")
        refused = await client.post(f"/w/default/monitors/{job.slug}/resume", data={"csrf": csrf})
        assert (refused.status_code, "The monitor is not paused" in refused.text) == (409, True)
        (back,) = re.findall('href="(.*?)">Back to the page', refused.text)
        page = await client.get(back, follow_redirects=True)
        assert page.url.path == f"/w/default/monitors/{job.slug}"
        for nothing in ("/w/default/monitors/nothing/resume", "/w/nothing/monitors/job/resume"):
            assert "Back to the page" not in (await client.post(nothing, data={"csrf": csrf})).text


async def test_an_address_holds_no_empty_parameters(served):
    client, csrf = await served.sign_in()
    async with aclosing(client):
        for given, tidy in (
            ("/w/default?q=a+b%26c&mode=&tag=k%3Dv&group=", "/w/default?q=a+b%26c&tag=k%3Dv"),
            ("/w/default?q=&mode=", "/w/default"),
            ("/w/default/monitors/a%20b%2525?x=", "/w/default/monitors/a%20b%2525"),
            ("/w/default/audit?actor=&of=monitor", "/w/default/audit?of=monitor"),
        ):
            answer = await client.get(given)
            assert (answer.status_code, answer.headers["location"]) == (303, tidy)
        asked = "/w/default/monitors/preview?mode=heartbeat&kind=cron&cron="
        assert "Not a schedule yet" in (await client.get(asked, headers={"hx-request": "true"})).text
        assert (await client.post("/w/default?q=", data={"csrf": csrf, "do": "tag"})).status_code == 400


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("/w/default/", "/w/default"),
        ("/w/default/?q=a%20b&q=%2F", "/w/default?q=a%20b&q=%2F"),
        ("/w/default/monitors/a%20b%C3%A4/", "/w/default/monitors/a%20b%C3%A4"),
        ("/sign-in/?next=%2Fw%2Fx", "/sign-in?next=%2Fw%2Fx"),
        ("//", "/"),
    ],
)
async def test_a_slash_at_the_end_of_a_pages_address_leads_to_the_page(served, asked, meant):
    answer = await served.call("GET", served.base + asked)
    assert (answer.status_code, answer.headers["location"]) == (307, meant)
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "//evil.example/"),
        ("GET", "//w/default/"),
        ("GET", "/w/default//"),
        ("GET", "/%2Fevil.example/"),
        ("GET", "/\\evil.example/"),
        ("GET", "/nowhere/"),
        ("GET", "/static/x/luota.css/"),
        ("POST", "/w/default/"),
        ("POST", "/sign-in/"),
    ],
)
async def test_a_slash_at_the_end_leads_nowhere_without_a_page_or_for_a_form(served, method, path):
    answer = await served.call(method, served.base + path)
    assert (answer.status_code, "location" in answer.headers) == (404, False)


async def test_paths_of_programs_answer_json_and_others_a_page(served):
    for path in ("/v1/nothing", "/api/nothing"):
        assert (await served.call("GET", path)).json() == {"error": "Not found"}
    answer = await served.call("PUT", "/sign-in")
    assert answer.status_code == 405
    assert "allow" in answer.headers
    assert "<html" in answer.text


async def test_files_of_pages_may_be_kept_for_ever_and_carry_their_type(served):
    page = (await served.call("GET", "/sign-in")).text
    for path in set(re.findall(r'(/static/[^"]+)"', page)):
        answer = await served.call("GET", path)
        assert answer.status_code == 200, path
        assert "immutable" in answer.headers["cache-control"], path
        assert answer.headers["content-type"].split(";")[0] in ("text/css", "text/javascript", "image/svg+xml"), path
        name = path.rpartition("/")[2]
        for other in (f"/static/000000000000/{name}", path.replace("/static/", "/static/0")):
            answer = await served.call("GET", other)
            assert (answer.status_code, answer.headers["cache-control"]) == (404, "no-store"), other
    for path in ("/static/0/../visit.py", "/static/0/%2e%2e%2fapp.py", "/static/0/nothing.css", "/static/0/.hidden"):
        assert (await served.call("GET", path)).status_code == 404, path


@pytest.mark.parametrize(
    "to", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "//["]
)
async def test_signing_in_leads_to_pages_of_this_luota_only(served, to):
    await served.api(
        "POST", "/api/users", {"email": "ann@example.org", "role": "owner", "password": "correct horse battery"}
    )
    client = served.tcp
    form = {"email": "ann@example.org", "password": "correct horse battery", "next": to}
    answer = await client.post("/sign-in", data=form, headers={"origin": served.base})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"


async def test_the_script_is_led_on_to_a_path_beyond_ascii_by_a_header_within_it(served):
    client, _ = await served.sign_in()
    async with aclosing(client):
        where = {"next": "/w/default?q=€&tag=a%26b"}
        answer = await client.get("/sign-in", params=where, headers={"hx-request": "true"})
    assert (answer.status_code, answer.headers["hx-redirect"]) == (204, "/w/default?q=%E2%82%AC&tag=a%26b")


@pytest.mark.parametrize("asked", ["page=²", "before=²-x", "page=٣", "page=-1", "page=99999"])
async def test_what_python_takes_for_a_digit_is_no_page_number(served, asked):
    client, _ = await served.sign_in("viewer")
    async with aclosing(client):
        for page in ("", "/incidents", "/drills", "/audit"):
            assert (await client.get(f"/w/default{page}?{asked}")).status_code == 200, page


NUMBERS = (
    *("page", "before", "for", "every", "failuresBeforeIncident", "graceSeconds", "maxRuntimeSeconds"),
    *("expectedFreshnessSeconds", "reminderSeconds", "delaySeconds"),
    *("retentionDays", "retentionCount", "incidentRetentionDays"),
)
"""The fields of pages in which a number stands."""


async def test_a_number_longer_than_python_reads_is_refused_in_every_field_of_every_page(served):
    monitor = await served.monitor()
    client, csrf = await served.sign_in()
    shape = {"csrf": csrf, "mode": "heartbeat", "template": "heartbeat", "kind": "every", "unit": "m", "name": "A job"}
    async with aclosing(client):
        for method, path, needed, _ in PAGES:
            if needed not in ROLES:
                continue
            called = filled(path.replace("{monitor}", monitor.slug))
            for field in NUMBERS:
                form = {**shape, "every": "5", field: "9" * 5000}
                sent = {"data": form} if method == "POST" else {"params": form}
                answer = await client.request(method, called, **sent)
                assert answer.status_code < 500, f"{method} {path}, {field}: {answer.status_code}"


def frame(page):
    """The title, and where the navigation leads, without what differs between two workspaces."""
    nav = re.search(r'<nav class="nav".*?</nav>', page.text, re.S)
    return re.search(r"<title>(.*?)</title>", page.text)[1], nav and re.search(r'href="([^"]+)"', nav[0])[1]


async def test_pages_of_no_workspace_and_of_refusals_have_the_open_count_and_the_way_back(served):
    client, _ = await served.sign_in("viewer")
    job = await served.monitor("run")
    await job.fail(await job.started())
    for path, title in (
        ("/account", "Your account"),
        ("/nowhere", "Not found"),
        ("/w/default/nowhere", "Not found"),
        ("/w/default/incidents/nowhere", "Not found"),
        ("/w/nowhere", "Not found"),
        ("/w/default/monitors/new", "Not allowed"),
    ):
        page = await client.get(path)
        assert frame(page) == (f"(1) {title} · Luota", "/w/default"), path
        assert "viewer@example.org" in page.text, path
        assert 'data-stream="default.viewer-' in page.text, path
    for path in ("/nowhere", "/w/default/nowhere"):
        assert frame(await served.tcp.get(path)) == ("Not found · Luota", None), "nobody is signed in"
    await client.aclose()


async def test_of_several_workspaces_the_one_visited_last_is_shown_on_pages_that_are_of_none(served):
    client, csrf = await served.sign_in()
    doc = {"name": "Other", "slug": "other"}
    assert (await client.post("/api/workspaces", json=doc, headers={"x-csrf-token": csrf})).status_code == 200
    await served.api("POST", "/api/workspaces", {"name": "Theirs", "slug": "theirs"})
    client.cookies.delete("workspace")
    assert frame(await client.get("/account"))[1] is None, "none was visited yet"
    for slug in ("default", "other"):
        await client.get(f"/w/{slug}/channels")
        await client.get("/w/theirs")
        for path in ("/account", "/nowhere"):
            assert frame(await client.get(path))[1] == f"/w/{slug}", path
    assert frame(await client.get("/w/default/nowhere"))[1] == "/w/default", "the path says it"
    assert frame(await client.get("/account"))[1] == "/w/other", "which was a refusal, no visit"
    await client.aclose()
