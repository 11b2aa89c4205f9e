"""What goes wrong inside the protocol core.

AirlockError
├── ProtocolViolation    a peer sent what the protocol does not allow here: the session ends (08P01)
│   └── MessageTooLarge  a message over the configured limit (54000)
└── StartupRefused       the connection can't become a session; carries its SQLSTATE
"""

from __future__ import annotations

from decision.model.errors import AirlockError


class ProtocolViolation(AirlockError):
    """`by` is the peer that broke the protocol: `client` or `server`."""

    code = "protocol_violation"
    sqlstate = "08P01"

    def __init__(self, message: str, *, by: str = "client", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.by = by


class MessageTooLarge(ProtocolViolation):
    code = "message_too_large"
    sqlstate = "54000"


class StartupRefused(AirlockError):
    code = "startup_refused"

    def __init__(self, sqlstate: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.sqlstate = sqlstate
