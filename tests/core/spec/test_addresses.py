import pytest
from hypothesis import given
from hypothesis import strategies as st

from luota.core.errors import Code, LuotaError
from luota.core.spec.addresses import MAX_RECIPIENTS, parse_address, parse_addresses


def refusal(parse, value):
    with pytest.raises(LuotaError) as caught:
        parse(value, "to")
    assert caught.value.code is Code.INVALID
    return caught.value


@pytest.mark.parametrize(
    "address",
    [
        "ann@example.org",
        "ann.b+luota@mail.example.org",
        "root@localhost",
        "o'neill@example.org",
        "a@xn--bcher-kva.example",
        "Ann@Example.ORG",
        "a" * 64 + "@example.org",
    ],
)
def test_an_address_is_returned_unchanged(address):
    assert parse_address(address, "to") == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ann",
        "@example.org",
        "ann@",
        "ann@@example.org",
        "ann@b@example.org",
        "Ann <ann@example.org>",
        "<ann@example.org>",
        "ann@example.org, bob@example.org",
        "ann@example.org\n",
        "ann@example.org\r\nBcc: eve@example.org",
        "ann@example.org SIZE=1",
        "ann@example.org>",
        '"ann b"@example.org',
        "ann@[127.0.0.1]",
        "ann(x)@example.org",
        ".ann@example.org",
        "ann..b@example.org",
        "ann@-example.org",
        "ann@example..org",
        "ann@example.org.",
        "=?utf-8?q?ann?=@example.org",
        "ann\0@example.org",
        "a" * 65 + "@example.org",
        "ann@" + "a" * 64 + ".org",
        "ann@" + "a." * 130 + "org",
        "än@example.org",
        "ann@bücher.example",
        "ann@exa\u202emple.org",
    ],
)
def test_what_is_no_plain_address_is_refused_by_field(text):
    assert refusal(parse_address, text).field == "to"


@given(st.text(st.sampled_from("ab.@ <>\r\n\t,;:\"'=?\\()[]%!é\0"), max_size=30) | st.text(max_size=30))
def test_whatever_is_accepted_can_stand_in_a_header_and_in_a_command_as_it_is(text):
    try:
        address = parse_address(text, "to")
    except LuotaError:
        return
    assert address.isascii()
    assert address.isprintable()
    assert not set(address) & set(' <>,;:"()[]\\')
    assert address.count("@") == 1
    assert "=?" not in address


def test_a_list_gives_each_address_once_in_its_order():
    assert parse_addresses(["b@x", "a@x", "b@x"], "to") == ("b@x", "a@x")


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (None, "to"),
        ("a@x", "to"),
        ([], "to"),
        ([f"a{n}@x" for n in range(MAX_RECIPIENTS + 1)], "to"),
        (["a@x", "b"], "to.1"),
        ([["a@x"]], "to.0"),
    ],
)
def test_a_list_that_is_none_is_refused_naming_the_one_that_is_wrong(value, field):
    assert refusal(parse_addresses, value).field == field
