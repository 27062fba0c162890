"""Local names of data sets: for `jobspec data ls`, and for nothing else.

Takes: a name and a root. Promises: one small file per name, replaced in one step; no job and no hash
ever sees a name.
"""

from __future__ import annotations

from jobspec.ir.digest import Digest
from jobspec.store.files import explained, write_file
from jobspec.store.home import Home
from jobspec.store.manifest import NAME


def set_name(home: Home, name: str, root: Digest) -> None:
    """Let `name` stand for `root`, whatever it stood for before."""
    assert NAME.fullmatch(name), f"`{name}` is not a name"
    write_file(home.files, home.names / name, [f"{root}\n".encode()])


def names_of(home: Home) -> dict[str, Digest]:
    """All names, in order; a file that holds no root is passed over."""
    found = ((name, _read(home, name)) for name in home.files.names(home.names) if NAME.fullmatch(name))
    return {name: root for name, root in found if root is not None}


def drop_names(home: Home, root: Digest) -> None:
    """Forget every name of `root`."""
    for name, known in names_of(home).items():
        if known == root:
            path = home.names / name
            with explained("remove", path):
                home.files.remove(path)


def _read(home: Home, name: str) -> Digest | None:
    path = home.names / name
    with explained("read", path):
        text = home.files.read(path)
    try:
        return Digest.parse(text.decode().strip())
    except ValueError:
        return None
