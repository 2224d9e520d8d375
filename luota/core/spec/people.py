"""What people are called, may do and sign in with, and what is kept of a workspace (docs/roles.md)."""

import re
from typing import Any

from luota.core.errors import invalid
from luota.core.roles import ROLES
from luota.core.spec.values import is_nameable, kind_of, parse_slug, parse_text

LEAST_PASSWORD = 12
MAX_PASSWORD = 256
MAX_NAME = 120

_EMAIL = re.compile(r"[^@\s<>,;\"]+@[^@\s<>,;\"]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

RETENTION = {
    "retentionDays": ("retention_days", 1, 3650),
    "retentionCount": ("retention_count", 100, 1_000_000),
    "incidentRetentionDays": ("incident_retention_days", 1, 36_500),
}
"""What a workspace keeps: the key in a document, the column, the least and the most."""
RETENTION_WORDS = {
    "retentionDays": "days to keep signals",
    "retentionCount": "signals to keep of each monitor",
    "incidentRetentionDays": "days to keep incidents",
}
"""What people read in place of these keys."""


def parse_email(value: object) -> str:
    """Return the address by which a person signs in, in lower case; INVALID for what is none."""
    email = parse_text(value, "email", minimum=1, maximum=254).lower()
    if not _EMAIL.fullmatch(email) or not email.isprintable():
        raise invalid("email", "email must be an address such as ann@example.org.")
    return email


def parse_person_name(value: object, email: str) -> str:
    """Return a person's name of 1 to 120 characters; nobody giving one, the part of `email` before the @."""
    if value is None:
        return email.partition("@")[0][:MAX_NAME]
    return _name(value, least=0 if value else 1)


def parse_role(value: object) -> str:
    """Return one of the roles; INVALID for anything else."""
    if value not in ROLES:
        raise invalid("role", f"role must be one of {', '.join(ROLES)}.")
    return str(value)


def parse_password(value: object) -> str:
    """Return a password unchanged if it has 12 to 256 characters; no message repeats it."""
    password = parse_text(value, "password", maximum=MAX_PASSWORD)
    if len(password) < LEAST_PASSWORD:
        raise invalid("password", f"password must have at least {LEAST_PASSWORD} characters.")
    return password


def parse_user(doc: dict[str, Any]) -> tuple[str, str, str, str]:
    """Return email (in lower case), name, role and password of a new user; INVALID names what is wrong.

    The role is `owner` unless `doc` gives one.
    """
    return *parse_invited(doc), parse_password(doc.get("password"))


def parse_invited(doc: dict[str, Any]) -> tuple[str, str, str]:
    """Return what `parse_user` does but the password, which the user chooses."""
    email = parse_email(doc.get("email"))
    name = parse_person_name(doc.get("name"), email)
    role = "owner" if doc.get("role") is None else parse_role(doc["role"])
    return email, name, role


def parse_workspace(name: object, slug: object) -> tuple[str, str | None]:
    """Return name and slug of a new workspace; None for a slug that nobody chose."""
    return _name(name), None if slug is None or slug == "" else parse_slug(slug, "slug")


def parse_workspace_changes(doc: dict[str, Any]) -> dict[str, str | int]:
    """Return the changes of a workspace by column.

    `name` has 1 to 120 characters; the bounds of numbers stand in RETENTION. INVALID names the key, also
    one that is unknown.
    """
    known = ("name", *RETENTION)
    for key in doc:
        if key not in known:
            raise invalid(key if is_nameable(key) else "body", f"Of a workspace one can change {', '.join(known)}.")
    changes: dict[str, str | int] = {}
    if "name" in doc:
        changes["name"] = _name(doc["name"])
    for key, (column, least, most) in RETENTION.items():
        if key in doc:
            value = doc[key]
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
                given = value if isinstance(value, int) and not isinstance(value, bool) else kind_of(value)
                but = "" if value == "" else f", not {given}"  # an empty field of a form
                raise invalid(key, f"{key} must be a whole number from {least:,} to {most:,}{but}.")
            changes[column] = value
    return changes


def _name(value: object, least: int = 1) -> str:
    name = parse_text(value, "name", minimum=least, maximum=MAX_NAME)
    if not name.strip() or _CONTROL.search(name):  # it stands in tables of the CLI
        raise invalid("name", "name must be one line of text without control characters.")
    return name
