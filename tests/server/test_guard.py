"""Access, and limits on size, time and number of requests."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.testclient import TestClient

from tests.server.served import Serve
from vsearch.errors import InputError
from vsearch.library import SqliteStore
from vsearch.search.example import Example
from vsearch.server import listen
from vsearch.server.listen import PatientProtocol, access_for, bind, url_of
from vsearch.server.roots import NotAllowed, allowed_paths
from vsearch.server.server_state import Access

TOKEN = "correct horse battery".replace(" ", "-")


def test_foreign_host_header_is_refused(client: TestClient) -> None:
    for host in ("evil.example", "evil.example:8765", "localhost.evil.example", "", "169.254.169.254"):
        assert client.get("/health", headers={"Host": host}).status_code == 403, host
    for host in ("localhost", "127.0.0.1:1", "[::1]:8765", "LOCALHOST:8765"):
        assert client.get("/health", headers={"Host": host}).status_code == 200, host


def test_foreign_origin_is_refused(client: TestClient) -> None:
    for origin in ("https://evil.example", "null", "http://localhost:1", "http://[::1"):
        answer = client.post("/search", data={"q": "red"}, headers={"Origin": origin})
        assert answer.status_code == 403, origin
    mine = {"Origin": "http://localhost:8765"}
    answer = client.post("/search", data={"q": "red"}, headers=mine)
    assert answer.status_code == 200 and "access-control-allow-origin" not in answer.headers
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    "said",
    [None, "", "Bearer", "Bearer ", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", TOKEN, "Bearer \xff"],
)
def test_wrong_token_is_refused(serve: Serve, said: str | None) -> None:
    client = serve(access=Access(TOKEN, frozenset()))
    headers = {} if said is None else {"Authorization": said.encode("latin-1")}
    for path in ("/search?q=red", "/videos", "/scenes/1/clip", "/metrics", "/docs", "/openapi.json", "/nowhere"):
        answer = client.get(path, headers=headers)  # type: ignore[arg-type]
        assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
        assert TOKEN not in answer.text
    assert client.get("/health").status_code == 200


def test_right_token_is_accepted(serve: Serve) -> None:
    client = serve(access=Access(TOKEN, frozenset()))
    for said in (f"Bearer {TOKEN}", f"bearer  {TOKEN} "):
        headers = {"Authorization": said, "Host": "films.home.example"}
        assert client.get("/search?q=red", headers=headers).status_code == 200


def test_public_address_needs_a_token() -> None:
    for host in ("0.0.0.0", "192.168.1.2", "::"):
        with pytest.raises(InputError, match="VSEARCH_TOKEN"):
            access_for(host, "")
        assert access_for(host, TOKEN).token == TOKEN
    for token in ("short", "x" * 15, "ü" * 20, "with a space in the middle"):
        with pytest.raises(InputError, match="VSEARCH_TOKEN"):
            access_for("0.0.0.0", token)
    for host in ("127.0.0.1", "::1", "localhost"):
        assert access_for(host, "").hosts
    with pytest.raises(InputError, match="--host"):
        access_for("films.example", TOKEN)


def test_port_in_use_is_an_input_error() -> None:
    with bind("127.0.0.1", 0) as bound, pytest.raises(InputError, match="--port"):
        bind("127.0.0.1", bound.getsockname()[1])


def test_large_request_is_refused(serve: Serve) -> None:
    client = serve(upload_bytes=10_000, body_bytes=1_000)
    assert client.post("/search", files={"image": b"x" * 20_000}).status_code == 413
    assert client.post("/search", files={"image": b"x" * 5_000}).status_code == 422  # it is read, and is no picture
    assert client.post("/index", content=b" " * 2_000, headers={"Content-Type": "application/json"}).status_code == 413

    def pieces() -> Iterator[bytes]:  # no length is announced
        for _ in range(100):
            yield b"x" * 1_000

    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    assert client.post("/search", content=pieces(), headers=kind).status_code in (400, 413)
    assert client.post("/index", content=pieces(), headers={"Content-Type": "application/json"}).status_code == 413


def test_overload_is_refused_with_retry_after(serve: Serve, tmp_path: Path) -> None:
    going, go_on = threading.Semaphore(0), threading.Event()

    def slow(example: Example) -> Example:
        going.release()
        go_on.wait(30)
        raise InputError("enough")

    client = serve(resolve=slow, slow_threads=1, slow_waiting=0)
    statuses = []
    thread = threading.Thread(target=lambda: statuses.append(client.post("/search", files={"clip": b"x"}).status_code))
    thread.start()
    assert going.acquire(timeout=30)
    try:
        answer = client.post("/search", files={"clip": b"x"})
        assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
        assert client.get("/search?q=red").status_code == 200, "one kind of work does not hold up the other"
        assert 'vsearch_refused_total{pool="slow"} 1' in client.get("/metrics").text
    finally:
        go_on.set()
        thread.join()
    assert statuses == [422]


def test_too_many_requests_are_put_off(serve: Serve) -> None:
    answer = serve(requests=0).get("/health")
    assert answer.status_code == 503 and answer.headers["retry-after"]
    assert serve(uploads=0).post("/search", data={"q": "red"}).status_code == 503


@contextmanager
def listening(client: TestClient) -> Iterator[socket.socket]:
    """The same app behind a real socket."""
    config = uvicorn.Config(
        client.app, http=PatientProtocol, ws="none", lifespan="off", log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    with bind("127.0.0.1", 0) as bound:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            yield bound
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()


def answer_to(bound: socket.socket, *pieces: bytes) -> bytes:
    """All that comes back until the server hangs up."""
    with socket.create_connection(bound.getsockname(), timeout=30) as connection:
        for piece in pieces:
            connection.sendall(piece)
        received = b""
        while data := connection.recv(65536):
            received += data
    return received


def test_incomplete_request_is_dropped(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen, "HEADER_SECONDS", 0.2)
    with listening(serve(receive_seconds=0.2)) as bound:
        assert url_of(bound).startswith("http://127.0.0.1:")
        assert answer_to(bound) == b""
        assert answer_to(bound, b"GET /health HT") == b""
        head = (
            b"POST /index HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n"
        )
        assert answer_to(bound, head, b"{").startswith(b"HTTP/1.1 408 ")
        whole = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        assert answer_to(bound, whole).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_does_not_read_is_dropped(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    from starlette.responses import Response

    client = serve(send_seconds=0.2)
    client.app.add_api_route("/large", lambda: Response(b"x" * 2**25), methods=["GET"])  # type: ignore[attr-defined]
    with listening(client) as bound, socket.create_connection(bound.getsockname(), timeout=30) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        until = time.monotonic() + 30
        while 'route="/large"' not in (text := answer_to(bound, METRICS).decode()) and time.monotonic() < until:
            time.sleep(0.05)
        assert 'route="/large"' in text


METRICS = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def test_nonsense_is_no_http(client: TestClient) -> None:
    with listening(client) as bound:
        assert answer_to(bound, b"\x16\x03\x01\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        assert answer_to(bound, b"GET / HTTP/1.1\r\n\r\n").split(b" ")[1] in (b"400", b"403")


# -- which paths may be indexed


@pytest.fixture
def known(tmp_path: Path) -> Iterator[SqliteStore]:
    from tests.search.made import add

    with SqliteStore.open(tmp_path / "library", create=True) as library:
        add(library, "/films/a.mp4", ["rr"])
        add(library, "/films/deep/b.mp4", ["rr"])
        yield library


def test_below_a_root_everything_may_be_indexed(known: SqliteStore, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "inner").mkdir(parents=True)
    assert allowed_paths([str(root), str(root / "inner")], [root], known) == [root, root / "inner"]
    assert allowed_paths([], [root], known) == [root]


def test_elsewhere_only_files_that_are_known(known: SqliteStore) -> None:
    assert allowed_paths(["/films"], [], known) == [Path("/films/a.mp4"), Path("/films/deep/b.mp4")]
    assert allowed_paths(["/films/deep/b.mp4"], [], known) == [Path("/films/deep/b.mp4")]


@pytest.mark.parametrize(
    "path",
    ["/etc", "/film", "relative", ".", "", "~", "/films/../etc", "/films/./a.mp4", "//films", "/films/", "/fi\0lms"],
)
def test_all_else_is_refused(known: SqliteStore, tmp_path: Path, path: str) -> None:
    with pytest.raises(NotAllowed):
        allowed_paths([path], [tmp_path], known)


def test_a_link_out_of_a_root_is_refused(known: SqliteStore, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "root" / "circle").symlink_to(tmp_path / "root" / "circle")
    for name in ("link", "circle", "missing", "link/deeper"):
        with pytest.raises(NotAllowed):
            allowed_paths([str(tmp_path / "root" / name)], [tmp_path / "root"], known)


def test_no_path_of_a_request_is_looked_up_elsewhere(
    known: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[object] = []

    def watched(original: Callable[..., Any]) -> Callable[..., Any]:
        def look(path: Any, *args: Any, **options: Any) -> Any:
            if str(path).startswith("/etc"):  # the library's own files may be looked at
                looked.append(path)
            return original(path, *args, **options)

        return look

    for name in ("stat", "lstat", "open", "scandir", "readlink", "access"):
        monkeypatch.setattr(f"os.{name}", watched(getattr(os, name)))
    with pytest.raises(NotAllowed):
        allowed_paths(["/etc/shadow"], [tmp_path], known)
    assert not looked


def test_a_refusal_says_nothing_of_what_exists(client: TestClient) -> None:
    answers = [client.post("/index", json={"paths": [path]}) for path in ("/etc", "/surely/not/there")]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert answers[0].text == answers[1].text


def test_a_form_of_a_foreign_page_starts_no_job(serve: Serve, footage: Path) -> None:
    def never(paths: Sequence[Path]) -> None:
        pytest.fail("a job was started")

    client = serve(runner=never, roots=[footage])
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = client.post("/index", content=b'{"paths": []}', headers={"Content-Type": kind} if kind else {})
        assert answer.status_code in (415, 422), kind
