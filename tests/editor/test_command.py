"""`jobspec lsp` where its package is missing: one line, with a code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WITHOUT = "import sys; sys.modules['pygls'] = None; from jobspec.cli import main; main()"


def test_without_pygls_it_says_what_to_install() -> None:
    ran = subprocess.run([sys.executable, "-c", WITHOUT, "lsp"], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 2 and not ran.stdout
    assert ran.stderr.splitlines() == [
        "error[E0830]: the language server needs the package pygls",
        "help: pip install 'jobspec[lsp]'",
    ]
