"""Runs that compute `fast`: what a receipt claims, who can confirm it, and what an honest verdict says elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import jobspec
from jobspec.backends import registry
from jobspec.backends.cuda import session
from jobspec.backends.cuda.target import target_of
from jobspec.backends.registry import Backend
from jobspec.ir.codec.job import job_hash
from jobspec.ir.codec.receipt import decode_receipt, encode_receipt
from jobspec.ir.digest import Digest
from jobspec.ir.errors import JobspecError
from jobspec.runtime.chain import linked, start
from jobspec.runtime.folder import RunFolder
from jobspec.runtime.journal import read_history
from jobspec.store.files import FileLayer
from jobspec.store.home import Home
from tests.cuda.stand_in import StandIn
from tests.specs.both import completed
from tests.specs.test_words import HEAD, TRAIN

pytestmark = pytest.mark.cuda
SAVE = "save { every = 2; keep = all }\n"
NET = """layer net(x) {
  param wi: X -> H ~ normal(.3), wo: H -> Y ~ normal(.3)
  nn.relu(x @ wi) @ wo
}
"""
TEXT = (
    HEAD.replace(", L=2, Q=3, E=5, F=18", "")
    + NET
    + TRAIN.replace("seed = 3", "seed = 3; roots = 2; compute = fast")
    + SAVE
)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What was compiled once."""
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, compiled: Path) -> SimpleNamespace:
    """A stand-in whose level and whose order of sums within an instruction may be changed."""
    chosen = SimpleNamespace(level=90, order="once")

    def backend() -> Backend:
        def opened(plan, job, threads, cache):  # type: ignore[no-untyped-def]
            driver = StandIn(level=chosen.level, watched=False, order=chosen.order)
            return session.opened(plan, lambda: driver, compiled)

        return Backend("cuda", target_of(chosen.level), session.compilers(), opened, on_host=False)

    monkeypatch.setitem(registry.BACKENDS, "cuda", backend)
    return chosen


def spec(folder: Path, text: str = TEXT) -> jobspec.Spec:
    return jobspec.load(completed(text, Home(folder), 10), home=folder)


def trained(folder: Path, on: str, text: str = TEXT, until: int | None = None) -> jobspec.Run:
    return jobspec.run(spec(folder, text), on=on, home=folder, until=until)


def forged(run: jobspec.Run, job: Digest) -> None:
    """The run's receipt as if it were one of `job`: its records lead to it."""
    path = Path(run.receipt)
    true = decode_receipt(path.read_bytes())
    link = start(job, true.data, true.start).link
    for record in read_history(RunFolder(path.parent, FileLayer())).records:
        link = linked(link, record)
    path.write_bytes(encode_receipt(replace(true, job=job, chain=link)))


def test_what_a_receipt_claims(gpu: SimpleNamespace, tmp_path: Path) -> None:
    runs = {on: trained(tmp_path / on, on) for on in ("llvm", "reference", "cuda")}
    claims = {on: decode_receipt(Path(run.receipt).read_bytes()).profile for on, run in runs.items()}
    assert claims["cuda"] == "jobspec.fast.v1/cuda.sm_90"
    assert claims["llvm"] == claims["reference"] == "jobspec.fast.v1/contract"
    assert runs["llvm"].job == runs["cuda"].job and runs["llvm"].state == runs["reference"].state
    assert runs["cuda"].state != runs["llvm"].state
    assert Path(runs["llvm"].receipt).read_bytes() == Path(runs["reference"].receipt).read_bytes()


@pytest.mark.parametrize(("on", "elsewhere"), [("cuda", "llvm"), ("llvm", "cuda")])
def test_who_can_confirm_it(gpu: SimpleNamespace, on: str, elsewhere: str, tmp_path: Path) -> None:
    """Its own class, to the bit; another one says that it is near, and that this is all it says."""
    run = trained(tmp_path, on)
    assert jobspec.verify(run.receipt, on=on, home=tmp_path).word == "ACCEPT"
    verdict = jobspec.verify(run.receipt, on=elsewhere, home=tmp_path)
    assert (verdict.word, verdict.accepted, verdict.exit_code) == ("CONSISTENT", False, 5)
    assert "no bit can be confirmed here" in verdict.checked[0]
    assert verdict.checked[1] == "3 of 3 segments, 6 steps computed again"
    sampled = jobspec.verify(run.receipt, on=elsewhere, home=tmp_path, sample=1)
    assert sampled.word == "CONSISTENT" and sampled.checked[1].startswith("1 of 3 segments")


def test_another_level_is_another_class(gpu: SimpleNamespace, tmp_path: Path) -> None:
    run = trained(tmp_path, "cuda")
    gpu.level = 80
    assert jobspec.verify(run.receipt, on="cuda", home=tmp_path).word == "CONSISTENT"


def test_a_lie_is_found_elsewhere(gpu: SimpleNamespace, tmp_path: Path) -> None:
    """A run at half the rate, under the job's name."""
    lie = trained(tmp_path, "cuda", TEXT.replace("adam(.01)", "adam(.005)"))
    forged(lie, job_hash(spec(tmp_path).job))
    verdict = jobspec.verify(lie.receipt, on="llvm", home=tmp_path, job=spec(tmp_path))
    assert verdict.word == "REJECT" and "of its movement away" in verdict.reasons[0]


def test_claims_that_cannot_be(gpu: SimpleNamespace, tmp_path: Path) -> None:
    """A profile without a class, and a class that is none."""
    run = trained(tmp_path, "llvm")
    path = Path(run.receipt)
    true = decode_receipt(path.read_bytes())
    for claim in ("jobspec.fast.v1", "jobspec.fast.v1/", "jobspec.fast.v1/cuda.sm_090", "jobspec.bf16.v1/contract"):
        path.write_bytes(encode_receipt(replace(true, profile=claim)))
        verdict = jobspec.verify(path, on="llvm", home=tmp_path)
        assert verdict.word == "REJECT" and "`profile`" in verdict.reasons[0]


def test_without_states_nothing_can_be_said(gpu: SimpleNamespace, tmp_path: Path) -> None:
    run = trained(tmp_path, "cuda", TEXT.replace(SAVE, ""))
    (Path(run.receipt).parent / "log").rename(tmp_path / "gone")
    verdict = jobspec.verify(run.receipt, on="llvm", home=tmp_path)
    assert verdict.word == "UNVERIFIABLE" and "class cuda.sm_90" in verdict.reasons[0]


def test_a_run_stays_in_its_class(gpu: SimpleNamespace, tmp_path: Path) -> None:
    trained(tmp_path, "llvm", until=2)
    with pytest.raises(JobspecError) as caught:
        trained(tmp_path, "cuda")
    assert caught.value.code == "E0525" and "cuda.sm_90" in caught.value.reason
    assert trained(tmp_path, "reference").steps == 6


def test_no_referee_for_a_class_of_its_own(gpu: SimpleNamespace, tmp_path: Path) -> None:
    run = trained(tmp_path, "cuda")
    with pytest.raises(JobspecError) as caught:
        jobspec.trace(run.receipt, 1, on="cuda", home=tmp_path)
    assert caught.value.code == "E0853"
    assert jobspec.trace(trained(tmp_path / "here", "llvm").receipt, 1, on="llvm", home=tmp_path / "here")
