"""Groups, rotations, grouped queries, gated units and contrast of the library, as PyTorch says them; and that every
function of the library has a test.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobspec.lang import tree
from jobspec.lang.modules import std_names, std_tree
from tests.lang.computing import arrays

torch = pytest.importorskip("torch", reason="the library is compared with PyTorch: pip install '.[oracle]'")

from tests.lang.test_std import F, close, layer, t, value

pytestmark = pytest.mark.oracle
#: where functions are tested beside PyTorch, or their paper
HERE = Path(__file__).parent
TESTED = (*sorted(HERE.glob("test_std*.py")), HERE / "test_averages.py", HERE.parent / "oracle" / "test_optimizers.py")
#: what only other functions call: the equations of muon, adam and adafactor hold them
WITHIN = {"optim.filled", "optim.orthogonal", "optim.scaled"}


def test_group_norm() -> None:
    x = arrays(5, 6, 4) + 1
    found, p = layer("nn.group_norm[C H Q T](x)", x=(x, "B T C"))
    assert set(p) == {"group_norm.g", "group_norm.b"}
    close(found, F.group_norm(t(x).permute(0, 2, 1), 2).permute(0, 2, 1))


def turned(x: Any, pos: Any, theta: float) -> Any:
    """Pairs as complex numbers: x (B, T, …, K), pos (B, T)."""
    pairs = torch.view_as_complex(x.double().reshape(*x.shape[:-1], -1, 2))
    speed = theta ** (-torch.arange(pairs.shape[-1], dtype=torch.float64) / pairs.shape[-1])
    angle = pos.double()[..., None] * speed
    angle = angle.reshape(*pos.shape, *[1] * (x.dim() - 3), -1)
    return torch.view_as_real(pairs * torch.exp(1j * angle)).reshape(x.shape).float()


@pytest.mark.parametrize("theta", ["", ", 500"])
def test_rope(theta: str) -> None:
    """`C = 2` is called P here, and there are Q = 2 pairs in K = 4."""
    x, pos = arrays(5, 6, 2, 4), np.arange(30, dtype=np.int32).reshape(5, 6) % 9
    given = {"x": (x, "B T H K"), "pos": (pos, "B T")}
    close(value(f"nn.rope[K Q P B T](x, pos{theta})", **given), turned(t(x), t(pos), float(theta[2:] or 10_000)))
    along = value(f"nn.rope[K Q P T](x, iota[T]{theta})", x=given["x"])
    close(along, turned(t(x), torch.arange(6).expand(5, 6), float(theta[2:] or 10_000)))


@pytest.mark.parametrize("apart", [True, False])
def test_grouped_attention(apart: bool) -> None:
    """Three groups (O), two queries in each (H): PyTorch repeats keys and values."""
    x, pos = arrays(5, 6, 8), np.array([[0, 1, 2, 0, 1, 0]] * 5, np.int32)
    doc = np.array([[0, 0, 0, 1, 1, 2]] * 5, np.int32)
    given = {"x": (x, "B T D"), "pos": (pos, "B T"), "doc": (doc, "B T")}
    found, p = layer(f"nn.grouped_attention[D O H K Q P T B T](x, pos, doc, {str(apart).lower()}, std=.5)", **given)
    p = {name.removeprefix("grouped_attention."): w for name, w in p.items()}
    q = turned(torch.einsum("btd,dghk->btghk", t(x), p["wq"]), t(pos), 1e4)
    k = turned(torch.einsum("btd,dgk->btgk", t(x), p["wk"]), t(pos), 1e4)[:, :, :, None].expand_as(q)
    v = torch.einsum("btd,dgk->btgk", t(x), p["wv"])[:, :, :, None].expand_as(q)
    see = torch.ones(6, 6, dtype=torch.bool).tril() & ((t(doc)[:, :, None] == t(doc)[:, None]) | (not apart))
    heads = (a.flatten(2, 3).transpose(1, 2) for a in (q, k, v))
    out = F.scaled_dot_product_attention(*heads, attn_mask=see[:, None]).transpose(1, 2).unflatten(2, (3, 2))
    torch.testing.assert_close(found, torch.einsum("btghk,ghkd->btd", out, p["wo"]), rtol=1e-4, atol=1e-5)
    assert p["wo"].std() > 0.4


def test_swiglu() -> None:
    x = arrays(5, 8)
    found, p = layer("nn.swiglu[D V](x, 1, .5)", x=(x, "B D"))
    gate, up, down = (p[f"swiglu.{name}"] for name in ("w1", "w3", "w2"))
    torch.testing.assert_close(found, (F.silu(t(x) @ gate) * (t(x) @ up)) @ down, rtol=1e-4, atol=1e-5)
    assert 0.3 < down.std() < 0.7 < gate.std()


@pytest.mark.parametrize("temperature", ["", ", .7"])
def test_info_nce(temperature: str) -> None:
    a, b = arrays(5, 4), arrays(5, 4, seed=1)
    z, own = t(a) @ t(b).T / float(temperature[2:] or 0.1), torch.arange(5)
    expected = (F.cross_entropy(z, own) + F.cross_entropy(z.T, own)) / 2
    close(value(f"loss.info_nce[B C](a, b{temperature})", a=(a, "B C"), b=(b, "B C")), expected)


def test_every_function_is_tested() -> None:
    text = "\n".join(path.read_text() for path in TESTED)
    items = [(library, item) for library in std_names() for item in std_tree(library)[1].items]
    functions = {f"{library}.{item.name.text}" for library, item in items if isinstance(item, tree.Def)}
    bare = {f"nn.{name}" for name in re.findall(r'\("(\w+)", ', text)}
    missing = {name for name in functions - WITHIN - bare if not re.search(rf"\b{re.escape(name)}[\[(]", text)}
    assert not missing and functions > WITHIN
