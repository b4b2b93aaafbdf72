from __future__ import annotations

import base64
import hashlib
import socket
import time
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import pytest

from ratoon.tracking.client import Client

from .conftest import API, FILES, Api

CONTENT = bytes(range(256)) * 12_000  # three pieces of a megabyte


def put(api: Api, path: str, content: bytes = b"x") -> httpx.Response:
    return api.http.put(f"{FILES}/{path}", content=content)


def everything_below(client: Client) -> list[Path]:
    root = Path(client.settings.artifact_root)
    return [path for path in root.parent.rglob("*") if path.is_file() and root in path.parents]


def test_a_file_goes_up_and_comes_down(api: Api) -> None:
    digest = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
    answer = put(api, "1/run/artifacts/a b ☀.bin", CONTENT)
    assert (answer.status_code, answer.json()) == (200, {})
    assert answer.headers["repr-digest"] == f"sha-256=:{digest}:"
    answer = api.http.get(f"{FILES}/1/run/artifacts/a b ☀.bin")
    assert answer.content == CONTENT
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert answer.headers["repr-digest"] == f"sha-256=:{digest}:"
    assert answer.headers["etag"] == f'"{hashlib.sha256(CONTENT).hexdigest()}"'
    assert answer.headers["content-disposition"] == f"attachment; filename*=UTF-8''{quote('a b ☀.bin')}"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("sandbox")
    assert answer.headers["accept-ranges"] == "bytes"


def test_a_page_is_no_page_here(api: Api) -> None:
    put(api, "x.html", b"<script>alert(1)</script>")
    answer = api.http.get(f"{FILES}/x.html")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["content-security-policy"]


def test_an_empty_file_is_one(api: Api) -> None:
    put(api, "empty", b"")
    assert api.http.get(f"{FILES}/empty").content == b""
    assert api.http.get(FILES, params={"path": ""}).json()["files"][0]["file_size"] == 0


def test_head_says_the_size_and_sends_nothing(api: Api) -> None:
    put(api, "a.json", b"{}  ")
    answer = api.http.head(f"{FILES}/a.json")
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "4")
    assert answer.headers["content-type"] == "application/json"
    assert api.http.head(f"{FILES}/none").status_code == 404


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-", 5, None),
        ("bytes=-7", -7, None),
        ("bytes=1048570-1048580", 1048570, 1048581),
        ("bytes=2000000-99999999", 2000000, None),
        ("bytes=-99999999", 0, None),
    ],
)
def test_a_part_can_be_asked_for(asked: str, start: int, stop: int | None, api: Api) -> None:
    put(api, "big", CONTENT)
    answer = api.http.get(f"{FILES}/big", headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.content == CONTENT[start:stop]
    first = start % len(CONTENT)
    assert answer.headers["content-range"] == f"bytes {first}-{first + len(answer.content) - 1}/{len(CONTENT)}"


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "lines=1-2", "bytes=-", "bytes=a-b", ""])
def test_a_range_that_we_do_not_know_is_passed_over(asked: str, api: Api) -> None:
    put(api, "big", CONTENT)
    answer = api.http.get(f"{FILES}/big", headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, CONTENT)


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=5-4", "bytes=-0", f"bytes={'9' * 30}-"])
def test_a_range_outside_is_refused(asked: str, api: Api) -> None:
    put(api, "big", CONTENT)
    answer = api.http.get(f"{FILES}/big", headers={"Range": asked})
    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{len(CONTENT)}")


def test_listings_are_relative(api: Api) -> None:
    put(api, "1/r/artifacts/a.txt", b"abc")
    put(api, "1/r/artifacts/sub/b.txt")
    listed = api.http.get(FILES, params={"path": "1/r/artifacts"}).json()["files"]
    digest = hashlib.sha256(b"abc").hexdigest()
    assert listed == [
        {"path": "a.txt", "is_dir": False, "file_size": 3, "digest": digest},
        {"path": "sub", "is_dir": True},
    ]
    assert api.http.get(FILES, params={"path": "1/none"}).json() == {}
    assert api.http.get(FILES, params={"path": "1/r/"}).json()["files"] == [{"path": "artifacts", "is_dir": True}]


def test_runs_and_models_list_theirs(api: Api) -> None:
    run = api.new_run()
    model = api.post("/logged-models", experiment_id="0")["model"]["info"]
    put(api, f"0/{run}/artifacts/sub/a.txt", b"abc")
    put(api, f"0/models/{model['model_id']}/artifacts/sub/MLmodel", b"abc")
    found = api.get("/artifacts/list", run_id=run, path="sub")
    assert found["root_uri"] == f"mlflow-artifacts:/0/{run}/artifacts"
    assert [each["path"] for each in found["files"]] == ["sub/a.txt"]
    assert "files" not in api.get("/artifacts/list", run_id=run, path="none")
    path = f"/logged-models/{model['model_id']}/artifacts/directories"
    assert [each["path"] for each in api.get(path)["files"]] == ["sub"]
    assert [each["path"] for each in api.get(path, artifact_directory_path="sub/")["files"]] == ["sub/MLmodel"]
    for wrong in ("..", "../x", "/x", "a\\b", "a/../b"):
        api.refused("GET", "/artifacts/list", run_id=run, path=wrong, status=400, code="INVALID_PARAMETER_VALUE")


def test_what_is_not_there_is_said_in_json(api: Api) -> None:
    answer = api.http.get(f"{FILES}/none")
    assert (answer.status_code, answer.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_files_and_folders_are_removed(api: Api) -> None:
    put(api, "a/b.txt")
    put(api, "a/c/d.txt")
    for path in ("a/b.txt", "a/c", "a/c"):
        answer = api.http.delete(f"{FILES}/{path}")
        assert (answer.status_code, answer.json()) == (200, {})
    assert api.http.get(FILES, params={"path": "a"}).json() == {}


SHAPES = [
    *(
        "..",
        "../x",
        "a/../../x",
        "a/..",
        "./x",
        "a//x",
        "/etc/passwd",
        "//x",
        "a\\b",
        "..\\x",
        "C:/x",
        "c:x",
        "a/.",
        "a/",
    ),
    *(
        "%2e%2e/x",
        "%2e%2e%2fx",
        "..%2fx",
        "a%2f..%2fx",
        "%2fetc%2fpasswd",
        "a%5cb",
        "%2E%2E/x",
        ".%2e/x",
        "a%00b",
        "%0a",
    ),
    *("%c0%ae%c0%ae/x", "%ff", "%ed%a0%80", "x" * 300, "x/" * 600 + "x", "%7f", ""),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
def test_no_path_leads_outside(method: str, shape: str, api: Api, client: Client) -> None:
    put(api, "here/a.txt")
    before = everything_below(client)
    answer = api.raw(method, f"{FILES}/{shape}", b"evil" if method == "PUT" else b"")
    assert answer.status == 400, answer.content
    assert everything_below(client) == before


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape not in ("", "a/")])
def test_no_listing_leads_outside(shape: str, api: Api) -> None:
    answer = api.raw("GET", f"{FILES}?path={shape}")
    assert answer.status == 400, answer.content


@pytest.mark.parametrize(
    "shape", ["%252e%252e/x", "%25252e%25252e%25252fx", "a%2525b", "~/x", "a;b", "a#b", "...", "-rf"]
)
def test_what_looks_encoded_after_decoding_is_a_name(shape: str, api: Api, client: Client) -> None:
    outside = Path(client.settings.artifact_root).parent
    before = {path for path in outside.iterdir() if path != outside / "artifacts"}
    target = f"{FILES}/top/{shape.replace('#', '%23')}"
    assert api.raw("PUT", target, b"content").status == 200
    assert api.raw("GET", target).content == b"content"
    assert len(api.http.get(FILES, params={"path": "top"}).json()["files"]) == 1
    assert api.raw("DELETE", target).status == 200
    assert api.raw("GET", target).status == 404
    assert {path for path in outside.iterdir() if path != outside / "artifacts"} >= before


def test_presigned_and_multipart_are_not_there(api: Api) -> None:
    files = FILES.removesuffix("/artifacts")
    answers = [api.http.post(f"{files}/mpu/{verb}/a/b", json={"path": "a"}) for verb in ("create", "complete", "abort")]
    answers.append(api.http.get(f"{files}/presigned/a/b"))
    answers += [
        api.http.post(f"{API}/artifacts/presigned-{way}-url", json={"path": "a"}) for way in ("upload", "download")
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["error_code"]) == (501, "NOT_IMPLEMENTED")


def test_a_wrong_digest_stores_nothing(api: Api) -> None:
    right = base64.b64encode(hashlib.sha256(b"abc").digest()).decode()
    for name in ("Content-Digest", "Repr-Digest"):
        headers = {name: f"sha-256=:{right}:"}
        assert api.http.put(f"{FILES}/a", content=b"abc", headers=headers).status_code == 200
        answer = api.http.put(f"{FILES}/a", content=b"abd", headers=headers)
        assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
        assert api.http.get(f"{FILES}/a").content == b"abc"
    assert api.http.put(f"{FILES}/a", content=b"x", headers={"Repr-Digest": "sha-256=:!:"}).status_code == 200
    assert api.http.put(f"{FILES}/a", content=b"x", headers={"Repr-Digest": "sha-256=:a:"}).status_code == 400


def test_a_body_that_is_encoded_is_refused(api: Api) -> None:
    answer = api.http.put(f"{FILES}/a", content=b"abc", headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 415
    assert api.http.get(f"{FILES}/a").status_code == 404


@pytest.mark.parametrize("framing", ["Content-Length: 100000000", "Transfer-Encoding: chunked"])
def test_an_upload_that_breaks_off_leaves_nothing(framing: str, api: Api, client: Client) -> None:
    put(api, "a", b"old")
    before = everything_below(client)
    place = urlsplit(api.url)
    piece = b"x" * 3_000_000
    if "chunked" in framing:
        piece = f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
    with socket.create_connection((place.hostname or "", place.port or 0)) as connection:
        connection.sendall(f"PUT {FILES}/a HTTP/1.1\r\nHost: {place.netloc}\r\n{framing}\r\n\r\n".encode() + piece)
        time.sleep(0.2)
    for _ in range(100):
        if everything_below(client) == before:
            break
        time.sleep(0.05)
    assert everything_below(client) == before
    assert api.http.get(f"{FILES}/a").content == b"old"


def test_flipped_bits_are_not_sent_as_good(api: Api, client: Client) -> None:
    put(api, "small", b"good")
    put(api, "large", CONTENT)
    for blob in (Path(client.settings.artifact_root) / "blobs").rglob("*"):
        if blob.is_file():
            content = blob.read_bytes()
            blob.chmod(0o644)
            blob.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    answer = api.http.get(f"{FILES}/small")
    assert (answer.status_code, answer.json()["error_code"]) == (500, "DATA_LOSS")
    with pytest.raises(httpx.RemoteProtocolError):
        api.http.get(f"{FILES}/large")
