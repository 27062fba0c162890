"""Where the store lies."""

from __future__ import annotations

from pathlib import Path

import pytest
from platformdirs import user_data_dir

from jobspec.store.home import beside, open_home


def test_the_environment_chooses_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBSPEC_HOME", str(tmp_path / "here"))
    assert open_home().folder == tmp_path / "here"
    assert open_home(tmp_path / "there").folder == tmp_path / "there"
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize("value", [None, ""])
def test_without_it_the_platform_does(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("JOBSPEC_HOME", raising=False)
    if value is not None:
        monkeypatch.setenv("JOBSPEC_HOME", value)
    assert open_home().folder == Path(user_data_dir("jobspec"))


def test_a_relative_folder_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    home = open_home(Path("store"))
    jobs = beside(Path("my.job"))
    monkeypatch.chdir("/")
    assert home.data().folder == tmp_path / "store" / "data"
    assert home.states().folder == tmp_path / "store" / "states"
    assert (home.runs, home.names) == (tmp_path / "store" / "runs", tmp_path / "store" / "names")
    assert jobs == (tmp_path / "data",)
