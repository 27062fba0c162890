"""The second checker of receipts: it agrees with the vectors, sees flipped bytes, and refuses hostile ones."""

import importlib
import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobspec.ir.classes import may_claim
from jobspec.ir.contract import FAST_PROFILE

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "receipt_check"
VECTORS = ROOT / "tests" / "vectors" / "receipts.json"
SETTINGS = settings(max_examples=150, deadline=None)


def load(name: str) -> ModuleType:
    sys.path.insert(0, str(TOOL))  # the tool is a folder to be run, no package
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(TOOL))


canonical, described, chained, folder, vectors = map(load, ("canonical", "described", "chained", "folder", "vectors"))
GOOD = next(vector for vector in json.loads(VECTORS.read_text()) if vector["name"] == "folder")
FILES = {name: bytes.fromhex(written) for name, written in GOOD["files"].items()}
STATES = [name for name in FILES if name.startswith("states/")]
PARSERS = {
    "decode": canonical.decode,
    "manifest": described.data_root,
    "checkpoint": described.read_checkpoint,
    "job": described.read_job,
    "plan": lambda data: described.plan_hash(data, []),
    "receipt": chained.read_receipt,
    "log": chained.read_log,
}


def check(changed: dict[str, bytes]) -> Any:
    files = FILES | changed
    return folder.check_folder(lambda name, most: files[name][:most] if name in files else None)


@pytest.mark.parametrize("device", ["contract", "cuda.sm_90", "cuda.sm_90a", "cuda.sm_80a", "cuda.sm_090", "cuda", ""])
def test_both_programs_know_the_same_classes(device: str) -> None:
    claimed = f"{FAST_PROFILE}/{device}"
    assert folder.may_say(claimed, FAST_PROFILE) == may_claim(FAST_PROFILE, claimed)


def flipped(name: str, at: int, bit: int) -> bytes:
    data = bytearray(FILES[name])
    data[at] ^= 1 << bit
    return bytes(data)


def sample(name: str, most: int) -> list[tuple[int, int]]:
    """Places and bits, spread over a file so that every bit of a byte comes up."""
    size = len(FILES[name])
    return [(at, at % 8) for at in range(0, size, max(1, size // most) | 1)]


def run(*arguments: object) -> tuple[int, str]:
    done = subprocess.run([sys.executable, TOOL, *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout


def write(path: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_bytes(data)


def test_it_agrees_with_every_vector() -> None:
    count, wrong = vectors.disagreements(VECTORS.read_bytes())
    assert wrong == [] and count >= 122


def test_a_wrong_vector_is_told() -> None:
    rows = [{"name": "n", "kind": "value", "bytes": "00", "good": False}]
    assert vectors.disagreements(json.dumps(rows).encode())[1] == ["n: found {}, the vector has a refusal"]


def test_every_flipped_bit_of_the_receipt_is_refused() -> None:
    for at in range(len(FILES["receipt.cbor"])):
        for bit in range(8):
            assert check({"receipt.cbor": flipped("receipt.cbor", at, bit)}).refused, (at, bit)


@pytest.mark.parametrize("name", STATES)
def test_a_flipped_byte_of_a_state_is_refused(name: str) -> None:
    assert all(check({name: flipped(name, at, bit)}).refused for at, bit in sample(name, 40))


def test_a_flipped_byte_of_the_log_is_refused_up_to_its_last_record() -> None:
    # behind the last record a log may be cut anywhere and still be whole up to there (section 10)
    end = FILES["log"].rindex(b"recorded")
    for at, bit in sample("log", 400):
        assert check({"log": flipped("log", at, bit)}).refused or at > end, (at, bit)


def header(data: bytes) -> Any:
    return canonical.read_json(data[8 : 8 + int.from_bytes(data[:8], "little")].decode())


def test_a_flipped_byte_of_the_weights_is_refused_unless_the_header_says_the_same() -> None:
    # what the tensors hold, the checkpoint says; blanks around JSON say nothing
    for at, bit in sample("weights.safetensors", 400):
        data = flipped("weights.safetensors", at, bit)
        if not check({"weights.safetensors": data}).refused:
            assert header(data) == header(FILES["weights.safetensors"]), (at, bit)


def deciding(data: bytes) -> Any:
    """What of a job section 6 hashes: all but these keys."""
    job = canonical.decode(data)
    for key in ("name", "title", "evaluations", "save_every", "keep", "also", "sizes"):
        del job[key]
    for rows, keys in ((job["sources"], ("fields", "end")), (job["phases"], ("name",))):
        for row in rows:
            for key in keys:
                del row[key]
    return job


def test_a_flipped_byte_of_the_job_is_refused_unless_it_decides_nothing() -> None:
    kept = 0
    for at, bit in sample("job.cbor", 600):
        data = flipped("job.cbor", at, bit)
        if not check({"job.cbor": data}).refused:
            assert deciding(data) == deciding(FILES["job.cbor"]), (at, bit)
            kept += 1
    assert 0 < kept < 300


@pytest.mark.parametrize("name", PARSERS)
def test_random_bytes_are_refused_at_most(name: str) -> None:
    @SETTINGS
    @given(st.binary(max_size=200))
    def holds(data: bytes) -> None:
        with suppress(canonical.Refused):
            PARSERS[name](chained.MAGIC + data if name == "log" else data)

    holds()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=40) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@SETTINGS
@given(VALUES)
def test_what_is_encoded_reads_back(value: Any) -> None:
    assert canonical.decode(canonical.encode(value)) == value


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a value."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [here for key in keys for here in [(value, key), *places(value[key])]]


@pytest.mark.parametrize("name", ["receipt.cbor", "job.cbor", STATES[0]])
def test_another_value_at_any_place_is_refused_at_most(name: str) -> None:
    @SETTINGS
    @given(st.integers(0, 10**6), VALUES)
    def holds(place: int, other: Any) -> None:
        value = canonical.decode(FILES[name])
        container, key = places(value)[place % len(places(value))]
        container[key] = other
        check({name: canonical.encode(value)})

    holds()


STEP, DIGEST = st.integers(0, 9), st.just(bytes(32))
RECORD = st.fixed_dictionaries({"step": STEP, "before": DIGEST, "after": DIGEST, "reports": DIGEST})
BEGUN = st.fixed_dictionaries({"step": STEP} | dict.fromkeys(("backend", "threads", "plan", "pid", "time"), st.none()))
NAMES = st.lists(st.just("loss"), max_size=2)
EVENTS = {
    "begun": BEGUN,
    "recorded": st.fixed_dictionaries({"record": RECORD | VALUES}),
    "stepped": st.fixed_dictionaries(
        {"first": STEP, "names": NAMES, "reports": st.sampled_from([b"", bytes(8), b"a"])}
    ),
    "saved": st.fixed_dictionaries({"name": DIGEST | VALUES}),
    "finished": st.fixed_dictionaries({"receipt": VALUES}),
}
EVENT = st.one_of(*(fields.map({"event": kind}.__or__) for kind, fields in EVENTS.items()))


@SETTINGS
@given(st.lists(EVENT | VALUES, max_size=12))
def test_a_well_sealed_log_of_anything_is_refused_at_most(events: list[Any]) -> None:
    data, before = chained.MAGIC, canonical.keyed("runlog.start", b"")
    for event in events:
        payload = canonical.encode([before, event])
        before = canonical.keyed("runlog", payload)
        data += len(payload).to_bytes(4, "little") + payload + before
    check({"log": data})


@pytest.mark.parametrize("data", [b"\x81" * 10**6, b"\x9b" + b"\xff" * 8, b"\x5b" + b"\xff" * 8, b"\x80" * 10**6])
def test_bombs_are_refused(data: bytes) -> None:
    for name in ("receipt.cbor", "job.cbor", "log", "weights.safetensors"):
        assert check({name: data}).refused


def test_weights_with_a_nested_header_are_refused() -> None:
    assert check({"weights.safetensors": (10**6).to_bytes(8, "little") + b"[" * 10**6}).refused


def test_long_steps_are_not_counted_out() -> None:
    job = chained.Job(b"", "", 1, [], [2**64 - 1, 2**64 - 1], set())
    assert [next(steps) for steps in [chained.places(job)] * 3] == [1, 2, 3]


def test_a_type_without_end_is_refused() -> None:
    with pytest.raises(canonical.Refused):
        canonical.extent("f32", [2**64 - 1] * 10**5)


def test_rows_are_taken_back_and_cut() -> None:
    rows = chained.Rows()
    rows.add(0, 1, bytes(range(40)))
    rows.cut(7)
    rows.add(7, 2, bytes(16))
    assert rows.between(0, 10) is None
    assert rows.between(5, 9) == [(4, bytes(range(20, 28))), (8, bytes(16))]


def test_rows_fold_in_blocks_whatever_their_pieces() -> None:
    data = bytes(range(250)) * 8
    whole = chained.fold([(4, memoryview(data))])
    assert whole == chained.fold([(4, memoryview(data)[at : at + 4]) for at in range(0, len(data), 4)])


def test_the_command(tmp_path: Path) -> None:
    assert run()[0] == run("--what")[0] == run(tmp_path / "none")[0] == 2
    assert run("--vectors", tmp_path / "none")[0] == 2
    assert run("--vectors", VECTORS)[0] == 0
    write(tmp_path, FILES)
    code, told = run(tmp_path)
    assert code == 0 and "refused" not in told and "ok: log: chain" in told
    (tmp_path / "log").unlink()
    code, told = run(tmp_path)
    assert code == 0 and "not there: log" in told
    (tmp_path / "receipt.cbor").write_bytes(flipped("receipt.cbor", 20, 3))
    assert run(tmp_path)[0] == 4


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"receipt.cbor": FILES["receipt.cbor"]})
    os.mkfifo(tmp_path / "log")
    (tmp_path / "job.cbor").mkdir()
    (tmp_path / "weights.safetensors").symlink_to("/dev/zero")
    code, told = run(tmp_path)
    assert code == 4 and told.count("refused: ") == 3


def test_a_folder_without_a_receipt_is_refused(tmp_path: Path) -> None:
    assert run(tmp_path) == (4, "not there: receipt.cbor\n")
