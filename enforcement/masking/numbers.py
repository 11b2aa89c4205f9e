"""PostgreSQL's binary numeric as text."""

from __future__ import annotations

from struct import error, unpack_from

from decision.model.errors import ObligationUnfulfillable

NEGATIVE, SPECIAL = 0x4000, 0xC000


def numeric_text(value: bytes) -> bytes:
    """Sign, digits and fraction of a finite numeric; `NaN` for what is not finite. Raises ObligationUnfulfillable."""
    try:
        count, weight, sign, scale = unpack_from("!HhHH", value)
        digits = unpack_from(f"!{count}H", value, 8)
    except error:
        raise ObligationUnfulfillable("the server sent a numeric that can't be read") from None
    if sign >= SPECIAL:
        return b"NaN"
    whole = (
        "".join(f"{digits[index] if index < count else 0:04d}" for index in range(weight + 1)) if weight >= 0 else ""
    )
    below = [digits[index] if 0 <= index < count else 0 for index in range(weight + 1, weight + 1 + (scale + 3) // 4)]
    fraction = "".join(f"{digit:04d}" for digit in below)[:scale]
    text = ("-" if sign == NEGATIVE else "") + (whole.lstrip("0") or "0") + ("." + fraction if scale else "")
    return text.encode("ascii")
