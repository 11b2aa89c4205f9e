"""The model's values and their messages: sessions, decisions, executions, approvals (catalog: `decision.wire.catalog`).

Each table is used as `TABLE.encode(value)`, `TABLE.decode(message)`. Decoding raises WireMismatch where a message holds
an enum member of a newer contract. `decision_of` also refuses fields of a newer contract: an obligation that this
version has no word for must not be passed over.
"""

from __future__ import annotations

from typing import Any

from decision.model.decision import Decision
from decision.model.errors import ObligationUnfulfillable
from decision.model.principal import Principal
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
from decision.wire.gen import approvals_pb2, common_pb2, decision_pb2
from decision.wire.mapping import WireMismatch, enum_table, mapping

PRINCIPAL = mapping(Principal, common_pb2.Principal)
SESSION_REQUEST = mapping(SessionRequest, decision_pb2.OpenSessionRequest)
SESSION_GRANT = mapping(SessionGrant, decision_pb2.OpenSessionResponse)
SESSION_END = mapping(SessionEnd, decision_pb2.CloseSessionRequest)
DECIDE_REQUEST = mapping(DecideRequest, decision_pb2.DecideItem)
DECISION = mapping(Decision, decision_pb2.Decision)
EXECUTION_REPORT = mapping(ExecutionReport, decision_pb2.ExecutionReport)
ENFORCEMENT_GAP = mapping(EnforcementGap, decision_pb2.ReportGapRequest)
POLICY_STATUS = mapping(PolicyStatus, decision_pb2.PolicyStatusResponse)
APPROVAL = mapping(Approval, approvals_pb2.Approval)

_STATE_TO_NUMBER, _NUMBER_TO_STATE = enum_table(
    ApprovalState, decision_pb2.WaitApprovalResponse.DESCRIPTOR.fields_by_name["state"].enum_type
)

TABLES = (
    PRINCIPAL, SESSION_REQUEST, SESSION_GRANT, SESSION_END, DECIDE_REQUEST, DECISION, EXECUTION_REPORT,
    ENFORCEMENT_GAP, POLICY_STATUS, APPROVAL,
)  # fmt: skip
ITEM_FIELDS = frozenset({"request_id", "timeout_ms"})
"""What a DecideItem has beside the model's DecideRequest."""


def approval_state_number(state: ApprovalState) -> Any:
    """The contract's number of `state`."""
    return _STATE_TO_NUMBER(state)


def approval_state_of(number: int) -> ApprovalState:
    """Raises WireMismatch for a state of a newer contract."""
    return ApprovalState(_NUMBER_TO_STATE(number))


def decide_item(request: DecideRequest, request_id: int = 0, timeout_ms: int = 0) -> Any:
    """The DecideItem of `request`."""
    return decision_pb2.DecideItem(request_id=request_id, timeout_ms=timeout_ms, **DECIDE_REQUEST.fields(request))


def decision_of(message: Any) -> Decision:
    """The Decision in `message`. Raises ObligationUnfulfillable for anything of a newer contract in it."""
    size = message.ByteSize()
    message.DiscardUnknownFields()
    if message.ByteSize() == size:
        try:
            return DECISION.decode(message)
        except WireMismatch:
            pass
    raise ObligationUnfulfillable(
        "the decision asks for something that this version does not know",
        hint="upgrade the enforcement point to the decision service's version",
    )
