"""Importers: files of other formats become data sets.

Takes: .npy, .npz, idx, CSV, text, binary tokens. Promises: `add`, the one way in.
"""

from jobspec.store.importers.add import AddedSet, add

__all__ = ["AddedSet", "add"]
