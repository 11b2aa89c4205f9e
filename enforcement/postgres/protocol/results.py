"""What each answer means: names confirmed, masks planned, executions reported, errors rewritten.

One method an answer, in one table: parted, a masked or refused result would be followed through two modules. Hence a
little over the usual length.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from decision.model.decision import Limits
from decision.model.errors import ObligationUnfulfillable
from enforcement.postgres.protocol import denial, messages, parsing
from enforcement.postgres.protocol.errors import ProtocolViolation
from enforcement.postgres.protocol.exchange import Exchange, Portal, Refusal, sensitive
from enforcement.postgres.protocol.executions import Executions
from enforcement.postgres.protocol.messages import Back, Front
from enforcement.postgres.protocol.state import CancelUpstream, CloseSession, State, SyncCatalog
from enforcement.postgres.protocol.table import Expect, Step
from enforcement.postgres.protocol.text import deallocated, hides_names, own_setting

STATEMENT: Final = 0x53  # S
QUIET_TAGS: Final = ("SELECT", "INSERT", "UPDATE", "MERGE", "FETCH", "SHOW")  # nothing follows from these
POISON = b"airlock refused the transaction"


class Results:
    def __init__(self, state: State, skip: Callable[[], None]) -> None:
        self.state = state
        self._skip = skip
        self._executions = Executions(state)

    def take(self, step: int, head: Exchange, raw: bytes) -> bytes | None:
        """Do what the answer `raw` means for `head`. What goes to the client instead of it: None for itself."""
        if step == Step.DONE:
            return self._done(head, raw)
        if step == Step.DESCRIBE_ROWS:
            return self._describe_rows(head, raw)
        if step == Step.COMPLETE:
            return self._complete(head, raw)
        if step == Step.READY:
            return self._ready(head, raw)
        if step == Step.FAIL:
            return self._fail(head, raw)
        rare: dict[int, Callable[[Exchange, bytes], bytes | None]] = {
            Step.DESCRIBE_PARAMETERS: self._describe_parameters,
            Step.NO_ROWS: self._no_rows,
            Step.SUSPEND: self._suspend,
            Step.COPY_IN: self._copy_in,
            Step.COPY_OUT: self._copy_out,
            Step.COPY_END: self._copy_end,
        }
        return rare[step](head, raw)

    def limits_of(self, head: Exchange) -> Limits | None:
        decision = head.covering
        return None if decision is None else decision.limits

    # ── any time ────────────────────────────────────────────────────────────────────────────────────────────────────

    def any_time(self, code: int, raw: bytes) -> bytes | None:
        state = self.state
        if code == Back.PARAMETER_STATUS:
            name, value = parsing.status_pair(raw)
            state.parameters[name] = value
            state.settings_changed()
            return None
        head = state.pending[0] if state.pending else None
        if code == Back.NOTICE:
            if head is not None and (head.internal or state.muted):
                return b""
            if state.touched:
                return messages.fields(Back.NOTICE, state.masks.clean(parsing.error_fields(raw)))
        return None

    # ── descriptions ────────────────────────────────────────────────────────────────────────────────────────────────

    def _describe_rows(self, head: Exchange, raw: bytes) -> bytes | None:
        if head.expect == Expect.DESCRIBE:
            if head.statement is not None and head.target == STATEMENT:
                head.statement.fields = parsing.row_description(raw)
            self.state.pop()
            return None
        obligations = head.obligations()
        head.masker = None
        if obligations is not None and sensitive(obligations):
            try:
                head.masker = self.state.masks.for_rows(obligations, parsing.row_description(raw), ())
            except ObligationUnfulfillable as error:
                self._withhold(head, denial.withheld(error))
        return b"" if head.aborted else None

    def _describe_parameters(self, head: Exchange, raw: bytes) -> bytes | None:
        if head.statement is not None:
            head.statement.type_oids = parsing.parameter_description(raw)
        return None

    def _no_rows(self, head: Exchange, raw: bytes) -> bytes | None:
        if head.statement is not None and head.target == STATEMENT:
            head.statement.fields = ()
        self.state.pop()
        return None

    def _withhold(self, head: Exchange, refusal: Refusal) -> None:
        head.aborted = True
        head.refusal = refusal
        self.state.cancelling += 1
        self.state.commands.append(CancelUpstream())

    # ── COPY ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _copy_in(self, head: Exchange, raw: bytes) -> bytes | None:
        """The server now reads copy data: it ignores Syncs that it meets before CopyDone or CopyFail."""
        pending = self.state.pending
        kept = [head]
        ended = False
        for later in list(pending)[1:]:
            if not ended and later.expect == Expect.COPY_END:
                ended = True
            elif not ended and later.expect == Expect.SYNC:
                continue
            else:
                kept.append(later)
        pending.clear()
        pending.extend(kept)
        self.state.copy_in = not ended
        return None

    def _copy_out(self, head: Exchange, raw: bytes) -> bytes | None:
        obligations = head.obligations()
        head.copy_masker = None
        text = head.text or (head.portal.statement.text if head.portal is not None else b"")
        if obligations is not None and sensitive(obligations):
            try:
                head.copy_masker = self.state.masks.for_copy(obligations, text, head.index, parsing.copy_formats(raw))
            except ObligationUnfulfillable as error:
                self._withhold(head, denial.withheld(error))
        return b"" if head.aborted else None

    def _copy_end(self, head: Exchange, raw: bytes) -> bytes | None:
        masker, head.copy_masker = head.copy_masker, None
        if masker is not None and not head.aborted:
            try:
                masker.finish()
            except ObligationUnfulfillable as error:  # a row without its end: it never left, and may not be missing
                self._withhold(head, denial.withheld(error))
        return b"" if head.aborted else None

    # ── completions ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _done(self, head: Exchange, raw: bytes) -> bytes | None:
        state = self.state
        if head.refusal is not None:
            raise ProtocolViolation("the server took a message that can't be parsed", by="server")
        if head.internal:
            state.pop()
            return None
        if head.kind == Front.PARSE:
            state.statements.confirm(head.name, head.statement, head)
        elif head.kind == Front.BIND:
            state.portals.confirm(head.name, head.portal, head)
        elif head.target == STATEMENT:
            state.statements.confirm(head.name, None, head)
        else:
            found = state.portals.find(head.name, head.segment)
            state.portals.confirm(head.name, None, head)
            if isinstance(found, Portal):
                self._executions.portal_gone(found)
        state.pop()
        return None

    def _complete(self, head: Exchange, raw: bytes) -> bytes | None:
        state = self.state
        if head.internal:
            state.pop()
            return None
        if head.refusal is not None and not head.aborted:
            raise ProtocolViolation("the server completed a statement that can't be parsed", by="server")
        tag = parsing.command_tag(raw) if raw[0] == Back.COMMAND_COMPLETE else ""
        state.statement_count += 1
        self._executions.completed(head, tag, head.aborted)
        self._effects(head, tag)
        head.index += 1
        head.rows = head.bytes = head.masked = 0
        head.masker = head.copy_masker = None
        state.copy_in = False
        if head.expect == Expect.EXECUTE:
            state.pop()
        else:
            head.started_ns = state.now_ns
        if not head.aborted:
            return None
        assert head.refusal is not None
        state.muted = state.poison = True
        return denial.error_of(denial.completed(head.refusal, tag))

    def _effects(self, head: Exchange, tag: str) -> None:
        """What the completed statement means for names, the transaction and the session's own settings."""
        state, text = self.state, head.text
        if head.portal is not None:
            text = head.portal.statement.text
        decision = head.covering
        if decision is not None and decision.catalog_changing:
            state.catalog_dirty = True
            state.catalog_shared = state.catalog_shared or decision.catalog_shared
        if tag.startswith(QUIET_TAGS):
            return
        if tag in ("BEGIN", "START TRANSACTION"):
            state.in_transaction = True
        elif tag in ("COMMIT", "ROLLBACK", "PREPARE TRANSACTION"):
            state.in_transaction = state.in_transaction and tag == "ROLLBACK"  # or to a savepoint: Ready tells
            state.read_only_now = False
            self._executions.portals_gone()
        elif tag == "DEALLOCATE":
            name = deallocated(text)
            state.statements.forget_all() if name is None else state.statements.forget(name)
        elif tag in ("DEALLOCATE ALL", "DISCARD ALL"):
            state.statements.forget_all()
            self._executions.portals_gone()
        elif tag.startswith(("CLOSE CURSOR", "DECLARE CURSOR")):
            self._executions.portals_gone()
        elif tag in ("SET", "RESET"):
            own = own_setting(text)
            if own is not None:
                state.own[own[0]] = state.startup_own[own[0]] if own[1] is None else own[1]
        elif tag == "DO" and hides_names(text):
            state.statements.forget_all()
            self._executions.portals_gone()

    def _suspend(self, head: Exchange, raw: bytes) -> bytes | None:
        portal = head.portal
        if portal is not None:
            portal.rows += head.rows
            portal.bytes += head.bytes
            portal.masked += head.masked
            portal.duration_ns += self.state.now_ns - head.started_ns
        self.state.pop()
        if head.aborted and head.refusal is not None:
            self.state.muted = self.state.poison = True
            return denial.error_of(head.refusal)
        return None

    # ── errors and ready ────────────────────────────────────────────────────────────────────────────────────────────

    def _fail(self, head: Exchange, raw: bytes) -> bytes | None:
        state = self.state
        found = parsing.error_fields(raw)
        if head.internal and head.expect in (Expect.PARSE, Expect.BIND, Expect.EXECUTE, Expect.CLOSE):
            state.commands.append(CloseSession("error"))  # fail closed: what follows relies on it
            return messages.error_response(
                "25006", "the transaction could not be made read-only", severity="FATAL", hint="connect again"
            )
        fatal = (found.get("V") or found.get("S")) in denial.FATAL
        refusal = head.refusal
        answer: bytes | None = None
        if refusal is not None and not fatal:
            answer = denial.error_of(refusal)
        elif state.touched:
            answer = messages.fields(Back.ERROR, state.masks.clean(found))
        self._executions.failed(head, found.get("C", ""))
        state.copy_in = False
        head.failed = True
        head.masker = head.copy_masker = None
        if head.expect == Expect.QUERY:
            return b"" if head.internal else answer
        if head.expect != Expect.SYNC:
            self._drop_to_sync()
        return answer

    def _drop_to_sync(self) -> None:
        """The server skips all that stands before the next Sync, forwarded already or not."""
        pending = self.state.pending
        while pending:
            if pending[0].expect == Expect.SYNC:
                return
            self.state.drop(self.state.pop())
        self._skip()

    def _ready(self, head: Exchange, raw: bytes) -> bytes | None:
        state = self.state
        state.pop()
        state.status = chr(raw[5])
        state.timed = state.timed and bool(state.pending)
        state.in_transaction = state.status != "I"
        state.muted = False
        if state.status == "I":
            state.read_only_now = False
            self._executions.portals_gone()
            if state.catalog_dirty:
                state.catalog_syncing += 1
                state.commands.append(SyncCatalog(state.catalog_shared))
                state.catalog_dirty = state.catalog_shared = False
        poison, state.poison = state.poison, False
        if poison and state.status == "T":
            return self._poison()
        return raw if head.internal and head.kind == Front.QUERY else None  # of the poison, which stands for another

    def _poison(self) -> bytes:
        """The client was told of an error that the server does not know: make its transaction fail as well."""
        state = self.state
        if state.pending:  # something was sent behind it already, as if there had been no error
            state.commands.append(CloseSession("error"))
            return messages.error_response(
                "25000", "the transaction can't go on after a refused result", severity="FATAL"
            )
        failing = Exchange(Front.QUERY, Expect.QUERY, b"")
        failing.internal = True
        state.to_server.append(messages.query(POISON))
        state.push(failing)
        return b""
