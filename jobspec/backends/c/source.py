"""A whole program text for a device compiler: the dialect's names, then the rendered functions.

Takes: the dialect's name and a writer. Promises: the dialect is a file of names beside this one and nothing else, so
that OpenCL and CUDA run the same rendered text.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

from jobspec.backends.c.writer import Writer

#: version of the rendered C: raised when an unchanged plan becomes other code
RENDERER = "9"


def source(dialect: str, writer: Writer) -> str:
    return names(dialect) + writer.text()


@cache
def names(dialect: str) -> str:
    return resources.files("jobspec.backends.c").joinpath(f"{dialect}.h").read_text()
