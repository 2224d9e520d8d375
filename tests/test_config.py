import re
from ipaddress import ip_network
from pathlib import Path

import pytest

from luota.config import SETTINGS, Alerts, Config, Email, LimitSettings, Server, describe, load, variable
from luota.core.errors import Code, LuotaError

EXAMPLE = Path(__file__).parents[1] / "config.example.toml"


def write(tmp_path, text):
    path = tmp_path / "luota.toml"
    path.write_text(text)
    return path


def refusal(path=None, environ=None, overrides=None):
    with pytest.raises(LuotaError) as caught:
        load(path, environ or {}, overrides or {})
    assert caught.value.code is Code.INVALID
    return caught.value


def test_without_any_source_the_defaults_hold():
    assert load(None, {}, {}) == Config(Path("luota-data"), Server(), LimitSettings(60, 1000, 3000, 600), Alerts())
    assert load(None, {}, {}).server == Server("127.0.0.1", 8080, None, (), True)


def test_flags_win_over_variables_which_win_over_the_file_which_wins_over_defaults(tmp_path):
    path = write(tmp_path, '[server]\nhost = "10.0.0.1"\nport = 1\naccess_log = false\n')
    config = load(path, {"LUOTA_SERVER_PORT": "2", "LUOTA_SERVER_HOST": "10.0.0.2"}, {"server.port": 3})
    assert (config.server.port, config.server.host, config.server.access_log) == (3, "10.0.0.2", False)
    assert config.limits == LimitSettings()


def test_a_flag_that_was_not_given_changes_nothing():
    assert load(None, {"LUOTA_SERVER_PORT": "2"}, {"server.port": None}).server.port == 2


def test_the_file_may_be_named_by_a_variable_and_a_given_path_wins(tmp_path):
    one = write(tmp_path, "[server]\nport = 1\n")
    two = tmp_path / "two.toml"
    two.write_text("[server]\nport = 2\n")
    assert load(None, {"LUOTA_CONFIG": str(one)}, {}).server.port == 1
    assert load(two, {"LUOTA_CONFIG": str(one)}, {}).server.port == 2


def test_every_setting_can_be_given_by_its_variable():
    texts = {
        "data_dir": ("/d", Path("/d")),
        "server.host": ("::1", "::1"),
        "server.port": ("81", 81),
        "server.public_url": ("https://luota.example/", "https://luota.example"),
        "server.trusted_proxies": ("10.0.0.1, fd00::/8", (ip_network("10.0.0.1"), ip_network("fd00::/8"))),
        "server.access_log": ("off", False),
        "limits.monitor_per_minute": ("0", 0),
        "limits.monitor_per_hour": ("1", 1),
        "limits.workspace_per_minute": ("2", 2),
        "limits.ip_per_minute": ("3", 3),
        "alerts.allow_networks": ("127.0.0.0/8", (ip_network("127.0.0.0/8"),)),
        "alerts.deny_networks": ("0.0.0.0/0", (ip_network("0.0.0.0/0"),)),
        "alerts.proxy": ("http://proxy.example.org:3128/", "http://proxy.example.org:3128"),
        "email.host": ("[::1]", "::1"),
        "email.port": ("2525", 2525),
        "email.security": ("plain", "plain"),
        "email.username": ("luota", "luota"),
        "email.password": ("pass word", "pass word"),
        "email.password_file": ("/run/secret", Path("/run/secret")),
        "email.sender": ("luota@example.org", "luota@example.org"),
    }
    assert set(texts) == set(SETTINGS)
    environ = {variable(name): text for name, (text, _) in texts.items()}
    config = load(None, {k: v for k, v in environ.items() if k != "LUOTA_EMAIL_PASSWORD"}, {})
    other = load(None, {k: v for k, v in environ.items() if k != "LUOTA_EMAIL_PASSWORD_FILE"}, {})
    assert (other.email.password, other.email.password_file) == (texts.pop("email.password")[1], None)
    for name, (_, expected) in texts.items():
        value = config
        for part in name.split("."):
            value = getattr(value, part)
        assert value == expected, name


def test_an_empty_variable_counts_as_not_set():
    assert load(None, {"LUOTA_SERVER_PORT": "", "LUOTA_CONFIG": "", "STATE_DIRECTORY": ""}, {}) == load(None, {}, {})


def test_the_data_directory_falls_back_to_that_of_systemd(tmp_path):
    systemd = {"STATE_DIRECTORY": "/var/lib/luota:/var/lib/more"}
    assert load(None, systemd, {}).data_dir == Path("/var/lib/luota")
    assert load(None, systemd | {"LUOTA_DATA_DIR": "/srv"}, {}).data_dir == Path("/srv")
    assert load(write(tmp_path, 'data_dir = "/x"'), systemd, {}).data_dir == Path("/x")


def test_a_relative_data_directory_in_the_file_is_taken_from_the_directory_of_the_file(tmp_path):
    assert load(write(tmp_path, 'data_dir = "here"'), {}, {}).data_dir == tmp_path / "here"


def test_a_tilde_is_the_home_directory(monkeypatch):
    monkeypatch.setenv("HOME", "/home/x")
    assert load(None, {"LUOTA_DATA_DIR": "~/luota"}, {}).data_dir == Path("/home/x/luota")


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        (Server(), "http://127.0.0.1:8080"),
        (Server(host="0.0.0.0", port=80), "http://localhost:80"),
        (Server(host="::"), "http://localhost:8080"),
        (Server(host="fd00::1"), "http://[fd00::1]:8080"),
        (Server(public_url="https://luota.example"), "https://luota.example"),
    ],
)
def test_the_base_address_is_the_public_one_or_made_of_host_and_port(server, expected):
    assert server.base_url == expected


@pytest.mark.parametrize(
    ("text", "field", "parts"),
    [
        ("[server]\nprot = 1", "server.prot", ["[server] prot", "Did you mean port?"]),
        ("port = 1", "port", ["port is not a setting", "Did you mean [server] port?"]),
        ("[servre]\nport = 1", "servre", ["Did you mean server?"]),
        ("datadir = '/x'", "datadir", ["Did you mean data_dir?"]),
        ("[alerts]\nxyzzy = 1", "alerts.xyzzy", ["Known are allow_networks, deny_networks, proxy."]),
        ('[alerts]\nproxy = "http://a:b@c:1"', "alerts.proxy", ["http:// or https://", "no user"]),
        ('[alerts]\nproxy = "socks5://c:1"', "alerts.proxy", ["http"]),
        ("[limits]\npublic_url = 'http://x'", "limits.public_url", ["Did you mean [server] public_url?"]),
        ("server = 1", "server", ["write [server]"]),
        ("[server]\nport = '80'", "server.port", ["[server] port must be a whole number from 0 to 65535"]),
        ("[server]\nport = true", "server.port", ["whole number"]),
        ("[server]\nport = 65536", "server.port", ["whole number"]),
        ("[server]\nhost = ''", "server.host", ["an address or a name"]),
        ("[server]\nhost = 'http://x'", "server.host", ["an address or a name"]),
        ("[server]\naccess_log = 'yes'", "server.access_log", ["true or false"]),
        ("[server]\npublic_url = 'luota.example'", "server.public_url", ["http://"]),
        ("[server]\npublic_url = 'http://x/?a=1'", "server.public_url", ["no user, query or fragment"]),
        ("[limits]\nip_per_minute = -1", "limits.ip_per_minute", ["from 0"]),
        ("[limits]\nip_per_minute = 1.5", "limits.ip_per_minute", ["whole number"]),
        ("[alerts]\nallow_networks = '127.0.0.0/8'", "alerts.allow_networks", ["a list of networks"]),
        ("[alerts]\nallow_networks = [1]", "alerts.allow_networks", ["it holds a number"]),
        ("[alerts]\nallow_networks = ['x']", "alerts.allow_networks", ["'x' is none"]),
        ("[alerts]\nallow_networks = ['10.0.0.1/8']", "alerts.allow_networks", ["write '10.0.0.0/8'"]),
        ("[email]\nsecurity = 'ssl'", "email.security", ['"starttls", "tls" or "plain"']),
        ("[email]\nport = 0", "email.port", ["from 1"]),
        ("[email]\nsender = 'Luota <luota@example.org>'", "email.sender", ["such as ann@example.org"]),
        ("data_dir = 3", "data_dir", ["the path of a directory"]),
        ("[server]\nport == 1", "config", ["is not valid TOML", "line 2"]),
        (f"[server]\nport = {'9' * 5000}", "config", ["a number that is out of range"]),
    ],
)
def test_a_mistake_in_the_file_is_refused_naming_file_key_and_what_is_allowed(tmp_path, text, field, parts):
    path = write(tmp_path, text)
    error = refusal(path)
    assert error.field == field
    for part in [str(path), *parts]:
        assert part in error.message


@pytest.mark.parametrize("name", ["alerts.deny_networks", "alerts.allow_networks", "server.trusted_proxies"])
@pytest.mark.parametrize(
    ("mapped", "plain"),
    [
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::FFFF:a00:1", "10.0.0.1/32"),
        ("0:0:0:0:0:ffff:a9fe:0/112", "169.254.0.0/16"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
    ],
)
def test_a_network_of_ipv4_in_the_form_of_ipv6_is_refused_with_the_one_that_covers_its_addresses(name, mapped, plain):
    message = refusal(environ={variable(name): mapped}).message
    assert f"{mapped!r} is a network of IPv4 in the form of IPv6: write {plain!r}" in message
    assert load(None, {variable(name): plain}, {})


@pytest.mark.parametrize("network", ["::/0", "::/64", "::ffff:0:0:0/96", "::fffe:0:0/96", "64:ff9b::/96", "::/96"])
def test_other_networks_of_ipv6_are_taken_as_they_are(network):
    assert load(None, {"LUOTA_ALERTS_DENY_NETWORKS": network}, {}).alerts.deny_networks == (ip_network(network),)


def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path):
    assert f"{tmp_path / 'none.toml'}: No such file" in refusal(tmp_path / "none.toml").message
    assert f"{tmp_path}: Is a directory" in refusal(None, {"LUOTA_CONFIG": str(tmp_path)}).message


def test_a_file_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "x.toml"
    path.write_bytes(b"\xff\xfe")
    assert "not valid TOML" in refusal(path).message


def test_an_unknown_variable_is_refused_with_the_nearest_known_one():
    error = refusal(environ={"LUOTA_SERVER_PROT": "1"})
    assert error.field == "LUOTA_SERVER_PROT"
    assert "Did you mean LUOTA_SERVER_PORT?" in error.message


def test_a_wrong_variable_is_refused_by_its_name():
    assert "LUOTA_SERVER_PORT must be a whole number" in refusal(environ={"LUOTA_SERVER_PORT": "x"}).message
    assert "LUOTA_SERVER_ACCESS_LOG must be true or" in refusal(environ={"LUOTA_SERVER_ACCESS_LOG": "ja"}).message


def test_a_wrong_flag_is_refused_by_its_name():
    assert refusal(overrides={"server.port": 70000}).message.startswith("--port must be a whole number")


def test_the_variables_of_jobs_are_not_settings():
    environ = {"LUOTA_API_BASE_URL": "x", "LUOTA_INGEST_TOKEN": "x", "LUOTA_MONITOR_ID": "x", "OTHER": "x"}
    assert load(None, environ, {}) == load(None, {}, {})


def test_the_example_changes_nothing_as_it_stands():
    assert load(EXAMPLE, {}, {}) == load(None, {}, {})


def test_the_example_holds_every_setting_with_its_default(tmp_path):
    bare = re.sub(r"^#(?=\w+ = )", "", EXAMPLE.read_text(), flags=re.M)
    held, section = set(), ""
    for line in bare.splitlines():
        if match := re.fullmatch(r"\[(\w+)\]", line):
            section = match[1] + "."
        elif match := re.match(r"(\w+) = ", line):
            held.add(section + match[1])
    assert held == set(SETTINGS)
    config = load(write(tmp_path, bare), {}, {})
    default = load(None, {}, {"data_dir": tmp_path / "luota-data"})
    assert describe(config) == describe(default)


def test_the_description_has_every_setting_as_the_file_would_give_it():
    doc = describe(load(None, {"LUOTA_ALERTS_DENY_NETWORKS": "10.0.0.0/8", "LUOTA_DATA_DIR": "/d"}, {}))
    assert {f"{s}.{k}" for s in ("server", "limits", "alerts", "email") for k in doc[s]} | {"data_dir"} == set(SETTINGS)
    assert doc["alerts"]["deny_networks"] == ["10.0.0.0/8"]
    assert (doc["data_dir"], doc["server"]["port"]) == ("/d", 8080)


RELAY = {"LUOTA_EMAIL_HOST": "mail.example.org", "LUOTA_EMAIL_SENDER": "luota@example.org"}


@pytest.mark.parametrize(("security", "port"), [("starttls", 587), ("tls", 465), ("plain", 25)])
def test_the_port_for_email_follows_from_its_security_unless_given(security, port):
    email = load(None, RELAY | {"LUOTA_EMAIL_SECURITY": security}, {}).email
    assert (email.port, email.usual_port) == (None, port)
    assert load(None, RELAY | {"LUOTA_EMAIL_PORT": "2525"}, {}).email.usual_port == 2525


@pytest.mark.parametrize(
    ("email", "field", "part"),
    [
        ({"sender": "a@b.c"}, "email.host", "[email] has sender, but no host"),
        ({"username": "a", "password": "b"}, "email.host", "[email] has username and password, but no host"),
        ({"host": "x"}, "email.sender", "no sender"),
        (
            {"host": "x", "sender": "a@b", "username": "a", "password": "b", "password_file": "c"},
            "email.password",
            "both",
        ),
        ({"host": "x", "sender": "a@b", "password": "b"}, "email.username", "has password, but no username"),
        ({"host": "x", "sender": "a@b", "username": "b"}, "email.password", "neither password nor"),
    ],
)
def test_settings_of_email_that_do_not_go_together_are_refused(email, field, part):
    error = refusal(environ={f"LUOTA_EMAIL_{key.upper()}": value for key, value in email.items()})
    assert error.field == field
    assert part in error.message


def test_the_password_for_email_stands_in_no_description_no_repr_and_no_error(tmp_path):
    login = RELAY | {"LUOTA_EMAIL_USERNAME": "luota"}
    config = load(None, login | {"LUOTA_EMAIL_PASSWORD": "sEcReT"}, {})
    assert describe(config)["email"]["password"] == "set"
    assert describe(load(None, {}, {}))["email"]["password"] == "not set"
    assert "sEcReT" not in repr(config) + str(describe(config))
    assert "sEcReT" not in refusal(environ=login | {"LUOTA_EMAIL_PASSWORD": "sEcReT\n"}).message
    assert "sEcReT" not in refusal(environ=RELAY | {"LUOTA_EMAIL_PASSWORD": "sEcReT"}).message
    assert "sEcReT" not in refusal(write(tmp_path, "[email]\npassword = ['sEcReT']")).message


def test_the_password_file_is_read_when_it_is_needed_beside_the_file_that_names_it(tmp_path):
    path = write(tmp_path, '[email]\nhost = "x"\nsender = "a@b"\nusername = "u"\npassword_file = "smtp"\n')
    email = load(path, {}, {}).email
    with pytest.raises(LuotaError, match="smtp, the password file of .email.: No such file"):
        email.read_password()
    (tmp_path / "smtp").write_bytes(b"\n")
    with pytest.raises(LuotaError, match="it is empty"):
        email.read_password()
    (tmp_path / "smtp").write_bytes(b"\xff")
    with pytest.raises(LuotaError, match="not UTF-8"):
        email.read_password()
    (tmp_path / "smtp").write_text(" p\u00e4ss \r\n")
    assert email.read_password() == " p\u00e4ss "
    assert Email(password="x").read_password() == "x"
