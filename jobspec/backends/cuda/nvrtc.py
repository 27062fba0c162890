"""NVIDIA's runtime compiler, which needs no driver and no GPU.

Takes: CUDA C++ and a level (90 for sm_90). Promises: PTX and machine code, made with the options of the contract:
nothing contracted, divisions and roots correctly rounded, subnormals kept. The library is the one of the package
nvidia-cuda-nvrtc, or of an installation; it is loaded when first asked for, not before.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from jobspec.ir.errors import UsageError

PACKAGE, LIBRARY = "nvidia-cuda-nvrtc", "libnvrtc.so.13"
EXACT = ("--fmad=false", "--prec-div=true", "--prec-sqrt=true", "--ftz=false")
#: what the machine code is like, said in the log: registers, spills
VERBOSE = ("--ptxas-options=-v",)
INSTALL = "`pip install jobspec[cuda]` brings it; it needs no GPU"


@dataclass(frozen=True)
class Compiled:
    """`ptx`: text; `code`: machine code of one architecture, if asked for; `log`: what the compiler said."""

    ptx: str
    code: bytes
    log: str


def compile_text(text: str, level: int | str, options: Sequence[str] = EXACT, machine: bool = True) -> Compiled:
    """`text` for sm_`level` (`90a`: with what that level alone can do); without `machine` PTX alone, in half the time.
    Raises UsageError (E0836) without the library, RuntimeError with the compiler's log for a text that it refuses: our
    own mistake."""
    compiler, program = library(), ctypes.c_void_p()
    said(compiler.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"job.cu", 0, None, None))
    try:
        architecture = f"--gpu-architecture={'sm' if machine else 'compute'}_{level}"
        listed = [option.encode() for option in (architecture, *options, *(VERBOSE if machine else ()))]
        code = compiler.nvrtcCompileProgram(program, len(listed), (ctypes.c_char_p * len(listed))(*listed))
        log = taken(compiler, program, "ProgramLog").decode(errors="replace").rstrip("\0")
        if code:
            raise RuntimeError(f"NVRTC refuses the text:\n{log}")
        ptx = taken(compiler, program, "PTX").decode().rstrip("\0")
        return Compiled(ptx, taken(compiler, program, "CUBIN") if machine else b"", log)
    finally:
        compiler.nvrtcDestroyProgram(ctypes.byref(program))


def taken(compiler: ctypes.CDLL, program: ctypes.c_void_p, what: str) -> bytes:
    """One of the program's results."""
    size = ctypes.c_size_t()
    said(getattr(compiler, f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
    memory = ctypes.create_string_buffer(size.value)
    said(getattr(compiler, f"nvrtcGet{what}")(program, memory))
    return memory.raw


def said(code: int) -> None:
    if code:
        raise RuntimeError(f"NVRTC: {library().nvrtcGetErrorString(code).decode()}")


def version() -> str:
    """As `13.0`."""
    major, minor = ctypes.c_int(), ctypes.c_int()
    said(library().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)))
    return f"{major.value}.{minor.value}"


def levels() -> tuple[int, ...]:
    """The sm levels that it compiles for, ascending."""
    count = ctypes.c_int()
    said(library().nvrtcGetNumSupportedArchs(ctypes.byref(count)))
    found = (ctypes.c_int * count.value)()
    said(library().nvrtcGetSupportedArchs(found))
    return tuple(sorted(found))


@cache
def library() -> ctypes.CDLL:
    """Raises UsageError (E0836) where there is none."""
    for place in (packaged(), Path(LIBRARY)):
        if place is not None:
            with suppress(OSError):
                return opened(place)
    raise UsageError("E0836", f"the backend `cuda` needs NVIDIA's compiler ({LIBRARY})", help=INSTALL)


def opened(place: Path) -> ctypes.CDLL:
    """Its second half is sought by name only, and found where it is loaded already."""
    for half in place.parent.glob("libnvrtc-builtins.so.*"):
        ctypes.CDLL(str(half))
    loaded = ctypes.CDLL(str(place))
    loaded.nvrtcGetErrorString.restype = ctypes.c_char_p
    return loaded


def packaged() -> Path | None:
    """The library as its package installed it."""
    with suppress(metadata.PackageNotFoundError):
        for file in metadata.distribution(PACKAGE).files or ():
            if file.name == LIBRARY:
                return Path(str(file.locate()))
    return None
