"""What the README shows is what is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def block(name: str) -> str:
    """The fenced block behind `<!-- name -->`."""
    found = re.search(rf"<!-- {name} -->\n```\n(.*?)```\n", README, re.DOTALL)
    assert found, name
    return found[1]


def test_the_job_shown_is_the_job_shipped() -> None:
    assert block("digits") == (ROOT / "specs" / "digits.job").read_text()


def test_one_command_each() -> None:
    assert len(block("run").splitlines()) == len(block("tests").splitlines()) == 1
