"""Where OpenCL runtimes lie: those of the system, and those that Python packages bring.

Takes: the installed packages. Promises: before pyopencl is imported, `announce` makes every runtime known to the
loader; a runtime from a package is found without an installation of the system's. What was set by hand
in OCL_ICD_VENDORS is left as it is. None of this can change a result.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from importlib import metadata
from pathlib import Path

#: package → the runtime's library, and those it needs, in the order in which they load
PACKAGED = {
    "intel-opencl-rt": ("libintelocl.so", ("libintlc.so.5", "libimf.so", "libsvml.so", "libirng.so", "libtbb.so.12")),
}
SYSTEM = Path("/etc/OpenCL/vendors")
VARIABLE = "OCL_ICD_VENDORS"


def announce(folder: Path) -> None:
    """Write `folder` with a file for each runtime, and name it to the loader."""
    found = {package: library for package in PACKAGED if (library := runtime_of(package)) is not None}
    if VARIABLE in os.environ or not found:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for file in sorted(SYSTEM.glob("*.icd")):
        (folder / file.name).write_bytes(file.read_bytes())
    for package, library in found.items():
        load_needed(library, PACKAGED[package][1])
        (folder / f"{package}.icd").write_text(f"{library}\n")
    os.environ[VARIABLE] = str(folder)


def runtime_of(package: str) -> Path | None:
    """The runtime's library as the package installed it."""
    name = PACKAGED[package][0]
    with suppress(metadata.PackageNotFoundError):
        for file in metadata.distribution(package).files or ():
            if file.name == name:
                path = Path(str(file.locate())).resolve()
                return path if path.exists() else None
    return None


def load_needed(library: Path, needed: tuple[str, ...]) -> None:
    """The runtime finds what it needs among what is loaded; the loader's own search does not look there."""
    for name in needed:
        with suppress(OSError):
            ctypes.CDLL(str(library.parent / name), mode=ctypes.RTLD_GLOBAL)
