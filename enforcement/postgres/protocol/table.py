"""The protocol as data: which answer may follow which message, and what it means.

`pending` holds one entry for every message that the server will answer, in the order they were forwarded. The server
answers in that order, so an answer always belongs to the entry at the head. `STEPS[kind][code]` says what an answer of
that code does to a head of that kind; a missing pair is a violation by the server. After an error in the extended
protocol the server skips to Sync, and so do the entries. Notices, parameter changes and notifications belong to no
entry and may come at any time.
"""

from __future__ import annotations

from enum import IntEnum, auto

from enforcement.postgres.protocol.messages import Back


class Expect(IntEnum):
    """What was forwarded and is not answered yet."""

    QUERY = auto()
    PARSE = auto()
    BIND = auto()
    DESCRIBE = auto()
    EXECUTE = auto()
    CLOSE = auto()
    SYNC = auto()
    COPY_END = auto()  # CopyDone or CopyFail: answered by nothing of its own


class Step(IntEnum):
    """What an answer means for the entry at the head."""

    DESCRIBE_ROWS = auto()  # RowDescription
    DESCRIBE_PARAMETERS = auto()
    NO_ROWS = auto()  # NoData
    ROWS = auto()  # DataRow
    COMPLETE = auto()  # CommandComplete or EmptyQueryResponse: one statement is over
    SUSPEND = auto()
    COPY_IN = auto()
    COPY_OUT = auto()
    COPY_ROWS = auto()  # CopyData to the client
    COPY_END = auto()
    DONE = auto()  # ParseComplete, BindComplete, CloseComplete
    FAIL = auto()
    READY = auto()


RESULT: dict[int, Step] = {
    Back.DATA_ROW: Step.ROWS,
    Back.COMMAND_COMPLETE: Step.COMPLETE,
    Back.EMPTY_QUERY: Step.COMPLETE,
    Back.COPY_IN: Step.COPY_IN,
    Back.COPY_OUT: Step.COPY_OUT,
    Back.COPY_DATA: Step.COPY_ROWS,
    Back.COPY_DONE: Step.COPY_END,
    Back.ERROR: Step.FAIL,
}

STEPS: dict[int, dict[int, Step]] = {
    Expect.QUERY: {**RESULT, Back.ROW_DESCRIPTION: Step.DESCRIBE_ROWS, Back.READY: Step.READY},
    Expect.PARSE: {Back.PARSE_COMPLETE: Step.DONE, Back.ERROR: Step.FAIL},
    Expect.BIND: {Back.BIND_COMPLETE: Step.DONE, Back.ERROR: Step.FAIL},
    Expect.CLOSE: {Back.CLOSE_COMPLETE: Step.DONE, Back.ERROR: Step.FAIL},
    Expect.DESCRIBE: {
        Back.PARAMETER_DESCRIPTION: Step.DESCRIBE_PARAMETERS,
        Back.ROW_DESCRIPTION: Step.DESCRIBE_ROWS,
        Back.NO_DATA: Step.NO_ROWS,
        Back.ERROR: Step.FAIL,
    },
    Expect.EXECUTE: {**RESULT, Back.PORTAL_SUSPENDED: Step.SUSPEND},
    Expect.SYNC: {Back.READY: Step.READY, Back.ERROR: Step.FAIL},
}

ANY_TIME = frozenset({Back.NOTICE, Back.PARAMETER_STATUS, Back.NOTIFICATION})
