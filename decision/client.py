"""`DecisionPort` over gRPC: what an enforcement point or the console uses when the decision service is elsewhere.

Fail closed: whatever keeps an answer from coming (no service, deadline, lost stream, an answer of a newer contract) is
raised as an error of the tree, which the caller turns into a denial. Errors of the service are raised as the very class
that was raised there.

A session lives in the replica that opened it. One client has one channel, and so one replica at a time; after a
reconnection, to whichever replica, sessions of before are answered with SessionUnknown, and the enforcement point
ends the client's connection. Behind a load balancer it must therefore balance connections (layer 4), not calls.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import grpc
import grpc.aio

from decision.client_batch import Batcher
from decision.client_settings import ClientSettings
from decision.client_stream import UNREACHABLE, StreamClient
from decision.model.catalog import CatalogSnapshot
from decision.model.decision import Decision
from decision.model.errors import AirlockError, ServiceUnavailable
from decision.model.session import (
    Approval,
    ApprovalState,
    DecideRequest,
    EnforcementGap,
    ExecutionReport,
    PolicyStatus,
    SessionEnd,
    SessionGrant,
    SessionRequest,
)
from decision.model.texts import TextKey
from decision.wire.catalog import parts
from decision.wire.errors import ERROR_KEY, error_of
from decision.wire.gen import (
    approvals_pb2,
    approvals_pb2_grpc,
    common_pb2,
    decision_pb2,
    decision_pb2_grpc,
    texts_pb2,
    texts_pb2_grpc,
)
from decision.wire.mapping import WireMismatch
from decision.wire.translate import (
    APPROVAL,
    ENFORCEMENT_GAP,
    EXECUTION_REPORT,
    POLICY_STATUS,
    SESSION_END,
    SESSION_GRANT,
    SESSION_REQUEST,
    approval_state_of,
)

T = TypeVar("T")


class GrpcDecisionPort:
    """A connected client. Make it inside the event loop that uses it; `await close()` when done."""

    def __init__(self, settings: ClientSettings) -> None:
        """Raises SettingsError for what must not be connected to. Connects lazily."""
        settings.check()
        self._settings = settings
        self._metadata = settings.metadata()
        credentials = settings.credentials()
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(settings.target, options=settings.options())
        else:
            self._channel = grpc.aio.secure_channel(settings.target, credentials, options=settings.options())
        self._decisions: Any = decision_pb2_grpc.DecisionServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self._approvals: Any = approvals_pb2_grpc.ApprovalServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self._texts: Any = texts_pb2_grpc.TextServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self._stream = StreamClient(settings, lambda: self._decisions.DecideStream(metadata=self._metadata))
        self._reports: Batcher[ExecutionReport] = Batcher(
            self._send_reports, settings.max_items, settings.max_in_flight
        )

    async def open_session(self, request: SessionRequest) -> SessionGrant:
        answer = await self._call(self._decisions.OpenSession, SESSION_REQUEST.encode(request))
        return _understood(SESSION_GRANT.decode, answer)

    async def decide(self, request: DecideRequest) -> Decision:
        return await self._stream.ask(request)

    async def decide_many(self, requests: Sequence[DecideRequest]) -> list[Decision | Exception]:
        """As `decide` for each, asked in their order; the answers stand in that order too."""
        asked: list[asyncio.Future[Decision] | Exception] = []
        for request in requests:
            try:
                asked.append(self._stream.ask(request))
            except AirlockError as error:
                asked.append(error)
        futures = [one for one in asked if not isinstance(one, Exception)]
        await asyncio.gather(*futures, return_exceptions=True)
        return [one if isinstance(one, Exception) else _outcome(one) for one in asked]

    async def report(self, report: ExecutionReport) -> None:
        await self._reports.add(report)

    async def report_many(self, reports: Sequence[ExecutionReport]) -> list[Exception | None]:
        outcomes: list[Exception | None] = []
        for first in range(0, len(reports), self._settings.max_items):
            batch = reports[first : first + self._settings.max_items]
            try:
                outcomes += await self._send_reports(batch)
            except AirlockError as error:
                outcomes += [error] * len(batch)
        return outcomes

    async def close_session(self, end: SessionEnd) -> None:
        await self._call(self._decisions.CloseSession, SESSION_END.encode(end))

    async def sync_catalog(self, snapshot: CatalogSnapshot) -> None:
        call = self._decisions.SyncCatalog(
            parts(snapshot), timeout=self._settings.sync_timeout_s, metadata=self._metadata
        )
        try:
            await call
        except grpc.aio.AioRpcError as error:
            raise _raised(error) from None

    async def report_gap(self, gap: EnforcementGap) -> None:
        await self._call(self._decisions.ReportGap, ENFORCEMENT_GAP.encode(gap))

    async def policy_status(self) -> PolicyStatus:
        answer = await self._call(self._decisions.PolicyStatus, decision_pb2.PolicyStatusRequest())
        return _understood(POLICY_STATUS.decode, answer)

    async def wait_approval(self, session_id: str, approval_id: str, timeout_s: float) -> ApprovalState:
        asked = decision_pb2.WaitApprovalRequest(
            session_id=session_id, approval_id=approval_id, timeout_ms=int(timeout_s * 1000)
        )
        limit_s = timeout_s + self._settings.timeout_s
        answer = await self._call(self._decisions.WaitApproval, asked, limit_s)
        return _understood(approval_state_of, answer.state)

    async def list_approvals(self, credential: str, *, include_closed: bool = False) -> list[Approval]:
        asked = approvals_pb2.ListApprovalsRequest(credential=credential, include_closed=include_closed)
        answer = await self._call(self._approvals.ListApprovals, asked)
        return [_understood(APPROVAL.decode, approval) for approval in answer.approvals]

    async def get_approval(self, credential: str, approval_id: str) -> Approval:
        """One approval by its id. Raises ApprovalError where there is none."""
        asked = approvals_pb2.GetApprovalRequest(credential=credential, approval_id=approval_id)
        return _understood(APPROVAL.decode, (await self._call(self._approvals.GetApproval, asked)).approval)

    async def resolve_approval(self, credential: str, approval_id: str, *, grant: bool, reason: str) -> Approval:
        fields = {"credential": credential, "approval_id": approval_id, "reason": reason}
        if grant:
            answer = await self._call(self._approvals.Approve, approvals_pb2.ApproveRequest(**fields))
        else:
            answer = await self._call(self._approvals.Deny, approvals_pb2.DenyRequest(**fields))
        return _understood(APPROVAL.decode, answer.approval)

    async def reveal_text(self, credential: str, decision_id: str, sealed: bytes, digest: bytes, reason: str) -> bytes:
        """The exact text of a decision's statement; recorded. Raises VaultRefused, TextGone, VaultUnavailable."""
        asked = texts_pb2.RevealTextRequest(
            credential=credential, decision_id=decision_id, sealed_text=sealed, statement_digest=digest, reason=reason
        )
        return bytes((await self._call(self._texts.RevealText, asked)).text)

    async def erase_texts(self, credential: str, subject: str, before_month: str, reason: str, issuer: str = "") -> int:
        """Throw away the keys of a subject's texts of the months before; how many there were. Raises VaultRefused."""
        asked = texts_pb2.EraseTextsRequest(
            credential=credential, subject=subject, before_month=before_month, reason=reason, issuer=issuer
        )
        return int((await self._call(self._texts.EraseTexts, asked)).keys)

    async def text_keys(self, credential: str) -> list[TextKey]:
        """The keys of texts that are left. Raises VaultRefused."""
        answer = await self._call(self._texts.ListTextKeys, texts_pb2.ListTextKeysRequest(credential=credential))
        return [
            TextKey(key.key_id, key.subject, key.issuer, tuple(key.on_behalf_of), key.month, key.wrapping)
            for key in answer.keys
        ]

    async def close(self) -> None:
        """Send the reports that wait, refuse the decisions that wait, disconnect."""
        await self._reports.close()
        await self._stream.close()
        await self._channel.close()

    async def _call(self, method: Any, request: Any, timeout_s: float | None = None) -> Any:
        try:
            return await method(request, timeout=timeout_s or self._settings.timeout_s, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise _raised(error) from None

    async def _send_reports(self, reports: Sequence[ExecutionReport]) -> Sequence[Exception | None]:
        request = decision_pb2.ReportExecutionsRequest(reports=[EXECUTION_REPORT.fields(one) for one in reports])
        answer = await self._call(self._decisions.ReportExecutions, request)
        outcomes = [error_of(error) if error.code else None for error in answer.errors]
        missing = len(reports) - len(outcomes)
        lost = [ServiceUnavailable("the decision service did not say whether it recorded the report")] * missing
        return list(itertools.islice(itertools.chain(outcomes, lost), len(reports)))


def _raised(error: grpc.aio.AioRpcError) -> AirlockError:
    """The error that the service raised, else ServiceUnavailable with the status as its reason."""
    for key, value in error.trailing_metadata() or ():
        if key == ERROR_KEY and isinstance(value, bytes):
            return error_of(common_pb2.Error.FromString(value))
    if error.code() is grpc.StatusCode.UNAUTHENTICATED:
        return ServiceUnavailable(
            "the decision service does not accept this enforcement point", hint="check its certificate or token"
        )
    return ServiceUnavailable(f"{UNREACHABLE} ({error.code().name.lower()})", hint="try again")


def _understood(decode: Callable[[Any], T], message: Any) -> T:
    """Raises ServiceUnavailable for an enum member of a newer contract."""
    try:
        return decode(message)
    except WireMismatch as error:
        raise ServiceUnavailable(f"the decision service speaks a newer contract: {error}") from error


def _outcome(future: asyncio.Future[Decision]) -> Decision | Exception:
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, Exception):
        return error
    raise error
