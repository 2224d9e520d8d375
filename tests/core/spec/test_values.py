"""Single values from users: what is accepted comes back exactly, all else is refused with its field."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luota.core.errors import Code, LuotaError
from luota.core.spec.values import (
    format_duration,
    format_instant,
    parse_duration,
    parse_http_url,
    parse_instant,
    parse_slug,
    parse_tags,
    parse_text,
    parse_uuid,
    slug_of,
)

SAMPLE = 1_777_426_391_398  # 2026-04-29T01:33:11.398Z

anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.lists(st.integers())
)


def refused(function, *args, **kwargs):
    """Return the error of a call that must be refused."""
    with pytest.raises(LuotaError) as caught:
        function(*args, **kwargs)
    assert caught.value.code is Code.INVALID
    assert caught.value.field
    caught.value.message.encode()
    return caught.value


@pytest.mark.parametrize(
    "text",
    [
        "2026-04-29T01:33:11.398Z",
        "2026-04-29T01:33:11,398Z",
        "2026-04-29t01:33:11.398z",
        "2026-04-29 01:33:11.398Z",
        "2026-04-29T04:33:11.398+03:00",
        "2026-04-29T04:33:11.398+0300",
        "2026-04-29T04:33:11.398+03",
        "2026-04-28T20:03:11.398-0530",
        "2026-04-29T01:33:11.398-00:00",
        "2026-04-29T01:33:11,398400928+00:00",
        "20260429T013311.398Z",
        "20260429T043311,398+0300",
        "2026-119T01:33:11.398Z",
        "2026119T013311.398Z",
        "2026-W18-3T01:33:11.398Z",
        "2026W183T013311.398Z",
    ],
)
def test_every_iso_form_of_one_instant_is_the_same_instant(text):
    assert parse_instant(text, "occurredAt") == SAMPLE


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2026-04-29T01Z", "2026-04-29T01:00:00Z"),
        ("2026-04-29T01:33Z", "2026-04-29T01:33:00Z"),
        ("2026-04-29T01.5Z", "2026-04-29T01:30:00Z"),
        ("2026-04-29T01:33,5Z", "2026-04-29T01:33:30Z"),
        ("2026-04-29T24:00Z", "2026-04-30T00:00:00Z"),
        ("2026-06-30T23:59:60Z", "2026-07-01T00:00:00Z"),
        ("2024-366T00:00Z", "2024-12-31T00:00:00Z"),
        ("2026-04-29T01:33:11.3989999Z", "2026-04-29T01:33:11.398Z"),
    ],
)
def test_rare_forms_mean_what_the_standard_says(text, same):
    assert parse_instant(text, "f") == parse_instant(same, "f")


@pytest.mark.parametrize(
    "value",
    [
        "2026-04-29T01:33:11.398",
        "2026-04-29",
        "2026-04-29Z",
        "2026-02-30T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2025-366T00:00:00Z",
        "2026-000T00:00:00Z",
        "2026-W54-1T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-04-29T25:00:00Z",
        "2026-04-29T24:00:01Z",
        "2026-04-29T24:00:00.001Z",
        "2026-04-29T01:60:00Z",
        "2026-04-29T01:33:61Z",
        "2026-04-29T01:33:11+24:00",
        "2026-04-29T01:33:11+02:60",
        "2026-0429T01:33:11Z",
        "2026-04-29T01:33:11Z\n",
        " 2026-04-29T01:33:11Z",
        "2026-04-29T01:33:11.Z",
        "٢٠٢٦-04-29T01:33:11Z",
        "2026-04-29T01:33:11.\ud800Z",
        "2026-04-29T01:33:11." + "1" * 10_000 + "Z",
        "now",
        "",
        1_777_426_391,
        1.5,
        True,
        None,
        [],
        {},
    ],
)
def test_what_is_no_instant_is_refused_with_its_field(value):
    assert refused(parse_instant, value, "occurredAt").field == "occurredAt"


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"])
def test_an_instant_that_no_calendar_holds_in_utc_is_refused(text):
    assert "years" in refused(parse_instant, text, "startedAt").message


@given(st.datetimes(), st.integers(-1439, 1439))
def test_an_instant_agrees_with_the_standard_library(moment, offset):
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=offset)))
    since = aware - datetime(1970, 1, 1, tzinfo=UTC)
    expected = since // timedelta(milliseconds=1)
    if not -62_135_596_800_000 <= expected <= 253_402_300_799_999:
        refused(parse_instant, aware.isoformat(), "f")
    else:
        assert parse_instant(aware.isoformat(), "f") == expected


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_a_formatted_instant_is_parsed_to_itself(ms):
    text = format_instant(ms)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    assert parse_instant(text, "f") == ms


@given(
    st.sampled_from(
        ("2026-04-29T01:33:11.398Z", "2026-04-29T01:33:11Z", "2026-W18-3T01:33:11Z", "2016-12-31T23:59:60.000Z")
    ),
    st.lists(st.tuples(st.integers(0, 22), st.sampled_from("0123456789:.,-+TZW t٣")), max_size=3),
)
def test_an_instant_that_ends_in_z_is_read_like_one_that_ends_in_its_offset(text, changes):
    def read(value):
        try:
            return parse_instant(value, "at")
        except LuotaError:
            return None

    letters = list(text[:-1])
    for place, letter in changes:
        letters[place % len(letters)] = letter
    changed = "".join(letters)
    assert read(changed + "Z") == read(changed + "+00:00")


def test_an_instant_is_shown_with_milliseconds_also_before_1970():
    assert format_instant(SAMPLE) == "2026-04-29T01:33:11.398Z"
    assert format_instant(0) == "1970-01-01T00:00:00.000Z"
    assert format_instant(-1) == "1969-12-31T23:59:59.999Z"
    assert format_instant(-62_135_596_800_000) == "0001-01-01T00:00:00.000Z"


@given(anything)
def test_no_value_makes_a_parser_raise_anything_but_a_refusal(value):
    for parse in (
        parse_instant,
        parse_duration,
        parse_slug,
        parse_http_url,
        parse_tags,
        lambda v, f: parse_text(v, f, minimum=1, maximum=3),
    ):
        try:
            parse(value, "f")
        except LuotaError as error:
            assert error.field.startswith("f")
            error.message.encode()
    parse_uuid(value)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0, 0),
        (90, 90),
        ("90", 90),
        ("90s", 90),
        ("5m", 300),
        ("2h", 7200),
        ("1d", 86400),
        ("3650d", 315360000),
    ],
)
def test_durations_take_seconds_or_a_unit(value, seconds):
    assert parse_duration(value, "graceSeconds") == seconds * 1000


@pytest.mark.parametrize(
    "value",
    [-1, "-1", "1.5s", 1.5, 60.0, True, None, "", "m", "5 m", "5w", "3651d", 10**30, "9" * 5000, "٥m"],
)
def test_other_durations_are_refused(value):
    assert refused(parse_duration, value, "graceSeconds").field == "graceSeconds"


@pytest.mark.parametrize("value", ["abc", 299, "31d"])
def test_a_refused_duration_names_the_bounds_of_its_own_field(value):
    bounds = {"minimum": 300_000, "maximum": 30 * 86_400_000}
    assert "from 5 min to 30 d." in refused(parse_duration, value, "f", **bounds).message
    assert "from 5 min to 30 d, or 0 for none." in refused(parse_duration, value, "f", **bounds, or_zero=True).message
    assert parse_duration(0, "f", **bounds, or_zero=True) == 0
    assert refused(parse_duration, 0, "f", **bounds).field == "f"


def test_durations_are_shown_in_short_words():
    assert format_duration(5_400_000) == "1 h 30 min"
    assert format_duration(90_061_000) == "1 d 1 h 1 min 1 s"
    assert format_duration(45_999) == "45 s"
    assert format_duration(0) == "0 s"
    assert format_duration(-60_000) == "-1 min"


def test_a_uuid_comes_back_in_canonical_form():
    text = "22222222-2222-4222-8222-22222222ABCD"
    assert parse_uuid(text) == text.lower()


@pytest.mark.parametrize(
    "value",
    [
        "22222222222242228222222222222222",
        "{22222222-2222-4222-8222-222222222222}",
        "urn:uuid:22222222-2222-4222-8222-222222222222",
        "22222222-2222-4222-8222-22222222222g",
        "22222222-2222-4222-8222-222222222222\n",
        "2222２222-2222-4222-8222-222222222222",
        "",
        None,
        7,
        b"22222222-2222-4222-8222-222222222222",
    ],
)
def test_what_is_no_uuid_is_none(value):
    assert parse_uuid(value) is None


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20))
def test_a_text_comes_back_exactly(text):
    assert parse_text(text, "f", maximum=20) == text


def test_a_text_is_counted_in_characters_and_its_bounds_are_told():
    assert parse_text("é" * 240, "summary", maximum=240) == "é" * 240
    assert "it has 241" in refused(parse_text, "é" * 241, "summary", maximum=240).message
    assert "empty" in refused(parse_text, "", "summary", minimum=1, maximum=240).message


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b", "\udc80"])
def test_a_text_that_cannot_be_stored_exactly_is_refused(text):
    refused(parse_text, text, "owner", maximum=10)


@given(st.text())
def test_every_name_has_a_slug_and_the_slug_is_one(name):
    slug = slug_of(name)
    assert parse_slug(slug, "slug") == slug


def test_a_slug_keeps_the_letters_under_the_accents():
    assert slug_of("Päivän raportti №1!") == "paivan-raportti-no1"
    assert slug_of("Straße") == "strasse"
    assert slug_of("日本語") == "unnamed"
    assert slug_of("a" * 62 + " b") == "a" * 62


@pytest.mark.parametrize("value", ["", "-a", "a-", "a--b", "A", "a_b", "ä", "a" * 64, "a\n", 3])
def test_what_is_no_slug_is_refused(value):
    assert refused(parse_slug, value, "slug").field == "slug"


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8080/hook",
        "https://example.org",
        "HTTPS://example.org/a?b=c#d",
        "https://user:pass@example.org/",
        "http://[::1]:9/",
        "https://ääkköset.example/",
    ],
)
def test_an_address_comes_back_unchanged(url):
    assert parse_http_url(url, "runbook") == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org",
        "//example.org/x",
        "ftp://example.org",
        "javascript:alert(1)",
        "http://",
        "http:///path",
        "http:example.org",
        "https://user:hunter2@",
        "https://user:hunter2@example.org:99999/",
        "https://user:hunter2@example.org:0/",
        "https://user:hunter2@[::1/",
        "https://user:hunter2@exa mple.org/",
        "https://user:hunter2@example.org\\@evil.example/",
        "https://user:hunter2@example.org/\nx",
        "https://user:hunter2@example.org/\x00",
        "https://user:hunter2@example.org/\ud800",
        "java\nscript://x",
        "https://user:hunter2@example.org/" + "a" * 2000,
        None,
        5,
    ],
)
def test_a_bad_address_is_refused_without_being_repeated(url):
    error = refused(parse_http_url, url, "runbook")
    assert error.field == "runbook"
    assert "hunter2" not in error.message


tag_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=120)


@given(st.dictionaries(tag_text.filter(lambda k: 1 <= len(k) <= 40), tag_text, max_size=16))
def test_tags_come_back_exactly(tags):
    assert parse_tags(tags, "tags") == tags


@pytest.mark.parametrize(
    ("tags", "field"),
    [
        ({"region": 5}, "tags.region"),
        ({"region": None}, "tags.region"),
        ({"region": "a" * 121}, "tags.region"),
        ({"region": "\0"}, "tags.region"),
        ({"region": "\ud800"}, "tags.region"),
        ({"k" * 41: "v"}, "tags." + "k" * 41),
        ({"k" * 101: "v"}, "tags"),
        ({"": "v"}, "tags"),
        ({"a\0": "v"}, "tags"),
        ({"\ud800": "v"}, "tags"),
        ({str(n): "v" for n in range(17)}, "tags"),
        (["a"], "tags"),
        ("a=b", "tags"),
    ],
)
def test_bad_tags_are_refused_by_path(tags, field):
    assert refused(parse_tags, tags, "tags").field == field
