"""A name with marks of direction reads everywhere as it is written, not as its author would have it read."""

import re

NAME = "\u202e gnp.exe"
SHOWN = r"\u202e gnp.exe"


async def test_marks_of_direction_in_names_are_written_out_on_every_page_and_kept_in_the_form(served):
    client, _ = await served.sign_in()
    fields = {"promise": f"P{NAME}", "owner": f"O{NAME}", "environment": f"E{NAME}", "tags": {"k": f"T{NAME}"}}
    job = await served.monitor("run", name=NAME, **fields)
    run = await job.started()
    await job.fail(run, {"summary": f"S{NAME}"})
    incident, where = (await job.shown())["incidentId"], f"/w/default/monitors/{job.slug}"
    pages = ["/w/default", where, f"{where}/integration", f"{where}/drills", "/w/default/drills", "/w/default/audit"]
    pages += [f"/w/default/runs/{run}", "/w/default/incidents", f"/w/default/incidents/{incident}"]
    for path in pages:
        text = (await client.get(path)).text
        assert SHOWN in text, path
        assert "\u202e" not in re.sub(r' value="[^"]*"', "", text), path
    text = (await client.get(f"{where}/edit")).text
    assert f"<h1>Edit {SHOWN}</h1>" in text
    assert f'value="{NAME}"' in text, "what is saved again is what was given"
    assert "\u202e" not in re.sub(r"<(input|textarea)[^>]*>[^<]*", "", text)
    await client.aclose()
