"""What is installed is what is here: every package is listed, and the shipped jobs come along."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]


def test_every_package_is_listed() -> None:
    found = {str(p.parent.relative_to(ROOT)).replace("/", ".") for p in (ROOT / "jobspec").rglob("__init__.py")}
    assert set(SETTINGS["packages"]) == found | {"jobspec.specs"}


def test_shipped_jobs_are_installed_with_their_data() -> None:
    assert SETTINGS["package-dir"]["jobspec.specs"] == "specs"
    patterns = SETTINGS["package-data"]["jobspec.specs"]
    shipped = {p for pattern in patterns for p in (ROOT / "specs").glob(pattern)}
    wanted = {p for p in (ROOT / "specs").rglob("*") if p.is_file() and p.suffix in ("", ".job", ".json", ".manifest")}
    assert {p for p in wanted if not p.name.startswith(".")} <= shipped


def test_every_data_file_of_the_package_is_named() -> None:
    patterns = SETTINGS["package-data"]["jobspec"]
    named = {p for pattern in patterns for p in (ROOT / "jobspec").glob(pattern)}
    data = {p for p in (ROOT / "jobspec").rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc")}
    assert data <= named
