"""Routines and objects on disk: taken up where they are whole and all that decides is the same, else made anew."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from jobspec.backends.kept import ROOM
from jobspec.backends.llvm import machine
from jobspec.backends.llvm.built import WRITERS, built
from jobspec.backends.llvm.compile import Compiler
from jobspec.backends.llvm.written import Written
from jobspec.ir.digest import Digest, digest
from tests.llvm.routines import plan_of, routine_of, session_of, training
from tests.passes.routines import random_inputs

#: prints the files of our own modules that a build takes
IMPORTED = """
import sys, jobspec.backends.llvm.built
print(*(m.__file__ for name, m in sys.modules.items() if name.startswith("jobspec.")))
"""


def test_objects_are_kept_and_never_trusted(tmp_path: Path) -> None:
    program = training()
    routine, inputs = routine_of(program), random_inputs(program)
    nothing = np.zeros((2, routine.feed), np.uint8)

    def result() -> bytes:
        session = session_of(plan_of(routine), 1, tmp_path / "objects")
        for name, _ in routine.slots:
            session.write(name, inputs[name])
        session.run("step", 0, nothing)
        found = session.read("w").tobytes()
        session.close()
        return found

    first = result()
    kept = {path: path.read_bytes() for path in (tmp_path / "objects").iterdir()}
    assert len(kept) == len(set(Written(routine, machine.host()).texts())) + 2, "kernels, the team, the routine"
    assert result() == first
    for i, (path, data) in enumerate(kept.items()):
        path.write_bytes([data[:-1], data[:40], b"", data[:50] + bytes([data[50] ^ 1]) + data[51:]][i % 4])
    assert result() == first
    assert {path: path.read_bytes() for path in kept} == kept


def test_a_routine_is_recalled_without_its_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is recalled is what was built; where an object is gone, the routine is built again."""
    routine, compiler = routine_of(training()), Compiler(machine.host(), 2, tmp_path)
    first = built(routine, compiler, 1)
    assert first == built(routine, Compiler(machine.host(), 2), 1)
    with monkeypatch.context() as patch:
        patch.setattr(Written, "texts", None)
        assert built(routine, compiler, 1) == first
    gone = next(path for path in tmp_path.iterdir() if path.read_bytes()[32:] == first.objects[0])
    gone.unlink()
    assert built(routine, compiler, 1) == first and gone.is_file()


def test_a_routine_is_not_recalled_by_other_writers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    routine, compiler = routine_of(training()), Compiler(machine.host(), 2, tmp_path)
    built(routine, compiler, 1)
    records = len(list(tmp_path.iterdir()))
    monkeypatch.setattr("jobspec.backends.llvm.built.sources", lambda *patterns: digest("kept.sources", b"other"))
    built(routine, compiler, 1)
    assert len(list(tmp_path.iterdir())) == records + 1


def test_whatever_writes_texts_is_in_the_key() -> None:
    """All of our own modules that the driver imports lie where `sources` looks."""
    plain = subprocess.run([sys.executable, "-c", IMPORTED], check=True, capture_output=True, text=True).stdout
    assert {Path(file) for file in plain.split()} <= {path for pattern in WRITERS for path in ROOM.glob(pattern)}


def test_an_entry_under_another_key_is_not_used(tmp_path: Path) -> None:
    compiler = Compiler(machine.host(), 2, tmp_path)
    texts = [f"define i32 @f() {{ ret i32 {i} }}" for i in range(2)]
    objects = [compiler.object_of(text) for text in texts]
    one, other = (tmp_path / compiler.key(text).hex for text in texts)
    one.write_bytes(other.read_bytes())
    assert compiler.object_of(texts[0]) == objects[0]


def test_a_folder_that_cannot_be_written_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    compiler = Compiler(machine.host(), 2, tmp_path / "file" / "objects")
    assert compiler.object_of("define void @f() { ret void }")


def test_keys_know_everything_that_decides(tmp_path: Path) -> None:
    text = "define void @f() { ret void }"
    keys = {
        Compiler(target, level).key(text + more).raw
        for target in (machine.host(), machine.target_of("x86-64"), machine.target_of("x86-64-v3"))
        for level in range(4)
        for more in ("", " ")
    }
    assert len(keys) == 24


def test_the_longest_text_is_compiled_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that wait behind the first; objects come in the order of their texts."""
    compiled, begun = [], Event()

    def entry(self: Compiler, text: str) -> tuple[Digest, bytes]:
        assert begun.wait(60)
        compiled.append(text)
        return digest("test", text.encode()), text.encode()

    def texts() -> Iterator[str]:
        yield from ("a", "bbb", "cc", "dddd", "ee")
        begun.set()

    monkeypatch.setattr(Compiler, "_entry", entry)
    assert Compiler(machine.host()).objects_of(texts(), 1) == [b"a", b"bbb", b"cc", b"dddd", b"ee"]
    assert compiled in (["a", "dddd", "bbb", "cc", "ee"], ["dddd", "bbb", "cc", "ee", "a"])
