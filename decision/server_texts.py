"""The methods of TextService over a TextOffice."""

from __future__ import annotations

import dataclasses
from typing import Any

from decision.erasure import TextOffice
from decision.server_gate import Gate
from decision.server_handlers import answering
from decision.wire.gen import texts_pb2


class TextHandlers:
    """What was begun is ended even where the caller goes away: an erasure is recorded and done, or neither."""

    def __init__(self, office: TextOffice, gate: Gate) -> None:
        self._office = office
        self._gate = gate

    @answering
    async def RevealText(self, request: Any, _: Any) -> Any:  # noqa: N802
        text = await self._gate.finish(
            self._office.reveal(
                request.credential, request.decision_id, request.sealed_text, request.statement_digest, request.reason
            )
        )
        return texts_pb2.RevealTextResponse(text=text)

    @answering
    async def EraseTexts(self, request: Any, _: Any) -> Any:  # noqa: N802
        keys = await self._gate.finish(
            self._office.erase(
                request.credential, request.subject, request.before_month, request.reason, request.issuer
            )
        )
        return texts_pb2.EraseTextsResponse(keys=keys)

    @answering
    async def ListTextKeys(self, request: Any, _: Any) -> Any:  # noqa: N802 - gRPC's name
        keys = await self._office.keys(request.credential)
        return texts_pb2.ListTextKeysResponse(keys=[texts_pb2.TextKey(**dataclasses.asdict(key)) for key in keys])
