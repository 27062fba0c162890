"""`jobspec quote`: ranks, refusals, and that its figures are those of `jobspec estimate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import ROOT, Call

SPECS = ROOT / "specs"
JOB = SPECS / "gpt2_124m.job"
BASE = {"provider": "Us", "device": "h100_8", "count": 8, "price": 2.0, "tier": "secure"}


def listed(folder: Path, *offers: dict[str, object]) -> Path:
    path = folder / "offers.json"
    path.write_text(json.dumps([{**BASE, **offer} for offer in offers]))
    return path


def by_provider(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {offer["provider"]: offer for offer in found["offers"]}


def test_ranks_by_cost_and_by_time(home: Path, call: Call, tmp_path: Path) -> None:
    slow = {"provider": "slow", "device": "rtx4090_8", "price": 0.1}
    offers = listed(tmp_path, {"provider": "dear", "price": 5.0}, slow, {"provider": "fair"})
    found = call("quote", JOB, "--offers", offers, "--json").json
    assert [offer["by_cost"] for offer in found["offers"]] == [1, 2, 3]
    named = by_provider(found)
    assert named["dear"]["hours"] == named["fair"]["hours"]
    assert named["dear"]["cost"] == pytest.approx(2.5 * named["fair"]["cost"])
    assert named["slow"]["by_cost"] == 1 and named["fair"]["by_time"] < named["dear"]["by_time"]
    soonest = call("quote", JOB, "--offers", offers, "--by", "time", "--json").json
    assert [offer["by_time"] for offer in soonest["offers"]] == [1, 2, 3]


def test_the_figures_are_those_of_an_estimate(home: Path, call: Call, tmp_path: Path) -> None:
    quoted = call("quote", JOB, "--offers", listed(tmp_path, {"price": 2.5}), "--json").json["offers"][0]
    estimated = call("estimate", JOB, "--on", "h100_8", "--json").json
    assert (quoted["hours"], quoted["cost"]) == (estimated["hours"], pytest.approx(estimated["cost"]))
    assert quoted["rented"] == estimated["devices"] == 8


def test_why_an_offer_cannot_run_it(home: Path, call: Call, tmp_path: Path) -> None:
    offers = listed(
        tmp_path,
        {"provider": "good"},
        {"provider": "few", "count": 4},
        {"provider": "small", "memory": 1e9},
        {"provider": "anyone", "tier": "community"},
    )
    found = by_provider(call("quote", JOB, "--offers", offers, "--tier", "secure", "--json").json)
    assert found["good"]["why_not"] is None
    assert "the mesh [dp=8] has 8 positions" in found["few"]["why_not"] and "4 devices" in found["few"]["why_not"]
    assert "of memory a device" in found["small"]["why_not"] and "there are 1 GB" in found["small"]["why_not"]
    assert found["anyone"]["why_not"] == "its tier is community, and secure is asked for"
    said = call("quote", JOB, "--offers", offers, "--tier", "secure")
    assert said.code == 0 and said.out.count("cannot run it:") == 3


def test_interruptions_are_part_of_the_price(home: Path, call: Call, tmp_path: Path) -> None:
    often = {"provider": "often", "interruptible": True, "device_hours": 20, "restart": 1800}
    found = by_provider(call("quote", JOB, "--offers", listed(tmp_path, {"provider": "never"}, often), "--json").json)
    ratio = found["never"]["effective"] / found["often"]["effective"]
    assert ratio > 1.1 and found["often"]["cost"] == pytest.approx(ratio * found["never"]["cost"])


def test_whole_nodes_are_rented(home: Path, call: Call, tmp_path: Path) -> None:
    mesh = ("--set", "run.mesh=[dp=4]")
    found = call("quote", JOB, "--offers", listed(tmp_path, {}), *mesh, "--json").json["offers"][0]
    assert found["rented"] == 8 and found["cost"] == pytest.approx(8 * 2.0 * found["hours"])


def test_nobody_can(home: Path, call: Call, tmp_path: Path) -> None:
    found = call("quote", JOB, "--offers", listed(tmp_path, {"count": 2}, {"count": 4}))
    assert found.code == 1 and "error[E0877]: none of the 2 offers can run gpt2_124m" in found.err


def test_the_shipped_offers(home: Path, call: Call) -> None:
    found = call("quote", JOB, "--offers", SPECS / "offers.toml")
    assert found.code == 0 and "Harbour eu-north" in found.out
    assert "cannot run it: Commons (1 × NVIDIA H100 SXM, 80 GB)" in found.out


def test_an_unknown_cluster_is_named(home: Path, call: Call, tmp_path: Path) -> None:
    found = call("quote", JOB, "--offers", listed(tmp_path, {"device": "h200"}))
    assert found.code == 2 and "error[E0870]: there is no cluster `h200`" in found.err and "h100_8" in found.err
