"""Exported weights in Hugging Face's `transformers`: equal logits; and the way back, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobspec import api
from jobspec.backends.reference.evaluate import evaluate
from jobspec.cli import exit_code
from jobspec.ir.digest import Digest
from jobspec.ir.errors import UsageError
from jobspec.ir.job import Job
from jobspec.ir.program import Program, order
from jobspec.lang.check import load_file
from jobspec.runtime.export import model_slots
from jobspec.runtime.foreign import matched, table
from jobspec.runtime.safetensors import from_bytes
from jobspec.store.home import Home
from jobspec.store.shards import write_tokens

torch = pytest.importorskip("torch", reason="PyTorch is the oracle: pip install '.[oracle]'")
pytestmark = pytest.mark.oracle
SPECS = Path(__file__).parents[2] / "specs"

LLAMA = """job llama
import std.loss
import std.optim
dim L=2, D=32, G=2, R=2, K=8, P=K/2, C=2, F=48, V=50, T=8, B=4
data train = tokens(ROOT, u16)
def silu(x) = x / (1 + exp(-x))
def softmax[A](z) { e = exp(z - max[A](z)); e / sum[A](e) }
def rope(x, pos) {
  f: B T P = pos * 500000 ^ (-2*iota[P]/K)
  y = x[K -> P C]; a = y[C: 0]; b = y[C: 1]
  stack[C](a*cos(f) - b*sin(f), a*sin(f) + b*cos(f))[P C -> K]
}
layer rms(x) { param g: D = 1
  x * rsqrt(mean[D](x*x) + 1e-5) * g }
layer attn(x, pos) {
  param wq: D -> G R K ~ normal(.2), wk wv: D -> G K ~ normal(.2), wo: G R K -> D ~ normal(.2)
  q = rope(x @ wq, pos)
  k = rope(x @ wk, pos)[T->T']
  v = (x @ wv)[T->T']
  see: B T T' = iota[T'] <= iota[T]
  dot[T'](softmax[T'](select(see, dot[K](q, k)/sqrt(K), -inf)), v) @ wo
}
layer mlp(x) {
  param w1 w3: D -> F ~ normal(.2), w2: F -> D ~ normal(.2)
  (silu(x @ w1) * (x @ w3)) @ w2
}
layer llama(tok) {
  param emb: V -> D ~ normal(.5), head: D -> V ~ normal(.2)
  x = emb[V: tok]
  pos: B T = iota[T]
  repeat L {
    x = x + attn(n1:rms(x), pos)
    x = x + mlp(n2:rms(x))
  }
  nf:rms(x) @ head
}
train { seed = 3; steps = 2; batch = shuffle(train)
  loss = mean[B T](loss.cross_entropy[V](llama(batch.tok), batch.next))
  update all by optim.adam(.01) }
eval { every = 2; on = train; steps = 1; out = mean[B T V](llama(batch.tok)) }
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("names"))
    tokens = np.random.default_rng(2).integers(0, 50, 400).astype("<u2")
    (home.folder / "root").write_text(str(write_tokens(home.data(), tokens).root))
    return home


def text_of(name: str, home: Home) -> str:
    root = (home.folder / "root").read_text()
    if name == "llama":
        return LLAMA.replace("ROOT", root)
    text = (SPECS / "gpt2_124m.job").read_text()
    return text.replace("loss = objective(batch)\n}\n\nsave", "out = mean[B T V](gpt(batch.tok))\n}\n\nsave")


def spec(name: str, home: Home) -> api.Spec:
    if name == "llama":
        return api.load(text_of(name, home), home=home.folder)
    root = (home.folder / "root").read_text()
    small: dict[str, Any] = {"L": 2, "D": 32, "H": 4, "V": 50, "T": 8, "B": 4, "steps": 2, "shards": 2}
    return api.load(
        text_of(name, home), home=home.folder, **small, **{"data.train": root, "data.val": root, "eval.steps": 1}
    )


def logits(job: Job, weights: dict[str, Any], tokens: Any) -> Any:
    """What the metric `out` is the mean of."""
    program = job.evaluations[0].program
    (node,) = [n.args[0] for n in order(program.results) if n.op == "sum" and n.args[0].shape == (4, 8, 50)]
    inputs = {n["name"] for n in program.inputs}
    given = {**{k: v for k, v in weights.items() if k in inputs}, "batch.tok": tokens}
    return evaluate(Program(program.inputs, (("logits", node),)), given)["logits"]


def configuration(name: str) -> Any:
    transformers = pytest.importorskip("transformers", reason="Hugging Face's transformers: pip install transformers")
    if name == "gpt2":
        return transformers.GPT2LMHeadModel, transformers.GPT2Config(
            vocab_size=50, n_positions=8, n_embd=32, n_layer=2, n_head=4
        )
    return transformers.LlamaForCausalLM, transformers.LlamaConfig(
        vocab_size=50, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=8, rms_norm_eps=1e-5, tie_word_embeddings=False,
        rope_parameters={"rope_type": "default", "rope_theta": 500000.0},
    )  # fmt: skip


@pytest.mark.parametrize("name", ["gpt2", "llama"])
@pytest.mark.filterwarnings("ignore")
def test_transformers_computes_the_same_logits(name: str, home: Home, tmp_path: Path) -> None:
    found = spec(name, home)
    run = api.run(found, home=home.folder)
    kind, config = configuration(name)
    config.save_pretrained(tmp_path)
    api.export(found, tmp_path / "model.safetensors", names=name, home=home.folder)
    model, told = kind.from_pretrained(tmp_path, output_loading_info=True)
    assert not told["missing_keys"] and not told["unexpected_keys"] and not told["mismatched_keys"]
    tokens = np.random.default_rng(7).integers(0, 50, (4, 8)).astype(np.uint16)
    with torch.no_grad():
        theirs = model.eval()(torch.tensor(tokens.astype(np.int64))).logits.numpy()
    ours = logits(found.job, run.weights, tokens)
    assert np.abs(ours).max() > 0.1
    np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_the_way_back_is_exact(
    name: str, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = spec(name, home)
    run = api.run(found, home=home.folder)
    file, job = tmp_path / "theirs.safetensors", tmp_path / "small.job"
    api.export(found, file, names=name, home=home.folder)
    job.write_text(found.text or "")
    monkeypatch.setenv("JOBSPEC_HOME", str(home.folder))
    assert exit_code(["weights", "add", str(file), "--names", name, "--for", str(job)]) == 0
    line = capsys.readouterr().out.strip()
    assert line.startswith("start = b3:")
    back = from_bytes(home.data().get(Digest.parse(line.removeprefix("start = "))))[0]
    assert list(back) == list(run.weights)
    for key, value in run.weights.items():
        assert back[key].shape == value.shape and back[key].tobytes() == value.tobytes(), key
    again = api.load((found.text or "").replace("seed = ", f"{line}\n  seed = ", 1), home=home.folder)
    assert again.job.start is not None and {s for s, _ in again.job.start.tensors} == set(run.weights)


@pytest.mark.parametrize(("shipped", "name"), [("gpt2_124m", "gpt2"), ("llama3_8b", "llama"), ("llama3_70b", "llama")])
def test_shipped_jobs_have_their_names(shipped: str, name: str) -> None:
    slots = model_slots(load_file(SPECS / f"{shipped}.job"))
    assert {s.name for _, held in matched(table(name), slots, name) for s in held} == {s.name for s in slots}


def test_names_that_do_not_fit(home: Home, tmp_path: Path) -> None:
    found = spec("llama", home)
    api.run(found, home=home.folder)
    for name, code in (("gpt2", "E0842"), ("mistral", "E0841")):
        with pytest.raises(UsageError, match=code):
            api.export(found, tmp_path / "x", names=name, home=home.folder)
