"""The simulated networks as a process of its own: idempotency, faults, echoes, plays, and what a kill leaves."""

import hashlib
import hmac
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
SECRET = "a secret of the test"
NUMBERS = itertools.count(1)
TOKEN = {"Authorization": "Bearer test"}


class Listener:
    """A product that takes deliveries: keeps what came, answers what it was told to."""

    def __init__(self) -> None:
        self.came: list[tuple[str, dict, bytes]] = []
        self.statuses: list[int] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = outer.statuses.pop(0) if outer.statuses else 202
                outer.came.append((self.path, dict(self.headers), body))
                answer = json.dumps({"accepted": 1, "duplicates": 0, "rejected": []}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args) -> None:
                """Silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def items(self) -> list[dict]:
        """Every item that was delivered, in order."""
        bodies = [json.loads(body) for _, _, body in self.came]
        return [item for body in bodies for item in body.get("items", [body])]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Simnet:
    """The process under test."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.network = "sim-x"
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "socialcare.simnet", "--port", "0", "--home", str(self.home)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert "ready at http://127.0.0.1:" in line
        self.client = httpx.Client(base_url=line.split()[-1], timeout=10, headers=TOKEN, trust_env=False)

    def stop(self, how: int = signal.SIGTERM) -> int:
        self.client.close()
        os.kill(self.process.pid, how)
        code = self.process.wait(10)
        self.process.stdout.close()
        return code

    def post(self, text: str = "We are on it", key: str | None = None, **fields):
        return self.client.post(
            f"/{self.network}/posts", json={"text": text, "idempotency_key": key, **fields}
        )

    def behave(self, mode: str, count: int | None = 1, seconds: float | None = None):
        data = {"network": self.network, "mode": mode, "count": count, "seconds": seconds}
        assert self.client.post("/behaviour", json=data).status_code == 200

    def listen(self, listener: Listener) -> None:
        data = {"network": self.network, "url": listener.url, "secret": SECRET}
        assert self.client.post("/callbacks", json=data).status_code == 200

    def ledger(self) -> dict:
        return self.client.get("/ledger", params={"network": self.network}).json()

    def found(self, key: str) -> list[dict]:
        answer = self.client.get(f"/{self.network}/posts/", params={"idempotency_key": key})
        return answer.json()["results"]

    def playing(self) -> dict:
        return self.client.get(f"/{self.network}/play").json()

    def play(self, items: list[dict], rate: float = 1):
        return self.client.post(f"/{self.network}/play", json={"items": items, "rate": rate})


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    running = Simnet(tmp_path_factory.mktemp("simnet"))
    yield running
    running.stop()


@pytest.fixture
def simnet(shared):
    """The shared process with a network of this test's own."""
    shared.network = f"sim-{next(NUMBERS)}"
    return shared


@pytest.fixture
def own(tmp_path):
    """A process that the test may kill."""
    running = Simnet(tmp_path)
    yield running
    if running.process.poll() is None:
        running.stop()


@pytest.fixture
def listener():
    one = Listener()
    yield one
    one.close()


def wait_until(check, seconds: float = 8.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if check():
            return
        time.sleep(0.02)
    raise AssertionError("did not happen in time")


def test_a_post_is_made_once_for_one_idempotency_key(simnet):
    first = simnet.post(key="k1", in_reply_to="p1", conversation="c1", author="acme", audience="public")
    again = simnet.post(key="k1", in_reply_to="p1", conversation="c1", author="acme", audience="public")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert {"id", "permalink", "created_at"} <= first.json().keys()
    assert simnet.post(text="Another text", key="k1").status_code == 422
    ledger = simnet.ledger()
    assert (ledger["total"], ledger["duplicates"]) == (1, [])
    assert ledger["repeated_requests"] == 2


def test_fifty_requests_at_once_with_one_key_make_one_post(simnet):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(simnet.post(key="same"))) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200] * 49 + [201]
    assert simnet.ledger()["counts"] == {simnet.network: 1}


def test_a_post_can_be_looked_up_by_its_key_and_only_on_its_network(simnet):
    made = simnet.post(key="k 1/ü").json()
    found = simnet.found("k 1/ü")
    assert [post["id"] for post in found] == [made["id"]]
    assert simnet.client.get("/sim-mail/posts/", params={"idempotency_key": "k 1/ü"}).json() == {
        "results": []
    }
    assert simnet.client.get(f"/{simnet.network}/posts/{made['id']}").json()["text"] == "We are on it"


def test_the_same_words_twice_in_one_thread_are_listed_as_a_duplicate(simnet):
    simnet.post(key="k1", in_reply_to="p1")
    simnet.post(key="k2", in_reply_to="p1")
    simnet.post(key="k3", in_reply_to="p2")
    (duplicate,) = simnet.ledger()["duplicates"]
    assert (duplicate["copies"], duplicate["in_reply_to"]) == (2, "p1")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({}, 422),
        ({"text": ""}, 422),
        ({"text": 5}, 422),
        ({"text": "a\x00b"}, 422),
        ({"text": "x" * 20_001}, 422),
        ({"text": "a", "audience": "all"}, 422),
        ({"text": "a", "idempotency_key": 5}, 422),
        ({"text": "a", "author": {"handle": "no id"}}, 422),
        ([], 400),
    ],
)
def test_a_broken_post_is_refused_and_nothing_kept(simnet, data, status):
    assert simnet.client.post(f"/{simnet.network}/posts", json=data).status_code == status
    assert simnet.ledger()["total"] == 0


def test_hostile_requests_get_a_clear_4xx(simnet):
    def send(content, **headers):
        kept = {"Content-Type": "application/json", **headers}
        return simnet.client.post(f"/{simnet.network}/posts", content=content, headers=kept).status_code

    assert send(b"[" * 100_000) == 400
    assert send(b'{"text": "\\ud800"}') == 422
    assert send(b'{"text": "' + b"a" * 1_100_000 + b'"}') == 413
    assert send(b'{"text": "a"}', **{"Content-Type": "text/plain"}) == 415
    assert send(b'{"text": "a"}', Host="evil.example") == 403
    assert send(b'{"text": "a"}', Authorization="") == 401
    assert simnet.client.post("/SIM X/posts", json={"text": "a"}).status_code == 404
    far = {"network": "sim-x", "url": "http://192.0.2.1/", "secret": "s"}
    assert simnet.client.post("/callbacks", json=far).status_code == 422
    assert simnet.client.post("/behaviour", json={"network": "sim-x", "mode": "odd"}).status_code == 422
    assert simnet.ledger()["total"] == 0


@pytest.mark.parametrize(("mode", "status"), [("error_500", 500), ("error_429", 429), ("error_401", 401)])
def test_an_error_answers_as_often_as_told_and_posts_nothing(simnet, mode, status):
    simnet.behave(mode, count=2, seconds=7)
    answers = [simnet.post(key="k1") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [status, status, 201]
    assert answers[0].headers.get("Retry-After") == ("7" if status == 429 else None)
    assert simnet.ledger()["total"] == 1


def test_late_answers_late_and_the_post_can_be_found_before(simnet):
    simnet.behave("late", seconds=0.6)
    with pytest.raises(httpx.ReadTimeout):
        simnet.client.post(
            f"/{simnet.network}/posts", json={"text": "a", "idempotency_key": "k1"}, timeout=0.2
        )
    found = simnet.found("k1")
    assert len(found) == 1
    simnet.behave("late", seconds=0.3)
    before = time.monotonic()
    assert simnet.post(key="k2").status_code == 201
    assert time.monotonic() - before >= 0.3


@pytest.mark.parametrize(("mode", "posted"), [("never", 1), ("reset", 1), ("lost", 0)])
def test_a_cut_connection_leaves_what_its_mode_says(simnet, mode, posted):
    simnet.behave(mode, seconds=0.2)
    with pytest.raises(httpx.RemoteProtocolError):
        simnet.post(key="k1")
    found = simnet.found("k1")
    assert len(found) == posted
    assert simnet.post(key="k1").status_code == (200 if posted else 201)


def test_malformed_is_no_json_though_the_post_was_made(simnet):
    simnet.behave("malformed")
    answer = simnet.post(key="k1")
    assert answer.status_code == 201
    with pytest.raises(ValueError, match="Unterminated"):
        answer.json()
    assert simnet.post(key="k1").status_code == 200


def test_normal_ends_a_fault_that_has_no_count(simnet):
    simnet.behave("error_500", count=None)
    assert {simnet.post().status_code for _ in range(3)} == {500}
    simnet.behave("normal")
    assert simnet.post().status_code == 201


def test_a_post_is_echoed_once_signed_through_the_public_door(simnet, listener):
    simnet.listen(listener)
    made = simnet.post(in_reply_to="p1", conversation="c1", author={"id": "77", "handle": "acme"}).json()
    wait_until(lambda: simnet.ledger()["echoes"] == {"done": 1})
    ((path, headers, body),) = listener.came
    assert path == f"/api/v1/deliveries/{simnet.network}/"
    stamp, code = (part.split("=", 1)[1] for part in headers["X-Earshot-Signature"].split(","))
    assert abs(time.time() - int(stamp)) < 10
    assert code == hmac.new(SECRET.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    item = json.loads(body)
    assert (item["id"], item["kind"], item["author"]["id"]) == (made["id"], "post", "77")
    assert (item["in_reply_to"], item["conversation"], item["audience"]) == ("p1", "c1", "public")


@pytest.mark.parametrize(
    ("network", "kind"),
    [("sim-x", "direct_message"), ("sim-mail", "email"), ("sim-chat", "chat"), ("sim-phone", "sms")],
)
def test_a_private_post_is_echoed_in_the_kind_of_its_network(simnet, listener, network, kind):
    simnet.network = network
    simnet.listen(listener)
    simnet.post(audience="private", author="acme")
    wait_until(lambda: listener.came)
    assert listener.items()[0]["kind"] == kind
    assert listener.items()[0]["author"]["handle"] == "acme"


def test_twice_posts_once_and_echoes_twice(simnet, listener):
    simnet.listen(listener)
    simnet.behave("twice")
    assert simnet.post(key="k1").status_code == 201
    wait_until(lambda: len(listener.came) == 2)
    first, second = listener.items()
    assert first == second
    assert simnet.ledger()["total"] == 1


def test_an_echo_is_tried_until_the_door_takes_it_and_not_after_a_refusal(simnet, listener):
    listener.statuses = [503, 401, 500]
    simnet.listen(listener)
    simnet.post(key="k1")
    wait_until(lambda: simnet.ledger()["echoes"] == {"done": 1})
    assert len(listener.came) == 4
    listener.statuses = [422]
    simnet.post(key="k2")
    wait_until(lambda: simnet.ledger()["echoes"] == {"done": 1, "refused": 1})
    assert len(listener.came) == 5


def test_a_kill_keeps_posts_faults_and_the_echoes_still_owed(own, listener):
    made = own.post(key="k1").json()
    own.behave("error_500", count=1)
    assert own.ledger()["echoes"] == {"waiting": 1}
    assert own.stop(signal.SIGKILL) == -signal.SIGKILL
    own.start()
    assert [post["id"] for post in own.ledger()["posts"]] == [made["id"]]
    assert [own.post(key="k1").status_code for _ in range(2)] == [500, 200]
    own.listen(listener)
    wait_until(lambda: own.ledger()["echoes"] == {"done": 1})
    assert [item["id"] for item in listener.items()] == [made["id"]]


def test_a_play_delivers_all_items_in_order_at_its_rate_and_fills_in_what_they_lack(simnet, listener):
    simnet.listen(listener)
    items = [{"kind": "mention", "text": f"Item {n}", "author": {"id": "a"}} for n in range(20)]
    before = time.monotonic()
    started = simnet.play(items, 20)
    assert (started.status_code, started.json()["running"], started.json()["total"]) == (202, True, 20)
    assert simnet.play(items).status_code == 409
    wait_until(lambda: not simnet.playing()["running"])
    assert 0.7 < time.monotonic() - before < 3
    assert [item["text"] for item in listener.items()] == [f"Item {n}" for n in range(20)]
    assert len({item["id"] for item in listener.items()}) == 20
    assert all(item["created_at"].endswith("Z") for item in listener.items())
    assert simnet.playing()["sent"] == 20


def test_a_play_can_be_stopped(simnet, listener):
    simnet.listen(listener)
    items = [{"id": str(n), "kind": "mention", "text": "a", "author": {"id": "a"}} for n in range(500)]
    simnet.play(items, 10)
    wait_until(lambda: listener.came)
    status = simnet.client.delete(f"/{simnet.network}/play").json()
    assert (status["running"], status["waiting"]) == (False, 0)
    came = len(listener.came)
    time.sleep(0.4)
    assert len(listener.came) == came < 500
    assert simnet.play(items[:1], 10).status_code == 202


def test_a_play_goes_on_after_a_kill_and_a_closed_door_without_losing_an_item(own, listener):
    own.listen(listener)
    listener.statuses = [503]
    items = [{"id": str(n), "kind": "mention", "text": "a", "author": {"id": "a"}} for n in range(60)]
    own.play(items, 60)
    wait_until(lambda: len(listener.came) > 3)
    own.stop(signal.SIGKILL)
    own.start()
    wait_until(lambda: not own.playing()["running"])
    assert {item["id"] for item in listener.items()} == {str(n) for n in range(60)}


def test_sigterm_ends_it_soon_even_while_an_answer_is_held_back(own):
    own.behave("never", seconds=60)

    outcomes = []

    def ask() -> None:
        try:
            answer = httpx.post(
                f"{own.client.base_url}sim-x/posts", json={"text": "a"}, headers=TOKEN, timeout=20
            )
        except httpx.HTTPError:
            outcomes.append("cut")
        else:
            outcomes.append("cut" if answer.status_code >= 500 else answer.status_code)

    thread = threading.Thread(target=ask)
    thread.start()
    wait_until(lambda: own.ledger()["total"] == 1)
    before = time.monotonic()
    assert own.stop() in (0, -signal.SIGTERM)
    assert time.monotonic() - before < 6
    thread.join(10)
    assert outcomes == ["cut"]


def test_a_taken_port_is_said_and_not_waited_for(simnet):
    port = str(simnet.client.base_url.port)
    command = [sys.executable, "-m", "socialcare.simnet", "--port", port, "--home", str(simnet.home)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert answer.returncode == 1
    assert f"port {port} cannot be had" in answer.stderr


def test_the_ledger_file_is_for_its_owner_alone(simnet):
    assert (simnet.home / "simnet.sqlite3").stat().st_mode & 0o077 == 0
