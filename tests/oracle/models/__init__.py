"""PyTorch implementations of the small specs, one module each, named as the spec: `MODEL` is a `recipe.Model`."""
