"""Parameters and operations of the full-size models, from the sizes in their papers; layer by layer.

Takes: sizes, under the papers' own names where they have short ones. Promises: whole numbers. `…_flop` are two
operations for each multiplication in a contraction of the way forward: over a token (mean over the window) unless said.
"""

from __future__ import annotations

from math import prod


def mapped(*sizes: int) -> int:
    """A map and its bias."""
    return prod(sizes) + sizes[-1]


# ---- language ----


def gpt2(layers: int, d: int, vocabulary: int, context: int) -> int:
    """Token and place embeddings; per layer four square maps and two of 4 d, their biases, two norms; the last norm."""
    layer = 4 * mapped(d, d) + mapped(d, 4 * d) + mapped(4 * d, d) + 4 * d
    return vocabulary * d + context * d + layers * layer + 2 * d


def gpt2_flop(layers: int, d: int, vocabulary: int, context: int) -> int:
    """The maps and the head; scores and mixed values, over all places."""
    return 2 * (12 * layers * d * d + vocabulary * d) + layers * 4 * context * d


def grouped(d: int, heads: int, kv: int) -> int:
    """Queries and outputs of all heads, keys and values of those that are shared."""
    return 2 * d * d + 2 * d * kv * (d // heads)


def llama(layers: int, d: int, heads: int, kv: int, hidden: int, vocabulary: int = 128_256) -> int:
    """Embedding and head; per layer attention, three maps of the mlp, two norms; the last norm."""
    return 2 * vocabulary * d + layers * (grouped(d, heads, kv) + 3 * d * hidden + 2 * d) + d


def llama_flop(
    layers: int, d: int, heads: int, kv: int, hidden: int, context: int = 8192, vocabulary: int = 128_256
) -> int:
    return 2 * (layers * (grouped(d, heads, kv) + 3 * d * hidden) + vocabulary * d) + layers * 4 * context * d


def mixtral(layers: int, d: int, heads: int, kv: int, hidden: int, experts: int, vocabulary: int) -> int:
    """As Llama, but each expert has the three maps, and a router chooses."""
    return llama(layers, d, heads, kv, experts * hidden, vocabulary) + layers * d * experts


def mixtral_flop(
    layers: int, d: int, heads: int, kv: int, hidden: int, experts: int, vocabulary: int, context: int
) -> int:
    """A token is computed by two experts, and looked at by the router."""
    return llama_flop(layers, d, heads, kv, 2 * hidden, context, vocabulary) + 2 * layers * d * experts


#: arXiv 2412.19437, section 4.2: width; layers without experts, with; heads, a head's part of keys without and with
#: places, its value; ranks of queries, and of keys and values; hidden units without experts, of an expert; routed
DEEPSEEK = {"d": 7168, "dense": 3, "moe": 58, "heads": 128, "nope": 128, "rope": 64, "value": 128, "q": 1536, "kv": 512}
DEEPSEEK_MLP = {"hidden": 18_432, "expert": 2048, "experts": 256, "vocabulary": 129_280}


def latent(d: int, heads: int, nope: int, rope: int, value: int, q: int, kv: int) -> int:
    """Down to the two latents and the shared rotated key, up to the heads, and out."""
    return d * q + q * heads * (nope + rope) + d * (kv + rope) + kv * heads * (nope + value) + heads * value * d


def deepseek() -> int:
    """As published, less the bias of each expert, which no gradient moves."""
    s, m = DEEPSEEK, DEEPSEEK_MLP
    d, every = s["d"], {k: v for k, v in s.items() if k not in ("dense", "moe")}
    layer = latent(**every) + s["q"] + s["kv"] + 2 * d
    moe = d * m["experts"] + (m["experts"] + 1) * 3 * d * m["expert"]
    mlps = s["dense"] * 3 * d * m["hidden"] + s["moe"] * moe
    return 2 * m["vocabulary"] * d + (s["dense"] + s["moe"]) * layer + mlps + d


def deepseek_flop(context: int = 4096, used: int = 8) -> int:
    """A token is computed by `used` routed experts and the shared one."""
    s, m = DEEPSEEK, DEEPSEEK_MLP
    d, layers = s["d"], s["dense"] + s["moe"]
    every = latent(**{k: v for k, v in s.items() if k not in ("dense", "moe")})
    moe = d * m["experts"] + (used + 1) * 3 * d * m["expert"]
    maps = layers * every + s["dense"] * 3 * d * m["hidden"] + s["moe"] * moe + m["vocabulary"] * d
    return 2 * maps + layers * 2 * context * s["heads"] * (s["nope"] + s["rope"] + s["value"])


def bert(layers: int, d: int, vocabulary: int, places: int) -> int:
    """With both heads: words (a map, a norm, a bias for each word) and next sentence (a pool, two scores)."""
    layer = 4 * mapped(d, d) + mapped(d, 4 * d) + mapped(4 * d, d) + 4 * d
    heads = mapped(d, d) + 2 * d + vocabulary + mapped(d, d) + mapped(d, 2)
    return (vocabulary + places + 2) * d + 2 * d + layers * layer + heads


def bert_flop(layers: int, d: int, vocabulary: int, places: int) -> int:
    """Of a whole example: the words' head at each place, the other head once."""
    token = 2 * (12 * layers * d * d + d * d + vocabulary * d) + layers * 4 * places * d
    return places * token + 2 * (d * d + 2 * d)


def t5(layers: int, d: int, heads: int, size: int, hidden: int, vocabulary: int) -> int:
    """One embedding; 32 distances for each head of both halves; five norms, three attentions, two mlps a layer."""
    layer = 3 * 4 * d * heads * size + 2 * 2 * d * hidden + 5 * d
    return vocabulary * d + 2 * 32 * heads + layers * layer + 2 * d


def t5_flop(layers: int, d: int, inner: int, hidden: int, vocabulary: int, source: int, target: int) -> int:
    """Of a whole example; `inner`: heads times their size."""
    encoder = source * 2 * (4 * d * inner + 2 * d * hidden) + 4 * source * source * inner
    decoder = target * 2 * (6 * d * inner + 2 * d * hidden) + 4 * target * target * inner
    cross = source * 2 * 2 * d * inner + 4 * target * source * inner
    return layers * (encoder + decoder + cross) + target * 2 * vocabulary * d


def mamba(layers: int, d: int, vocabulary: int, rank: int, states: int = 16, width: int = 4) -> int:
    """Two maps in and one out of 2 d channels, a convolution with bias, what chooses the step and what enters and
    leaves a state, the state's own decay and a way past it, a norm; the last norm."""
    e = 2 * d
    choice = e * (rank + 2 * states) + mapped(rank, e)
    return vocabulary * d + layers * (3 * d * e + width * e + e + choice + e * states + e + d) + d


def mamba_flop(layers: int, d: int, vocabulary: int, rank: int, states: int = 16, width: int = 4) -> int:
    return 2 * (layers * mamba_layer(d, rank, states, width) + vocabulary * d)


def mamba_layer(d: int, rank: int, states: int, width: int) -> int:
    """Multiplications for a token: maps, convolution, choices, and reading the state."""
    e = 2 * d
    return 3 * d * e + width * e + e * (rank + 2 * states) + rank * e + states * e


# ---- images ----


def resnet18(classes: int) -> int:
    """He et al. 2015 with the 3×3 stem for 32×32: convolutions, two per norm's channel, the last map."""
    widths = [(64, 64), (64, 128), (128, 256), (256, 512)]
    total = 9 * 3 * 64 + 2 * 64
    for i, (a, b) in enumerate(widths):
        total += 9 * a * b + 3 * 9 * b * b + 4 * 2 * b
        total += (a * b + 2 * b) if i else 0
    return total + mapped(512, classes)


def resnet50(classes: int) -> int:
    """Bottlenecks of (width, blocks); each opens with a projection."""
    total, inside = 49 * 3 * 64 + 2 * 64, 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            total += inside * width + 9 * width * width + 4 * width * width + 2 * (2 * width + 4 * width)
            total += (inside * 4 * width + 2 * 4 * width) if block == 0 else 0
            inside = 4 * width
    return total + mapped(inside, classes)


def vit(layers: int, d: int, patch: int, classes: int) -> int:
    """Fixed positions and no class token; two norms a layer, one at the end."""
    layer = 4 * mapped(d, d) + mapped(d, 4 * d) + mapped(4 * d, d) + 4 * d
    return mapped(patch * patch * 3, d) + layers * layer + 2 * d + mapped(d, classes)


def dit(layers: int, d: int, patch: int, channels: int, classes: int) -> int:
    """Norms without weights; six modulations a layer, two at the end; a class for none; noise and width come out."""
    layer = 4 * mapped(d, d) + mapped(d, 4 * d) + mapped(4 * d, d) + mapped(d, 6 * d)
    ends = mapped(patch * patch * channels, d) + mapped(d, 2 * d) + mapped(d, patch * patch * 2 * channels)
    return ends + mapped(256, d) + mapped(d, d) + (classes + 1) * d + layers * layer
