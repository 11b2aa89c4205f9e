"""The committed stubs are what the contract generates, and the contract is clean."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from decision.wire.generate import PROTO, stale

BUF = Path(sys.executable).parent / "buf"


def test_the_committed_stubs_are_current() -> None:
    """`python -m decision.wire.generate` would change nothing."""
    assert stale() == []


def test_the_contract_is_lint_clean_and_formatted() -> None:
    """buf finds nothing to say about proto/."""
    for command in (["lint"], ["format", "--diff", "--exit-code"]):
        done = subprocess.run([str(BUF), *command], cwd=PROTO, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
