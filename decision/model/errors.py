"""The error tree.

AirlockError
├── Denied                    whatever follows is answered with a denial
│   ├── AnalysisError         the statement can't be understood
│   │   ├── SyntaxRefused     the parser of its dialect refuses it
│   │   ├── LimitExceeded     text, depth, tokens, columns or work over a limit
│   │   ├── TextRefused       NUL byte, invalid encoding, …
│   │   └── AnalysisFault     analysis itself failed: a defect of ours, which refuses the text all the same
│   ├── IdentityError         the credential proves nobody
│   │   ├── CredentialInvalid malformed, bad signature, wrong audience or issuer, …
│   │   ├── CredentialExpired
│   │   └── IssuerUnavailable keys could not be fetched
│   ├── PolicyError           policy gave no sound answer
│   │   ├── PolicyUnavailable engine down or no bundle
│   │   ├── PolicyTimeout
│   │   └── PolicyUndefined   undefined or malformed output
│   ├── JournalUnavailable    the event can't be made durable
│   │   ├── JournalPoisoned   a commit failed; the process must restart through verification
│   │   ├── JournalFull       quota or disk
│   │   └── JournalBusy       the bounded queue is full
│   ├── VaultUnavailable      the keys of the statement texts can't be used
│   ├── SessionRefused        no session: unknown database, not permitted, …
│   ├── SessionUnknown        a decision was asked for a session that is not open
│   ├── ServiceUnavailable    the decision service can't be reached, or not in time
│   └── ObligationUnfulfillable the enforcement point can't do what the decision demands
├── BundleRejected            a policy bundle that must not become active
├── ChainBroken               the journal's chain does not verify
├── LogError                  the tamper-evident log
│   ├── NoteInvalid           a note, checkpoint or key that is malformed, or signed by nobody who is trusted
│   ├── ProofInvalid          an inclusion or consistency proof that does not verify
│   ├── LogDamaged            a tile, an entry or the log's state is missing or is not what was signed
│   └── LogUnavailable        a part of the log can't be reached now: another process has it, a witness is away, …
├── TextGone                  the text of a statement was erased
├── VaultRefused              whoever asked may neither read nor erase texts, or asked for what is none
├── BackboneError             the way of events to Kafka and from it
│   ├── KafkaUnavailable      no broker answers, or it refuses us
│   ├── TopicRefused          a topic that is missing, or could lose or reorder events
│   ├── RelayRefused          the journal is not the one that was relayed so far, or the topics are others
│   └── SinkRefused           the topics are not those that were read so far, or some of their records are gone
├── SettingsError             file, key and remedy
└── ApprovalError             an approval that can't be given (unknown, self-approval, not an approver, expired)

Every message says what is wrong and the way out; none holds a literal, a parameter's value or a token.
"""

from __future__ import annotations


class AirlockError(Exception):
    """Root of all errors that Airlock raises on purpose. `code` is stable, for events, logs and tests."""

    code = "airlock_error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Denied(AirlockError):
    code = "denied"


class AnalysisError(Denied):
    code = "analysis_error"


class SyntaxRefused(AnalysisError):
    """`cursor` is the 1-based character position of the error in the text, 0 if unknown. `shown` is the parser's own
    message for who sent the text, and for nobody else: it may quote a word of it."""

    code = "syntax_refused"

    def __init__(self, message: str, *, hint: str = "", cursor: int = 0, shown: str = "") -> None:
        super().__init__(message, hint=hint)
        self.cursor = cursor
        self.shown = shown


class LimitExceeded(AnalysisError):
    code = "limit_exceeded"


class TextRefused(AnalysisError):
    code = "text_refused"


class AnalysisFault(AnalysisError):
    """The message names the place in our code, and nothing of the text. Tests and fuzzing take it for a finding."""

    code = "analysis_fault"


class IdentityError(Denied):
    code = "identity_error"


class CredentialInvalid(IdentityError):
    code = "credential_invalid"


class CredentialExpired(IdentityError):
    code = "credential_expired"


class IssuerUnavailable(IdentityError):
    code = "issuer_unavailable"


class PolicyError(Denied):
    code = "policy_error"


class PolicyUnavailable(PolicyError):
    code = "policy_unavailable"


class PolicyTimeout(PolicyError):
    code = "policy_timeout"


class PolicyUndefined(PolicyError):
    code = "policy_undefined"


class JournalUnavailable(Denied):
    code = "journal_unavailable"


class JournalPoisoned(JournalUnavailable):
    code = "journal_poisoned"


class JournalFull(JournalUnavailable):
    code = "journal_full"


class JournalBusy(JournalUnavailable):
    code = "journal_busy"


class VaultUnavailable(Denied):
    code = "vault_unavailable"


class SessionRefused(Denied):
    code = "session_refused"


class SessionUnknown(Denied):
    code = "session_unknown"


class ServiceUnavailable(Denied):
    code = "service_unavailable"


class ObligationUnfulfillable(Denied):
    code = "obligation_unfulfillable"


class BundleRejected(AirlockError):
    code = "bundle_rejected"


class ChainBroken(AirlockError):
    """`producer_id`, `epoch`, `seq` name the first event that does not verify."""

    code = "chain_broken"

    def __init__(self, message: str, *, hint: str = "", producer_id: str = "", epoch: int = 0, seq: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.producer_id = producer_id
        self.epoch = epoch
        self.seq = seq


class LogError(AirlockError):
    code = "log_error"


class NoteInvalid(LogError):
    code = "note_invalid"


class ProofInvalid(LogError):
    code = "proof_invalid"


class LogDamaged(LogError):
    """`index` is the first leaf that is concerned, -1 where none can be named."""

    code = "log_damaged"

    def __init__(self, message: str, *, hint: str = "", index: int = -1) -> None:
        super().__init__(message, hint=hint)
        self.index = index


class LogUnavailable(LogError):
    code = "log_unavailable"


class TextGone(AirlockError):
    code = "text_gone"


class VaultRefused(AirlockError):
    code = "vault_refused"


class BackboneError(AirlockError):
    code = "backbone_error"


class KafkaUnavailable(BackboneError):
    """Worth another try later, unless it is said that the brokers refuse us."""

    code = "kafka_unavailable"


class TopicRefused(BackboneError):
    code = "topic_refused"


class RelayRefused(BackboneError):
    code = "relay_refused"


class SinkRefused(BackboneError):
    code = "sink_refused"


class SettingsError(AirlockError):
    code = "settings_error"


class ApprovalError(AirlockError):
    code = "approval_error"
