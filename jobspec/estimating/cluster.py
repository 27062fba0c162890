"""A cluster as a small TOML file describes it.

Takes: the file. Promises: a plain value in base units (bytes, seconds, FLOP/s), every key known and every number in its
range; what is wrong is said with the file's own key and line of thought. Rates under `attained` are fractions of the
peaks: what kernels and links are known to reach, with `source` saying where from.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobspec.ir.errors import UsageError

EXAMPLE = "specs/clusters/h100_16384.toml"
#: section → key → whether it must be there; a number each, but for names and sources
KEYS: Mapping[str, Mapping[str, bool]] = {
    "": {"name": True, "devices": True, "devices_per_node": True, "price": False, "currency": False},
    "device": {"name": True, "memory": True, "bandwidth": True, "launch": False},
    "device.peak": {},
    "node": {"bandwidth": True, "latency": False},
    "network": {"bandwidth": False, "latency": False},
    "store": {"bandwidth": True},
    "outages": {"device_hours": True, "restart": True},
    "attained": {
        "contractions": True, "attention": True, "memory": True, "node": True, "network": True, "source": False,
    },
}  # fmt: skip
TEXTS = {"name", "currency", "source"}
FRACTIONS = "attained"
OPTIONAL = {"network", "store", "outages"}
MAY_BE_NOTHING = {"latency", "launch", "restart", "price"}


@dataclass(frozen=True)
class Link:
    """`bandwidth`: bytes a second that a device sends, `latency`: seconds before the first arrives."""

    bandwidth: float
    latency: float = 0.0


@dataclass(frozen=True)
class Outages:
    """`device_hours`: of a device between two interruptions, on average; `restart`: seconds until training goes on."""

    device_hours: float
    restart: float


@dataclass(frozen=True)
class Attained:
    """Fractions of the peaks: of FLOP/s by large contractions and by attention, of bandwidths by memory and links."""

    contractions: float
    attention: float
    memory: float
    node: float
    network: float
    source: str = ""


@dataclass(frozen=True)
class Cluster:
    """`memory`: bytes of a device; `bandwidth`: bytes a second from it; `peak`: FLOP/s by dtype; `launch`: seconds that
    a kernel takes at least; `store`: bytes a second that all devices together write checkpoints with, or None;
    `price`: of a device for an hour, or None."""

    name: str
    devices: int
    devices_per_node: int
    device: str
    memory: float
    bandwidth: float
    peak: Mapping[str, float]
    node: Link
    network: Link | None
    attained: Attained
    launch: float = 0.0
    store: float | None = None
    outages: Outages | None = None
    price: float | None = None
    currency: str = "USD"
    source: str = field(default="", compare=False)

    def peak_of(self, dtype: str) -> float:
        """FLOP/s. Raises UsageError E0872 for a type that the description leaves out."""
        if dtype not in self.peak:
            reason = f"{self.source} says no rate for {dtype}, in which the job's contractions are computed"
            raise UsageError("E0872", reason, help=f"add it: `[device.peak]`, `{dtype} = …` (FLOP/s)")
        return self.peak[dtype]


def read_cluster(path: Path) -> Cluster:
    """Raises UsageError E0870 for a file that is no TOML, E0871 for keys and E0872 for values."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise UsageError("E0870", f"there is no file {path}", help=f"begin with a copy of {EXAMPLE}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError("E0870", f"{path} is not TOML: {error}", help=f"begin with a copy of {EXAMPLE}") from error
    return cluster_of(table, path.name)


def cluster_of(table: Mapping[str, Any], source: str) -> Cluster:
    """`source`: what to call it in errors."""
    read = Reader(table, source)
    read.check_keys()
    whole, device, attained = read.section(""), read.section("device"), read.section("attained")
    return Cluster(
        name=str(whole["name"]),
        devices=read.count("devices"),
        devices_per_node=read.count("devices_per_node"),
        device=str(device["name"]),
        memory=float(device["memory"]),
        bandwidth=float(device["bandwidth"]),
        peak={dtype: float(rate) for dtype, rate in read.section("device.peak").items()},
        node=link_of(read.section("node")),
        network=link_of(read.section("network")) if "bandwidth" in read.section("network") else None,
        attained=Attained(**attained),
        launch=float(device.get("launch", 0.0)),
        store=read.section("store").get("bandwidth"),
        outages=Outages(**read.section("outages")) if "outages" in table else None,
        price=whole.get("price"),
        currency=str(whole.get("currency", "USD")),
        source=source,
    )


def link_of(section: Mapping[str, Any]) -> Link:
    return Link(float(section["bandwidth"]), float(section.get("latency", 0.0)))


@dataclass(frozen=True)
class Reader:
    """The parsed file, `source` its name."""

    table: Mapping[str, Any]
    source: str

    def section(self, path: str) -> Mapping[str, Any]:
        """The numbers and texts of a section; of "": those outside of sections."""
        found: Any = self.table
        for name in path.split(".") if path else ():
            found = found.get(name, {})
        return {key: value for key, value in found.items() if not isinstance(value, dict)}

    def check_keys(self) -> None:
        for path, keys in KEYS.items():
            if path in OPTIONAL and path not in self.table:
                continue
            found = self.section(path)
            for key in keys:
                if keys[key] and key not in found:
                    raise self.wrong(f"{said(path, key)} is missing", f"add `{key} = …`")
            for key, value in found.items():
                self.check(path, key, value)
        self.check_sections(self.table, "")

    def check_sections(self, table: Mapping[str, Any], path: str) -> None:
        for name, value in table.items():
            inner = f"{path}.{name}".strip(".")
            if isinstance(value, dict):
                if inner not in KEYS:
                    raise self.wrong(f"there is no section [{inner}]", f"there are {', '.join(k for k in KEYS if k)}")
                self.check_sections(value, inner)

    def check(self, path: str, key: str, value: Any) -> None:
        if path != "device.peak" and key not in KEYS[path]:
            raise self.wrong(f"{said(path, key)} is no key of it", f"it may have {', '.join(KEYS[path])}")
        wanted = text_fault(value) if key in TEXTS else number_fault(key, value)
        if wanted is None and path == FRACTIONS and key not in TEXTS and value > 1:
            wanted = "a fraction of the peak, above 0 and up to 1"
        if wanted:
            raise self.bad(path, key, value, wanted)

    def count(self, key: str) -> int:
        value = self.table[key]
        if not isinstance(value, int):
            raise self.bad("", key, value, "a whole number")
        return value

    def wrong(self, reason: str, help: str) -> UsageError:
        return UsageError("E0871", f"{self.source}: {reason}", help=f"{help}; {EXAMPLE} is a whole one")

    def bad(self, path: str, key: str, value: Any, wanted: str) -> UsageError:
        return UsageError("E0872", f"{self.source}: {said(path, key)} is `{value}`", help=f"it takes {wanted}")


def text_fault(value: object) -> str | None:
    """What is wanted where a text should stand; None where it is one."""
    return None if isinstance(value, str) else "a text"


def number_fault(key: str, value: object) -> str | None:
    """What is wanted where a number should stand; None where it is one that `key` can have."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        return "a number in base units: bytes, bytes a second, FLOP/s, seconds"
    return None if value or key in MAY_BE_NOTHING else "more than 0"


def said(path: str, key: str) -> str:
    """`bandwidth` of [node]."""
    return f"`{key}` of [{path}]" if path else f"`{key}`"
