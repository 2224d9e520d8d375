"""Links for setting up and for choosing a password: with a real engine on a real file."""

import asyncio

import pytest

from luota.core.errors import Code, LuotaError
from luota.web.auth import PASSWORD_LINK, SETUP_LINK
from tests.web.rig import ANN, HOST, PASSWORD, scope

# Links


def token_of(path, purpose):
    assert path.startswith(f"/{purpose}/")
    return path.removeprefix(f"/{purpose}/")


async def no_link(rig, purpose, token):
    with pytest.raises(LuotaError) as refused:
        await rig.auth.check_link(purpose, token)
    assert refused.value.code is Code.NOT_FOUND


async def test_the_set_up_link_makes_the_first_owner_once(rig):
    token = token_of(await rig.auth.setup_link(), "setup")
    assert await rig.auth.check_link("setup", token) is None
    uses = [rig.auth.use_setup_link(scope(), token, email, "Ann", PASSWORD) for email in (ANN, "eve@example.org")]
    results = await asyncio.gather(*uses, return_exceptions=True)
    assert sorted(getattr(result, "code", "made") for result in results) == [Code.CONFLICT, "made"]
    ((email,),) = await rig.rows("SELECT email FROM users")
    assert (await rig.session(await rig.sign_in(email))).roles == {rig.workspace.id: "owner"}
    await no_link(rig, "setup", token)
    assert await rig.auth.setup_link() is None


async def test_a_fresh_set_up_link_ends_the_one_before_and_holds_for_a_day(rig):
    old = token_of(await rig.auth.setup_link(), "setup")
    new = token_of(await rig.auth.setup_link(), "setup")
    rig.clock.advance(SETUP_LINK - 1)
    await rig.auth.check_link("setup", new)
    rig.clock.advance(1)
    rig.hasher.done.clear()
    for token in (old, new, "guess", "ä"):
        await no_link(rig, "setup", token)
        with pytest.raises(LuotaError):
            await rig.auth.use_setup_link(scope(), token, ANN, "Ann", PASSWORD)
    assert rig.hasher.done == []
    assert await rig.rows("SELECT * FROM users") == []


async def test_no_set_up_link_holds_once_a_user_was_made_otherwise(rig):
    token = token_of(await rig.auth.setup_link(), "setup")
    await rig.user()
    await no_link(rig, "setup", token)


async def test_an_invited_user_chooses_a_password_by_a_link_that_works_once(rig):
    user_id = await rig.user(password=None)
    path = await rig.auth.password_link(user_id, HOST, None)
    token = token_of(path, "password")
    rig.clock.advance(PASSWORD_LINK - 1)
    assert await rig.auth.check_link("password", token) == ANN
    await no_link(rig, "setup", token)
    assert await rig.auth.use_password_link(scope(), token, PASSWORD) == user_id
    await rig.sign_in()
    await no_link(rig, "password", token)
    late = token_of(await rig.auth.password_link(user_id, HOST, None), "password")
    rig.clock.advance(PASSWORD_LINK)
    await no_link(rig, "password", late)
    kept = str(await rig.rows("SELECT * FROM audit_entries"))
    assert token not in kept
    assert late not in kept
