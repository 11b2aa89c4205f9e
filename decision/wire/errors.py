"""The error tree on the wire: a leaf's code and text, turned back into the very same class at the other end.

An exception that is none of ours never crosses: its text could hold a literal or a token.
"""

from __future__ import annotations

from collections.abc import Iterator

from decision.model.errors import AirlockError, ChainBroken, ServiceUnavailable, SyntaxRefused
from decision.wire.gen import common_pb2

ERROR_KEY = "airlock-error-bin"
"""Trailing metadata of a failed unary call: a serialised airlock.v1.Error."""

MAX_TEXT = 2_000
"""Bytes of message and of hint; gRPC bounds the metadata of a call to 8 KiB."""


def tree(root: type[AirlockError] = AirlockError) -> Iterator[type[AirlockError]]:
    """`root` and all classes below it that belong to the published language; other parts' own never cross the wire."""
    yield root
    for child in root.__subclasses__():
        if child.__module__ == AirlockError.__module__:
            yield from tree(child)


def error_message(error: BaseException) -> common_pb2.Error:
    """The message of `error`. What is no AirlockError becomes service_unavailable, without its text."""
    if not isinstance(error, AirlockError):
        return common_pb2.Error(
            code=ServiceUnavailable.code,
            message="internal error in the decision service",
            hint="the service's log names the place",
        )
    found = common_pb2.Error(code=error.code, message=_text(error.message), hint=_text(error.hint))
    if isinstance(error, SyntaxRefused):
        found.cursor = error.cursor
    if isinstance(error, ChainBroken):
        found.producer_id, found.epoch, found.seq = error.producer_id, error.epoch, error.seq
    return found


def error_of(message: common_pb2.Error) -> AirlockError:
    """The error in `message`; ServiceUnavailable for a code that this version does not know."""
    known = {leaf.code: leaf for leaf in tree() if "code" in vars(leaf)}.get(message.code)
    if known is None:
        return ServiceUnavailable(message.message or "the decision service answered with an unknown error")
    if issubclass(known, SyntaxRefused):
        return known(message.message, hint=message.hint, cursor=message.cursor)
    if issubclass(known, ChainBroken):
        place = (message.producer_id, message.epoch, message.seq)
        return known(message.message, hint=message.hint, producer_id=place[0], epoch=place[1], seq=place[2])
    return known(message.message, hint=message.hint)


def _text(text: str) -> str:
    return text.encode("utf-8", "replace")[:MAX_TEXT].decode("utf-8", "ignore")
