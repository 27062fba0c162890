"""A plugin of pytest by which several runs of one suite share its tests: each is run by the one that comes to it first.

Takes: in the environment, TURNS, an empty folder that all name; BEGIN, where one begins: with the `first` test, in the
`middle`, or with the `last` and backwards. Promises: no test is run twice, and none is left out as long as all runs
come to their end: what one has not taken another comes to. They meet in two files, so that hardly a fixture is made
twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = ordered(items, os.environ["BEGIN"])


def ordered(items: list[pytest.Item], begin: str) -> list[pytest.Item]:
    half = len(items) // 2
    return {"first": items, "middle": items[half:] + items[:half], "last": items[::-1]}[begin]


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    """As pytest's own loop, over the tests that are taken."""
    if session.testsfailed and not session.config.option.continue_on_collection_errors:
        raise session.Interrupted(f"{session.testsfailed} errors during collection")
    found = taken(session.items, Path(os.environ["TURNS"]))
    item = next(found, None)
    while item is not None:
        following = next(found, None)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.shouldfail or session.shouldstop:
            raise session.Failed(session.shouldfail or session.shouldstop)
        item = following
    return True


def taken(items: list[pytest.Item], folder: Path) -> Iterator[pytest.Item]:
    """Those that the other run has not, taken one before they are run: a fixture's end depends on the next test."""
    for item in items:
        try:
            (folder / sha256(item.nodeid.encode()).hexdigest()).touch(exist_ok=False)
        except FileExistsError:
            continue
        yield item
