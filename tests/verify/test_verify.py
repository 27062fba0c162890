"""Verification: ACCEPT for what is true, and the place for every single thing that is not."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jobspec.ir.codec.job import encode_job, job_hash
from jobspec.ir.codec.receipt import Receipt, decode_receipt, encode_receipt
from jobspec.ir.digest import Digest, digest
from jobspec.ir.errors import DataError, UsageError
from jobspec.ir.job import Job
from jobspec.runtime.chain import linked, start
from jobspec.runtime.events import Begun, Recorded
from jobspec.runtime.folder import RunFolder
from jobspec.runtime.journal import open_journal, read_history
from jobspec.runtime.safetensors import from_bytes, to_chunks
from jobspec.store.checkpoint import read
from jobspec.store.home import Home
from jobspec.verify.replaying import Means
from jobspec.verify.sampled import Sample
from jobspec.verify.settling import dispute
from jobspec.verify.verdict import Verdict
from jobspec.verify.verify import verify
from tests.runtime.jobs import counting, home_at, regression, regression_data, token_data, train

OTHER = digest("test", b"other")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return home_at(tmp_path / "home")


@pytest.fixture
def line(home: Home) -> Job:
    return regression(str(regression_data(home)))


@pytest.fixture
def done(line: Job, home: Home) -> RunFolder:
    """The folder of a finished run."""
    return train(line, home).folder


def judged(folder: RunFolder, home: Home, **more: object) -> Verdict:
    return verify(folder.receipt, Means(home, "reference", 1, **more))  # type: ignore[arg-type]


def change(folder: RunFolder, **fields: object) -> None:
    """Write the receipt with some fields changed."""
    receipt = decode_receipt(folder.receipt.read_bytes())
    folder.receipt.write_bytes(encode_receipt(replace(receipt, **fields)))  # type: ignore[arg-type]


def flip(path: Path, place: int, bit: int = 1) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= bit
    path.write_bytes(data)


def test_what_was_run_is_accepted(done: RunFolder, home: Home) -> None:
    verdict = judged(done, home)
    assert verdict.word == "ACCEPT" and verdict.accepted and verdict.exit_code == 0
    assert len(verdict.checked) == 3 and not verdict.reasons
    assert str(verdict).startswith("ACCEPT\n")


@pytest.mark.parametrize(("backend", "threads"), [("llvm", 1), ("llvm", 2), ("reference", 2)])
@pytest.mark.parametrize("sample", [None, Sample(2, bytes(32))], ids=["full", "sample"])
def test_on_any_backend_and_any_number_of_threads(
    done: RunFolder, home: Home, backend: str, threads: int, sample: Sample | None
) -> None:
    verdict = verify(done.receipt, Means(home, backend, threads, sample=sample))
    assert verdict.word == ("ACCEPT-SAMPLED" if sample else "ACCEPT"), verdict


def test_a_receipt_alone_is_accepted_where_job_and_data_are_known(done: RunFolder, home: Home, tmp_path: Path) -> None:
    path = tmp_path / "elsewhere" / "mine"
    path.parent.mkdir()
    shutil.copy(done.receipt, path)
    assert verify(path, Means(home, "reference", 1)).accepted
    bare = home_at(tmp_path / "bare")
    verdict = verify(path, Means(bare, "reference", 1))
    assert (verdict.word, verdict.exit_code) == ("UNVERIFIABLE", 5) and "--job" in verdict.reasons[0]
    regression_data(bare)
    shutil.copy(done.job, path.parent / "job.cbor")
    assert verify(path, Means(bare, "reference", 1)).accepted


def test_a_job_given_by_hand(done: RunFolder, line: Job, home: Home) -> None:
    done.job.unlink()
    assert judged(done, home).word == "UNVERIFIABLE"
    assert judged(done, home, job=line).accepted
    verdict = judged(done, home, job=replace(line, seed=8))
    assert verdict.word == "REJECT" and verdict.reasons[0].startswith("`job`")


def test_data_is_found_where_the_run_found_it(done: RunFolder, home: Home, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.move(home.folder / "data", moved)
    verdict = judged(done, home)
    assert (verdict.word, verdict.exit_code) == ("UNVERIFIABLE", 5) and "no data set" in verdict.reasons[0]
    assert judged(done, home, search=(moved,)).accepted
    done.facts.write_text(done.facts.read_text().replace(str(home.folder / "data"), str(moved)))
    assert judged(done, home).accepted


@pytest.mark.parametrize("field", ["job", "profile", "data", "start", "end", "steps", "chain"])
def test_every_field_is_checked_and_named(done: RunFolder, home: Home, field: str) -> None:
    wrong = {"job": OTHER, "profile": "jobspec.f32.v2", "data": (OTHER,), "steps": 11}.get(field, OTHER)
    change(done, **{field: wrong})
    verdict = judged(done, home)
    assert (verdict.word, verdict.exit_code) == ("REJECT", 4)
    assert verdict.reasons[0].startswith(f"`{field}`")


def test_an_open_chain_is_unverifiable(done: RunFolder, home: Home) -> None:
    change(done, closed=False, steps=5)
    verdict = judged(done, home)
    assert (verdict.word, verdict.exit_code) == ("UNVERIFIABLE", 5) and "5 of 12" in verdict.reasons[0]


@pytest.mark.parametrize(("steps", "field"), [(12, "closed"), (13, "steps")])
def test_a_receipt_that_is_open_without_need_is_rejected(
    done: RunFolder, home: Home, tmp_path: Path, steps: int, field: str
) -> None:
    copy = RunFolder(tmp_path / "copy", home.files)
    shutil.copytree(done.path, copy.path)
    change(done, closed=False, steps=steps)
    verdict = judged(done, home)
    assert verdict.word == "REJECT" and f"`{field}`" in verdict.reasons[0]
    assert dispute(done.path, copy.path, Means(home, "reference", 1)).wrong == (str(done.path),)


def test_an_unknown_profile_is_unverifiable(done: RunFolder, line: Job, home: Home) -> None:
    strange = replace(line, profile="jobspec.f64.v9")
    change(done, profile=strange.profile, job=job_hash(strange))
    done.job.write_bytes(encode_job(strange))
    verdict = judged(done, home)
    assert verdict.word == "UNVERIFIABLE" and "jobspec.f64.v9" in verdict.reasons[0]


@pytest.mark.parametrize("bit", [1, 0x80])
def test_no_changed_byte_of_a_receipt_is_accepted(home: Home, bit: int) -> None:
    job = replace(regression(str(regression_data(home)), steps=2), evaluations=())
    folder = train(job, home).folder
    good = folder.receipt.read_bytes()
    words = set()
    for place in range(len(good)):
        flip(folder.receipt, place, bit)
        verdict = judged(folder, home)
        assert not verdict.accepted and verdict.reasons
        words.add(verdict.word)
        folder.receipt.write_bytes(good)
    assert {"REJECT", "MALFORMED"} <= words
    assert judged(folder, home).accepted


@pytest.mark.parametrize("cut", [0, 1, 100, 10_000])
def test_a_receipt_of_another_length_is_malformed(done: RunFolder, home: Home, cut: int) -> None:
    data = done.receipt.read_bytes()
    done.receipt.write_bytes(data[:cut] if cut < len(data) else data + bytes(cut))
    verdict = judged(done, home)
    assert (verdict.word, verdict.exit_code) == ("MALFORMED", 4)
    assert verdict.reasons[0].startswith(f"{done.receipt} is not a receipt: ")


def test_no_file_is_no_verdict(done: RunFolder, home: Home) -> None:
    done.receipt.unlink()
    with pytest.raises(UsageError):
        judged(done, home)


def test_one_changed_bit_of_the_weights_is_found(done: RunFolder, home: Home) -> None:
    flip(done.weights, done.weights.stat().st_size - 16 + 4)
    verdict = judged(done, home)
    assert verdict.word == "REJECT" and verdict.exit_code == 4
    assert re.search(r"`w`, element \[1\]: \S+ \(0x\w{8}\) where the replay has \S+ \(0x\w{8}\)", verdict.reasons[0])


def test_every_byte_of_the_weights_counts(home: Home) -> None:
    job = replace(regression(str(regression_data(home)), steps=1), evaluations=())
    folder = train(job, home).folder
    good = folder.weights.read_bytes()
    for place in range(0, len(good), 3):
        flip(folder.weights, place, 1 << (place % 8))
        verdict = judged(folder, home)
        assert verdict.word == "REJECT" and verdict.reasons[0].startswith("weights.safetensors: "), place
        folder.weights.write_bytes(good)


def test_weights_of_another_form(done: RunFolder, home: Home) -> None:
    tensors, about = from_bytes(done.weights.read_bytes())

    def written(change: Callable[[dict[str, np.ndarray]], object]) -> str:
        changed = dict(tensors)
        change(changed)
        done.weights.write_bytes(b"".join(to_chunks(changed, about)))
        verdict = judged(done, home)
        assert verdict.word == "REJECT"
        return verdict.reasons[0]

    assert "`b` is missing" in written(lambda t: t.pop("b"))
    assert "`w/m` does not belong" in written(lambda t: t.update({"w/m": t["w"]}))
    assert "`w` is float32[1, 3]" in written(lambda t: t.update(w=t["w"].reshape(1, 3)))
    done.weights.unlink()
    assert judged(done, home).accepted


def test_a_changed_checkpoint_is_found(done: RunFolder, home: Home) -> None:
    newest = read_history(done).saved[-1]
    blob = next(t.blob for t in read(done.states, newest.name).tensors if t.name == "w/m")
    flip(done.states.own_path(blob), 2)
    verdict = judged(done, home)
    assert verdict.word == "REJECT" and "tensor `w/m`" in verdict.reasons[0]


@pytest.mark.parametrize("whole", [False, True])
def test_a_checkpoint_that_is_gone_is_no_lie(done: RunFolder, home: Home, whole: bool) -> None:
    """As a log that is gone and weights that are gone are none."""
    newest = read_history(done).saved[-1]
    blob = newest.name if whole else next(t.blob for t in read(done.states, newest.name).tensors if t.name == "w/m")
    done.states.own_path(blob).unlink()
    verdict = judged(done, home)
    assert verdict.accepted and not any("checkpoint" in line for line in verdict.checked)


def test_a_changed_shard_is_a_data_error_that_names_it(done: RunFolder, home: Home) -> None:
    shard = max((p for p in (home.folder / "data").iterdir() if p.suffix == ""), key=lambda p: p.stat().st_size)
    flip(shard, 3)
    with pytest.raises(DataError, match=str(shard)) as caught:
        judged(done, home)
    assert caught.value.exit_code == 5


def test_a_missing_shard_is_unverifiable(done: RunFolder, home: Home) -> None:
    next(p for p in (home.folder / "data").iterdir() if p.suffix == "").unlink()
    verdict = judged(done, home)
    assert verdict.word == "UNVERIFIABLE" and "shard" in verdict.reasons[0]


def lie(done: RunFolder, number: int) -> None:
    """Records and receipt of a prover whose record `number` holds another state, consistent among themselves."""
    receipt: Receipt = decode_receipt(done.receipt.read_bytes())
    records = list(read_history(done).records)
    records[number] = replace(records[number], after=OTHER)
    if number + 1 < len(records):
        records[number + 1] = replace(records[number + 1], before=OTHER)
    link = start(receipt.job, receipt.data, receipt.start).link
    for record in records:
        link = linked(link, record)
    change(done, chain=link, end=records[-1].after)
    done.log.unlink()
    with open_journal(done) as journal:
        journal.add(Begun(0, "reference", 1, OTHER, 1, 0))
        for record in records:
            journal.add(Recorded(record))


@pytest.mark.parametrize(("number", "steps"), [(0, "0 … 4"), (1, "5 … 9"), (2, "10 … 11")])
def test_the_first_differing_step_record_is_named(done: RunFolder, home: Home, number: int, steps: str) -> None:
    lie(done, number)
    verdict = judged(done, home)
    assert verdict.word == "REJECT"
    assert f"step record {number} (steps {steps}) is the first that differs, in `after`" in verdict.reasons[0]


def test_a_log_that_does_not_lead_to_the_receipt_is_not_believed(done: RunFolder, home: Home) -> None:
    good = done.receipt.read_bytes()
    lie(done, 1)
    done.receipt.write_bytes(good)
    assert judged(done, home).accepted


def test_no_readable_log_is_no_hindrance(done: RunFolder, home: Home) -> None:
    done.log.write_bytes(b"something else")
    assert judged(done, home).accepted


def test_a_job_that_fails_has_no_closed_receipt(home: Home) -> None:
    root = regression_data(home)
    folder = train(regression(str(root), steps=3), home).folder
    bad = regression(str(root), steps=400, rate=60.0)
    change(folder, job=job_hash(bad), steps=400)
    folder.job.write_bytes(encode_job(bad))
    verdict = judged(folder, home)
    assert verdict.word == "REJECT" and "non-finite" in verdict.reasons[0]


def test_tokens_are_accepted(home: Home) -> None:
    folder = train(counting(str(token_data(home))), home).folder
    assert judged(folder, home).accepted


def test_a_receipt_is_the_same_for_the_same_job_elsewhere(line: Job, done: RunFolder, tmp_path: Path) -> None:
    other = home_at(tmp_path / "other")
    assert regression_data(other) == Digest.parse(line.sources[0].root)
    assert train(line, other).folder.receipt.read_bytes() == done.receipt.read_bytes()
