"""Classes of devices: what the profile `jobspec.fast.v1` promises holds within one of them.

Promises: a pure function of a target. Class `contract` sums in the contract's order (docs/numerics.md 5.2) and has the
same bits everywhere; every level of NVIDIA's GPUs with matrix instructions is a class of its own, and one more where
instructions that work on the side are used (`cuda.sm_90a`), whose order may be another. What a receipt claims
names the class where the profile has any.
"""

from __future__ import annotations

from jobspec.ir.contract import FAST_PROFILE
from jobspec.ir.target import Target

CONTRACT = "contract"
#: the first level whose matrix instructions take bfloat16
MATRICES = 80
BETWEEN = "/"
#: the one target whose matrix instructions on the side (`wgmma`) are used: no other level has them
ASIDE = "sm_90a"


def has_matrices(target: Target) -> bool:
    """Whether contractions may be summed by the device's own matrix instructions."""
    level = target.cpu.removeprefix("sm_")
    return target.backend == "cuda" and (has_aside(target) or (level.isdecimal() and int(level) >= MATRICES))


def has_aside(target: Target) -> bool:
    """Whether large ones may be summed by those that work on the side."""
    return target.backend == "cuda" and target.cpu == ASIDE


def class_of(target: Target) -> str:
    return f"cuda.{target.cpu}" if has_matrices(target) else CONTRACT


def claim(profile: str, target: Target) -> str:
    """What a receipt says of a run: the job's profile, and the class where that decides."""
    return f"{profile}{BETWEEN}{class_of(target)}" if profile == FAST_PROFILE else profile


def claimed_class(claimed: str) -> str:
    """The class of a claim; CONTRACT for those that name none."""
    return claimed.partition(BETWEEN)[2] or CONTRACT


def may_claim(profile: str, claimed: str) -> bool:
    """Whether a receipt of a job of `profile` may say so."""
    name, between, device = claimed.partition(BETWEEN)
    return name == profile and (is_class(device) if profile == FAST_PROFILE else not between)


def is_class(name: str) -> bool:
    level = name.removeprefix("cuda.sm_")
    return name in (CONTRACT, f"cuda.{ASIDE}") or (level != name and level.isdecimal() and str(int(level)) == level)
