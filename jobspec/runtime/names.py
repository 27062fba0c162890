"""What a person calls the numbers of a run.

Promises: `step.loss` for what a training step reports (no evaluation can be called `step`); the plain name
for metrics of an evaluation without a name of its own, `small.acc` for those of `eval small`.
"""

from __future__ import annotations

#: the name that the language gives to an evaluation without one
UNNAMED = "eval"


def metric_name(evaluation: str, metric: str) -> str:
    return metric if evaluation == UNNAMED else f"{evaluation}.{metric}"


def report_name(report: str) -> str:
    return f"step.{report}"
