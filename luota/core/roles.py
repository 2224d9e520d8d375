"""What members of a workspace may do (docs/roles.md): each role may all that those before it may."""

ROLES = ("viewer", "operator", "owner")
"""In rising order: to look; to change monitors, channels and incidents; to change members and the workspace."""


def allows(role: str | None, needed: str) -> bool:
    """Tell whether a member with `role` may do what needs the role `needed`; nobody without a role may anything."""
    least = ROLES.index(needed)
    return role in ROLES and ROLES.index(role) >= least
