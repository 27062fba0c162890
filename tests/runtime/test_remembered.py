"""The job of a text that was read before: the same job, as long as text, values, readers and store are the same."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from jobspec import api, loading, remembered
from jobspec.backends.kept import ROOM, Kept
from jobspec.ir.digest import digest
from jobspec.loading import known_spec, read_spec
from jobspec.store.home import Home

SPECS = Path(__file__).parents[2] / "specs"
JOBS = ["digits", "char_gpt", "resnet18_cifar10"]
#: prints the files of our own modules that reading a job takes
IMPORTED = """
import sys, jobspec.lang.check, jobspec.lang.override
print(*(m.__file__ for name, m in sys.modules.items() if name.startswith("jobspec.")))
"""
#: prints the modules that are there once `run` has its job and its plan
WARM = """
import json, sys
from pathlib import Path
from jobspec import api
from jobspec.commands.options import known_spec_of
from jobspec.store.home import open_home
home = open_home(Path(sys.argv[1]))
api.compile(known_spec_of(Path(sys.argv[2]), (), home), home=home.folder)
print(json.dumps([name for name in sys.modules if name.startswith("jobspec.")]))
"""


def forbidden(*_: object, **__: object) -> None:
    raise AssertionError("read again")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.mark.parametrize("name", JOBS)
def test_recalled_is_read(name: str, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    path = SPECS / f"{name}.job"
    values = {"steps": "7"}
    made = known_spec(path, values, home)
    assert made == read_spec(path, values, home)
    monkeypatch.setattr(loading, "load_source", forbidden)
    assert known_spec(path, values, home) == made


def test_a_run_of_a_file_recalls_its_job(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    path = SPECS / "digits.job"
    first = api.run(path, "reference", until=0, home=home.folder)
    monkeypatch.setattr(loading, "load_source", forbidden)
    assert api.run(str(path), "reference", until=0, home=home.folder).state == first.state


def test_another_text_or_value_is_read(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "a.job"
    text = (SPECS / "digits.job").read_text()
    path.write_text(text)
    first = known_spec(path, {}, home)
    assert known_spec(path, {"steps": "7"}, home).job.steps == 7
    path.write_text(text.replace("seed = ", "seed = 1"))
    assert known_spec(path, {}, home).job.seed != first.job.seed
    path.write_text(text)
    assert known_spec(path, {}, home) == first


def test_keys_know_everything_that_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {remembered.key_of("a", {}), remembered.key_of("b", {}), remembered.key_of("a", {"B": "1"})}
    monkeypatch.setattr(remembered, "sources", lambda *patterns: digest("kept.sources", b"other"))
    assert len(keys | {remembered.key_of("a", {})}) == 4


def test_what_is_not_whole_is_read_anew(home: Home) -> None:
    path = SPECS / "digits.job"
    made = known_spec(path, {}, home)
    (entry,) = home.cache.iterdir()
    whole = entry.read_bytes()
    for broken in (b"", whole[:-1], whole[:40] + bytes([whole[40] ^ 1]) + whole[41:]):
        entry.write_bytes(broken)
        assert known_spec(path, {}, home) == made
        assert entry.read_bytes() == whole


@pytest.mark.parametrize("body", [b"no job", b"\xa0"])
def test_a_whole_entry_that_is_no_job_is_read_anew(body: bytes, home: Home) -> None:
    path = SPECS / "digits.job"
    made = known_spec(path, {}, home)
    key = remembered.key_of(path.read_text(), {})
    Kept(home.cache).keep(key, body)
    assert known_spec(path, {}, home) == made


def test_it_counts_only_while_the_store_answers_alike(home: Home) -> None:
    """How many records a data set has, what a file says, which weights there are: another answer, and it is read."""
    job = read_spec(SPECS / "digits.job", {}, home).job
    first = remembered.Questions(lambda root: 100, lambda name: b"def", lambda root: {"w": (2, 3)})
    listening, key = remembered.Listening(first), remembered.key_of("text", {})
    assert (listening.catalog("b3:00"), listening.fetch("b3:11"), listening.weights("b3:22")) == (
        100, b"def", {"w": (2, 3)}
    )  # fmt: skip
    kept = Kept(home.cache)
    remembered.remember(kept, key, "text", job, listening.answers())
    assert remembered.recalled(kept, key, first) == ("text", job)
    others = [
        replace(first, catalog=lambda root: 101),
        replace(first, catalog=lambda root: None),
        replace(first, fetch=lambda name: b"deg"),
        replace(first, weights=lambda root: {"w": (3, 2)}),
        replace(first, weights=lambda root: None),
    ]
    assert [remembered.recalled(kept, key, other) for other in others] == [None] * len(others)


def test_whatever_reads_jobs_is_in_the_key() -> None:
    """All of our own modules that the language imports lie where the key looks, and so do its grammar and library."""
    told = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True).stdout
    looked = {path for pattern in remembered.READERS for path in ROOM.glob(pattern)}
    imported = {Path(name) for name in told.split()}
    assert {path for path in imported if path.parent != ROOM} <= looked
    assert {ROOM / "grammar.lark", ROOM / "words.toml", ROOM / "std" / "nn.job"} <= looked


def test_a_run_that_knows_all_imports_neither_language_nor_passes(home: Home) -> None:
    def modules() -> list[str]:
        command = [sys.executable, "-c", WARM, str(home.folder), str(SPECS / "digits.job")]
        found: list[str] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        return found

    assert "jobspec.lang.check" in modules()
    asked = ("jobspec.lang.", "jobspec.passes.pipeline", "jobspec.verify", "jobspec.runtime.workers.opening")
    kept = {"jobspec.lang.assigned", "jobspec.lang.source"}
    assert not [name for name in modules() if name.startswith(asked) and name not in kept]
