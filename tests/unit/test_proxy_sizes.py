"""What the enforcement point itself says of a result must not be made of its values."""

from __future__ import annotations

from struct import pack

import pytest

from decision.model.decision import Decision, PolicyEffect
from enforcement.masking.engine import MaskingEngine
from enforcement.postgres.protocol import messages
from enforcement.postgres.protocol.core import SessionCore
from enforcement.postgres.protocol.errors import MessageTooLarge
from enforcement.postgres.protocol.messages import Back
from enforcement.postgres.protocol.state import CoreLimits


@pytest.mark.parametrize("code", [Back.NOTICE, Back.ROW_DESCRIPTION])
def test_a_message_over_the_limit_does_not_tell_its_length(code: int) -> None:
    """`repeat('x', ascii(email) * 1000000)`: the length would be the value."""
    core = SessionCore("s", MaskingEngine(bytes(32)), limits=CoreLimits(message_bytes=1_000))
    core.client_data(messages.query(b"select 1"))
    core.decided(core.state.asks.pop(), Decision("d", PolicyEffect.ALLOW))
    with pytest.raises(MessageTooLarge) as caught:
        core.server_data(bytes((code,)) + pack("!I", 10_924))
    assert "1000 bytes" in caught.value.message
    assert "10924" not in f"{caught.value.message} {caught.value.hint}"
