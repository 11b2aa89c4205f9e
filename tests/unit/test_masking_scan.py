"""The scanner finds what it knows, leaves the rest alone, and takes linear time."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enforcement.masking.scan import LONGEST, scan

CASES = json.loads((Path(__file__).parents[1] / "cases" / "masking" / "scan.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["note"])
def test_case(case: dict[str, str]) -> None:
    """What goes in and what must come out (tests/cases/masking/scan.json)."""
    assert scan(case["in"].encode()).decode() == case["out"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["note"])
def test_scanning_twice_changes_nothing(case: dict[str, str]) -> None:
    """Masks do not look like what they mask, but for an address's domain."""
    once = scan(case["in"].encode())
    assert scan(once) == once


@given(
    before=st.text(st.sampled_from("xyz ,;:\n"), max_size=20),
    secret=st.sampled_from(["bob.smith@example.com", "4111 1111 1111 1111", "078-05-1120", "+491701234567",
                            "DE89370400440532013000", "sk_live_abcdef1234567890"]),
    after=st.sampled_from(["", " ", "\n", ";", ") ", "\" ", ", "]),
)  # fmt: skip
@settings(deadline=None)
def test_a_secret_is_found_wherever_it_stands(before: str, secret: str, after: str) -> None:
    """Between any words and punctuation."""
    text = f"{before} {secret}{after}".encode()
    assert secret.encode() not in scan(text)


def test_a_very_long_text_is_closed() -> None:
    """Scanning it would hold up everybody else."""
    assert scan(b"x" * (LONGEST + 1)) == b"***"


@pytest.mark.parametrize("piece", [
    b"1 ", b"a@", b"a", b"1", b"DE89 ", b"-----BEGIN PRIVATE KEY-----", b"eyJ", b"a.a@a.", b"AB12", b"%40", b"2 2 ",
    b"123-45-", b"\xff", b"4111 1111 1111 1112 ", b"GB29NWBK60161331926818",
])  # fmt: skip
def test_time_is_linear(piece: bytes) -> None:
    """Eight times the text takes about eight times as long, not sixty-four."""

    def cpu(size: int) -> float:
        text = (piece * size)[:size]
        best = 9.0
        for _ in range(3):
            begin = time.process_time()
            scan(text)
            best = min(best, time.process_time() - begin)
        return best

    assert cpu(LONGEST) < 30 * max(cpu(LONGEST // 8), 0.0005)
