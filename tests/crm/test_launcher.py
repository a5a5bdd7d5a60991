"""The launcher: one owner of a home, children that rise again and never outlive it, nothing left behind."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import psycopg
import pytest

from crm import embedded, home, launcher
from crm.processes import LaunchError, Service, stop_all

ROOT = Path(__file__).resolve().parents[2]


def child(tmp_path: Path, code: str, name: str = "child", **more: object) -> Service:
    return Service(name=name, command=[sys.executable, "-c", code], log=tmp_path / f"{name}.log", **more)


def until(true: object, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.02)
    return False


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# --- Children


def test_a_fallen_child_rises_after_a_pause_that_doubles(tmp_path):
    service = child(tmp_path, "raise SystemExit(3)")
    service.start()
    pauses = []
    for _ in range(4):
        service.process.wait()
        service.revive()
        pauses.append(round(service.retry_at - time.monotonic(), 1))
        service.retry_at = time.monotonic()  # as if the pause were over
        assert service.revive()
    service.process.wait()
    assert pauses == [0.2, 0.4, 0.8, 1.6]


def test_the_pause_never_exceeds_ten_seconds_and_a_steady_child_is_forgiven(tmp_path):
    service = child(tmp_path, "import time; time.sleep(60)", falls=30)
    service.note_fall(now=100.0)
    assert service.retry_at == 110.0
    service.start()
    service.started_at -= 31
    service.revive()
    assert service.falls == 0
    stop_all([service])


def test_children_are_asked_to_stop_in_reverse_order_before_any_is_waited_for(tmp_path):
    said = []

    class Noting(Service):
        def ask_to_stop(self):
            said.append(f"ask {self.name}")
            super().ask_to_stop()

        def make_sure_stopped(self):
            said.append(f"wait {self.name}")
            super().make_sure_stopped()

    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    services = [Noting(name=name, command=sleep, log=tmp_path / name) for name in ("first", "second")]
    for service in services:
        service.start()
    stop_all(services)
    assert said == ["ask second", "ask first", "wait second", "wait first"]
    assert not any(service.alive for service in services)


def test_a_child_that_will_not_stop_is_killed(tmp_path):
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    service = child(tmp_path, code, stop_seconds=0.2)
    service.start()
    assert until(lambda: "up" in service.log.read_text())
    stop_all([service])
    assert service.process.returncode == -signal.SIGKILL


def test_a_start_that_fails_shows_the_end_of_the_log(tmp_path):
    service = child(tmp_path, "print('no room left'); raise SystemExit(1)", ready=lambda: False)
    service.start()
    with pytest.raises(LaunchError, match="no room left"):
        service.wait_ready(10)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's wish for the parent's death is Linux's own")
def test_children_die_with_a_parent_that_was_killed(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from crm.processes import Service\n"
        f"s = Service('x', [sys.executable, '-c', 'import time; time.sleep(60)'], Path({str(tmp_path / 'log')!r}))\n"
        "s.start(); print(s.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    assert lives(pid)
    parent.kill()
    parent.wait()
    assert until(lambda: not lives(pid))


# --- The home


def test_a_home_has_one_owner_and_the_refusal_names_him(tmp_path):
    home.prepare_home(tmp_path)
    with home.sole_owner(tmp_path, "manage.py up", patience=0):
        with pytest.raises(LaunchError, match=f"manage.py up .process {os.getpid()}"):
            with home.sole_owner(tmp_path, "another", patience=0):
                pass
    with home.sole_owner(tmp_path, "another", patience=0):
        assert "another" in home.owner_of(tmp_path)


def test_the_record_of_a_killed_launcher_counts_for_nothing_and_its_sockets_are_cleared(tmp_path):
    home.prepare_home(tmp_path)
    sockets = embedded.socket_folder(None)
    home.write_services(tmp_path, {"sockets": str(sockets), "database_url": "postgres://gone"})
    assert (tmp_path / "services.json").stat().st_mode & 0o777 == 0o600
    assert home.running_services(tmp_path) == {}
    home.clear_leftovers(tmp_path)
    assert not sockets.exists()
    assert not (tmp_path / "services.json").exists()


def test_a_foreign_folder_in_the_record_is_left_alone(tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    home.prepare_home(tmp_path)
    home.write_services(tmp_path, {"sockets": str(precious)})
    home.clear_leftovers(tmp_path)
    assert precious.exists()


def test_the_simulated_networks_keep_their_port(tmp_path):
    first = launcher.kept_port(tmp_path / "port")
    assert launcher.kept_port(tmp_path / "port") == first


def test_a_host_that_is_not_this_machine_is_refused_by_name():
    for host in ("192.0.2.1", "no such host"):
        with pytest.raises(LaunchError, match=f"HOST='{host}' is not usable"):
            launcher.bound(host, 0)


def test_a_home_that_cannot_be_made_is_refused_by_name(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LaunchError, match="EARSHOT_HOME=.*a folder that this user may make"):
        home.prepare_home(tmp_path / "file")


def test_a_taken_port_is_refused_in_words():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(LaunchError, match="choose another with --port"):
            launcher.bound("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--port", "9000", "--no-demo"], {"PORT": "9000", "DEMO": "0"}),
        ([], {"DEMO": "1"}),
        (["--home=/srv/x"], {"EARSHOT_HOME": "/srv/x", "DEMO": "1"}),
    ],
)
def test_the_flags_of_up_speak_through_the_environment(monkeypatch, words, wanted):
    for name in ("PORT", "DEMO", "EARSHOT_HOME"):
        monkeypatch.setenv(name, "")  # so that monkeypatch puts back what flags_to_environ sets
        monkeypatch.delenv(name)
    launcher.flags_to_environ(words)
    assert {name: os.environ[name] for name in wanted} == wanted


def test_commands_without_rows_and_children_of_the_launcher_start_no_services(monkeypatch):
    for name in ("EARSHOT_ROLE", "DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    assert not launcher.needs_services("makemigrations", [])
    assert not launcher.needs_services("replay", ["manage.py", "replay", "--help"])
    assert launcher.needs_services("replay", ["manage.py", "replay", "x.jsonl"])
    monkeypatch.setenv("EARSHOT_ROLE", "worker")
    assert not launcher.needs_services("replay", ["manage.py", "replay", "x.jsonl"])


# --- PostgreSQL and Valkey


def test_data_of_another_major_version_is_refused(tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "postgres").write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 18.6'\n")
    (programs / "postgres").chmod(0o755)
    data = tmp_path / "data"
    data.mkdir()
    (data / "PG_VERSION").write_text("16\n")
    with pytest.raises(LaunchError, match="made by PostgreSQL 16, but .* is PostgreSQL 18"):
        embedded.prepare_data(data, programs, None, durable=True)


def test_the_embedded_servers_listen_on_private_sockets_only(services):
    folder = Path(services["sockets"])
    assert folder.stat().st_mode & 0o777 == 0o700
    with psycopg.connect(services["database_url"]) as link:
        assert link.execute("SHOW listen_addresses").fetchone() == ("",)
        assert link.execute("SHOW server_encoding").fetchone() == ("UTF8",)
    assert embedded.answers_ping(folder / "valkey.sock")


def test_text_search_sees_letters_beyond_ascii(services):
    with psycopg.connect(services["database_url"]) as link:
        assert link.execute("SELECT lower('ÉÜ'), 'ü' ~ '^[[:alpha:]]$'").fetchone() == ("éü", True)


def test_a_database_of_ones_own_that_cannot_be_used_is_refused_in_words(services):
    refused = [
        ("postgres://me:hush@127.0.0.1:1/care", "port 1 failed"),
        ("postgres://me:hush@127.0.0.1/care?colour=red", "colour"),
    ]
    url = services["database_url"]
    with psycopg.connect(url, autocommit=True) as link:
        link.execute(
            "CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0"
        )
    refused.append((url.replace("/earshot?", "/ascii?"), "keeps text as SQL_ASCII"))
    for address, words in refused:
        with pytest.raises(LaunchError, match=words) as refusal:
            embedded.check_database(address)
        assert "hush" not in str(refusal.value)
    embedded.check_database(url)


def test_an_older_postgresql_is_refused(services, monkeypatch):
    monkeypatch.setattr(embedded, "OLDEST_MAJOR", 99)
    with pytest.raises(LaunchError, match="Earshot needs 99 or newer"):
        embedded.check_database(services["database_url"])


def test_whether_a_redis_of_ones_own_answers_is_seen(services):
    assert embedded.answers_at(services["redis_url"])
    assert not embedded.answers_at("redis://:hush@127.0.0.1:1/0")
    assert not embedded.answers_at("unix:///nowhere.sock")


def test_a_second_command_uses_the_services_of_the_first(services):
    code = (
        "from pathlib import Path; from crm import launcher\n"
        f"with launcher.embedded(Path({services['home']!r})) as s: print(s['database_url'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == services["database_url"]


def test_a_postmaster_file_whose_number_is_now_another_program_is_forgotten(tmp_path):
    (tmp_path / "postmaster.pid").write_text(f"{os.getpid()}\n{tmp_path}\n")
    embedded.forget_dead_postmaster(tmp_path, seconds=2)
    assert not (tmp_path / "postmaster.pid").exists()


# --- The whole house


@pytest.fixture
def folder() -> Iterator[Path]:
    """A home the user who runs PostgreSQL can reach; pytest's own folders are closed."""
    made = Path(tempfile.mkdtemp(prefix="earshot-tests-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


def environ_of_a_house(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in {"EARSHOT_HOME", "SECRET_KEY"}}
    return kept | {"WEB_PROCESSES": "1", "DJANGO_SETTINGS_MODULE": "crm.settings"} | more


def command_of_a_house(folder: Path) -> list[str]:
    return [sys.executable, "manage.py", "up", "--no-demo", "--port", "0", "--home", str(folder)]


@contextmanager
def up(folder: Path, **more: str) -> Iterator[tuple[subprocess.Popen, dict]]:
    """A house in a folder, once it says that it is ready, and its record; stopped by SIGTERM."""
    environ = environ_of_a_house(**more)
    house = subprocess.Popen(
        command_of_a_house(folder), cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True
    )
    try:
        assert house.stdout.readline().startswith("Earshot is ready at http://127.0.0.1:")
        yield house, json.loads((folder / "services.json").read_text())
    finally:
        house.terminate()
        house.wait(60)


def fetch(port: int, path: str) -> tuple[int, str]:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        link.request("GET", path)
        answer = link.getresponse()
        return answer.status, answer.read().decode()
    finally:
        link.close()


@pytest.mark.slow
def test_up_serves_a_page_runs_once_survives_kills_and_leaves_nothing_behind(folder):
    with up(folder) as (house, first):
        second = subprocess.run(
            command_of_a_house(folder), cwd=ROOT, env=environ_of_a_house(), capture_output=True, text=True, timeout=60
        )  # fmt: skip
        assert second.returncode != 0
        assert f"it runs already in {folder}: manage.py up (process {house.pid})" in second.stderr
        house.kill()
        assert until(lambda: not any(lives(pid) for pid in first["pids"].values()))
    with up(folder) as (house, services):
        assert not Path(first["sockets"]).exists()
        port, pids = services["port"], services["pids"]
        assert fetch(port, "/accounts/login/")[0] == 200
        os.kill(pids["web1"], signal.SIGKILL)
        assert until(lambda: launcher.answers_http("127.0.0.1", port), 60)
        assert until(lambda: 'earshot_pool_connections{state="free"}' in fetch(port, "/metrics")[1])
        assert not (folder / "counted" / f"gauge_livesum_{pids['web1']}.db").exists()
        pids |= json.loads((folder / "services.json").read_text())["pids"]
    assert house.returncode == 0
    assert not [name for name in ("services.json", "owner", "counted") if (folder / name).exists()]
    assert not Path(services["sockets"]).exists()
    assert not any(lives(pid) for pid in pids.values())


def children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.slow
def test_servers_of_ones_own_replace_the_embedded_ones_with_no_other_change(folder, services):
    own = {"DATABASE_URL": services["database_url"], "REDIS_URL": services["redis_url"]}
    with up(folder, **own, SECRET_KEY="long " * 20) as (house, running):
        assert set(running["pids"]) == {"conveyor", "web1", "worker1"}
        assert not [name for name in ("postgresql", "valkey", "secret_key") if (folder / name).exists()]
        status, text = fetch(running["port"], "/health/ready")
        assert (status, json.loads(text)["parts"]) == (200, {"postgresql": True, "redis": True})
        with psycopg.connect(own["DATABASE_URL"], autocommit=True) as link:
            told = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'earshot conveyor'"
            assert until(lambda: link.execute(told).fetchone() == (2,), 60)  # its router and its belt
            pid = running["pids"]["conveyor"]
            ended = link.execute(told.replace("count(*)", "count(pg_terminate_backend(pid))")).fetchone()
            assert ended == (2,)  # a database that fails is no reason for a new process
            beating = "SELECT count(*) FROM routing_leader l JOIN pg_stat_activity a ON a.pid = l.backend_pid"
            assert until(lambda: link.execute(beating).fetchone() == (2,), 20)
            assert json.loads((folder / "services.json").read_text())["pids"]["conveyor"] == pid
            # Whichever of the two falls, or is stopped, takes the other along, and both are started again.
            for which, how in product((0, 1), (signal.SIGKILL, signal.SIGSTOP)):
                pid = json.loads((folder / "services.json").read_text())["pids"]["conveyor"]
                both = [pid, *children_of(pid)]
                assert len(both) == 2
                os.kill(both[which], how)
                assert until(lambda gone=both: not any(lives(one) for one in gone), 20)
                assert until(lambda: link.execute(told).fetchone() == (2,), 60)
    assert house.returncode == 0
    with psycopg.connect(own["DATABASE_URL"]) as link:  # they are not ours to stop
        assert link.execute("SELECT count(*) > 0 FROM django_migrations").fetchone() == (True,)
