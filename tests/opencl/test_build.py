"""Compiled programs are kept with everything else of a store, and taken up only as they were kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobspec.backends.kept import Kept
from tests.opencl.native import trial

pytestmark = pytest.mark.opencl
TEXT = "__kernel void twice(__global float* x) { x[get_global_id(0)] *= 2.0f; }"


def doubled(kept: Kept) -> list[float]:
    import pyopencl as cl

    from jobspec.backends.opencl.build import build

    context = trial().context
    queue, values = cl.CommandQueue(context), np.array([1.5, -3.0], np.float32)
    memory = cl.Buffer(context, cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR, hostbuf=values)
    function = cl.Kernel(build(context, TEXT, kept), "twice")
    function.set_arg(0, memory)
    cl.enqueue_nd_range_kernel(queue, function, (2,), None)
    cl.enqueue_copy(queue, values, memory)
    return list(values.tolist())


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Texts that were compiled."""
    trial()
    from jobspec.backends.opencl import build

    found: list[str] = []
    real = build.compiled

    def compiled(*given: Any) -> Any:
        found.append(given[2])
        return real(*given)

    monkeypatch.setattr(build, "compiled", compiled)
    return found


def test_what_was_kept_is_not_compiled_again(made: list[str], tmp_path: Path) -> None:
    kept = Kept(tmp_path / "kept")
    assert doubled(kept) == doubled(kept) == [3.0, -6.0]
    assert len(made) == (1 if list((tmp_path / "kept").glob("*")) else 2)  # 2: a driver that keeps by itself


@pytest.mark.parametrize("spoilt", [b"", b"no program"])
def test_what_is_not_as_it_was_kept_is_made_anew(spoilt: bytes, made: list[str], tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    doubled(kept)
    for file in tmp_path.iterdir():
        file.write_bytes(spoilt)
    assert doubled(kept) == [3.0, -6.0] and len(made) == 2


def test_a_binary_that_the_driver_refuses_is_made_anew(made: list[str], tmp_path: Path) -> None:
    from jobspec.backends.opencl import build

    kept, context = Kept(tmp_path), trial().context
    key = build.key_of(context.devices[0], [build.STANDARD, build.division(context.devices[0])], TEXT)
    kept.keep(key, b"no program of this driver")
    assert doubled(kept) == [3.0, -6.0] and len(made) == 1


def test_the_folder_of_pyopencl_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed process leaves it locked, and each build would wait a minute and fail."""
    trial()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert doubled(Kept(None)) == [3.0, -6.0] and not list(tmp_path.iterdir())
