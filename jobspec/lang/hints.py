"""Words of other frameworks, and what to write here.

Takes: a word where something else is meant. Promises: the next step as a help line, or None where the word tells
nothing. These are tables for people: no meaning depends on them.
"""

from __future__ import annotations

from collections.abc import Iterable

from jobspec.lang.diagnostics import did_you_mean

NO_ORDER = "the order of axes has no meaning, so nothing is transposed; an axis is renamed by `x[T->S]`"
BRACKET = "split by `x[D->H K]`, merge by `x[H K->D]`, rename by `x[T->S]`"
BY_NAME = "leave it out: values meet by the names of their axes"
WHERE = "a job says what, not where: `jobspec run` takes `--on cuda` and `--threads 4`"
SAME_TYPE = "leave it out: numbers take the type that they need"

#: methods of tensors
METHODS = {
    **dict.fromkeys(["transpose", "permute", "swapaxes", "t", "moveaxis"], NO_ORDER),
    **dict.fromkeys(["view", "reshape", "flatten", "unflatten"], BRACKET),
    **dict.fromkeys(["squeeze", "unsqueeze", "expand", "repeat", "expand_as", "broadcast_to"], BY_NAME),
    **dict.fromkeys(["float", "long", "int", "to", "type", "double", "astype", "half", "contiguous"], SAME_TYPE),
    **dict.fromkeys(["shape", "size"], "an axis where a number is meant is its size: `T`"),
    **dict.fromkeys(["detach", "data", "item"], "write `stop(x)` where no gradient is to pass"),
    **dict.fromkeys(["backward", "grad"], "`update … by` takes the gradient by itself"),
    "pow": "a power is written `x^2`",
    "matmul": "write `x @ w`, or `dot[K](a, b)`",
}
#: arguments of functions and optimizers → (what they are called here, in those that have it)
ARGUMENTS = {
    "weight_decay": "wd",
    "decay": "wd",
    "learning_rate": "lr",
    "alpha": "lr",
    "beta1": "b1",
    "beta_1": "b1",
    "beta2": "b2",
    "beta_2": "b2",
    "epsilon": "eps",
    "label_smoothing": "smooth",
    "padding": "pad",
    "strides": "stride",
    "prob": "p",
    "rate": "p",
}
BY_AXIS = {"dim", "axis", "axes", "keepdim", "keepdims", "dims"}
#: settings of `train`
SETTINGS = {
    **dict.fromkeys(["batch_size", "bs", "batchsize"], "the batch has the size of the axis B: `dim B=64`"),
    **dict.fromkeys(["max_steps", "num_steps", "iterations", "iters", "max_iters"], "write `steps = …`"),
    **dict.fromkeys(["num_epochs", "n_epochs", "max_epochs"], "write `epochs = …`"),
    **dict.fromkeys(["optimizer", "optim", "opt"], "write `update all by …`"),
    **dict.fromkeys(["grad_clip", "max_grad_norm", "gradient_clip", "clip_norm"], "write `clip = …`"),
    **dict.fromkeys(["grad_accum", "accumulate", "accumulation_steps"], "write `shards = …`"),
    **dict.fromkeys(["device", "num_workers", "workers"], f"{WHERE}; leave it out"),
    **dict.fromkeys(["dtype", "precision", "amp"], "write `compute = bf16`, or leave it out"),
    **dict.fromkeys(["data", "dataset", "loader"], "write `batch = shuffle(…)`"),
    **dict.fromkeys(["learning_rate"], "write `lr = …`, and give `lr` to the optimizer"),
}
#: element types
TYPES = {
    **dict.fromkeys(["uint8", "byte", "bool", "int8", "i8"], "u8"),
    **dict.fromkeys(["uint16", "short", "int16", "i16"], "u16"),
    "uint32": "u32",
    **dict.fromkeys(["int", "int32", "int64", "i64", "long"], "i32"),
    **dict.fromkeys(["float", "float32", "float64", "double", "f64", "f16", "float16", "bf16"], "f32"),
}
#: words that look like axes
CAPITALS = {
    "True": "write `true`",
    "False": "write `false`",
    "None": "there is no empty value: leave the setting out",
    "Inf": "write `inf`",
}
FUNCTIONS = (
    "relu", "leaky_relu", "sigmoid", "silu", "gelu", "softplus", "softmax", "linear", "embedding", "layer_norm",
    "rms_norm", "batch_norm", "conv2d", "attention", "max_pool", "avg_pool", "dropout", "cross_entropy", "mse", "l1",
    "huber", "bce", "sgd", "momentum", "adam", "adamw", "lion", "tanh", "adafactor",
)  # fmt: skip


def of_method(word: str) -> str:
    return METHODS.get(word, f"functions stand before their arguments: `{word}(x)`")


def of_name(word: str, kind: str, data: Iterable[str]) -> str:
    """For a name without a value, in a block of that kind."""
    if word in ("cuda", "cpu", "gpu", "mps"):
        return WHERE
    if word in ("torch", "np", "numpy", "jnp", "jax", "tf", "math"):
        return "functions of the language stand alone, `exp(x)`; others are in libraries: `import std.nn`, `nn.gelu(x)`"
    sets = ", ".join(data)
    if kind == "eval" and sets:
        return f"the data sets are {sets}"
    weight = f"; a weight is declared: `param {word}: X -> H ~ normal(.1)`" if kind == "layer" else ""
    return f"give it a value before it is used, `{word} = …`{weight}"


def of_argument(word: str, known: Iterable[str]) -> str | None:
    """For an argument that a function does not have."""
    names = list(known)
    if word in BY_AXIS:
        return "axes stand in a bracket: `max[T](x)`"
    if word == "seed":
        return "the job has one seed: `seed = 7` in `train`; every draw follows from it"
    if ARGUMENTS.get(word) in names:
        return f"it is called `{ARGUMENTS[word]}` here"
    near = did_you_mean(word, names)
    return near or (f"it takes {', '.join(names)}" if names else "it takes no arguments")


def of_capital(word: str) -> str | None:
    """For a word that starts uppercase where a function's name belongs: `ReLU`, `LayerNorm`."""
    plain = word.lower().removesuffix("loss").removesuffix("2d") if word != "Conv2d" else "conv2d"
    return next((name for name in FUNCTIONS if name.replace("_", "") == plain), None)
