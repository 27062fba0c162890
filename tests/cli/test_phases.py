"""A job in phases, by the program: killed on both sides of a border, and the weights at a phase's end."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from jobspec.runtime.folder import RunFolder
from jobspec.runtime.journal import read_history
from jobspec.store.home import open_home
from jobspec.verify.verdict import ACCEPT
from tests.cli.conftest import Call, behind, spawn

#: steps of `warm`, and of both phases
BORDER, STEPS = 800, 1400
PHASES = f"""  phase warm {{ steps = {BORDER} }}
  phase cool {{ steps = {STEPS - BORDER}; B = 2; lr = lr.before*(1 - phase_frac)
    update w by sgd(lr); update b by still(lr) }}
}}
optim still(p, g, lr) {{
  state n = 0
  n := n + g
  p := p - lr*n/t
}}
"""


@pytest.fixture
def phased(tiny: Path) -> Path:
    text = tiny.read_text().replace("  steps = 12\n", "").replace("lr = .1 * (1 - step/steps)", "lr = .01")
    text = text.replace("  update all by sgd(lr)\n}\n", "  update all by sgd(lr)\n" + PHASES).replace(
        "every = 4", "every = 500"
    )
    tiny.write_text(text.replace("every = 3", "every = 40; keep = 2; also = [warm]"))
    return tiny


def saved(home: Path, least: int, seconds: float = 120) -> int:
    """Steps at the newest checkpoint, as soon as there is one at `least` or later."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for path in home.glob("runs/*/log"):
            history = read_history(RunFolder(path.parent, open_home().files))
            steps = max((s.chain.done for s in history.saved), default=0)
            if steps >= least:
                return steps
        time.sleep(0.005)
    raise AssertionError(f"no checkpoint at {least} steps")


def killed(home: Path, phased: Path, least: int) -> int:
    """Runs until the checkpoint, then SIGKILL; the steps that are kept."""
    process = spawn("run", phased, "--on", "reference", preexec_fn=behind)
    try:
        saved(home, least)
    finally:
        process.kill()
        process.communicate()
    return saved(home, least)


def test_killed_on_both_sides_of_a_border(
    call: Call, phased: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 0 < killed(home, phased, 40) < BORDER
    assert BORDER <= killed(home, phased, BORDER) < STEPS
    resumed = call("run", phased, "--on", "reference", "--json").json
    other = tmp_path / "uninterrupted"
    other.mkdir()
    (other / "data").symlink_to(home / "data")
    monkeypatch.setenv("JOBSPEC_HOME", str(other))
    alone = call("run", phased, "--json").json
    assert resumed["steps"] == alone["steps"] == STEPS
    assert Path(resumed["receipt"]).read_bytes() == Path(alone["receipt"]).read_bytes()
    assert ACCEPT in call("verify", alone["receipt"]).out


def test_the_weights_at_the_end_of_a_phase(call: Call, phased: Path, tmp_path: Path) -> None:
    first, last, until = (tmp_path / f"{name}.safetensors" for name in ("first", "last", "until"))
    assert call("run", phased, "--until", BORDER).code == 0
    assert call("export", phased, "-o", until, "--json").json["step"] == BORDER
    early = call("export", phased, "-o", last, "--phase", "cool")
    assert early.code == 1 and "no checkpoint at the end of `cool`" in early.err and "jobspec run" in early.err
    assert call("run", phased).code == 0
    assert call("export", phased, "-o", first, "--phase", "warm", "--json").json["step"] == BORDER
    assert call("export", phased, "-o", last, "--phase", "cool", "--json").json["step"] == STEPS
    assert first.read_bytes() == until.read_bytes() != last.read_bytes()


def test_what_was_not_kept_or_is_no_phase(call: Call, phased: Path) -> None:
    phased.write_text(phased.read_text().replace("; also = [warm]", ""))
    assert call("run", phased).code == 0
    said = call("export", phased, "--phase", "warm")
    assert said.code == 1 and "error[E0509]" in said.err and "`save { also = [warm] }` keeps it" in said.err
    said = call("export", phased, "--phase", "hot")
    assert said.code == 2 and "error[E0846]" in said.err and "its phases: warm, cool" in said.err
