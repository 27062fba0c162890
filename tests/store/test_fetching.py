"""Stores elsewhere: what arrives is hashed, what was cut off goes on, what is damaged is fetched again, then named."""

from __future__ import annotations

import http.server
import os
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import fsspec
import numpy as np
import pytest

from jobspec.ir.digest import Digest, blob_digest
from jobspec.ir.errors import DataError, UsageError
from jobspec.store.blobs import BlobStore
from jobspec.store.datasets import open_set
from jobspec.store.fetching import FetchingStore, fetch_blob
from jobspec.store.files import FileLayer, StoreError
from jobspec.store.home import Home, open_home
from jobspec.store.remote import CHUNK, Remote
from jobspec.store.shards import write_table, write_tokens

BIG = bytes(range(256)) * (3 * CHUNK // 256) + b"tail"


class Served(http.server.SimpleHTTPRequestHandler):
    """A folder over HTTP, as any web server gives it."""

    def log_message(self, *words: object) -> None: ...


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """The folder that plays the store elsewhere."""
    (tmp_path / "there" / "data").mkdir(parents=True)
    return tmp_path / "there"


@pytest.fixture(params=["path", "file", "memory", "http"])
def url(request: pytest.FixtureRequest, there: Path, tmp_path: Path) -> Iterator[str]:
    """The same folder under several kinds of URL."""
    if request.param == "http":
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Served, directory=str(there)))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        server.server_close()
        thread.join()
    else:
        yield {"path": str(there), "file": f"file://{there}", "memory": f"memory://{tmp_path.name}"}[request.param]


def filled(url: str, there: Path) -> Digest:
    """A token set of several shards at the URL; its root."""
    source = BlobStore(there / "data")
    root = write_tokens(source, np.arange(5000, dtype="<u2"), shard=2000).root
    if url.startswith("memory"):
        system = fsspec.filesystem("memory")
        for path in (there / "data").iterdir():
            system.pipe_file(f"{url}/data/{path.name}", path.read_bytes())
    return root


def test_a_set_comes_from_elsewhere(url: str, there: Path, tmp_path: Path) -> None:
    root = filled(url, there)
    home = Home(tmp_path / "home", remote=url)
    opened = open_set(home.data(), root)
    assert list((home.folder / "data").iterdir()) == [home.folder / "data" / f"{root.hex}.manifest"]
    assert (opened.array("tok") == np.arange(5000)).all()
    plain = Home(tmp_path / "home")
    assert (open_set(plain.data(), root).array("tok") == np.arange(5000)).all()
    assert not [path for path in (home.folder / "data").iterdir() if path.name.startswith(".")]


def test_only_the_shards_that_are_used_come(there: Path, tmp_path: Path) -> None:
    root = filled(str(there), there)
    store = Home(tmp_path / "home", remote=str(there)).data()
    opened = open_set(store, root)
    opened.take("tok", np.array([4990]))
    last = opened.manifest.shards[-1].pieces[0].name
    assert [p.name for p in store.folder.iterdir() if p.suffix == ""] == [last.hex]


def test_the_next_shard_is_fetched_meanwhile(there: Path, tmp_path: Path) -> None:
    root = filled(str(there), there)
    store = Home(tmp_path / "home", remote=str(there)).data()
    assert isinstance(store, FetchingStore)
    opened = open_set(store, root)
    opened.take("tok", np.array([0]))
    second = opened.manifest.shards[1].pieces[0].name
    store._coming[second.hex].result()
    assert store.own_path(second).is_file()


def remote_blob(there: Path, data: bytes) -> str:
    name = blob_digest(data).hex
    (there / "data" / name).write_bytes(data)
    return name


class Breaking(Remote):
    """Breaks off after some chunks, once."""

    def __init__(self, url: str, after: int) -> None:
        super().__init__(url)
        self.after, self.given = after, 0

    def chunks(self, name: str, start: int) -> Iterator[bytes]:
        for chunk in super().chunks(name, start):
            self.given += len(chunk)
            yield chunk
            self.after -= 1
            if self.after == 0:
                raise StoreError("E0712", "the line is cut")


@pytest.mark.parametrize("after", [1, 2, 3])
def test_what_was_cut_off_goes_on(there: Path, tmp_path: Path, after: int) -> None:
    name = remote_blob(there, BIG)
    remote, target = Breaking(str(there), after), tmp_path / "here" / name
    with pytest.raises(StoreError, match="cut"):
        fetch_blob(FileLayer(), remote, f"data/{name}", target)
    assert not target.is_file()
    fetch_blob(FileLayer(), remote, f"data/{name}", target)
    assert target.read_bytes() == BIG and remote.given == len(BIG)


def test_a_wrong_beginning_is_fetched_anew(there: Path, tmp_path: Path) -> None:
    """What an earlier attempt left may itself be damaged."""
    name = remote_blob(there, BIG)
    target = tmp_path / "here" / name
    target.parent.mkdir()
    (target.parent / f".{name}.pull").write_bytes(b"x" * 1000)
    fetch_blob(FileLayer(), Remote(str(there)), f"data/{name}", target)
    assert target.read_bytes() == BIG and [p.name for p in target.parent.iterdir()] == [name]


class Flaky(Remote):
    """Gives wrong bytes so many times."""

    def __init__(self, url: str, wrong: int) -> None:
        super().__init__(url)
        self.wrong = wrong

    def chunks(self, name: str, start: int) -> Iterator[bytes]:
        self.wrong -= 1
        chunks = list(super().chunks(name, start))
        yield from [b"?" + chunks[0][1:], *chunks[1:]] if self.wrong >= 0 else chunks


@pytest.mark.parametrize(("wrong", "comes"), [(0, True), (1, True), (2, False)])
def test_what_does_not_match_is_fetched_again_then_named(there: Path, tmp_path: Path, wrong: int, comes: bool) -> None:
    name = remote_blob(there, b"some bytes")
    target = tmp_path / "here" / name
    if comes:
        fetch_blob(FileLayer(), Flaky(str(there), wrong), f"data/{name}", target)
        assert target.read_bytes() == b"some bytes"
        return
    with pytest.raises(StoreError, match=name) as caught:
        fetch_blob(FileLayer(), Flaky(str(there), wrong), f"data/{name}", target)
    assert caught.value.code == "E0713" and not target.is_file()


@pytest.mark.parametrize("size", [1 << 36, 1])
def test_a_shard_of_another_size_is_not_fetched(there: Path, tmp_path: Path, size: int) -> None:
    """64 GiB where the manifest says 2,000 bytes: the disk here is not filled with it."""
    root = filled(str(there), there)
    home = Home(tmp_path / "home", remote=str(there))
    opened = open_set(home.data(), root)
    name = opened.manifest.shards[0].pieces[0].name.hex
    os.truncate(there / "data" / name, size)
    with pytest.raises(StoreError, match="has 2000 bytes") as caught:
        opened.take("tok", np.array([1]))
    assert caught.value.code == "E0713" and not list((home.folder / "data").glob(f"*{name}*"))


def test_an_own_copy_that_is_damaged_is_fetched_again(there: Path, tmp_path: Path) -> None:
    root = filled(str(there), there)
    home = Home(tmp_path / "home", remote=str(there))
    opened = open_set(home.data(), root)
    opened.array("tok")
    piece = opened.manifest.shards[0].pieces[0]
    path = home.folder / "data" / piece.name.hex
    path.write_bytes(bytes(piece.size))
    assert (open_set(home.data(), root).array("tok") == np.arange(5000)).all()
    path.write_bytes(bytes(piece.size))
    with pytest.raises(DataError, match="changed"):
        open_set(Home(home.folder).data(), root).array("tok")
    (there / "data" / piece.name.hex).unlink()
    with pytest.raises(DataError, match="changed"):
        open_set(home.data(), root).array("tok")
    assert path.is_file()


def test_what_is_nowhere_is_missing(there: Path, tmp_path: Path) -> None:
    root = filled(str(there), there)
    home = Home(tmp_path / "home", remote=str(there))
    next(p for p in (there / "data").iterdir() if p.suffix == "").unlink()
    with pytest.raises(DataError, match="is missing"):
        open_set(home.data(), root).array("tok")
    with pytest.raises(DataError, match="no data set"):
        open_set(home.data(), blob_digest(b"nothing"))


def test_a_manifest_from_elsewhere_is_checked(there: Path, tmp_path: Path) -> None:
    root = filled(str(there), there)
    other = write_table(BlobStore(there / "data"), {"x": np.zeros((3, 2), "<f4")}).root
    (there / "data" / f"{root.hex}.manifest").write_bytes((there / "data" / f"{other.hex}.manifest").read_bytes())
    with pytest.raises(DataError, match="its contents have the root"):
        open_set(Home(tmp_path / "home", remote=str(there)).data(), root)


def test_a_url_that_cannot_be_reached() -> None:
    with pytest.raises(UsageError) as caught:
        Remote("nosuchkind://host/folder")
    assert caught.value.code == "E0860"


def test_a_server_that_is_gone(tmp_path: Path) -> None:
    home = Home(tmp_path / "home", remote="http://127.0.0.1:9")
    with pytest.raises(StoreError) as caught:
        home.data().get(blob_digest(b"x"))
    assert caught.value.code == "E0712" and "127.0.0.1:9" in str(caught.value)


def test_without_fsspec_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:

    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(UsageError, match="package fsspec"):
        Remote("memory://x")


def test_the_environment_names_the_remote(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JOBSPEC_REMOTE", str(tmp_path))
    assert open_home(tmp_path / "home").remote == str(tmp_path)
    monkeypatch.delenv("JOBSPEC_REMOTE")
    assert open_home(tmp_path / "home").remote is None
