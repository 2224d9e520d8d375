"""Settings: defaults, then a TOML file, then LUOTA_… variables, then flags, each winning over the last."""

import contextlib
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from luota.core.errors import Code, LuotaError, invalid
from luota.settings import SETTINGS, Network, WrongValueError


@dataclass(frozen=True, slots=True)
class Server:
    """Section `[server]`: where the daemon listens and how the world names it."""

    host: str = "127.0.0.1"
    port: int = 8080
    public_url: str | None = None
    trusted_proxies: tuple[Network, ...] = ()
    access_log: bool = True

    @property
    def base_url(self) -> str:
        """Return the address for links and snippets, without a slash at its end.

        That is `public_url`; without one it is derived from host and port, where a host that stands for
        every address of this machine becomes `localhost`.
        """
        if self.public_url is not None:
            return self.public_url
        host = "localhost" if self.host in {"", "0.0.0.0", "::"} else self.host  # noqa: S104 - not a bind
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """Section `[limits]`: requests allowed to the ingest API; 0 turns one off (docs/api.md)."""

    monitor_per_minute: int = 60
    monitor_per_hour: int = 1000
    workspace_per_minute: int = 3000
    ip_per_minute: int = 600


@dataclass(frozen=True, slots=True)
class Alerts:
    """Section `[alerts]`: where notices may go, beside the rules that hold by default, and by which HTTP proxy."""

    allow_networks: tuple[Network, ...] = ()
    deny_networks: tuple[Network, ...] = ()
    proxy: str | None = None


@dataclass(frozen=True, slots=True)
class Email:
    """Section `[email]`: the operator's SMTP server; without a host no email is sent.

    `security` is `starttls`, `tls` (from the first byte on) or `plain`. `load` sees to it that a host comes
    with a sender, and a user name with one of password and password file. `repr` holds no password.
    """

    host: str | None = None
    port: int | None = None
    security: str = "starttls"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    password_file: Path | None = None
    sender: str | None = None

    @property
    def usual_port(self) -> int:
        """Return `port`; without one it is 587, 465 or 25, as `security` has it (RFC 8314, section 3.3)."""
        return self.port or {"starttls": 587, "tls": 465}.get(self.security, 25)

    def read_password(self) -> str:
        """Return the password, of the file as it is now; a newline at its end is none of it.

        UNAVAILABLE, naming the file, when it cannot be read or holds nothing.
        """
        if self.password_file is None:
            return self.password or ""
        try:
            text = self.password_file.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
            fault = "" if text else "it is empty"
        except (OSError, UnicodeDecodeError) as error:
            fault = getattr(error, "strerror", None) or "it is not UTF-8 text"
        if fault:
            raise LuotaError(Code.UNAVAILABLE, f"{self.password_file}, the password file of [email]: {fault}")
        return text


@dataclass(frozen=True, slots=True)
class Config:
    """Every setting of one process."""

    data_dir: Path
    server: Server = field(default_factory=Server)
    limits: LimitSettings = field(default_factory=LimitSettings)
    alerts: Alerts = field(default_factory=Alerts)
    email: Email = field(default_factory=Email)


def load(path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, Any]) -> Config:
    """Return the settings that hold, as `check` finds them; raises the first of its mistakes."""
    config, mistakes = check(path, environ, overrides)
    if config is None:
        raise mistakes[0]
    return config


def check(
    path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, Any]
) -> tuple[Config | None, list[LuotaError]]:
    """Return the settings that hold, with every value checked, or None and all that is wrong with them.

    `path` is the TOML file, else the one that LUOTA_CONFIG names, else there is none. `overrides` are
    flags by setting (`server.port`); None counts as not given. A variable without a value counts as not
    set. A relative path is taken from the directory of the file that gives it, else from the working
    directory; nobody giving `data_dir`, it is $STATE_DIRECTORY (systemd's; the first of several), else
    `./luota-data`.

    A mistake is INVALID, with the setting (of a flag: the flag) as field, for what cannot be read and for every
    value and name that is not a setting's; the message names the source, what is allowed and the nearest known name.
    """
    if path is None and environ.get("LUOTA_CONFIG"):
        path = Path(environ["LUOTA_CONFIG"])
    mistakes: list[LuotaError] = []
    values: dict[str, Any] = {}
    if path is not None:
        values |= _from_file(path, mistakes)
    values |= _from_environ(environ, mistakes)
    for name, value in overrides.items():
        if value is not None:
            with _noted(mistakes):
                values[name] = _checked(name, value, _flag(name), field=_flag(name))
    state_directory = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    sections: dict[str, dict[str, Any]] = {section: {} for section in _SECTIONS}
    for name, value in values.items():
        section, _, key = name.rpartition(".")
        if section:
            sections[section][key] = value
    if mistakes:
        return None, mistakes
    with _noted(mistakes):
        config = Config(
            data_dir=values.get("data_dir") or Path(state_directory or "luota-data"),
            server=Server(**sections["server"]),
            limits=LimitSettings(**sections["limits"]),
            alerts=Alerts(**sections["alerts"]),
            email=_whole(Email(**sections["email"])),
        )
        return config, []
    return None, mistakes


@contextlib.contextmanager
def _noted(mistakes: list[LuotaError]) -> Iterator[None]:
    """Add the refusal of what is done inside to `mistakes`, and go on."""
    try:
        yield
    except LuotaError as mistake:
        mistakes.append(mistake)


def _whole(email: Email) -> Email:
    """Return the section if its settings go together."""
    secrets = [key for key in ("password", "password_file") if getattr(email, key) is not None]
    given = [key for key in ("sender", "username", *secrets) if getattr(email, key) is not None]
    for wrong, key, message in (
        (email.host is None and given, "host", f"has {' and '.join(given)}, but no host: name the SMTP server."),
        (email.host and not email.sender, "sender", 'has no sender: give the address of notices, "luota@example.org".'),
        (len(secrets) > 1, "password", "has both password and password_file: keep one of them."),
        (secrets and not email.username, "username", f"has {' and '.join(secrets)}, but no username."),
        (email.username and not secrets, "password", "has username, but neither password nor password_file."),
    ):
        if wrong:
            raise invalid(f"email.{key}", f"[email] {message}")
    return email


def describe(config: Config) -> dict[str, Any]:
    """Return all settings as the TOML file would give them, by section, for people; of a password whether it is set."""
    doc: dict[str, Any] = {"data_dir": str(config.data_dir.absolute())}
    for name in SETTINGS:
        section, _, key = name.rpartition(".")
        if section:
            value = getattr(getattr(config, section), key)
            shown = str(value) if isinstance(value, Path) else value
            doc.setdefault(section, {})[key] = [str(v) for v in value] if isinstance(value, tuple) else shown
    doc["server"]["public_url"] = config.server.base_url
    doc["email"] |= {"port": config.email.usual_port, "password": "set" if config.email.password else "not set"}
    return doc


def variable(name: str) -> str:
    """Return the environment variable of a setting: `server.port` is LUOTA_SERVER_PORT."""
    return "LUOTA_" + name.replace(".", "_").upper()


_SECTIONS = tuple(dict.fromkeys(name.partition(".")[0] for name in SETTINGS if "." in name))
_VARIABLES = {variable(name): name for name in SETTINGS}
# What snippets tell jobs to set (docs/api.md), and the name of the file itself.
_NOT_SETTINGS = {"LUOTA_API_BASE_URL", "LUOTA_INGEST_TOKEN", "LUOTA_MONITOR_ID", "LUOTA_CONFIG", "LUOTA_DEBUG"}


def _from_file(path: Path, mistakes: list[LuotaError]) -> dict[str, Any]:
    doc: dict[str, Any] = {}
    with _noted(mistakes):
        doc = _toml(path)
    values: dict[str, Any] = {}
    for key, value in doc.items():
        inner = value if key in _SECTIONS else {key: value}
        section = key if key in _SECTIONS else ""
        if not isinstance(inner, dict):
            mistakes.append(invalid(key, f"{path}: {key} is a section: write [{key}] and its keys below."))
            continue
        for inner_key, inner_value in inner.items():
            with _noted(mistakes):
                values |= _from_key(path, section, inner_key, inner_value)
    for name in ("data_dir", "email.password_file"):
        if values.get(name) is not None:
            values[name] = path.parent / values[name]
    return values


def _toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise invalid("config", f"Cannot read the config file {path}: {error.strerror}.") from None
    except tomllib.TOMLDecodeError as error:
        raise invalid("config", f"{path} is not valid TOML: {error}.") from None
    except (UnicodeDecodeError, RecursionError):
        raise invalid("config", f"{path} is not valid TOML: it must be UTF-8 text.") from None
    except ValueError:  # of int(), beyond 4300 digits
        raise invalid("config", f"{path} holds a number that is out of range.") from None


def _from_key(path: Path, section: str, key: str, value: object) -> dict[str, Any]:
    name = f"{section}.{key}" if section else key
    if name not in SETTINGS:
        here = f"{path}: [{section}]" if section else f"{path}:"
        raise invalid(name, f"{here} {key} is not a setting. {_nearest_key(section, key)}")
    return {name: _checked(name, value, f"{path}: {_in_file(name)}")}


def _in_file(name: str) -> str:
    section, _, key = name.rpartition(".")
    return f"[{section}] {key}" if section else key


def _nearest_key(section: str, key: str) -> str:
    """Return a sentence with the known name nearest to `key`; one of the same section is nearer."""
    siblings = [name.rpartition(".")[2] for name in SETTINGS if name.rpartition(".")[0] == section]
    if not section:
        siblings.extend(_SECTIONS)
    if near := _near(key, siblings):
        return f"Did you mean {near}?"
    elsewhere = {name.rpartition(".")[2]: name for name in reversed(list(SETTINGS))}  # of two the first section's
    if near := _near(key, elsewhere):
        return f"Did you mean {_in_file(elsewhere[near])}?"
    return f"Known are {', '.join(siblings)}."


def _near(name: str, known: Iterable[str]) -> str | None:
    found = get_close_matches(name.lower()[:100], list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def _from_environ(environ: Mapping[str, str], mistakes: list[LuotaError]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, text in environ.items():
        if not key.startswith("LUOTA_") or key in _NOT_SETTINGS:
            continue
        name = _VARIABLES.get(key)
        if name is None:
            near = _near(key.lower(), {known.lower() for known in _VARIABLES})
            hint = f"Did you mean {near.upper()}?" if near else f"Known are {', '.join(_VARIABLES)}."
            mistakes.append(invalid(key, f"The variable {key} is not a setting. {hint}"))
        elif text:
            with _noted(mistakes):
                values[name] = _checked(name, SETTINGS[name].from_text(text), key)
    return values


def _flag(name: str) -> str:
    return "--" + name.rpartition(".")[2].replace("_", "-")


def _checked(name: str, value: object, where: str, *, field: str | None = None) -> Any:
    """Return a setting's value, or raise INVALID that says where it stands and what is allowed."""
    kind = SETTINGS[name]
    try:
        return kind.read(value)
    except LuotaError as error:
        raise invalid(field or name, f"{where} is wrong: {error.message}") from None
    except WrongValueError as error:
        detail = f": {error}" if str(error) else ""
        raise invalid(field or name, f"{where} must be {kind.allowed}{detail}.") from None
