"""The forms of people's own accounts: all that is wrong with one is said at once, beside its fields."""

import re

from luota.engine import people
from luota.engine.audit import Actor
from luota.web.auth import SETUP_LINK, hash_of
from tests.web.monitor_page import owner, sign_in

PASSWORD, OTHER = "correct horse battery", "another horse battery"


def wrongs(page):
    """What the page says beside its fields, by field; each stands in the summary as well."""
    said = dict(re.findall(r'<p class="wrong" id="e-(\w+)"><span class="sr">Error: </span>(.*?)</p>', page.text))
    assert dict(re.findall(r'<li><a href="#f-(\w+)">(.*?)</a>', page.text)) == said
    return said


async def test_a_wrong_present_password_and_a_short_new_one_are_said_at_once(served, owner):
    client, csrf = owner
    page = await client.post("/account", data={"csrf": csrf, "current": "wrong horse battery", "password": "short"})
    assert page.status_code == 401
    said = {
        "current": "The present password is wrong.",
        "password": "New password must have at least 12 characters.",
    }
    assert wrongs(page) == said
    page = await client.post("/account", data={"csrf": csrf, "current": PASSWORD, "password": "short"})
    assert (page.status_code, wrongs(page)) == (400, {"password": said["password"]})
    page = await client.post("/account", data={"csrf": csrf, "current": "wrong horse battery", "password": OTHER})
    assert (page.status_code, wrongs(page)) == (401, {"current": said["current"]})
    page = await client.post("/account", data={"csrf": csrf, "current": PASSWORD, "password": OTHER})
    assert (page.status_code, page.headers["location"]) == (303, "/account?done=password")


async def test_all_that_is_wrong_with_the_first_owner_is_said_at_once(served):
    ends = served.clock.now() + SETUP_LINK
    await served.engine.submit(people.make_link("setup", None, hash_of("a-token"), ends, Actor("luota", "start")))
    form = {"email": "ann", "name": "", "password": "short"}
    page = await served.tcp.post("/setup/a-token", data=form, headers={"origin": served.base})
    assert page.status_code == 400
    assert list(wrongs(page)) == ["email", "password"]


async def test_a_short_password_of_an_invited_member_is_said_beside_its_field(served, owner):
    client, csrf = owner
    invited = await client.post("/w/default/members", data={"csrf": csrf, "email": "new@example.org", "role": "viewer"})
    link = re.search(r"/password/[\w-]+", invited.text)[0]
    page = await served.tcp.post(link, data={"password": "short"}, headers={"origin": served.base})
    assert (page.status_code, wrongs(page)) == (400, {"password": "Password must have at least 12 characters."})
