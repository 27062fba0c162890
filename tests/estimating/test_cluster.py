"""Descriptions of clusters: the shipped ones are whole, and what is wrong with one is said in its own words."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobspec.estimating.cluster import read_cluster
from jobspec.estimating.links import Group, rate, sent, shared
from jobspec.ir.errors import UsageError
from tests.estimating.shipped import SPECS, cluster

WHOLE = (SPECS / "clusters" / "h100_16384.toml").read_text()


@pytest.mark.parametrize("path", sorted((SPECS / "clusters").glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_clusters_are_whole_and_say_where_their_rates_are_from(path: Path) -> None:
    found = read_cluster(path)
    assert found.devices % found.devices_per_node == 0 and found.peak["bf16"] > found.peak["f32"] > 0
    assert found.attained.source and found.outages and found.store


@pytest.mark.parametrize(
    ("old", "new", "code", "said"),
    [
        ("[node]", "[node", "E0870", "not TOML"),
        ("memory = 80e9", "", "E0871", "`memory` of [device] is missing"),
        ("memory = 80e9", "memroy = 80e9", "E0871", "`memory` of [device] is missing"),
        ("latency = 1e-5", "lateness = 1e-5", "E0871", "`lateness` of [network] is no key"),
        ("[store]", "[stores]", "E0871", "there is no section [stores]"),
        ("memory = 80e9", 'memory = "80G"', "E0872", "`memory` of [device] is `80G`"),
        ("devices = 16384", "devices = 1.5", "E0872", "`devices` is `1.5`"),
        ("attention = 0.52 ", "attention = 52 ", "E0872", "`attention` of [attained] is `52`"),
        ("bandwidth = 450e9", "bandwidth = 0", "E0872", "`bandwidth` of [node] is `0`"),
        ("bandwidth = 450e9", "bandwidth = true", "E0872", "`bandwidth` of [node] is `True`"),
        ("restart = 600 ", "restart = inf ", "E0872", "`restart` of [outages] is `inf`"),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, code: str, said: str, tmp_path: Path) -> None:
    assert old in WHOLE
    path = tmp_path / "mine.toml"
    path.write_text(WHOLE.replace(old, new, 1))
    with pytest.raises(UsageError) as caught:
        read_cluster(path)
    assert caught.value.code == code and said in caught.value.reason and "mine.toml" in caught.value.reason
    assert caught.value.help


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        read_cluster(tmp_path / "none.toml")


def test_a_ring() -> None:
    """(n-1)/n of the bytes at the attained rate, n-1 times the latency."""
    found, size = cluster(), 8e9
    assert shared(found, Group(8), size) == pytest.approx(7 * (1e9 / (450e9 * 0.82) + 5e-6))
    assert shared(found, Group(128, 128), size) == pytest.approx(127 * (size / 128 / (50e9 * 0.94) + 1e-5))
    assert shared(found, Group(1), size) == 0


def test_devices_of_a_node_put_their_links_together() -> None:
    """A ring over whole nodes crosses from node to node once for eight links, but is no faster than a node inside."""
    found = cluster()
    assert rate(found, Group(64))[0] == pytest.approx(min(8 * 50e9 * 0.94, 450e9 * 0.82))
    assert rate(found, Group(64, 4))[0] == pytest.approx(2 * 50e9 * 0.94)
    assert rate(found, Group(64, 8))[0] == pytest.approx(50e9 * 0.94)


def test_a_hop() -> None:
    found = cluster()
    assert sent(found, Group(16, 8), 47e6) == pytest.approx(1e-3 + 1e-5)
    assert sent(found, Group(4, 2), 369e6) == pytest.approx(1e-3 + 5e-6)
