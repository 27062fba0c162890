"""What a run tells while it goes on.

Promises: the protocol and its silent form; nothing a reporter does can change a result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from jobspec.ir.job import Job


class Reporter(Protocol):
    """One run's listener. Steps are counted as done."""

    def begin(self, job: Job, step: int) -> None:
        """The run starts, or goes on, with `step` steps done."""

    def progress(self, step: int, reports: Mapping[str, np.float32]) -> None:
        """`step` steps are done, the last with these reports."""

    def evaluated(self, name: str, step: int, metrics: Mapping[str, np.float32]) -> None:
        """An evaluation after `step` steps."""

    def note(self, text: str) -> None:
        """A sentence for the user."""

    def end(self) -> None:
        """The run stops, whatever the reason."""


class Silent:
    """Says nothing."""

    def begin(self, job: Job, step: int) -> None: ...

    def progress(self, step: int, reports: Mapping[str, np.float32]) -> None: ...

    def evaluated(self, name: str, step: int, metrics: Mapping[str, np.float32]) -> None: ...

    def note(self, text: str) -> None: ...

    def end(self) -> None: ...
