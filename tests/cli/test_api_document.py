"""The example of docs/api.md runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import ROOT


def test_the_example_runs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = (ROOT / "docs" / "api.md").read_text()
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert found
    names: dict[str, Any] = {}
    exec(found[1], names)  # our own page
    assert names["verdict"].word == "ACCEPT"
    assert names["sampled"].word == "ACCEPT-SAMPLED"
    assert names["run"].metrics["acc"].shape == names["run"].metric_steps["acc"].shape == (2,)
