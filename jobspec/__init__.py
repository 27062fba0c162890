"""jobspec: a whole training job in one text file, with one meaning to the last bit.

    import jobspec
    job = jobspec.load("digits.job")
    run = jobspec.run(job)
    run.metrics, run.weights, run.receipt
    jobspec.verify(run.receipt)

The names are looked up when they are first used, so that importing a part does not import the whole.
"""

from __future__ import annotations

from importlib import import_module

from jobspec.ir.version import VERSION

#: as in `typing`, which the program is not to wait for before it answers Ctrl-C
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobspec.api import Program, Run, compile, dispute, load, plan, run, sign, trace, verify
    from jobspec.loading import Spec
    from jobspec.planning import Report
    from jobspec.verify.dispute import Settlement
    from jobspec.verify.verdict import Verdict

__version__ = VERSION
__all__ = [
    "Program",
    "Report",
    "Run",
    "Settlement",
    "Spec",
    "Verdict",
    "__version__",
    "compile",
    "dispute",
    "load",
    "plan",
    "run",
    "sign",
    "trace",
    "verify",
]


#: where the names are that are not in jobspec.api
ELSEWHERE = {
    "Report": "jobspec.planning",
    "Settlement": "jobspec.verify.dispute",
    "Spec": "jobspec.loading",
    "Verdict": "jobspec.verify.verdict",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module `jobspec` has no `{name}`")
    # all at once: importing them binds `verify` to the room of that name, which it must not stay
    found = {known: import_module(ELSEWHERE.get(known, "jobspec.api")) for known in __all__ if known != "__version__"}
    globals().update({known: getattr(module, known) for known, module in found.items()})
    return globals()[name]
