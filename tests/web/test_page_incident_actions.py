"""What is done on the incident page: acknowledging, a note, resolving by hand; and who may."""

import asyncio
import re

from tests.web.incident_page import failed, sign_in, state_of, steps
from tests.web.reading import words


def said_done(page):
    """What the page says that was just done, ahead of the part that follows what happens; None where it says none."""
    done = re.search(
        r'id="done" role="status" tabindex="-1" data-focus data-while="\w+">(.*?)</p>.*id="live"', page.text, re.S
    )
    return done and done[1]


async def test_to_acknowledge_takes_a_reason_and_says_beside_the_field_when_it_is_missing(served, sign_in):
    person = await sign_in(served)
    _, path = await failed(served)
    refused = await person.post(f"{path}/acknowledge", reason=" ")
    assert refused.status_code == 400
    assert '<p class="wrong" id="e-reason">' in refused.text
    assert 'href="#f-reason"' in refused.text
    assert words(refused).count("Reason to acknowledge is required: say who") == 2, "above the form and at the field"
    assert state_of(served, path) == "open"
    long = await person.post(f"{path}/acknowledge", reason="x" * 501)
    assert long.status_code == 400
    assert "x" * 501 in long.text
    done = await person.post(f"{path}/acknowledge", reason="Ann looks at the disk")
    assert (done.status_code, done.headers["location"]) == (303, path)
    page = await person.get(done.headers["location"])
    said = words(page)
    assert "failed, acknowledged" in said
    assert re.search(r"Acknowledged by you .{1,20}: Ann looks at the disk", said)
    assert 'id="f-reason"' not in page.text
    assert said_done(page) == "Acknowledged. It clears itself on recovery."
    assert said_done(await person.get(path)) is None, "it is said once"
    other = await sign_in(served, "viewer")
    assert "Acknowledged by operator@example.org" in words(await other.get(path))


async def test_a_second_acknowledgement_loses_no_word_of_what_was_written(served, sign_in):
    person = await sign_in(served)
    _, path = await failed(served)
    await person.post(f"{path}/acknowledge", reason="first")
    second = await person.post(f"{path}/acknowledge", reason="the disk is on order")
    assert second.status_code == 409
    assert ">the disk is on order</textarea>" in second.text
    assert "You have acknowledged it already" in words(second)
    assert (await person.post(f"{path}/acknowledge", reason="first")).status_code == 303  # a form that was sent twice


async def test_who_acknowledges_just_after_another_is_told_who_was_first(served, sign_in):
    ann, bob = await sign_in(served), await sign_in(served, "owner")
    _, path = await failed(served)
    answers = await asyncio.gather(
        ann.post(f"{path}/acknowledge", reason="I look"), bob.post(f"{path}/acknowledge", reason="I look")
    )
    assert sorted(one.status_code for one in answers) == [303, 409]
    (told,) = [words(one) for one in answers if one.status_code == 409]
    assert re.search(r"(operator|owner)@example\.org has acknowledged it already", told)


async def test_a_note_is_added_in_any_state_and_a_blank_one_is_refused_beside_its_field(served, sign_in):
    person = await sign_in(served)
    _, path = await failed(served)
    refused = await person.post(f"{path}/note", text=" \r\n ")
    assert refused.status_code == 400
    assert 'id="e-text"' in refused.text
    await person.post(f"{path}/resolve")
    done = await person.post(f"{path}/note", text="a\r\nb")
    assert done.headers["location"] == path
    assert served.row("SELECT text, actor FROM incident_events WHERE type = 'note'")[0] == "a\nb"
    assert said_done(await person.get(path)) == "The note is on the timeline."


async def test_to_resolve_by_hand_asks_first_and_leaves_the_monitor_unverified(served, sign_in):
    person = await sign_in(served)
    job, path = await failed(served)
    asked = re.search(r'<details id="resolve".*?</details>', (await person.get(path)).text, re.S)[0]
    assert "the monitor is unverified until its next signal" in asked
    assert (await person.post(f"{path}/resolve", reason="y" * 501)).status_code == 400
    done = await person.post(f"{path}/resolve", reason="paid by hand")
    assert done.headers["location"] == path
    assert (await job.shown())["status"] == "unverified"
    page = await person.get(done.headers["location"])
    said = words(page)
    assert said_done(page) == "Resolved by hand. The monitor is unverified until its next signal or missed deadline."
    assert "failed, resolved" in said
    (step,) = [one for one in steps(page) if one.startswith("Resolved")]
    assert re.fullmatch(r"Resolved by hand by operator@example.org.{23}paid by hand", step)
    assert re.search(r"Resolved by hand by you .{1,20}: paid by hand", said)
    printed = words(await person.get(f"{path}/print"))
    assert ", by hand by operator@example.org: paid by hand" in printed
    assert 'id="resolve"' not in page.text
    for what in ("resolve", "acknowledge"):
        again = await person.post(f"{path}/{what}", reason="once more")
        assert again.status_code == 409
        assert "The incident is resolved already. What you wrote stands in the note below" in words(again)
        assert ">once more</textarea>" in again.text
        assert "What you wrote stands" not in words(await person.post(f"{path}/resolve"))


async def test_what_was_just_done_is_left_to_the_page_that_is_loaded_and_said_to_nobody_else(served, sign_in):
    person, other = await sign_in(served), await sign_in(served, "owner")
    _, path = await failed(served)
    for what in ("acknowledge", "note", "resolve"):
        await person.post(f"{path}/{what}", reason="mine", text="mine")
        followed = await person.client.get(path, headers={"hx-request": "true"})
        assert ('id="done"' in followed.text, "data-focus" in followed.text) == (False, False), what
        assert said_done(await other.get(path)) is None, what
        assert said_done(await person.get(path)) is not None, what


async def test_a_viewer_is_offered_the_packet_and_no_change(served, sign_in):
    person = await sign_in(served, "viewer")
    _, path = await failed(served)
    text = (await person.get(path)).text
    assert f'action="{path}' not in text
    assert f'href="{path}/packet.md"' in text
    for what in ("acknowledge", "note", "resolve"):
        assert (await person.post(f"{path}/{what}", reason="x", text="x")).status_code == 403
    assert state_of(served, path) == "open"
