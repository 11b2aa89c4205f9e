"""The protocol as data: which answer may follow which message, and what it means.

`pending` holds one entry for every message that the server will answer, in the order they were forwarded. The server
answers in that order, so an answer always belongs to the entry at the head. `STEPS[kind][code]` says what an answer of
that code does to a head of that kind; a missing pair is a violation by the server. After an error in the extended
protocol the server skips to Sync, and so do the entries. Notices, parameter changes and notifications belong to no
entry and may come at any time.
"""

from __future__ import annotations

from typing import Final

from enforcement.postgres.protocol.messages import Back


class Expect:
    """What was forwarded and is not answered yet."""

    NOTHING: Final = 0
    QUERY: Final = 1
    PARSE: Final = 2
    BIND: Final = 3
    DESCRIBE: Final = 4
    EXECUTE: Final = 5
    CLOSE: Final = 6
    SYNC: Final = 7
    COPY_END: Final = 8  # CopyDone or CopyFail: answered by nothing of its own


class Step:
    """What an answer means for the entry at the head."""

    DESCRIBE_ROWS: Final = 1  # RowDescription
    DESCRIBE_PARAMETERS: Final = 2
    NO_ROWS: Final = 3  # NoData
    ROWS: Final = 4  # DataRow
    COMPLETE: Final = 5  # CommandComplete or EmptyQueryResponse: one statement is over
    SUSPEND: Final = 6
    COPY_IN: Final = 7
    COPY_OUT: Final = 8
    COPY_ROWS: Final = 9  # CopyData to the client
    COPY_END: Final = 10
    DONE: Final = 11  # ParseComplete, BindComplete, CloseComplete
    FAIL: Final = 12
    READY: Final = 13


RESULT: dict[int, int] = {
    Back.DATA_ROW: Step.ROWS,
    Back.COMMAND_COMPLETE: Step.COMPLETE,
    Back.EMPTY_QUERY: Step.COMPLETE,
    Back.COPY_IN: Step.COPY_IN,
    Back.COPY_OUT: Step.COPY_OUT,
    Back.COPY_DATA: Step.COPY_ROWS,
    Back.COPY_DONE: Step.COPY_END,
    Back.ERROR: Step.FAIL,
}

STEPS: dict[int, dict[int, int]] = {
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

# STEPS as one row of bytes: the step of answer `code` to a head of `kind` is at kind * 256 + code; 0 is none.
FLAT: Final = bytes(STEPS.get(kind, {}).get(code, 0) for kind in range(Expect.COPY_END + 1) for code in range(256))


def step_of(kind: int, code: int) -> int:
    """0 for an answer that may not follow."""
    return FLAT[kind * 256 + code]
