"""S3-compatible and SSH stores, over servers in this process: `pip install '.[elsewhere]'` brings them."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from jobspec.ir.codec.job import job_hash
from jobspec.ir.digest import Digest, blob_digest
from jobspec.ir.errors import UsageError
from jobspec.ir.job import Job
from jobspec.runtime import keeping
from jobspec.runtime.transfer import pull_run, pull_set, push_run, push_set, remote_runs, remote_sets
from jobspec.store.blobs import BlobStore
from jobspec.store.datasets import open_set
from jobspec.store.fetching import fetch_blob
from jobspec.store.files import FileLayer, StoreError
from jobspec.store.home import Home
from jobspec.store.remote import CHUNK, Remote
from jobspec.store.shards import write_tokens
from tests.runtime.jobs import home_at, train


def module(name: str) -> ModuleType:
    """Skips where it is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        pytest.skip(f"needs the package {name.partition('.')[0]}: pip install '.[elsewhere]'")


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """`s3://…` on a server of moto's."""
    server = module("moto.server").ThreadedMotoServer(port=0, verbose=False)
    system = module("s3fs").S3FileSystem
    with pytest.MonkeyPatch.context() as patch:
        server.start()
        host, port = server.get_host_and_port()
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "anything")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        system().mkdir("bucket")
        yield "s3://bucket"
        server.stop()
        system.clear_instance_cache()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`sftp://…` on a server of paramiko's."""
    module("paramiko")
    system = module("fsspec.implementations.sftp").SFTPFileSystem
    with importlib.import_module("tests.store.sftp").serving() as port:
        yield f"sftp://me:secret@127.0.0.1:{port}{tmp_path_factory.mktemp('host')}"
        for connected in system._cache.values():
            connected.client.close()
        system.clear_instance_cache()


@pytest.fixture(params=["bucket", "host"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"{request.getfixturevalue(request.param)}/{tmp_path.name}"


def test_there_and_back(line: Job, home: Home, url: str, tmp_path: Path) -> None:
    """As `tests/runtime/test_transfer.py` has it for folders: only what is missing travels, a run goes on elsewhere."""
    remote, job, root = Remote(url), job_hash(line), Digest.parse(line.sources[0].root)
    assert remote_sets(remote) == remote_runs(remote) == []
    train(line, home, until=7)
    first = push_set(home, remote, root)
    assert first.sent > 1 and push_set(home, remote, root).kept == first.sent
    push_run(home, remote, job)
    assert push_run(home, remote, job).sent == 2
    assert (remote_sets(remote), remote_runs(Remote(url))) == ([root], [job])
    other = home_at(tmp_path / "other")
    pull_set(other, remote, root)
    pull_run(other, remote, job)
    assert train(line, other).steps == 12 and not list(keeping.problems(other))
    assert train(line, other).receipt.read_bytes() == train(line, home).receipt.read_bytes()  # type: ignore[union-attr]


def test_shards_stream_from_there(url: str, tmp_path: Path) -> None:
    here, away = Home(tmp_path / "here"), Home(tmp_path / "away", remote=url)
    tokens = np.arange(5000, dtype="<u2")
    root = write_tokens(here.data(), tokens, shard=2000).root
    push_set(here, Remote(url), root)
    opened = open_set(away.data(), root)
    assert opened.take("tok", np.array([4990])) == [4990]
    assert len([p for p in (away.folder / "data").iterdir() if p.suffix == ""]) == 1
    assert (opened.array("tok") == tokens).all()


class Cut(Remote):
    """The line breaks after the first piece."""

    def chunks(self, name: str, start: int) -> Iterator[bytes]:
        yield next(super().chunks(name, start))
        raise StoreError("E0712", "the line is cut")


def sent(url: str, tmp_path: Path, data: bytes, name: str | None = None) -> str:
    """The name of a blob that is there now."""
    path = tmp_path / "blob"
    path.write_bytes(data)
    name = name or blob_digest(data).hex
    Remote(url).put(f"data/{name}", path)
    return name


def test_what_was_cut_off_goes_on(url: str, tmp_path: Path) -> None:
    data = np.random.default_rng(1).bytes(2 * CHUNK + 7)
    name = sent(url, tmp_path, data)
    target = tmp_path / "here" / name
    with pytest.raises(StoreError, match="cut"):
        fetch_blob(FileLayer(), Cut(url), f"data/{name}", target)
    assert (target.parent / f".{name}.pull").stat().st_size == CHUNK
    fetch_blob(FileLayer(), Remote(url), f"data/{name}", target)
    assert target.read_bytes() == data


def test_what_does_not_match_is_named(url: str, tmp_path: Path) -> None:
    name = sent(url, tmp_path, b"other bytes", blob_digest(b"these").hex)
    with pytest.raises(StoreError, match=name) as caught:
        fetch_blob(FileLayer(), Remote(url), f"data/{name}", tmp_path / "here" / name)
    assert caught.value.code == "E0713" and "secret" not in str(caught.value)
    again = sent(url, tmp_path, b"these")
    fetch_blob(FileLayer(), Remote(url), f"data/{again}", tmp_path / "here" / again)
    assert BlobStore(tmp_path / "here").get(blob_digest(b"these")) == b"these"


def test_what_is_not_there(url: str, tmp_path: Path) -> None:
    remote = Remote(f"{url}/nowhere")
    assert not remote.has("data/x") and remote.names("data") == []
    with pytest.raises(StoreError) as caught:
        remote.read("data/x", 10)
    assert caught.value.code == "E0712" and "secret" not in str(caught.value)


def test_a_bucket_is_not_made(bucket: str, tmp_path: Path) -> None:
    """Its name may be a slip."""
    with pytest.raises(StoreError) as caught:
        sent("s3://bukcet/there", tmp_path, b"some")
    assert caught.value.code == "E0712"
    assert not module("s3fs").S3FileSystem().exists("bukcet")


def test_a_host_that_does_not_let_in(host: str) -> None:
    for wrong in ("sftp://me:secret@127.0.0.1:9/there", host.replace("sftp://me:secret@", "sftp://me:refused@")):
        with pytest.raises(UsageError) as caught:
            Remote(wrong)
        assert caught.value.code == "E0860"
        assert "sftp://me@127" in str(caught.value) and "secret" not in str(caught.value)
