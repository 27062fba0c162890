"""Texts that are refused, and the messages that they get, kept beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jobspec.lang.diagnostics import DiagnosticsError
from jobspec.lang.source import Source

Golden = Callable[[Path, str], None]


def errors(path: Path, read: Callable[[Source], object]) -> DiagnosticsError:
    """What `read` says of the text."""
    with pytest.raises(DiagnosticsError) as caught:
        read(Source.from_bytes(path.name, path.read_bytes()))
    return caught.value


def check_message(path: Path, read: Callable[[Source], object], golden: Golden) -> None:
    golden(path.with_suffix(".err"), f"{errors(path, read)}\n")
