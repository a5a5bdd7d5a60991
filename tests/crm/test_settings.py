"""The settings: read from the environment, refusing what they cannot use by name, value and what it should be."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from crm import settings as house

ROOT = Path(__file__).resolve().parents[2]


def settings_with(home: Path, **environ: str) -> subprocess.CompletedProcess:
    """Read the settings in a fresh process and print some of them."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    code = "from crm import settings as s; print(s.SECRET_KEY, s.DEMO_PASSWORD, s.SESSION_COOKIE_SECURE, s.HTTPS)"
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=kept | {"EARSHOT_HOME": str(home)} | environ,
        capture_output=True,
        text=True,
        timeout=60,
    )


# A wrong value for each way in which a setting is read, and what the refusal says.
WRONG = {
    "env_int": ("many", "a whole number from"),
    "env_bool": ("maybe", "1 or 0"),
    "env_url": ("nowhere.example", "an address that begins with"),
    "env_networks": ("proxy.local", "an IP address or network"),
    "env_hosts": ("https://care.example.com", "names such as"),
    "env_origins": ("care.example.com", "origins such as"),
    "env_folder": ("/dev/null/home", "a folder that"),
}
SOURCE = (ROOT / "crm" / "settings.py").read_text()
READ = sorted(set(re.findall(r'(env_[a-z]+)\(\s*"([A-Z_]+)"', SOURCE)))
# Any text will do for these, or a test below refuses them in its own words.
FREE = {"HOST", "DEMO_PASSWORD", "EARSHOT_ROLE", "EMAIL_HOST", "EMAIL_HOST_USER", "EMAIL_HOST_PASSWORD"} | {
    "SECRET_KEY_FALLBACKS"
}
OWN_WORDS = {
    "LOG_LEVEL": ("LOUD", "DEBUG, INFO"),
    "DEFAULT_FROM_EMAIL": ("nobody", "an address such as"),
    "SECRET_KEY": ("short", "at least 32 characters"),
    "PUBLIC_URL": ("https://", "an address such as"),
    "CSRF_TRUSTED_ORIGINS": ("https://care.example.com/path", "without path"),
    "DATABASE_URL": ("postgres://db:port/care", "an address that begins with"),
    "MASK_ON_ARRIVAL": ("card,passport", "some of card, iban"),
}


def read_here(monkeypatch, home: Path, **environ: str) -> dict:
    """The settings as they would be read with this environment."""
    for _, name in READ:
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"EARSHOT_HOME": str(home), "SECRET_KEY": "long " * 10} | environ).items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(str(ROOT / "crm" / "settings.py"))


@pytest.mark.parametrize(("how", "name"), [pair for pair in READ if pair[0] in WRONG])
def test_every_setting_refuses_a_wrong_value_by_name_value_and_wish(monkeypatch, tmp_path, how, name):
    value, wish = WRONG[how]
    with pytest.raises(ImproperlyConfigured) as refusal:
        read_here(monkeypatch, tmp_path, **{"DEMO": "1", name: value})
    assert str(refusal.value).startswith(f"{name}='{value}' is not usable: it should be ")
    assert wish in str(refusal.value)


@pytest.mark.parametrize("name", OWN_WORDS)
def test_what_has_rules_of_its_own_is_refused_in_its_own_words(monkeypatch, tmp_path, name):
    value, wish = OWN_WORDS[name]
    with pytest.raises(ImproperlyConfigured, match=f"^{name}.*{wish}"):
        read_here(monkeypatch, tmp_path, **{name: value})


def test_no_setting_is_read_in_a_way_that_these_tests_do_not_know(monkeypatch, tmp_path):
    assert {name for how, name in READ if how not in WRONG} <= FREE | set(OWN_WORDS)
    assert read_here(monkeypatch, tmp_path)["HOME"] == tmp_path


def test_the_readme_names_every_setting():
    table = (ROOT / "README.md").read_text().split("## Settings")[1].split("\n## ")[0]
    internal = {"EARSHOT_ROLE", "LEADER_LOCK", "SIMNET_URL"}  # between our own processes, or for tests
    assert [name for _, name in READ if name not in internal and f"`{name}`" not in table] == []


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "70000", "１２", "1e3"])
def test_a_malformed_number_is_refused_by_name_value_and_wish(monkeypatch, value):
    monkeypatch.setenv("PORT", value)
    with pytest.raises(ImproperlyConfigured, match=f"PORT='{value}'.*whole number from 0 to 65535"):
        house.env_int("PORT", 8000, high=65535)


def test_an_empty_value_means_the_default(monkeypatch):
    monkeypatch.setenv("PORT", "  ")
    assert house.env_int("PORT", 8000) == 8000


@pytest.mark.parametrize(("value", "meant"), [("1", True), ("yes", True), ("OFF", False), ("0", False)])
def test_switches_know_the_usual_words(monkeypatch, value, meant):
    monkeypatch.setenv("DEBUG", value)
    assert house.env_bool("DEBUG", not meant) is meant


def test_a_switch_that_is_neither_on_nor_off_is_refused(monkeypatch):
    monkeypatch.setenv("DEBUG", "maybe")
    with pytest.raises(ImproperlyConfigured, match="DEBUG='maybe'.*1 or 0"):
        house.env_bool("DEBUG", False)


def test_a_refused_address_does_not_show_its_password(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "mysql://me:hush@db/x")
    with pytest.raises(ImproperlyConfigured) as refusal:
        house.env_url("DATABASE_URL", "", ("postgres",))
    assert "hush" not in str(refusal.value)
    assert "postgres://" in str(refusal.value)


def test_proxies_must_be_addresses_or_networks(monkeypatch):
    monkeypatch.setenv("TRUSTED_PROXIES", "10.0.0.0/8, proxy.local")
    with pytest.raises(ImproperlyConfigured, match=r"TRUSTED_PROXIES='proxy\.local'"):
        house.env_networks("TRUSTED_PROXIES")


def test_a_database_address_is_read_with_escapes_port_and_options():
    found = house.database("postgres://me:p%40ss@db.example:6432/care?sslmode=require")
    assert (found["USER"], found["PASSWORD"], found["HOST"], found["PORT"], found["NAME"]) == (
        "me",
        "p@ss",
        "db.example",
        "6432",
        "care",
    )
    assert found["OPTIONS"] == {"sslmode": "require"}


def test_a_database_on_a_unix_socket_is_found_by_its_folder():
    found = house.database("postgres://earshot@/earshot?host=/run/pg")
    assert (found["HOST"], found["PORT"], found["OPTIONS"]) == ("/run/pg", "", {})


def test_a_secret_is_made_once_and_kept_for_ourselves(monkeypatch, tmp_path):
    monkeypatch.delenv("SECRET_KEY", raising=False)
    first = house.env_secret("SECRET_KEY", tmp_path / "secret_key")
    assert len(first) >= 50
    assert house.env_secret("SECRET_KEY", tmp_path / "secret_key") == first
    assert (tmp_path / "secret_key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]


def test_with_a_database_of_ones_own_the_secret_key_is_required(tmp_path):
    done = settings_with(tmp_path, DATABASE_URL="postgres://me@db/care")
    assert done.returncode != 0
    assert "SECRET_KEY is not set" in done.stderr


def test_the_demo_is_refused_where_strangers_could_reach_it(tmp_path):
    for address in ({"HOST": "0.0.0.0"}, {"PUBLIC_URL": "https://care.example.com/"}):
        done = settings_with(tmp_path, DEMO="1", **address)
        assert done.returncode != 0
        assert "DEMO_PUBLIC=1" in done.stderr
    assert settings_with(tmp_path, DEMO="1", HOST="0.0.0.0", DEMO_PUBLIC="1").returncode == 0


def test_an_https_address_makes_cookies_secure(tmp_path):
    secure = settings_with(tmp_path, PUBLIC_URL="https://care.example.com")
    assert secure.stdout.split()[-2:] == ["True", "True"]
    assert settings_with(tmp_path).stdout.split()[-2:] == ["False", "False"]


def test_every_periodic_task_has_an_end_date_so_that_a_stopped_worker_finds_no_heap(settings):
    assert {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()} >= {
        "crm.tasks.sweep",
        "crm.tasks.purge",
    }
    for entry in settings.CELERY_BEAT_SCHEDULE.values():
        assert entry["options"]["expires"] <= entry["schedule"]
