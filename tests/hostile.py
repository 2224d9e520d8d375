"""Texts that nobody should obey, by name: for every place that shows what a job or a person wrote.

What must hold of each sink: nothing in it is active, and nothing is cut inside a character.
"""

import re

HOSTILE = {
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)><a href='javascript:x'>x</a>&lt;b&gt;\"'",
    "template": "{{ 7 * 7 }}{% raw %}{# x #}",
    "header break": "x\r\nBcc: eve@example.org\r\n\r\n<b>body",
    "lone breaks": "x\nBcc: eve@example.org\rCc: eve@example.org\x0bTo: eve@example.org\x85To: x\u2028To: y",
    "encoded word": "=?utf-8?q?x=0D=0ABcc:_eve=40example.org?= =?utf-8?b?eA0KQmNjOiBlQGV4YW1wbGUub3Jn?=",
    "encoded word, latin": "=?iso-8859-1?q?=0ABcc=3A_eve=40example.org?=",
    "boundary": "--=_82f06f15-b4c4-462c-b264-3896ebc19a3a\r\nContent-Type: text/html\r\n\r\n<b>",
    "end of mail": "\r\n.\r\nRCPT TO:<eve@example.org>\r\n..\r\n.",
    "terminal": "\x1b[2J\x1b]0;owned\x07\x1b[31mred\x9b2J\x08\x7f",
    "directions": "\u202egnp.exe\u202c \u2066\u2067x\u2069\u200f\u061c",
    "emoji": "👩🏽‍🚀🇫🇮" * 1500,
    "one long word": "x" * 5000,
    "combining": "e" + "\u0301" * 500,
    "from": "From eve@example.org Mon\nFrom x",
    "nothing visible": "\u200b\u00ad\ufeff",
    "slack": "<!channel> <!here> <@U123> <#C123|x> <https://evil.example.org|click> & @everyone ``` *bold* `code`",
    "markdown": "[click](https://evil.example.org) ![x](https://evil.example.org/x.png) # heading ~~x~~",
    "controls": "".join(map(chr, [*range(1, 32), *range(127, 160)])),
    "emoji, 32 KiB": ("👩🏽‍🚀🇫🇮" * 2000).encode()[: 32 * 1024].decode("utf-8", "ignore"),
    "family": "👨‍👩‍👧‍👦" * 300,
    "lone marks": "\u0301\u200d\u20e3\ufe0f\u0301 x\u0308\u0308",
    "isolates": "\u2067\u2066" * 200 + "x",
    "not characters": "\ufdd0\uffff\U0010ffff\ue000",
    "ampersands": "&<>\"'" * 6000,
}

_TORN = re.compile("\u200d…|…[\u200d\u20e3\ufe0f\u0300-\u036f\U0001f3fb-\U0001f3ff]")


def cut_inside(text: str) -> bool:
    """Whether `text` was shortened, to an ellipsis, in the midst of what a reader takes for one character."""
    return _TORN.search(text) is not None
