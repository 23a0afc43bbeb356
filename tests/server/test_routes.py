"""Each route with what it is meant for, and with what it refuses."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from tests.media import Shot, make_video
from tests.server.served import Serve
from vsearch.errors import LibraryLocked
from vsearch.indexer import IndexPlan, run_index
from vsearch.indexer.events import Event, Finished, Progress, Started, Summary
from vsearch.library import SceneLabel, SqliteStore
from vsearch.media import FileStamp
from vsearch.models.fake import FakeModel
from vsearch.search import Query, SearchEngine


def picture(colour: tuple[int, int, int]) -> bytes:
    data = BytesIO()
    Image.fromarray(np.full((32, 32, 3), colour, dtype=np.uint8)).save(data, "PNG")
    return data.getvalue()


def scene_of(client: TestClient, colour: str) -> int:
    found: int = client.get("/search", params={"q": colour, "k": 1}).json()[0]["scene"]
    return found


def test_search_gives_the_objects_of_the_command(client: TestClient, indexed: Path) -> None:
    with SqliteStore.open(indexed) as library:
        expected = [hit.as_json() for hit in SearchEngine(library, FakeModel()).search(Query("blue", k=2))]
    answer = client.get("/search", params={"q": "blue", "k": 2})
    assert answer.status_code == 200 and answer.json() == expected and len(expected) == 2
    assert 1.5 < answer.json()[0]["start"] < 2.5


def test_search_narrows(client: TestClient, footage: Path) -> None:
    asked = {
        "q": "blue",
        "folder": str(footage),
        "per_video": 1,
        "path": "*.mp4",
        "max_duration": 3,
        "channel": "visual",
    }
    assert len(client.get("/search", params=asked).json()) == 1
    assert client.get("/search", params={"q": "blue", "path": "*.mkv"}).json() == []


def test_search_keeps_to_labels(serve: Serve, footage: Path, tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path / "library", create=True) as library:
        list(run_index(library, IndexPlan(FakeModel()), [footage]))
        (row,) = [row for row in library.scenes_of(1) if row.start > 1]
        library.set_labels(
            FakeModel().space, ["sea", "wide"], [SceneLabel(row.id, "sea", 9.0), SceneLabel(row.id, "wide", 9.0)]
        )
    client = serve(library=tmp_path / "library")
    for asked in ({"q": "red", "label": "Sea"}, {"label": ["sea", "wide"]}):
        assert [hit["scene"] for hit in client.get("/search", params=asked).json()] == [row.id]
    assert client.get("/search", params={"q": "red", "label": ["sea", "sky"]}).json() == []
    posted = client.post("/search", params={"label": "sea"}, data={"q": "red"})
    assert [hit["scene"] for hit in posted.json()] == [row.id]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"q": "  "},
        {"q": "x" * 2001},
        {"q": "a", "k": 0},
        {"q": "a", "k": 10**9},
        {"q": "a", "colour": "red"},
        {"q": "a", "since": "yesterday"},
        {"q": "a", "since": "2024-05-02", "until": "2024-05-01"},
        {"q": "a", "folder": "not/absolute"},
        {"q": "a", "language": "und"},
        {"q": "a", "label": ""},
        {"q": "a", "label": " "},
        {"q": "a", "label": ["dog"] * 1000},
        {"label": "dog", "channel": "speech"},
        {"q": "a", "min_duration": "nan"},
        {"like": 10**12},
        {"like": 0},
    ],
)
def test_a_search_that_makes_no_sense_is_told_why(client: TestClient, params: dict[str, Any]) -> None:
    answer = client.get("/search", params=params)
    assert answer.status_code == 422
    assert set(answer.json()) == {"error"} and "\n" not in answer.json()["error"]


def test_more_like_a_scene(client: TestClient) -> None:
    red = scene_of(client, "red")
    for answer in (client.get("/search", params={"like": red}), client.post("/search", data={"like": red})):
        assert answer.status_code == 200 and red not in [hit["scene"] for hit in answer.json()]


def test_a_picture_finds_what_looks_like_it(client: TestClient) -> None:
    answer = client.post("/search?k=1", files={"image": ("../../etc/passwd", picture((0, 0, 255)))})
    assert answer.status_code == 200 and answer.json()[0]["scene"] == scene_of(client, "blue")
    both = client.post("/search?k=1", files={"image": picture((0, 0, 255))}, data={"q": "blue"})
    assert both.json()[0]["scene"] == scene_of(client, "blue")


def test_a_clip_finds_what_looks_like_it(client: TestClient, tmp_path: Path) -> None:
    made = make_video(tmp_path / "asked.mp4", [Shot("red", 1.0)])
    answer = client.post("/search?k=1", files={"clip": made.path.read_bytes()})
    assert answer.status_code == 200 and answer.json()[0]["scene"] == scene_of(client, "red")


def test_words_alone_may_be_posted(client: TestClient) -> None:
    assert client.post("/search", data={"q": "red"}).json() == client.get("/search", params={"q": "red"}).json()


@pytest.mark.parametrize("field", ["image", "clip"])
@pytest.mark.parametrize(
    "data", [b"", b"no picture", b"#EXTM3U\nfile:///etc/passwd\n", b"\x89PNG\r\n\x1a\n" + b"\0" * 99]
)
def test_a_malformed_upload_is_told_of(client: TestClient, field: str, data: bytes) -> None:
    answer = client.post("/search", files={field: ("name.mp4", data)})
    assert answer.status_code == 422
    assert "passwd" not in answer.text and "vsearch-" not in answer.text


def test_a_broken_form_is_told_of(client: TestClient) -> None:
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    assert client.post("/search", content=b"--x\r\nnonsense", headers=kind).status_code in (400, 422)
    assert client.post("/search", content=b"--x", headers={"Content-Type": "multipart/form-data"}).status_code in (
        400,
        422,
    )


def test_two_examples_are_one_too_many(client: TestClient) -> None:
    answer = client.post("/search", files={"image": picture((255, 0, 0))}, data={"like": 1})
    assert answer.status_code == 422 and "one of" in answer.json()["error"]


def test_videos_by_page_and_by_id(client: TestClient, footage: Path) -> None:
    page = client.get("/videos").json()
    assert page["next"] is None and len(page["videos"]) == 1
    first = page["videos"][0]
    assert first["paths"] == [str(footage / "colours.mp4")] and first["scenes"] == 2
    whole = client.get(f"/videos/{first['id']}").json()
    assert [scene["start"] for scene in whole["scene_list"]] == pytest.approx([0.0, 2.0], abs=0.05)
    assert client.get("/videos", params={"after": first["id"]}).json() == {"videos": [], "next": None}
    assert client.get("/videos/999999").status_code == 404


def test_pages_follow_on_one_another(serve: Serve, tmp_path: Path) -> None:
    from tests.search.made import add

    with SqliteStore.open(tmp_path / "many", create=True) as library:
        for name in "abc":
            add(library, f"/films/{name}.mp4", ["rr"])
    client, seen, after = serve(library=tmp_path / "many"), [], 0
    while after is not None:
        page = client.get("/videos", params={"limit": 1, "after": after}).json()
        seen += [path for video in page["videos"] for path in video["paths"]]
        after = page["next"]
    assert seen == ["/films/a.mp4", "/films/b.mp4", "/films/c.mp4"]


def test_a_name_that_is_no_text_can_be_told(serve: Serve, tmp_path: Path) -> None:
    from tests.search.made import add

    with SqliteStore.open(tmp_path / "odd", create=True) as library:
        add(library, "/films/a.mp4", ["rr"])
        library.touch_file(FileStamp(Path("/films/\udcff.mp4"), 1, 1), "key of /films/a.mp4")
        library.forget_files([Path("/films/a.mp4")])
    client = serve(library=tmp_path / "odd")
    assert client.get("/search", params={"q": "red"}).json()[0]["video"] == "/films/\udcff.mp4"
    assert client.get("/videos").json()["videos"][0]["paths"] == ["/films/\udcff.mp4"]


def test_a_thumbnail_is_a_picture_of_the_scene(client: TestClient) -> None:
    answer = client.get(f"/scenes/{scene_of(client, 'red')}/thumbnail")
    assert answer.headers["content-type"] == "image/jpeg"
    red, green, blue = np.asarray(Image.open(BytesIO(answer.content)))[20, 20]
    assert red > 150 and green < 100 and blue < 100
    assert client.get("/scenes/999999/thumbnail").status_code == 404


def test_a_clip_is_sent_whole_and_in_parts(client: TestClient) -> None:
    address = f"/scenes/{scene_of(client, 'blue')}/clip"
    whole = client.get(address)
    assert whole.status_code == 200 and whole.headers["content-type"] in ("video/mp4", "video/webm")
    part = client.get(address, headers={"Range": "bytes=10-19"})
    assert part.status_code == 206 and part.content == whole.content[10:20]
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole.content)}"
    assert client.get(address, headers={"Range": "bytes=-5"}).content == whole.content[-5:]
    assert client.get(address, headers={"Range": f"bytes={10**9}-"}).status_code == 416
    assert client.get(address, headers={"Range": "bytes=banana"}).status_code in (200, 400, 416)
    assert client.get("/scenes/999999/clip").status_code == 404


def test_a_clip_of_a_file_that_is_gone_is_not_found(serve: Serve, tmp_path: Path) -> None:
    from tests.search.made import add

    with SqliteStore.open(tmp_path / "gone", create=True) as library:
        add(library, "/films/gone.mp4", ["rr"])
    client = serve(library=tmp_path / "gone")
    assert client.get(f"/scenes/{scene_of(client, 'red')}/clip").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/scenes/..%2f..%2fetc%2fpasswd/clip",
        "/scenes/../../../etc/passwd",
        "/scenes/1%00/thumbnail",
        "/videos/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/videos/9223372036854775808",
        "/videos/-1",
        "/jobs/..%2f..%2fcatalog.db",
        "//etc/passwd",
        "/static/../catalog.db",
    ],
)
def test_paths_lead_nowhere(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (404, 422) and set(answer.json()) == {"error"}


def wait_for(client: TestClient, job: dict[str, Any]) -> dict[str, Any]:
    until = time.monotonic() + 60
    while job["state"] in ("queued", "running") and time.monotonic() < until:
        time.sleep(0.02)
        job = client.get(f"/jobs/{job['id']}").json()
    return job


def test_indexing_is_a_job(serve: Serve, tmp_path: Path) -> None:
    root = tmp_path / "films"
    root.mkdir()
    make_video(root / "new.mp4", [Shot("green", 1.0)])
    SqliteStore.open(tmp_path / "own", create=True).close()
    client = serve(library=tmp_path / "own", roots=[root])
    assert client.get("/search", params={"q": "green"}).json() == []
    answer = client.post("/index", json={"paths": [str(root)]})
    assert answer.status_code == 202 and answer.headers["location"] == f"/jobs/{answer.json()['id']}"
    assert wait_for(client, answer.json())["state"] == "done"
    assert client.get("/search", params={"q": "green"}).json()[0]["video"] == str(root / "new.mp4")
    assert client.get("/jobs/unknown").status_code == 404


def test_two_clients_are_answered_during_a_job(serve: Serve, footage: Path) -> None:
    go_on = []

    def runner(paths: Sequence[Path]) -> Generator[Event, None, None]:
        while not go_on:
            time.sleep(0.01)
            yield Progress(paths[0], 1.0, 2.0, 1.0, 2.0, all_discovered=True)
        yield Finished(Summary(1, 0, 0, 0, 0, (), scenes=2, footage=2.0, wall=1.0))

    client = serve(runner=runner, roots=[footage])
    first = client.post("/index", json={}).json()
    second = client.post("/index", json={"paths": [str(footage / "colours.mp4")]}).json()
    assert [client.get("/search", params={"q": "red"}).status_code for _ in range(2)] == [200, 200]
    assert client.get(f"/jobs/{second['id']}").json()["state"] == "queued"
    go_on.append(True)
    assert wait_for(client, first)["summary"]["indexed"] == 1
    assert wait_for(client, second)["state"] == "done"


def test_too_many_jobs_are_put_off(serve: Serve, footage: Path) -> None:
    go_on = []

    def runner(paths: Sequence[Path]) -> Generator[Event, None, None]:
        while not go_on:
            time.sleep(0.01)
            yield Started(paths[0])

    client = serve(runner=runner, roots=[footage], jobs_waiting=1)
    answers = [client.post("/index", json={}) for _ in range(3)]
    go_on.append(True)
    assert answers[-1].status_code == 503 and int(answers[-1].headers["retry-after"]) > 0


def test_a_job_that_fails_says_why(serve: Serve, footage: Path) -> None:
    def locked(paths: Sequence[Path]) -> Generator[Event, None, None]:
        raise LibraryLocked("another process is writing")
        yield Started(paths[0])

    client = serve(runner=locked, roots=[footage])
    job = wait_for(client, client.post("/index", json={}).json())
    assert (job["state"], job["error"]) == ("failed", "another process is writing")


def test_nothing_to_index_is_told(client: TestClient) -> None:
    answer = client.post("/index", json={})
    assert answer.status_code == 422 and "--root" in answer.json()["error"]


def test_metrics_count(client: TestClient) -> None:
    client.get("/search", params={"q": "red"})
    client.get("/videos/999999")
    client.get("/nowhere/at/all")
    text = client.get("/metrics").text
    assert 'vsearch_requests_total{route="/search",method="GET",status="200"} 1' in text
    assert 'vsearch_requests_total{route="/videos/{id}",method="GET",status="404"} 1' in text
    assert 'vsearch_request_seconds_count{route="/search"} 1' in text
    assert "/nowhere" not in text


def test_the_page_shows_every_route_and_needs_no_network(client: TestClient) -> None:
    text = client.get("/docs").text
    for path in client.get("/openapi.json").json()["paths"]:
        assert path in text
    assert "<script" not in text and "http://" not in text and "https://" not in text


def test_health(client: TestClient) -> None:
    assert client.get("/health").json()["status"] == "ok"
