"""The one refusal, and how a surface says it with a word of its own for the field."""

import pytest

from luota.core.errors import invalid, reworded

WORDS = {"tags": "--tag", "graceSeconds": "--grace"}


def test_a_refusal_that_begins_with_its_field_begins_with_the_surfaces_word_for_it():
    assert reworded(invalid("graceSeconds", "graceSeconds must be more."), WORDS) == "--grace must be more."


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("slug", "slug tags is taken"),
        ("tags", "A key in tags must be a text."),
        ("tags.a", "tags.a must be a text."),
        ("tags", "tagsoup is no tag."),
        ("monitor", "tags is not known"),
        (None, "tags is not known"),
    ],
)
def test_what_is_not_the_field_at_the_beginning_stays(field, message):
    assert reworded(invalid(field, message), WORDS) == message


def test_what_follows_the_field_is_repeated_as_it_is():
    assert (
        reworded(invalid("tags", "tags may not hold tags graceSeconds"), WORDS)
        == "--tag may not hold tags graceSeconds"
    )
