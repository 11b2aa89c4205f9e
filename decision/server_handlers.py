"""The methods of DecisionService and ApprovalService over any DecisionPort. Each translates, calls, translates."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from functools import partial, wraps
from typing import Any, NoReturn

import grpc
import grpc.aio

from decision.model import errors
from decision.model.errors import AirlockError, ApprovalError, TextRefused
from decision.model.ports import DecisionPort
from decision.model.session import Approval
from decision.server_auth import Authenticator
from decision.server_gate import Gate, Overloaded, Owners, log_internal
from decision.server_settings import ServerSettings
from decision.server_stream import DecideStream, answer_of
from decision.wire.catalog import SnapshotAssembler
from decision.wire.errors import ERROR_KEY, error_message
from decision.wire.gen import approvals_pb2, common_pb2, decision_pb2
from decision.wire.mapping import WireMismatch
from decision.wire.translate import (
    APPROVAL,
    DECIDE_REQUEST,
    ENFORCEMENT_GAP,
    EXECUTION_REPORT,
    POLICY_STATUS,
    SESSION_END,
    SESSION_GRANT,
    SESSION_REQUEST,
    approval_state_number,
)

Method = Callable[[Any, Any, Any], Awaitable[Any]]

_STATUS: tuple[tuple[type[AirlockError], grpc.StatusCode], ...] = (
    (Overloaded, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (errors.IssuerUnavailable, grpc.StatusCode.UNAVAILABLE),
    (errors.IdentityError, grpc.StatusCode.PERMISSION_DENIED),  # UNAUTHENTICATED is the enforcement point's own
    (errors.AnalysisError, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.PolicyTimeout, grpc.StatusCode.DEADLINE_EXCEEDED),
    (errors.PolicyError, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.JournalFull, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (errors.JournalBusy, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (errors.JournalUnavailable, grpc.StatusCode.UNAVAILABLE),
    (errors.SessionUnknown, grpc.StatusCode.NOT_FOUND),
    (errors.ServiceUnavailable, grpc.StatusCode.UNAVAILABLE),
    (errors.Denied, grpc.StatusCode.PERMISSION_DENIED),
    (errors.VaultRefused, grpc.StatusCode.PERMISSION_DENIED),
    (errors.TextGone, grpc.StatusCode.NOT_FOUND),
    (errors.ChainBroken, grpc.StatusCode.DATA_LOSS),
    (AirlockError, grpc.StatusCode.FAILED_PRECONDITION),
)


def status_of(error: BaseException) -> grpc.StatusCode:
    """The status for people and proxies; the error's class travels in the metadata."""
    return next((code for kind, code in _STATUS if isinstance(error, kind)), grpc.StatusCode.INTERNAL)


async def abort(context: Any, error: Exception) -> NoReturn:
    """End the call with `error`'s status and its structured details."""
    log_internal(error)
    message = error_message(error)
    await context.abort(status_of(error), message.message, ((ERROR_KEY, message.SerializeToString()),))
    raise AssertionError("abort raises")


def answering(method: Method) -> Method:
    """A unary handler whose exceptions become statuses."""

    @wraps(method)
    async def call(self: Any, request: Any, context: Any) -> Any:
        try:
            return await method(self, request, context)
        except WireMismatch as error:
            await abort(context, TextRefused(str(error)))
        except (grpc.RpcError, grpc.aio.AbortError):
            raise
        except Exception as error:  # noqa: BLE001 - the shell's last line: every failure is an answer
            await abort(context, error)

    return call


class DecisionHandlers:
    """airlock.v1.DecisionService."""

    def __init__(
        self, port: DecisionPort, settings: ServerSettings, authenticator: Authenticator, gate: Gate, owners: Owners
    ) -> None:
        self._port = port
        self._settings = settings
        self._authenticator = authenticator
        self._gate = gate
        self._owners = owners

    @answering
    async def OpenSession(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        name = self._authenticator.name_of(context)
        asked = SESSION_REQUEST.decode(request)
        self._authenticator.check_database(name, asked.database)
        if name:
            asked = replace(asked, enforcement_point=name)
        grant = await self._gate.finish(self._opened(asked, name))
        return SESSION_GRANT.encode(grant)

    async def _opened(self, asked: Any, name: str) -> Any:
        grant = await self._port.open_session(asked)
        self._owners.add(grant.session_id, name)
        return grant

    @answering
    async def CloseSession(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._check(context, request.session_id)
        await self._gate.finish(self._port.close_session(SESSION_END.decode(request)))
        self._owners.remove(request.session_id)
        return decision_pb2.CloseSessionResponse()

    @answering
    async def Decide(self, request: Any, context: Any) -> Any:  # noqa: N802
        if len(request.items) > self._settings.max_items:
            raise TextRefused(f"a message holds more than {self._settings.max_items} items")
        for item in request.items:
            self._check(context, item.session_id)
        asked = [DECIDE_REQUEST.decode(item) for item in request.items]
        outcomes = await asyncio.shield(self._gate.decide_many(asked))
        answers = [answer_of(item.request_id, got) for item, got in zip(request.items, outcomes, strict=True)]
        return decision_pb2.DecideResponse(answers=answers)

    async def DecideStream(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:  # noqa: N802
        name = self._authenticator.name_of(context)
        stream = DecideStream(
            self._gate,
            partial(self._owners.check, name=name),
            max_items=self._settings.max_items,
            max_in_flight=self._settings.max_stream_in_flight,
            timeout_s=self._settings.default_timeout_s,
        )
        async for response in stream.serve(requests):
            yield response

    @answering
    async def ReportExecutions(self, request: Any, context: Any) -> Any:  # noqa: N802
        if len(request.reports) > self._settings.max_items:
            raise TextRefused(f"a message holds more than {self._settings.max_items} reports")
        for report in request.reports:
            self._check(context, report.session_id)
        reports = [EXECUTION_REPORT.decode(report) for report in request.reports]
        calls = (self._gate.finish(self._port.report(report)) for report in reports)
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        found = [common_pb2.Error() if outcome is None else error_message(outcome) for outcome in outcomes]
        return decision_pb2.ReportExecutionsResponse(errors=found)

    @answering
    async def SyncCatalog(self, requests: AsyncIterator[Any], context: Any) -> Any:  # noqa: N802
        assembler = SnapshotAssembler()
        async for part in requests:
            assembler.add(part)
        snapshot = assembler.snapshot()
        self._authenticator.check_database(self._authenticator.name_of(context), snapshot.database)
        await self._gate.finish(self._port.sync_catalog(snapshot))
        return decision_pb2.SyncCatalogResponse(version=snapshot.version)

    @answering
    async def PolicyStatus(self, request: Any, context: Any) -> Any:  # noqa: N802
        return POLICY_STATUS.encode(await self._port.policy_status())

    @answering
    async def ReportGap(self, request: Any, context: Any) -> Any:  # noqa: N802
        gap = ENFORCEMENT_GAP.decode(request)
        name = self._authenticator.name_of(context)
        await self._gate.finish(self._port.report_gap(replace(gap, enforcement_point=name) if name else gap))
        return decision_pb2.ReportGapResponse()

    @answering
    async def WaitApproval(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._check(context, request.session_id)
        timeout_s = max(0, request.timeout_ms) / 1000
        state = await self._port.wait_approval(request.session_id, request.approval_id, timeout_s)
        return decision_pb2.WaitApprovalResponse(state=approval_state_number(state))

    def _check(self, context: Any, session_id: str) -> None:
        self._owners.check(session_id, self._authenticator.name_of(context))


class ApprovalHandlers:
    """airlock.v1.ApprovalService. Who approves is proven by the credential in each request."""

    def __init__(self, port: DecisionPort, gate: Gate) -> None:
        self._port = port
        self._gate = gate

    @answering
    async def ListApprovals(self, request: Any, context: Any) -> Any:  # noqa: N802
        found = await self._port.list_approvals(request.credential, include_closed=request.include_closed)
        return approvals_pb2.ListApprovalsResponse(approvals=[APPROVAL.encode(approval) for approval in found])

    @answering
    async def GetApproval(self, request: Any, context: Any) -> Any:  # noqa: N802
        for approval in await self._port.list_approvals(request.credential, include_closed=True):
            if approval.approval_id == request.approval_id:
                return approvals_pb2.GetApprovalResponse(approval=APPROVAL.encode(approval))
        raise ApprovalError("there is no such approval", hint="airlock approvals list")

    @answering
    async def Approve(self, request: Any, context: Any) -> Any:  # noqa: N802
        return approvals_pb2.ApproveResponse(approval=APPROVAL.encode(await self._vote(request, grant=True)))

    @answering
    async def Deny(self, request: Any, context: Any) -> Any:  # noqa: N802
        return approvals_pb2.DenyResponse(approval=APPROVAL.encode(await self._vote(request, grant=False)))

    async def _vote(self, request: Any, *, grant: bool) -> Approval:
        vote = self._port.resolve_approval(request.credential, request.approval_id, grant=grant, reason=request.reason)
        return await self._gate.finish(vote)
