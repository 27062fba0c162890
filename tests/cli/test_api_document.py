"""The example of docs/api.md runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT


def test_the_example_runs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = (ROOT / "docs" / "api.md").read_text()
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert found
    names: dict[str, object] = {}
    exec(found[1], names)  # our own page
    assert names["verdict"].word == "ACCEPT"  # type: ignore[attr-defined]
    assert names["sampled"].word == "ACCEPT-SAMPLED"  # type: ignore[attr-defined]
    assert names["run"].metrics["acc"].shape == names["run"].metric_steps["acc"].shape == (2,)  # type: ignore[attr-defined]
