"""Lists of offers: read as written, refused in their own words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobspec.estimating.cluster import Cluster, Outages, read_cluster
from jobspec.estimating.offers import Offer, read_offers
from jobspec.ir.errors import UsageError
from jobspec.shipped import cluster_file
from tests.estimating.shipped import SPECS, cluster

ONE = {"provider": "Us", "device": "h100_8", "count": 16, "price": 2, "tier": "secure", "network": 25e9}


def describe(name: str) -> Cluster:
    return cluster(name)


def read(folder: Path, *offers: object, name: str = "offers.json") -> list[Offer]:
    path = folder / name
    path.write_text(json.dumps(list(offers)))
    return read_offers(path, describe)


def test_an_offer_says_what_is_otherwise(tmp_path: Path) -> None:
    (found,) = read(tmp_path, {**ONE, "memory": 94e9, "device_hours": 100, "interruptible": True, "region": "eu"})
    base = cluster("h100_8")
    assert (found.name, found.tier, found.interruptible) == ("Us eu", "secure", True)
    assert (found.cluster.devices, found.cluster.devices_per_node, found.cluster.price) == (16, 8, 2.0)
    assert found.cluster.memory == 94e9 and found.cluster.bandwidth == base.bandwidth
    assert found.cluster.network and found.cluster.network.bandwidth == 25e9
    assert base.outages and found.cluster.outages == Outages(100, base.outages.restart)


def test_the_shipped_list_is_whole() -> None:
    found = read_offers(SPECS / "offers.toml", lambda name: read_cluster(cluster_file(name)))
    assert {offer.tier for offer in found} == {"community", "secure"} and any(offer.interruptible for offer in found)


def test_toml_and_json_say_the_same(tmp_path: Path) -> None:
    path = tmp_path / "offers.toml"
    path.write_text("[[offer]]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in ONE.items()))
    (toml,), (listed,) = read_offers(path, describe), read(tmp_path, ONE)
    assert toml == listed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"price": None}, "has no `price`"),
        ({"prise": 2}, "has `prise`, which is no key"),
        ({"tier": "best"}, "says tier = `best`"),
        ({"count": 2.5}, "says count = `2.5`"),
        ({"count": 0}, "says count = `0`"),
        ({"price": "cheap"}, "says price = `cheap`"),
        ({"interruptible": 1}, "says interruptible = `1`"),
        ({"interruptible": True}, "does not say how often"),
        ({"network": None}, "has 16 devices in nodes of 8 and no `network`"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, object], said: str, tmp_path: Path) -> None:
    entry = {key: value for key, value in {**ONE, **change}.items() if value is not None}
    with pytest.raises(UsageError) as caught:
        read(tmp_path, ONE, entry)
    assert caught.value.code == "E0876" and said in caught.value.reason
    assert "offer 2 of offers.json" in caught.value.reason and caught.value.help


@pytest.mark.parametrize("text", ["", "[]", "{}", "{", '{"offers": []}', "3"])
def test_what_is_no_list(text: str, tmp_path: Path) -> None:
    path = tmp_path / "offers.json"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_offers(path, describe)
    assert caught.value.code == "E0875"


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        read_offers(tmp_path / "none.toml", describe)
