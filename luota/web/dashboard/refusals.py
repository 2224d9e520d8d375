"""All that is wrong with a form at once, by rules that stop at the first input which they refuse."""

from collections.abc import Callable, Mapping
from typing import Any

from luota.core.errors import LuotaError
from luota.web.http import STATUS


def refusals(
    check: Callable[[dict[str, Any]], object],
    form: Mapping[str, Any],
    fine: Mapping[str, Any],
    field_of: Callable[[str], str] = str,
) -> dict[str, LuotaError]:
    """Return what `check` refuses of a form, by field, in the order of `fine`.

    `fine` has, for every field that can be to blame, a value that `check` takes: it stands in for what is refused, and
    the form is checked again. `field_of` returns the field of the form for the one that a refusal names. A refusal of
    anything else goes on to whoever called.
    """
    found: dict[str, LuotaError] = {}
    given = dict(form)
    while True:
        try:
            check(given)
        except LuotaError as error:
            field = field_of(error.field or "")
            if field not in fine:
                raise
            if field in found:  # it is another one that makes it wrong, and that one is not known
                break
            found[field] = error
            given[field] = fine[field]
        else:
            break
    return {field: found[field] for field in fine if field in found}


def status(refused: Mapping[str, LuotaError]) -> int:
    """Return the status of the page with the form: that of the first refusal, 200 if there is none."""
    return next((STATUS[error.code] for error in refused.values()), 200)


def messages(refused: Mapping[str, LuotaError]) -> dict[str, str]:
    """Return what was said of each field."""
    return {field: error.message for field, error in refused.items()}
