"""Shipped jobs and clusters for the tests of estimates."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from jobspec.estimating.cluster import Cluster, read_cluster
from jobspec.estimating.estimate import Maker, Step
from jobspec.ir.job import Job
from jobspec.ir.mesh import Mesh, mesh_of
from jobspec.ir.plan import Routine
from jobspec.lang.check import load
from jobspec.lang.override import overridden
from jobspec.lang.source import Source
from jobspec.scaling import step_routines

SPECS = Path(__file__).parents[2] / "specs"


@cache
def job_of(name: str, *values: tuple[str, str]) -> Job:
    """A shipped job with values set."""
    return load(overridden(Source.read(SPECS / f"{name}.job"), dict(values)))


@cache
def routines_of(name: str, *values: tuple[str, str]) -> dict[str, Routine]:
    return step_routines(job_of(name, *values))


@cache
def cluster(name: str = "h100_16384") -> Cluster:
    return read_cluster(SPECS / "clusters" / f"{name}.toml")


def with_contractions(fraction: float, found: Cluster | None = None) -> Cluster:
    """The cluster, were that the part of the peak that contractions attain."""
    found = found or cluster()
    return replace(found, attained=replace(found.attained, contractions=fraction))


def step_of(name: str, phase: str, on: Cluster, sizes: tuple[tuple[str, int], ...] = ()) -> Step:
    """A phase's step; `sizes`: of the mesh, in place of the text's."""
    job = job_of(name)
    number = [found.name for found in job.phases].index(phase)
    mesh: Mesh = mesh_of(job.runs, phase)
    mesh = replace(mesh, sizes=sizes) if sizes else mesh
    return Maker(job, job.phases[number], routines_of(name)[job.step_names[number]], on, mesh).step()
