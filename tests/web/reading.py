"""What people read on a page that a test was answered with."""

import html
import re


def words(page):
    """The text of a page as people read it."""
    text = re.sub(r"<(script|style|title)\b.*?</\1>", "", page.text, flags=re.S)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", text)))


def pre(page, label):
    """The text of the block that is called `label`."""
    return html.unescape(re.search(rf'<pre [^>]*aria-label="{label}"[^>]*>(.*?)</pre>', page.text, re.S)[1])
