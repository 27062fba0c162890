"""What is said of errors that are nobody's mistake but ours or the system's.

Promises: a sentence, never a traceback; what a developer needs goes into a file, and onto the screen only where
JOBSPEC_DEBUG asks for it.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from jobspec.ir.errors import JobspecError
from jobspec.ir.later import later
from jobspec.ir.version import VERSION
from jobspec.store.files import store_error

if TYPE_CHECKING:
    from tempfile import NamedTemporaryFile
else:
    NamedTemporaryFile = later("tempfile", "NamedTemporaryFile")


def disk_trouble(error: OSError) -> JobspecError:
    """The system's refusal, in words."""
    path = Path(error.filename) if isinstance(error.filename, str | os.PathLike) else Path()
    return store_error("use", path, error)


def bug_report(error: Exception) -> str:
    """One line for the user; the traceback goes into a file that it names."""
    told = "".join(traceback.format_exception(error))
    if os.environ.get("JOBSPEC_DEBUG", "0") != "0":
        return told
    kind = type(error).__name__
    return f"this is a bug in jobspec {VERSION}: {kind}: {first_line(error)}\n{written(told)}"


def first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else "no message"


def written(told: str) -> str:
    """Where the traceback lies, and what to do with it."""
    try:
        with NamedTemporaryFile("w", prefix="jobspec-bug-", suffix=".txt", delete=False) as file:
            file.write(f"jobspec {VERSION}, python {sys.version}\n{' '.join(sys.argv)}\n\n{told}")
    except OSError:
        return "help: set JOBSPEC_DEBUG=1 to see where it happened, and report it"
    return f"help: please report it with the file {file.name}"
