"""Changes from other sites, and the API with a session: with a real engine on a real file."""

import pytest
from starlette.requests import Request

from luota.core.errors import Code, LuotaError
from luota.engine import people
from luota.engine.audit import Actor
from tests.web.rig import HOST, scope

# Changes


def allowed(auth, session=None, csrf=None, **headers):
    """Tell whether a change is allowed; the words of the refusal otherwise."""
    try:
        auth.check_change(scope(**headers), session, csrf)
    except LuotaError as error:
        assert error.code is Code.FORBIDDEN
        return error.message
    return True


@pytest.mark.parametrize(
    ("headers", "fine"),
    [
        ({"origin": "https://luota.example.org"}, True),
        ({"origin": "https://luota.example.org:443", "host": "elsewhere"}, True),
        ({"referer": "https://luota.example.org/w/default?x"}, True),
        ({"sec_fetch_site": "same-origin"}, True),
        ({}, False),
        ({"sec_fetch_site": "same-site"}, False),
        ({"sec_fetch_site": "none"}, False),
        ({"origin": "null"}, False),
        ({"origin": "null", "referer": "https://luota.example.org/"}, False),
        ({"origin": ""}, False),
        ({"origin": "http://luota.example.org"}, False),
        ({"origin": "https://luota.example.org:8443"}, False),
        ({"origin": "https://luota.example.org.evil.example"}, False),
        ({"origin": "https://evil.example", "host": "evil.example"}, False),
        ({"origin": "https://evil.example", "referer": "https://luota.example.org/"}, False),
        ({"referer": "https://evil.example/?https://luota.example.org/"}, False),
        ({"origin": "https://[::1"}, False),
    ],
)
async def test_with_a_public_url_only_its_origin_may_change_anything(rig, headers, fine):
    said = allowed(rig.with_url("https://luota.example.org/sub"), **headers)
    assert (said is True) is fine
    if "origin" in headers and not fine:
        assert "https://luota.example.org only" in said
        assert "[server] public_url" in said


@pytest.mark.parametrize(
    ("headers", "fine"),
    [
        ({"origin": "http://127.0.0.1:8080"}, True),
        ({"origin": "http://localhost:8080"}, True),
        ({"origin": "http://[::1]:8080"}, True),
        ({"origin": "http://192.168.1.20:8080", "sec_fetch_site": "same-origin"}, True),
        ({"origin": "http://NAS:8080", "host": "elsewhere"}, True),
        ({"referer": "http://192.168.1.20:8080/w/default"}, True),
        ({"sec_fetch_site": "same-origin", "host": "evil.example"}, True),
        ({"origin": "http://192.168.1.20:8080", "sec_fetch_site": "cross-site"}, False),
        ({"origin": "http://192.168.1.20:8080", "sec_fetch_site": "same-site"}, False),
        ({"origin": "http://192.168.1.20:9090"}, False),
        ({"origin": "http://192.168.1.20"}, False),
        ({"origin": "https://192.168.1.20:8080"}, False),
        ({"origin": "http://192.168.1.21:8080", "host": "192.168.1.21:8080"}, False),
        ({"origin": "http://evil.example", "host": "evil.example"}, False),
        ({"origin": "http://evil.example:8080", "host": "evil.example:8080"}, False),
        ({"origin": "null", "host": "null"}, False),
        ({"origin": "file://192.168.1.20:8080"}, False),
        ({"host": "192.168.1.20:8080"}, False),
    ],
)
async def test_without_a_public_url_the_page_must_be_at_the_address_of_the_connection_or_the_host_that_is_set(
    rig, headers, fine
):
    said = allowed(rig.with_url(None, host="nas"), **headers)
    assert (said is True) is fine
    if "origin" in headers and not fine:
        assert "[server] public_url" in said


async def test_an_address_of_ipv4_is_that_also_where_a_socket_for_both_takes_it(rig):
    asked = scope(origin="http://192.168.1.20:8080") | {"server": ("::ffff:192.168.1.20", 8080)}
    rig.auth.check_change(asked, None, None)


async def test_a_name_without_a_public_url_is_refused_with_the_line_that_lets_it_in(rig):
    said = allowed(rig.auth, origin="http://nas.lan:8080", host="nas.lan:8080")
    assert said.endswith(': public_url = "http://nas.lan:8080"')


async def test_a_change_carries_the_csrf_token_of_its_own_session(rig):
    await rig.user()
    mine, other = [await rig.session(await rig.sign_in()) for _ in range(2)]
    fine = {"origin": "http://localhost:8080"}
    assert allowed(rig.auth, mine, mine.csrf, **fine) is True
    for csrf in (None, "", other.csrf, mine.csrf[:-1], "ä" * 43):
        assert "load it again" in allowed(rig.auth, mine, csrf, **fine)
    assert allowed(rig.auth, mine, mine.csrf, origin="http://evil") is not True


# The API


async def api(rig, token, role, workspace_id, method="POST", **headers):
    sent = {"origin": "http://localhost:8080", **headers}
    return await rig.auth.authorise_api(Request(scope(token, method=method, **sent)), role, [workspace_id])


async def test_the_api_takes_a_session_with_the_role_and_for_changes_its_csrf_token(rig):
    await rig.user()
    bob = await rig.user("bob@example.org", "operator")
    token = await rig.sign_in("bob@example.org")
    csrf = (await rig.session(token)).csrf
    here, actor = rig.workspace.id, Actor("bob@example.org", "192.0.2.1")
    for role in ("viewer", "operator"):
        assert await api(rig, token, role, here, x_csrf_token=csrf) == (here, bob, actor)
        await api(rig, token, role, here, "GET", origin=None)
    other = await rig.engine.submit(people.create_workspace("Other", None, HOST))
    for code, given in (
        (Code.UNAUTHENTICATED, (None, "viewer", here, "GET")),
        (Code.UNAUTHENTICATED, ("other", "viewer", here, "GET")),
        (Code.FORBIDDEN, (token, "viewer", here)),
        (Code.FORBIDDEN, (token, "viewer", here, "DELETE")),
        (Code.FORBIDDEN, (token, "owner", here, "GET")),
        (Code.NOT_FOUND, (token, "viewer", other.id, "GET")),
        (Code.NOT_FOUND, (token, "viewer", "", "GET")),
    ):
        with pytest.raises(LuotaError) as refused:
            await api(rig, *given)
        assert refused.value.code is code, given
    with pytest.raises(LuotaError) as refused:
        await api(rig, token, "viewer", here, x_csrf_token=csrf, origin="http://evil")
    assert refused.value.code is Code.FORBIDDEN
