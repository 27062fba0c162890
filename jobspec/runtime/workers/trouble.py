"""What can go wrong among workers, as a user meets it.

Promises: every error names the worker where there is one, and says what is kept and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable

from jobspec.ir.errors import JobspecError, MismatchError


class Liar(Exception):
    """A worker that answered wrongly. `since`: the step of its first answer that went into the state and was not
    computed a second time, -1 for the first state; None where there is none."""

    def __init__(self, worker: str, since: int | None, task: str) -> None:
        super().__init__(f"{worker} answered {task} wrongly")
        self.worker, self.since, self.task = worker, since, task


def nobody_left(seconds: float, met: bool) -> JobspecError:
    """`met`: there was one before."""
    reason = f"no worker {'is left, and none ' if met else ''}has come for {seconds:.0f} s"
    return JobspecError(
        "E0521", reason, help="the last checkpoint is kept: run again when there are workers, and it goes on"
    )


def nobody_came(reasons: Iterable[str]) -> JobspecError:
    listed = "; ".join(dict.fromkeys(reasons))
    return JobspecError("E0521", f"no worker can be had: {listed}", help="the last checkpoint is kept, if there is one")


def head_is_gone(address: str) -> JobspecError:
    reason = f"the head of the cluster at {address} does not answer any more"
    help = "the last checkpoint is kept: run again on a new cluster, or without workers, and it goes on"
    return JobspecError("E0521", reason, help=help)


def nobody_can(task: str, reason: str) -> JobspecError:
    return JobspecError("E0522", f"no worker can carry out `{task}`: {reason}", help="the last checkpoint is kept")


class Tainted(MismatchError):
    """The state holds answers of a worker that was found to answer wrongly (E0523). `since`: as of Liar."""

    def __init__(self, reason: str, since: int) -> None:
        super().__init__(
            "E0523", reason, help="run again without that worker: it goes on from a checkpoint made before"
        )
        self.since = since


def tainted(liar: Liar, since: int) -> Tainted:
    place = "since the first state" if since < 0 else f"since step {since}"
    reason = f"{liar.worker} answered wrongly (`{liar.task}`), and its answers are in the state {place}"
    return Tainted(reason, since)


def otherwise(since: int) -> Tainted:
    """Values that were lost and made again are others."""
    reason = f"step {max(since, 0)} and what follows came out otherwise when it was computed again"
    return Tainted(f"{reason}: a worker answered wrongly, and nobody can say which", since)


def lost_too_often(times: int) -> JobspecError:
    reason = f"values were lost between workers {times} times in a row"
    return JobspecError("E0522", reason, help="the last checkpoint is kept: run again with more memory for values")
