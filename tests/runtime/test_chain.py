"""The chain: independent of how steps are cut, dependent on everything else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobspec.ir.canonical import decode, encode
from jobspec.ir.digest import Digest, digest
from jobspec.runtime.chain import BLOCK, Chain, StepRecord, linked, read_chain, read_record, start

STATE = digest("test", b"state")
LATER = digest("test", b"later")
JOB = digest("test", b"job")


def begun() -> Chain:
    return start(JOB, [digest("test", b"data")], STATE)


def rows(count: int) -> np.ndarray:
    return np.arange(2 * count, dtype=np.float32).reshape(count, 2)


@given(st.lists(st.integers(0, 2 * BLOCK + 3), max_size=6))
def test_cuts_make_no_difference(cuts: list[int]) -> None:
    total = sum(cuts)
    chain, at = begun(), 0
    for count in cuts:
        chain = chain.reported(rows(total)[at : at + count])
        chain = read_chain(decode(encode(chain.value())))
        at += count
    whole = begun().reported(rows(total))
    assert chain == whole
    assert chain.recorded(LATER) == whole.recorded(LATER)
    assert len(chain.pending) < BLOCK * 8


def test_a_record_closes_its_steps() -> None:
    chain, record = begun().reported(rows(3)).recorded(LATER)
    assert (record.step, record.before, record.after) == (3, STATE, LATER)
    assert (chain.step, chain.done, chain.state, chain.start, chain.pending) == (3, 3, LATER, STATE, b"")
    assert chain.link == linked(begun().link, record)


@pytest.mark.parametrize("count", [1, BLOCK - 1, BLOCK, BLOCK + 1])
@pytest.mark.parametrize("place", [0, -1])
def test_every_report_counts(count: int, place: int) -> None:
    other = rows(count)
    other.view(np.uint32)[place, 0] ^= 1
    first = begun().reported(rows(count)).recorded(LATER)[0]
    assert first.link != begun().reported(other).recorded(LATER)[0].link


def test_the_number_of_steps_counts() -> None:
    """One step with four reports is not two steps with two."""
    one = begun().reported(rows(2).reshape(1, 4)).recorded(LATER)[0]
    assert one.link != begun().reported(rows(2)).recorded(LATER)[0].link


def test_every_field_of_a_record_counts() -> None:
    record = StepRecord(3, STATE, LATER, JOB)
    changes = [replace(record, step=4), replace(record, before=LATER), replace(record, after=STATE)]
    changes.append(replace(record, reports=STATE))
    links = {linked(JOB, changed) for changed in [record, *changes]}
    assert len(links) == 5
    assert linked(STATE, record) not in links


def test_the_start_binds_job_data_and_state() -> None:
    data = [digest("test", b"data")]
    starts = {start(JOB, data, STATE).link, start(STATE, data, STATE).link, start(JOB, data, JOB).link}
    assert len(starts | {start(JOB, [], STATE).link, start(JOB, [*data, *data], STATE).link}) == 5


def test_records_read_back() -> None:
    record = StepRecord(3, STATE, LATER, JOB)
    assert read_record(decode(encode(record.value()))) == record
    with pytest.raises(ValueError, match="unknown key"):
        read_record({**record.value(), "more": 1})


def test_the_written_definition_gives_the_same() -> None:
    """docs/receipts.md, in plain calls of BLAKE3 and CBOR written out."""
    reports = rows(BLOCK + 2).tobytes()
    whole, rest = reports[: BLOCK * 8], reports[BLOCK * 8 :]
    folded = digest("chain.reports", bytes(32) + whole)
    folded = digest("chain.reports", folded.raw + rest)
    fields = {"step": BLOCK + 2, "before": STATE.raw, "after": LATER.raw, "reports": folded.raw}
    link = digest("chain.start", encode([JOB.raw, [digest("test", b"data").raw], STATE.raw]))
    link = digest("chain", encode([link.raw, fields]))
    assert begun().reported(rows(BLOCK + 2)).recorded(LATER)[0].link == Digest(link.raw)
