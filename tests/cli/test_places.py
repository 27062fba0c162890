"""Stores in unusual places: read-only, on another file system, behind links; and folders that somebody has been at."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobspec.sandbox import files
from tests.cli.conftest import ROOT, Answer, Call

REFERENCE = ("--on", "reference")
MEMORY = Path("/dev/shm")
READ_ONLY = """
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from jobspec.sandbox.calls import give_up_privileges
from jobspec.sandbox.files import restrict
from jobspec.cli import exit_code
give_up_privileges()
assert restrict([Path("/")], [Path("/dev"), Path(sys.argv[1])])
for words in json.loads(sys.argv[2]):
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = exit_code(words)
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""


def read_only(tmp_path: Path, *calls: list[object]) -> list[Answer]:
    """A process to which the kernel refuses every write outside of a folder of its own, whoever runs it."""
    own = tmp_path / "own"
    own.mkdir(exist_ok=True)
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(own), "PYTHONDONTWRITEBYTECODE": "1"}
    words = json.dumps([list(map(str, call)) for call in calls])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", READ_ONLY, str(own), words],
        capture_output=True,
        text=True,
        env=env,
        timeout=120,
    )
    assert done.returncode == 0 and "Traceback" not in done.stdout + done.stderr, done.stderr
    return [Answer(*json.loads(line)) for line in done.stdout.splitlines()]


@pytest.mark.skipif(not files.version(), reason="this kernel has no Landlock")
def test_a_store_that_may_only_be_read(call: Call, tiny: Path, tmp_path: Path) -> None:
    """What is there can be used: results, verdicts; what would be written is refused in words."""
    (refused,) = read_only(tmp_path, ["run", tiny])
    assert refused.code == 1 and "error[E0702]" in refused.err and "JOBSPEC_HOME" in refused.err
    done = call("run", tiny, *REFERENCE, "--json").json
    looks = [["store", "ls"], ["store", "verify"], ["data", "ls"], ["hash", tiny], ["check", tiny]]
    known, verdict, again, *others = read_only(
        tmp_path, ["run", tiny, "--json"], ["verify", done["receipt"]], ["run", tiny, "--again"], *looks
    )
    assert known.code == 0 and known.json["known"] and known.json["state"] == done["state"]
    assert verdict.code == 0 and "ACCEPT" in verdict.out
    assert again.code == 1 and "error[E0702]" in again.err
    assert [answer.code for answer in others] == [0] * len(looks)


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A folder on another file system."""
    if not MEMORY.is_dir() or MEMORY.stat().st_dev == Path(tempfile.gettempdir()).stat().st_dev:
        pytest.skip("there is no other file system at hand")
    folder = Path(tempfile.mkdtemp(dir=MEMORY))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("part", ["", "runs", "data"])
def test_a_store_on_another_file_system(call: Call, tiny: Path, home: Path, elsewhere: Path, part: str) -> None:
    """The whole of it, or the runs, or the data, behind a link."""
    wanted = call("run", tiny, *REFERENCE, "--json").json
    shutil.rmtree(home / "runs")
    here = home / part if part else home
    if here.exists():
        shutil.copytree(here, elsewhere / "store")
        shutil.rmtree(here)
    else:
        (elsewhere / "store").mkdir()
    here.symlink_to(elsewhere / "store")
    assert call("run", tiny, *REFERENCE, "--until", 5).code == 0
    found = call("run", tiny, *REFERENCE, "--json").json
    assert found["state"] == wanted["state"]
    assert call("verify", found["receipt"], *REFERENCE).code == call("store", "verify").code == 0


# ---- a run's folder that somebody has been at


@pytest.fixture
def run(call: Call, tiny: Path) -> Path:
    """The folder of a finished run."""
    return Path(call("run", tiny, *REFERENCE, "--json").json["receipt"]).parent


def test_a_receipt_that_was_put_in_its_place(call: Call, tiny: Path, run: Path) -> None:
    """The log knows what the run finished with."""
    good = (run / "receipt.cbor").read_bytes()
    for changed in (good[:-1] + bytes([good[-1] ^ 1]), good[: len(good) // 2], b"", bytes(1 << 20)):
        (run / "receipt.cbor").write_bytes(changed)
        assert call("verify", run / "receipt.cbor", *REFERENCE).code == 4
        known = call("run", tiny, *REFERENCE, "--json").json
        assert known["known"] and (run / "receipt.cbor").read_bytes() == good


def test_checkpoints_that_were_swapped(call: Call, tiny: Path, home: Path, tmp_path: Path) -> None:
    """Each blob under the other's name: neither is taken, and the run comes to the same."""
    folder = Path(call("run", tiny, *REFERENCE, "--until", "7", "--json").json["weights"] or next(home.glob("runs/*")))
    blobs = sorted((folder / "states").iterdir())
    held = [blob.read_bytes() for blob in blobs]
    for blob, data in zip(blobs, held[1:] + held[:1], strict=True):
        blob.write_bytes(data)
    said = call("run", tiny, *REFERENCE, "--json")
    assert said.code == 0 and said.json["steps"] == 12 and "cannot be used" in said.err
    assert call("verify", said.json["receipt"], *REFERENCE).code == 0


def test_another_run_s_folder(call: Call, tiny: Path, run: Path, home: Path) -> None:
    """A whole folder under another job's name."""
    other = call("hash", tiny, "--set", "seed=9", "--json").json["job"].removeprefix("b3:")
    shutil.copytree(run, home / "runs" / other)
    said = call("run", tiny, *REFERENCE, "--set", "seed=9", "--json")
    assert said.code in (1, 5) and "error[E0" in said.err
    shutil.rmtree(home / "runs" / other)
    assert call("run", tiny, *REFERENCE, "--set", "seed=9").code == 0


LINKS = ["receipt.cbor", "job.cbor", "log", "facts.json", "weights.safetensors", "states"]


@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("target", ["/dev/zero", "/etc/passwd", "missing", "."])
def test_links_in_a_run_s_folder(call: Call, run: Path, name: str, target: str) -> None:
    """To a device without end, a file of the system, nothing, itself: a verdict or a refusal; nothing is changed."""
    path = run / name
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    path.symlink_to(target)
    before = Path("/etc/passwd").read_bytes()
    for words in (["verify", run / "receipt.cbor"], ["verify", run / "receipt.cbor", "--sample", "1"], ["store", "ls"]):
        said = call(*words, *(REFERENCE if words[0] == "verify" else ()))
        assert "this is a bug" not in said.err, said.err
    assert Path("/etc/passwd").read_bytes() == before


@pytest.mark.parametrize("name", ["receipt.cbor", "job.cbor", "log", "facts.json", "weights.safetensors"])
def test_files_that_are_far_too_large(call: Call, run: Path, name: str) -> None:
    """64 GiB that take no room on the disk: nobody reads them into memory."""
    with (run / name).open("r+b") as file:
        file.truncate(1 << 36)
    said = call("verify", run / "receipt.cbor", *REFERENCE)
    assert said.code in (0, 4, 5) and "this is a bug" not in said.err, said.err


@pytest.mark.parametrize("name", ["receipt.cbor", "job.cbor", "log", "facts.json", "weights.safetensors"])
def test_pipes_in_place_of_files(call: Call, run: Path, name: str) -> None:
    """Whoever opened one would wait for ever."""
    (run / name).unlink()
    os.mkfifo(run / name)
    said = call("verify", run / "receipt.cbor", *REFERENCE)
    assert said.code in (0, 2, 4, 5) and "this is a bug" not in said.err, said.err
