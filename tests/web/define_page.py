"""The form that defines a monitor: what a browser would post of it, and who may."""

import html
import re

import pytest

WHERE = "/w/default/monitors"


def posted(text):
    """What a browser would post of the page's form if nothing were typed; its token against forgery too."""
    form = re.search(r'<form method="post"[^>]* class="define".*?</form>', text, re.S)[0]
    fields = []
    for tag in re.findall(r"<input [^>]*>", form):
        if re.search('type="(radio|checkbox)"', tag) and " checked" not in tag:
            continue
        value = re.search(' value="([^"]*)"', tag)
        fields.append((re.search(' name="([^"]*)"', tag)[1], html.unescape(value[1]) if value else "on"))
    fields += [
        (name, html.unescape(text))
        for name, text in re.findall(r'<textarea [^>]*name="(\w+)"[^>]*>(.*?)</t', form, re.S)
    ]
    for name, options in re.findall(r'<select [^>]*name="(\w+)"[^>]*>(.*?)</select>', form, re.S):
        fields.append((name, re.search('value="([^"]*)" selected', options)[1]))
    return dict(fields)


@pytest.fixture
async def owner(served):
    client, _ = await served.sign_in()
    yield client
    await client.aclose()
