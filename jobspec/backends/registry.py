"""The backends by name.

Takes: a name. Promises: what a run needs of a backend, and that a backend nobody asks for is never
imported: this is the one place where our own modules are imported inside functions.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jobspec.backends.session import Session, Stepper
from jobspec.ir.classes import ASIDE, has_aside
from jobspec.ir.errors import UsageError
from jobspec.ir.job import Job
from jobspec.ir.later import later
from jobspec.ir.plan import Plan, Routine
from jobspec.ir.target import Target

DEFAULT = "llvm"
#: `cuda` as the class of devices whose matrix instructions work on the side (docs/numerics.md 5.10)
CUDA_ASIDE = f"cuda.{ASIDE}"
#: what is reached by way of a driver, and which drivers work in a process that has shut itself in
DRIVEN, CONFINABLE = ("opencl", "cuda", CUDA_ASIDE), ("opencl",)
#: version of our own generator of native code: raised when an unchanged plan becomes other code
NATIVE = "2"

#: plan, job with lowered programs, threads, folder for compiled code → session
Open = Callable[[Plan, Job, int, Path], Session]
#: plan, name of a routine, a batch for its feed → the routine kernel by kernel, behind `init`
OpenStepper = Callable[[Plan, str, NDArray[np.uint8]], Stepper]
#: routine, its target, threads → bytes beside the arena
Scratch = Callable[[Routine, Target, int], int]


@dataclass(frozen=True)
class Backend:
    """`target`: this machine, as the backend sees it; `compilers`: (name, version) of all that turns a plan
    into code, as the plan hash takes them; `interprets`: it evaluates the job's programs, which have to be lowered;
    `scratch`: what a loaded routine takes; `on_host`: its arena is this machine's memory, no device's;
    `stepper`: runs a routine so that its kernels can be timed, None where the backend cannot; `clock`: what times
    them, in words."""

    name: str
    target: Target
    compilers: tuple[tuple[str, str], ...]
    open: Open
    interprets: bool = False
    scratch: Scratch = lambda routine, target, threads: 0
    on_host: bool = True
    stepper: OpenStepper | None = None
    clock: str = "by the device's clock"


def _llvm() -> Backend:
    from jobspec.backends.llvm import engine, machine

    compilers = (("jobspec-llvm", NATIVE), *engine.compilers())
    opened, begun = engine.open_session, later("jobspec.backends.llvm.stepper", "begun")
    scratch, clock = engine.scratch_of, "on one thread"
    return Backend("llvm", machine.host(), compilers, opened, scratch=scratch, stepper=begun, clock=clock)


def _reference() -> Backend:
    from jobspec.backends.reference import session

    return Backend("reference", Target("reference"), session.COMPILERS, session.open_session, interprets=True)


def _opencl() -> Backend:
    from jobspec.backends.opencl import admission, vendors

    name = admission.chosen().name
    vendors.announce(admission.vendors_folder())
    from jobspec.backends.c import stepper
    from jobspec.backends.opencl import devices, session

    def begun(plan: Plan, routine: str, feed: NDArray[np.uint8]) -> Stepper:
        return stepper.begun(session.OpenclSession(plan, device), routine, feed)

    device = devices.device_named(name)
    target = devices.target_of(device)
    compilers, opened, on_host = session.compilers(), session.open_session, target.features == "cpu"
    return Backend("opencl", target, compilers, opened, scratch=session.scratch_of, on_host=on_host, stepper=begun)


def _cuda(aside: bool = False) -> Backend:
    from jobspec.backends.cuda import admission

    level = admission.chosen(aside).level
    from jobspec.backends.c import stepper
    from jobspec.backends.cuda import pycuda_driver, session, target

    def opened(plan: Plan, job: Job, threads: int, cache: Path) -> Session:
        return session.opened(plan, pycuda_driver.PycudaDriver, cache / "cuda")

    def begun(plan: Plan, routine: str, feed: NDArray[np.uint8]) -> Stepper:
        return stepper.begun(session.opened(plan, pycuda_driver.PycudaDriver, None), routine, feed)

    name, on = (CUDA_ASIDE if aside else "cuda"), target.target_of(level, aside)
    return Backend(name, on, session.compilers(), opened, on_host=False, stepper=begun)


BACKENDS: dict[str, Callable[[], Backend]] = {
    "llvm": _llvm,
    "opencl": _opencl,
    "cuda": _cuda,
    CUDA_ASIDE: partial(_cuda, aside=True),
    "reference": _reference,
}


def backend(name: str = DEFAULT) -> Backend:
    """The backend `name`. Raises UsageError for an unknown one, and for one that this machine does not have."""
    need_known(name)
    return BACKENDS[name]()


def name_for(target: Target) -> str:
    """The backend that plans for `target` are asked of: the class of devices is admitted by a clause of its own."""
    return CUDA_ASIDE if has_aside(target) else target.backend


def fastest() -> str:
    """The backend that a job runs on where none is asked for: `cuda` where it is installed and a GPU is admitted, else
    `llvm`. OpenCL has to be asked for: on processors it is the slower one of the two."""
    if find_spec("pycuda") is None:
        return DEFAULT
    from jobspec.backends.cuda import admission

    try:
        admission.chosen()
    except UsageError:
        return DEFAULT
    return "cuda"


def need_known(name: str) -> None:
    """Raises UsageError E0811 where no machine could have this backend."""
    if name not in BACKENDS:
        known = ", ".join(BACKENDS)
        raise UsageError("E0811", f"there is no backend `{name}`", help=f"the backends are {known}")


def before_walls(on: str) -> None:
    """Called before a process shuts itself in, where no driver can be found any more: that takes children and files.
    The driver of `on` is loaded, if it can do with what will be left; all others are refused from now on (E0878)."""
    os.environ["PYOPENCL_NO_CACHE"] = "1"  # a folder of pyopencl's own, which it would wait for without end
    if on in CONFINABLE:
        BACKENDS[on] = partial(replace, backend(on))
    for name in DRIVEN:
        if name != on or name not in CONFINABLE:
            BACKENDS[name] = partial(_walled, name)


def _walled(name: str) -> Backend:
    reason = f"a confined process has not loaded the driver that the backend `{name}` needs"
    again = "`--on opencl`, so that it is loaded before" if name in CONFINABLE else "`--on llvm`"
    raise UsageError("E0878", reason, help=f"say {again}; or `--no-sandbox`, if you trust the plan")


@dataclass(frozen=True)
class Found:
    """A device of this machine. `wrong`: (clause, what was seen) of all that keeps it from running jobs."""

    backend: str
    name: str
    wrong: tuple[tuple[str, str], ...] = ()


def surveyed() -> Iterator[Found]:
    """Everything that could run a job here; a backend that is not installed says so in its place."""
    from jobspec.backends.llvm import machine

    yield Found("llvm", machine.host().cpu)
    for name, found in (("opencl", _found_opencl), ("cuda", _found_cuda)):
        try:
            yield from found()
        except UsageError as error:
            yield Found(name, "-", (("installation", error.reason),))
    yield Found("reference", "numpy")


def _found_opencl() -> Iterator[Found]:
    from jobspec.backends.opencl import admission

    return (Found("opencl", device.name, device.wrong) for device in admission.devices())


def _found_cuda() -> Iterator[Found]:
    """A GPU stands there once for each class that it may be of."""
    from jobspec.backends.cuda import admission, target

    for device in admission.devices():
        yield Found("cuda", device.name, device.wrong)
        if device.level == target.ASIDE_LEVEL:
            yield Found(CUDA_ASIDE, device.name, (*device.wrong, *device.aside))
