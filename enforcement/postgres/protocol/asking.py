"""The question that an exchange is to the decision service."""

from __future__ import annotations

from typing import Final

from decision.model.session import DecideRequest, MessageKind, ParameterValue
from enforcement.postgres.protocol.exchange import Exchange
from enforcement.postgres.protocol.messages import Front
from enforcement.postgres.protocol.state import State

KINDS: Final[dict[int, MessageKind]] = {
    Front.QUERY: MessageKind.QUERY,
    Front.PARSE: MessageKind.PARSE,
    Front.BIND: MessageKind.BIND,
    Front.FUNCTION_CALL: MessageKind.FUNCTION_CALL,
}


def request_of(exchange: Exchange, state: State) -> DecideRequest:
    """The exact bytes that will run, with the values and settings that they are to run with."""
    parameters: tuple[ParameterValue, ...] = ()
    text, parse_decision_id = exchange.text, ""
    bind, statement = exchange.bind, exchange.statement
    if bind is not None and statement is not None:
        text, parse_decision_id = statement.text, statement.decision_id
        if bind.values:
            parameters = tuple(
                [
                    ParameterValue(statement.type_of(index), bind.format_of(index), value)
                    for index, value in enumerate(bind.values)
                ]
            )
    return DecideRequest(
        session_id=state.session_id,
        text=text,
        kind=KINDS[exchange.kind],
        parameters=parameters,
        settings=state.settings,
        transaction_status=state.status,
        intent=state.own["intent"],
        ticket=state.own["ticket"],
        parse_decision_id=parse_decision_id,
    )
