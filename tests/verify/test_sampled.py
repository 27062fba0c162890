"""Verification of samples: what is drawn, what is replayed for it, and that every lie in a drawn segment is named."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobspec.ir.codec.receipt import decode_receipt, encode_receipt
from jobspec.ir.digest import digest
from jobspec.ir.job import Job
from jobspec.runtime.chain import StepRecord, linked, start
from jobspec.runtime.events import Begun, Recorded
from jobspec.runtime.folder import RunFolder
from jobspec.runtime.journal import open_journal, read_history
from jobspec.runtime.safetensors import from_bytes, to_chunks
from jobspec.store.checkpoint import read
from jobspec.store.home import Home
from jobspec.verify.challenge import draw
from jobspec.verify.replaying import Means
from jobspec.verify.sampled import Sample
from jobspec.verify.verdict import Verdict
from jobspec.verify.verify import verify
from tests.runtime.jobs import home_at, phased, regression, regression_data, train

OTHER = digest("test", b"other")
CHALLENGE = bytes(32)
#: segments of the run below: 24 steps, a root every two
SEGMENTS = 12


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return home_at(tmp_path / "home")


@pytest.fixture
def line(home: Home) -> Job:
    """Every root has its checkpoint, and all are kept."""
    job = regression(str(regression_data(home)), steps=2 * SEGMENTS)
    return replace(job, roots_every=2, save_every=2, keep=0, evaluations=())


@pytest.fixture
def done(line: Job, home: Home) -> RunFolder:
    """A finished run; where all are kept, no checkpoint falls out because the disk is busy."""
    folder = train(line, home).folder
    assert [s.chain.done for s in read_history(folder).saved] == list(range(2, line.steps + 1, 2))
    return folder


def judged(folder: RunFolder, home: Home, count: int, challenge: bytes = CHALLENGE) -> Verdict:
    return verify(folder.receipt, Means(home, "reference", 1, sample=Sample(count, challenge)))


def steps_replayed(verdict: Verdict) -> int:
    return int(verdict.checked[1].split()[0])


@given(st.binary(max_size=40), st.binary(min_size=32, max_size=32), st.integers(1, 40), st.integers(1, 30))
def test_a_draw_is_of_different_segments(receipt: bytes, challenge: bytes, count: int, among: int) -> None:
    drawn = draw(receipt, challenge, count, among)
    assert len(set(drawn)) == len(drawn) == min(count, among)
    assert list(drawn) == sorted(drawn) and drawn[0] >= 0 and drawn[-1] < among
    assert drawn == draw(receipt, challenge, count, among)


def test_every_segment_is_as_likely() -> None:
    """600 draws of 2 among 6: 200 expected each; 5 standard deviations are 58."""
    seen = Counter(n for i in range(600) for n in draw(b"receipt", i.to_bytes(32, "little"), 2, 6))
    assert sorted(seen) == list(range(6)) and all(abs(times - 200) < 58 for times in seen.values())
    assert draw(b"receipt", CHALLENGE, 5, 100) != draw(b"another", CHALLENGE, 5, 100)


def test_a_sample_costs_its_segments(done: RunFolder, home: Home) -> None:
    for count in (1, 3, SEGMENTS, 99):
        verdict = judged(done, home, count)
        assert (verdict.word, verdict.exit_code, verdict.accepted) == ("ACCEPT-SAMPLED", 0, True)
        assert steps_replayed(verdict) == 2 * min(count, SEGMENTS)
        assert verdict.checked[0] == f"{min(count, SEGMENTS)} of 12 segments, 12 of 2 steps"
        assert verdict.checked[2] == f"challenge {CHALLENGE.hex()}"
        assert verdict.checked[3] == "weights.safetensors holds these weights"


def test_missing_and_damaged_checkpoints_are_computed(done: RunFolder, home: Home) -> None:
    """Of segments 5 and later the states are gone, or changed: the replay begins at the last that is whole."""
    saved = read_history(done).saved
    for number in range(5, len(saved) - 1):
        blob = done.states.own_path(read(done.states, saved[number].name).tensors[0].blob)
        data = bytearray(blob.read_bytes())
        data[0] ^= 1
        blob.write_bytes(data)
    (last,) = draw(done.receipt.read_bytes(), CHALLENGE, 1, SEGMENTS)
    verdict = judged(done, home, 1)
    assert verdict.word == "ACCEPT-SAMPLED"
    assert steps_replayed(verdict) == (2 if last <= 5 else 2 * (last - 5 + 1))
    for blob in done.states.folder.iterdir():
        blob.unlink()
    assert steps_replayed(judged(done, home, 1)) == 2 * (last + 1)
    assert steps_replayed(judged(done, home, SEGMENTS)) == 24


def test_phases_end_segments(home: Home) -> None:
    job = replace(phased(str(regression_data(home))), evaluations=())
    verdict = judged(train(job, home).folder, home, 99)
    assert verdict.word == "ACCEPT-SAMPLED" and verdict.checked[0].startswith("6 of 6 segments")


def lie(done: RunFolder, records: list[StepRecord]) -> None:
    """Log and receipt of a prover who claims these records, consistent among themselves."""
    receipt = decode_receipt(done.receipt.read_bytes())
    link = start(receipt.job, receipt.data, receipt.start).link
    for record in records:
        link = linked(link, record)
    done.receipt.write_bytes(encode_receipt(replace(receipt, chain=link, end=records[-1].after)))
    saved = read_history(done).saved
    done.log.unlink()
    with open_journal(done) as journal:
        journal.add(Begun(0, "reference", 1, OTHER, 1, 0))
        for record in records:
            journal.add(Recorded(record))
        for event in saved:
            journal.add(event)


@pytest.mark.parametrize("number", range(SEGMENTS))
def test_a_lie_is_named_if_its_segment_is_drawn(done: RunFolder, home: Home, number: int) -> None:
    records = read_history(done).records
    records[number] = replace(records[number], reports=OTHER)
    lie(done, records)
    for count in (2, SEGMENTS):
        caught = number in draw(done.receipt.read_bytes(), CHALLENGE, count, SEGMENTS)
        verdict = judged(done, home, count)
        assert verdict.word == ("REJECT" if caught else "ACCEPT-SAMPLED")
        named = f"step record {number} (steps {2 * number} … {2 * number + 1}) differs, in `reports`"
        assert not caught or verdict.reasons == (named,)


def test_records_must_lie_where_the_job_puts_them(done: RunFolder, home: Home) -> None:
    good = read_history(done).records
    joined = [*good[:3], replace(good[4], before=good[3].before), *good[5:]]
    broken = [*good[:3], replace(good[3], before=OTHER), *good[4:]]
    short = good[:-1]
    for records, named in (
        (joined, "step record 3 is after step 10"),
        (broken, "begins at the state"),
        (short, "end at"),
    ):
        lie(done, records)
        verdict = judged(done, home, 1)
        assert verdict.word == "REJECT" and named in verdict.reasons[0]
        lie(done, good)
    assert judged(done, home, 1).accepted


def test_without_records_a_sample_says_nothing(done: RunFolder, home: Home) -> None:
    done.log.unlink()
    verdict = judged(done, home, 1)
    assert (verdict.word, verdict.exit_code) == ("UNVERIFIABLE", 5) and "--sample" in verdict.reasons[0]


def test_another_start_is_rejected(done: RunFolder, home: Home) -> None:
    receipt = decode_receipt(done.receipt.read_bytes())
    records = read_history(done).records
    records[0] = replace(records[0], before=OTHER)
    done.receipt.write_bytes(encode_receipt(replace(receipt, start=OTHER)))
    lie(done, records)
    verdict = judged(done, home, 1)
    assert verdict.word == "REJECT" and verdict.reasons[0].startswith("`start`")


def test_weights_are_held_against_the_last_checkpoint(done: RunFolder, home: Home) -> None:
    tensors, about = from_bytes(done.weights.read_bytes())
    changed = {name: array + np.float32(1) for name, array in tensors.items()}
    done.weights.write_bytes(b"".join(to_chunks(changed, about)))
    verdict = judged(done, home, 1)
    assert verdict.word == "REJECT" and verdict.reasons[0].startswith("weights.safetensors: tensor `w`")
