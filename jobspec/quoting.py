"""Offers for a job, ranked: the report behind `jobspec quote`.

Takes: a loaded job, offers. Promises: for each offer what the job would cost and take there, or why it cannot run; by
cost and by time. Whole nodes are rented, and all of them for as long as the run takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobspec.estimating.estimate import Estimate, estimate
from jobspec.estimating.offers import TIERS, Offer
from jobspec.ir.amounts import in_bytes
from jobspec.ir.errors import UsageError
from jobspec.ir.job import Job
from jobspec.ir.plan import Routine
from jobspec.loading import Spec, need_whole_roots
from jobspec.scaling import hours, money, step_routines

ORDERS = ("cost", "time")


@dataclass(frozen=True)
class Quote:
    """One offer. `found`: what the job takes there; `why`: what keeps it from running, None where nothing does."""

    offer: Offer
    found: Estimate | None
    why: str | None

    @property
    def hours(self) -> float:
        return self.found.hours if self.found else 0.0

    @property
    def rented(self) -> int:
        """Devices: whole nodes."""
        node = self.offer.cluster.devices_per_node
        used = self.found.devices if self.found else 0
        return min(self.offer.cluster.devices, -(-used // node) * node)

    @property
    def cost(self) -> float:
        return (self.offer.cluster.price or 0.0) * self.rented * self.hours


@dataclass(frozen=True)
class Quotes:
    """Those that can run the job, best first, and those that cannot, in the order of the file."""

    job: Job
    ranked: tuple[Quote, ...]
    refused: tuple[Quote, ...]
    by: str

    def as_dict(self) -> dict[str, Any]:
        """As the documentation of `jobspec quote --json` lists it."""
        ranks = {order: [sort_key(quote, order) for quote in ranked(self.ranked, order)] for order in ORDERS}
        return {
            "name": self.job.name,
            "by": self.by,
            "offers": [answer_of(quote, ranks) for quote in (*self.ranked, *self.refused)],
        }

    def __str__(self) -> str:
        return "\n".join(lines_of(self))


def quotes(spec: Spec, offers: Sequence[Offer], tier: str | None, by: str) -> Quotes:
    """`tier`: the least that will do; `by`: cost or time. Raises CompileError, DataError."""
    need_whole_roots(spec)
    routines = step_routines(spec.job)
    found = [quote(spec.job, routines, offer, tier) for offer in offers]
    good = [one for one in found if one.why is None]
    return Quotes(spec.job, tuple(ranked(good, by)), tuple(one for one in found if one.why is not None), by)


def quote(job: Job, routines: Mapping[str, Routine], offer: Offer, tier: str | None) -> Quote:
    if tier and TIERS.index(offer.tier) < TIERS.index(tier):
        return Quote(offer, None, f"its tier is {offer.tier}, and {tier} is asked for")
    try:
        found = estimate(job, routines, offer.cluster)
    except UsageError as error:
        return Quote(offer, None, error.reason)
    return Quote(offer, found, too_little_memory(found))


def too_little_memory(found: Estimate) -> str | None:
    if found.fits:
        return None
    most = max(found.steps, key=lambda step: step.room.total)
    where = f" in {most.phase.name}" if most.phase.name else ""
    needs = f"{in_bytes(most.room.total)} of memory a device{where}, though layers are computed again"
    return f"the job needs {needs}, and there are {in_bytes(found.cluster.memory)}"


def ranked(found: Sequence[Quote], by: str) -> list[Quote]:
    return sorted(found, key=lambda one: sort_key(one, by))


def sort_key(one: Quote, by: str) -> tuple[float, float, str]:
    both = (one.cost, one.hours) if by == "cost" else (one.hours, one.cost)
    return (*both, one.offer.name)


# ---- as JSON


def answer_of(one: Quote, ranks: Mapping[str, list[tuple[float, float, str]]]) -> dict[str, Any]:
    offer, cluster = one.offer, one.offer.cluster
    can = one.why is None
    return {
        "provider": offer.provider,
        "region": offer.region or None,
        "tier": offer.tier,
        "interruptible": offer.interruptible,
        "device": cluster.device,
        "count": cluster.devices,
        "price": cluster.price,
        "currency": cluster.currency,
        "why_not": one.why,
        "rented": one.rented if can else None,
        "hours": one.hours if can else None,
        "cost": one.cost if can else None,
        "effective": one.found.effective if can and one.found else None,
        "by_cost": ranks["cost"].index(sort_key(one, "cost")) + 1 if can else None,
        "by_time": ranks["time"].index(sort_key(one, "time")) + 1 if can else None,
    }


# ---- for people


def lines_of(found: Quotes) -> Iterator[str]:
    yield found.job.heading
    yield ""
    if found.ranked:
        yield from table(found)
    for one in found.refused:
        yield f"cannot run it: {one.offer.name} ({one.offer.cluster.devices:,} × {one.offer.cluster.device}): {one.why}"


def table(found: Quotes) -> Iterator[str]:
    rows: list[tuple[str, ...]] = [("by cost", "by time", "offer", "tier", "devices", "hours", "cost")]
    times = ranked(found.ranked, "time")
    costs = ranked(found.ranked, "cost")
    for one in found.ranked:
        tier = one.offer.tier + (", interruptible" if one.offer.interruptible else "")
        devices = f"{one.rented:,} × {one.offer.cluster.device}"
        price = money(one.cost, one.offer.cluster.currency)
        ranks = (str(costs.index(one) + 1), str(times.index(one) + 1))
        rows.append((*ranks, one.offer.name, tier, devices, hours(one.hours), price))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        texts = "  ".join(f"{cell:<{width}}" for cell, width in zip(row[:-2], widths[:-2], strict=True))
        yield f"{texts}  {row[-2]:>{widths[-2]}}  {row[-1]:>{widths[-1]}}"
