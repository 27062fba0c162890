"""Offers of providers, as a TOML or JSON file lists them.

Takes: the file, a way to find descriptions of clusters. Promises: offers with every key known and every value in its
range; an offer names a description (`device`) and says what is otherwise with it: how many, at what price, how trusted.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jobspec.estimating.cluster import Cluster, Link, Outages, number_fault, text_fault
from jobspec.ir.errors import UsageError

TIERS = ("community", "secure")
#: whether a key must be there; texts and numbers
TEXTS = {"provider": True, "device": True, "tier": True, "region": False, "currency": False}
NUMBERS = {
    "count": True, "price": True, "per_node": False, "memory": False, "bandwidth": False, "node": False,
    "network": False, "store": False, "device_hours": False, "restart": False,
}  # fmt: skip
FLAGS = ("interruptible",)
EXAMPLE = "specs/offers.toml"


@dataclass(frozen=True)
class Offer:
    """`tier`: whose machines they are: of anyone (`community`), or of a provider that answers for them (`secure`).
    `cluster`: what is offered, its `price` that of a device for an hour."""

    provider: str
    tier: str
    interruptible: bool
    region: str
    cluster: Cluster

    @property
    def name(self) -> str:
        return f"{self.provider} {self.region}".strip()


def read_offers(path: Path, describe: Callable[[str], Cluster]) -> list[Offer]:
    """`describe`: a cluster by its name or file. Raises UsageError E0875 for a file that is no list of offers, E0876
    for what stands in one, and what `describe` raises."""
    found = entries(path)
    return [Reader(path.name, number, entry).offer(describe) for number, entry in enumerate(found, 1)]


def entries(path: Path) -> list[Any]:
    """The offers of a file, unread: `[[offer]]` of TOML; in JSON a list, or an object with `offer`."""
    try:
        text = path.read_text("utf-8")
        table = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except FileNotFoundError as error:
        raise UsageError("E0875", f"there is no file {path}", help=f"begin with a copy of {EXAMPLE}") from error
    except (tomllib.TOMLDecodeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise unreadable(f"{path} cannot be read: {error}") from error
    found = table.get("offer") if isinstance(table, dict) and set(table) == {"offer"} else table
    if not isinstance(found, list) or not found:
        raise unreadable(f"{path} has no list of offers")
    return found


def unreadable(reason: str) -> UsageError:
    return UsageError("E0875", reason, help=f"write `[[offer]]` above each; {EXAMPLE} is a whole one")


@dataclass(frozen=True)
class Reader:
    """Offer `number` of the file `source`."""

    source: str
    number: int
    entry: Any

    def offer(self, describe: Callable[[str], Cluster]) -> Offer:
        self.check()
        entry: Mapping[str, Any] = self.entry
        interruptible = bool(entry.get("interruptible", False))
        return Offer(
            provider=entry["provider"],
            tier=entry["tier"],
            interruptible=interruptible,
            region=entry.get("region", ""),
            cluster=self.offered(describe(entry["device"]), entry),
        )

    def offered(self, base: Cluster, entry: Mapping[str, Any]) -> Cluster:
        """The description with what the offer says instead."""
        count, node = entry["count"], min(entry.get("per_node", base.devices_per_node), entry["count"])
        network = base.network
        if "network" in entry:
            network = Link(entry["network"], network.latency if network else base.node.latency)
        if network is None and count > node:
            reason = f"has {count} devices in nodes of {node} and no `network`"
            raise self.wrong(reason, "add `network = …` (bytes a second)")
        return replace(
            base,
            devices=count,
            devices_per_node=node,
            memory=entry.get("memory", base.memory),
            bandwidth=entry.get("bandwidth", base.bandwidth),
            node=replace(base.node, bandwidth=entry.get("node", base.node.bandwidth)),
            network=network,
            store=entry.get("store", base.store),
            outages=self.outages(base, entry),
            price=float(entry["price"]),
            currency=entry.get("currency", base.currency),
            source=f"{self.source}, offer {self.number},",
        )

    def outages(self, base: Cluster, entry: Mapping[str, Any]) -> Outages | None:
        known = base.outages or (Outages(entry["device_hours"], 0.0) if "device_hours" in entry else None)
        if known is None:
            return None
        hours, restart = entry.get("device_hours", known.device_hours), entry.get("restart", known.restart)
        return Outages(hours, restart)

    def check(self) -> None:
        if not isinstance(self.entry, dict):
            raise self.wrong(f"is `{self.entry}`", "an offer is a table of keys")
        for fault in self.faults(self.entry):
            raise fault
        if self.entry.get("interruptible") and "device_hours" not in self.entry:
            help = "add `device_hours = …`: hours of a device between two interruptions"
            raise self.wrong("is interruptible and does not say how often", help)

    def faults(self, entry: Mapping[str, Any]) -> Iterator[UsageError]:
        known = {**TEXTS, **NUMBERS, **dict.fromkeys(FLAGS, False)}
        for key in known:
            if known[key] and key not in entry:
                yield self.wrong(f"has no `{key}`", f"add `{key} = …`")
        for key, value in entry.items():
            if key not in known:
                yield self.wrong(f"has `{key}`, which is no key of an offer", f"it may have {', '.join(known)}")
            elif wanted := self.fault(key, value):
                yield self.wrong(f"says {key} = `{value}`", f"it takes {wanted}")

    def fault(self, key: str, value: object) -> str | None:
        if key in FLAGS:
            return None if isinstance(value, bool) else "true or false"
        if key == "tier":
            return None if value in TIERS else " or ".join(f"`{tier}`" for tier in TIERS)
        if key in ("count", "per_node") and not isinstance(value, int):
            return "a whole number"
        return text_fault(value) if key in TEXTS else number_fault(key, value)

    def wrong(self, reason: str, help: str) -> UsageError:
        return UsageError("E0876", f"offer {self.number} of {self.source} {reason}", help=help)
