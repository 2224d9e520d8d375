"""Who may do what: each role may all that those before it may, and a stranger nothing."""

import pytest

from luota.core.roles import ROLES, allows


def test_each_role_may_what_the_lower_ones_may_and_nothing_of_the_higher_ones():
    assert ROLES == ("viewer", "operator", "owner")
    table = {role: [allows(role, needed) for needed in ROLES] for role in ROLES}
    assert table == {
        "viewer": [True, False, False],
        "operator": [True, True, False],
        "owner": [True, True, True],
    }


@pytest.mark.parametrize("role", [None, "", "god", "Owner"])
def test_nobody_without_a_role_may_anything(role):
    assert not any(allows(role, needed) for needed in ROLES)


def test_a_need_that_is_no_role_is_a_defect_and_not_a_permission():
    with pytest.raises(ValueError, match="not in tuple"):
        allows("owner", "admin")
