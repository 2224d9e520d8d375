"""A secret that an answer repeats is found, whatever spells its characters and wherever the answer is cut."""

import base64
import html
import json
import re
import time
from urllib.parse import quote, quote_plus

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luota.alerts.answer import SHORTEST_SECRET, beginning, echoes, secrets_of_request, secrets_of_target
from luota.alerts.spellings import RUN

SECRET = "s3cr+t&9=xQz"
AROUND = st.text("àéîõü.", max_size=20).map(lambda text: f"<{text}>")  # no part of a secret or of a spelling
PRINTABLE = st.text(st.characters(codec="ascii", min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=30)
SECRETS = PRINTABLE.filter(
    lambda text: len(text) >= SHORTEST_SECRET and text == " ".join(text.split()) and not set("<>\\") & set(text)
)
NAMED = {
    "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;", "+": "&plus;", "=": "&equals;", "/": "&sol;",
}  # fmt: skip
SPELLINGS = (
    lambda c: c,
    lambda c: c,
    lambda c: f"\\u{ord(c):04x}",
    lambda c: f"\\u{ord(c):04X}",
    lambda c: f"\\U{ord(c):08x}",
    lambda c: f"\\x{ord(c):02x}",
    lambda c: f"\\u{{{ord(c):x}}}",
    lambda c: f"\\\\u{ord(c):04x}",
    lambda c: c if c.isalnum() else f"\\{c}",
    lambda c: f"%{ord(c):02x}",
    lambda c: f"%{ord(c):02X}",
    lambda c: f"%25{ord(c):02X}",
    lambda c: f"%2525{ord(c):02x}",
    lambda c: f"\\u0025{ord(c):02x}",
    lambda c: f"%u{ord(c):04x}",
    lambda c: f"%25u{ord(c):04X}",
    lambda c: f"&#{ord(c)};",
    lambda c: f"&#000{ord(c)};",
    lambda c: f"&#x{ord(c):x};",
    lambda c: f"&#X00{ord(c):X};",
    lambda c: f"&amp;#{ord(c)};",
    lambda c: f"\\u0026#{ord(c)};",
    lambda c: NAMED.get(c, c),
    lambda c: "+" if c == " " else c,
    str.upper,
)


@st.composite
def spelled(draw):
    secret = draw(SECRETS)
    parts = [draw(st.sampled_from(SPELLINGS))(c) for c in secret]
    return secret, "".join(parts)


@given(spelled(), AROUND, AROUND)
def test_a_secret_in_any_mix_of_spellings_is_hidden_and_nothing_else(told, before, after):
    secret, said = told
    assert beginning(f"{before}{said}{after}".encode(), True, [secret]) == f"{before}…{after}"


@given(spelled(), AROUND, st.data())
def test_a_secret_in_any_mix_of_spellings_leaves_nothing_where_the_answer_is_cut(told, before, data):
    secret, said = told
    cut = data.draw(st.integers(0, len(said)))
    assert beginning(f"{before}{said[:cut]}".encode(), False, [secret]) == before


@pytest.mark.parametrize(
    "said", [r"cd\ef+gh", r"cd\\ef+gh", r"cd\\\\ef\u002bgh", r"cd%5Cef%2Bgh", r"cd\u005cef&#43;gh"]
)
def test_a_secret_with_a_backslash_is_hidden(said):
    assert beginning(f"<{said}>".encode(), True, [r"cd\ef+gh"]) == "<…>"


BESIDE = st.text(st.characters(exclude_categories=["L", "N", "Cs"], exclude_characters="%\\&#;{}"), max_size=10)


@given(spelled(), BESIDE, BESIDE, st.booleans())
def test_nothing_beside_a_secret_keeps_it_from_being_hidden(told, before, after, whole):
    secret, said = told
    shown = beginning(f"{before}{said}{after}".encode(), whole, [secret])
    assert shown == "" if "\0" in before + after else said not in shown


@pytest.mark.parametrize("before", ["100%", "100%4", "&", "&#4", "\\", "\\u00", "\\x", "%C3"])
def test_a_secret_behind_what_begins_a_spelling_is_hidden(before):
    assert beginning(f"{before}11aab;cd+e".encode(), True, ["11aab;cd+e"]) == f"{before}…"


@given(st.text(SECRET, min_size=1, max_size=60))
def test_of_secrets_that_overlap_nothing_is_left(said):
    shown = beginning(said.encode(), True, [SECRET[at : at + 4] for at in range(len(SECRET) - 3)])
    assert not any(SECRET[at : at + 4] in shown for at in range(len(SECRET) - 3))
    if SECRET in said:
        assert not any(part in shown for part in (SECRET[:2], SECRET[-2:]) if said.count(part) == 1)


@given(st.text(min_size=SHORTEST_SECRET, max_size=20).filter(lambda text: "".join(text.split()).isprintable()))
@pytest.mark.parametrize(
    "packed", [html.escape, json.dumps, quote, quote_plus, lambda text: json.dumps(html.escape(text)), ascii, repr]
)
def test_a_secret_in_any_script_is_hidden_as_libraries_write_it(packed, secret):
    if secret == " ".join(secret.split()):
        shown = beginning(f"<{packed(secret)}>".encode(), True, [secret])
        assert re.sub(r"[\\\"']", "", shown) == "<…>"


@pytest.mark.parametrize("value", [SECRET, f"Bearer {SECRET}", "Bearer Zm9vYmFy+uXYZ=="])
@pytest.mark.parametrize(
    "packed",
    [
        lambda text: text.replace("+", r"\u002B").replace("&", r"\u0026").replace("=", r"\u003D"),
        html.escape,
        lambda text: quote(quote(text)),
        lambda text: text.rstrip("="),
    ],
)
def test_a_header_and_a_login_are_hidden_as_receivers_repeat_them(value, packed):
    url, headers = httpx.URL("http://hook.example/"), httpx.Headers({"x-key": value})
    said = f"you sent {packed(value)}"
    assert beginning(said.encode(), True, secrets_of_request(url, headers)) in ("you sent …", "you sent …==")
    assert echoes(packed(value), url, headers)
    target = f"json://ann:{quote(value, safe='')}@hook.example/"
    assert beginning(said.encode(), True, secrets_of_target(target)) in ("you sent …", "you sent …==")
    login = base64.b64encode(f"ann:{value}".encode()).decode()
    assert beginning(f"you sent {packed(login)}".encode(), True, secrets_of_target(target)) == "you sent …"


TOKEN = "xoxb-1a2B3c4D5e6F7g8H9i0J"
HOOK = httpx.URL(f"https://hooks.example.org/services/T024BE7LD/B01AB2CD3/{TOKEN}")
BEARER = httpx.Headers({"authorization": f"Bearer {TOKEN}"})


@pytest.mark.parametrize("packed", [str, str.upper, html.escape, lambda text: "".join(f"%{ord(c):02X}" for c in text)])
@pytest.mark.parametrize("shortened", [TOKEN[:20], TOKEN[:RUN], TOKEN[5:15], TOKEN[-RUN:]])
def test_a_part_of_a_secret_that_a_receiver_shortened_is_hidden(shortened, packed):
    for secrets in (secrets_of_request(HOOK, httpx.Headers()), secrets_of_request(httpx.URL("http://x/"), BEARER)):
        assert beginning(f"no token: '{packed(shortened)}...'".encode(), True, secrets) == "no token: '…...'"
    target = f"slack://{TOKEN}/x"
    assert beginning(f"<{packed(shortened)}...>".encode(), True, secrets_of_target(target)) == "<…...>"
    assert echoes(packed(shortened), HOOK, httpx.Headers())
    assert echoes(packed(shortened), httpx.URL("http://x/"), BEARER)


@pytest.mark.parametrize(
    "key", ["AgUpRQ.thW1p", "SG.xbN_3ZQ.BWfkW93Y~JHaMaEq", "6f1ed0.02ab9f.8e7d61", "a.b.c.d.e.f.g.H", "1234567.8901234"]
)
def test_any_8_characters_of_a_key_with_dots_are_hidden(key):
    for secrets in (
        [*secrets_of_request(httpx.URL("https://hooks.slack.com/x"), httpx.Headers({"x-key": key}))],
        [*secrets_of_request(httpx.URL(f"https://example.com/x/{key}?y=z"), httpx.Headers())],
        [*secrets_of_target(f"json://example.com/x/{key}/")],
    ):
        for start in range(len(key) - RUN + 1):
            said = f"the key '{key[start : start + RUN]}' ..."
            assert beginning(said.encode(), True, secrets) == "the key '…' ..."
        assert beginning(f"no {key[:-1]}* is known".encode(), True, secrets) == "no …* is known"


def test_names_of_hosts_and_files_that_an_answer_shares_with_an_address_stay():
    said = "Unknown webhook. See docs.example.org, example.com, hooks.slack.com or 10.20.30.41: index.php"
    for url in ("https://hooks.example.org/webhook.php", "https://k7x2.example.com/index.html", "http://10.20.30.40/x"):
        secrets = [*secrets_of_request(httpx.URL(url), httpx.Headers({"x-page": "webhook.html"}))]
        assert beginning(said.encode(), True, secrets) == said
        assert beginning(said.encode(), True, secrets_of_target(url)) == said


def test_the_beginning_of_an_address_that_a_receiver_shortened_is_hidden():
    said = f"nothing at {HOOK.path[:24]}... or {str(HOOK)[:60]}..."
    assert beginning(said.encode(), True, secrets_of_request(HOOK, httpx.Headers())) == "nothing at …... or …..."


def test_words_that_an_answer_shares_with_an_address_stay():
    said = '{"error": "invalid_token", "help": "https://docs.example.org/api", "type": "application/json"}'
    asked = httpx.Headers({"authorization": f"Bearer {TOKEN}", "content-type": "application/json; charset=utf-8"})
    assert beginning(said.encode(), True, secrets_of_request(HOOK, asked)) == said


def test_a_secret_of_few_decoded_characters_is_hidden_as_it_is_and_not_within_words():
    assert beginning(b"<abc> %41%42%43 %2541%2542%2543", True, ["%41%42%43"]) == "<abc> … …"


ANSWERS = {
    "words": "hello ",
    "backslashes": "\\",
    "percents": "%25",
    "percents within": "%2541",
    "entities": "&amp;",
    "entities within": "&#37;41",
    "what begins a pair": "\\ud83d",
    "the secret": TOKEN,
    "the secret by JSON and HTML": "".join(f"\\u0026#{ord(c)};" for c in TOKEN),
}


def fastest(work):
    def taken():
        before = time.process_time()
        work()
        return time.process_time() - before

    return min(taken() for _ in range(5))


def loop():
    for _ in range(2_000_000):
        pass


@pytest.mark.parametrize("value", [TOKEN * 40, "\\" * 1000, "%25" * 333, "a" * 1000, "Bearer " + TOKEN])
def test_four_kib_of_any_answer_are_read_in_no_more_time_than_two_million_rounds_of_a_loop(value):
    asked = httpx.Headers({"authorization": value, "x-other": value[::-1]})
    took = {}
    for which, said in ANSWERS.items():
        answer = (said * 4096)[:4096].encode()
        took[which] = fastest(lambda answer=answer: beginning(answer, False, secrets_of_request(HOOK, asked)))
    most = fastest(loop)
    assert {which: time for which, time in took.items() if time >= most} == {}


def test_a_long_answer_takes_hardly_more_time_than_a_short_one():
    secrets = [*secrets_of_request(HOOK, BEARER)]
    short, long = ((TOKEN.encode() * 3000)[:size] for size in (1024, 65536))
    assert fastest(lambda: beginning(long, True, secrets)) < 4 * fastest(lambda: beginning(short, True, secrets))


@pytest.mark.timeout(30)  # it takes about a second; what went back and forth in the text would not end
@pytest.mark.parametrize("said", ["\\", "%25", "&amp;", "a", "\\u0061", "+ ", SECRET])
def test_32_kib_of_nothing_but_secrets_that_overlap_are_read_in_time(said):
    said *= 32768 // len(said)
    secrets = [said[:length] for length in range(SHORTEST_SECRET, 200)]
    assert beginning(said.encode(), False, [*secrets, said[:2000] + "!"]) == ""
