"""Stores for the reference specs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

import jobspec
from jobspec.store.home import Home
from tests.spec_jobs import made_up
from tests.specs.tiny import SPECS


@pytest.fixture(scope="package")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A store with made-up data for each spec."""
    return made_up(tmp_path_factory.mktemp("specs"))


@pytest.fixture(scope="package")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A store that holds the last state of a spec, trained once."""

    @cache
    def store(base: str) -> Path:
        home = tmp_path_factory.mktemp(base)
        jobspec.run(SPECS / f"{base}.job", threads=1, home=home)
        return home

    return store
