"""A log's folder, from its entries to its signed root: nothing in it is believed but a signature of a key one trusts.

What speaks for the keys: the one that is given (`trusted`), which must be one of the log's own list; without it that
list alone, so that whoever could write the folder could have written the list as well. The report's notes say which.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from analytics.verify_claims import Claims
from analytics.verify_entries import Entries, Progress, Recent, Report, choose, named
from analytics.verify_ledger import Checked, Ledger
from decision.journal.codec import EventCodec
from decision.journal.custody import KEYS, VERIFIER, Custody, Opened
from decision.journal.merkle import root_of
from decision.journal.notes import VerifierKey
from decision.journal.tiles import CHECKPOINT, TileFolder, TileNodes
from decision.journal.trust import TrustPolicy
from decision.journal.verify_core import Finding, Place, Tampering
from decision.journal.verify_tree import TreeCheck
from decision.model.errors import LogDamaged, LogUnavailable, NoteInvalid


@dataclass(frozen=True, slots=True)
class LogReport:
    """`custody` None: the keys can't be known; `opened` None: nothing in the folder is signed. `newest_ns`: about when
    the newest leaf happened."""

    report: Report
    custody: Custody | None = None
    opened: Opened | None = None
    newest_ns: int = 0

    @property
    def size(self) -> int:
        return 0 if self.opened is None else self.opened.checkpoint.size


def custody_of(folder: Path, trusted: VerifierKey | None, policy: TrustPolicy | None = None) -> Custody:
    """The keys of the log in `folder`: one of them must be `trusted`, or a log of `policy`. Raises NoteInvalid,
    LogUnavailable."""
    try:
        found = Custody.parse((folder / KEYS).read_bytes(), trusted)
    except FileNotFoundError:
        return policy_custody(policy) if policy is not None and trusted is None else _published(folder, trusted)
    if policy is not None and not set(policy.logs) & set(found.verifiers):
        raise NoteInvalid("the log's keys are none of the policy's logs", hint="this is another log, or another policy")
    return found


def policy_custody(policy: TrustPolicy) -> Custody:
    """A log of which nothing but a policy is known. Raises NoteInvalid."""
    if not policy.logs:
        raise NoteInvalid("the policy names no log", hint="log NAME+ID+KEY")
    return Custody.of(*(key for key in policy.logs if key.name == policy.logs[0].name))


def _published(folder: Path, trusted: VerifierKey | None) -> Custody:
    if trusted is not None:
        return Custody.of(trusted)
    try:
        lines = (folder / VERIFIER).read_text("utf-8").split()
        return Custody.of(*map(VerifierKey.parse, lines))
    except (OSError, UnicodeDecodeError, IndexError):
        raise LogUnavailable(
            f"nothing in {folder} says who signs it", hint="give the log's key with --verifier"
        ) from None


def check_log(
    ledger: Ledger,
    store: str,
    folder: Path,
    codec: EventCodec,
    trusted: VerifierKey | None = None,
    kept: bytes | None = None,
    progress: Progress | None = None,
    policy: TrustPolicy | None = None,
) -> LogReport:
    """Check the log in `folder`; `kept` is a checkpoint of it that somebody kept. Raises LogUnavailable where there is
    no log, NoteInvalid where its checkpoint does not have the cosignatures that `policy` demands."""
    tiles = TileFolder(folder)
    data = tiles.checkpoint()
    if not data:
        if not (folder / "tile").exists():
            raise LogUnavailable(f"there is no log in {folder}", hint="name the folder that holds its checkpoint")
        cut = Finding(Tampering.TRUNCATED, "the log has leaves and no checkpoint").at(str(folder / CHECKPOINT))
        return LogReport(Report(store, str(folder), finding=cut))
    try:
        custody = custody_of(folder, trusted, policy)
    except NoteInvalid as error:
        return LogReport(Report(store, str(folder), finding=_unsigned(error, folder / KEYS)))
    try:
        opened = custody.open(data)
    except NoteInvalid as error:
        return LogReport(Report(store, str(folder), finding=_unsigned(error, folder / CHECKPOINT)), custody)
    cosigned = () if policy is None else policy.check(opened.note)
    size = opened.checkpoint.size
    tree, entries = TreeCheck(tiles, size), Entries(ledger, store, codec)
    claims = Claims(ledger, store, codec, custody)
    for bundle in tree.bundles():
        tree.take(bundle)
        first = bundle.first
        entries.take(bundle.entries, 0, range(first, first + len(bundle.entries)), claims.look)
        if progress is not None:
            progress(entries.taken, size)
    entries.flush()
    checked = ledger.check(store)
    finding, waiting = _finding(tree, entries, claims, checked, opened, tiles, codec)
    if finding is None and kept is not None:
        finding = _extends(kept, custody, tiles, size)
    trusting = trusted is not None or policy is not None
    speaks = "the key that you trust" if trusting else "by the log's own word: give --verifier to trust nobody"
    notes = [f"signed by {opened.signed[0].key.name}, {speaks}"]
    if cosigned:
        notes.append(f"cosigned by {', '.join(sorted({one.key.name for one in cosigned}))}")
    notes += [f"{claims.count} checkpoints among its events"]
    if waiting:
        notes.append(f"{waiting} holes of the last minute: their events are on their way")
    report = Report(
        store, str(folder), checked.events, checked.copies, checked.producers, finding=finding, notes=tuple(notes)
    )
    return LogReport(report, custody, opened, entries.newest_ns)


def _unsigned(error: NoteInvalid, path: Path) -> Finding:
    why = f"{error.message} ({error.hint})" if error.hint else error.message
    return Finding(Tampering.EDITED, why).at(str(path))


def _finding(
    tree: TreeCheck, entries: Entries, claims: Claims, checked: Checked, opened: Opened, tiles: TileFolder,
    codec: EventCodec,
) -> tuple[Finding | None, int]:  # fmt: skip
    """What is wrong with the tree, told as what is wrong with an event; else with the chains in it, else with the
    checkpoints."""
    size = opened.checkpoint.size

    def fetch(place: Place) -> bytes | None:
        try:
            return tiles.entry(place.spot, size)
        except (LogDamaged, IndexError):
            bundles = (bundle for bundle in tree.bundles() if bundle.first <= place.spot < bundle.first + 256)
            return next((one.entries[place.spot - one.first] for one in bundles
                         if place.spot - one.first < len(one.entries)), None)  # fmt: skip

    in_tree = tree.verdict(opened.checkpoint.root)
    copied = None
    if checked.copied is not None:
        copied = Finding(Tampering.INSERTED, "the log has it twice", place=checked.copied)
    on_its_way = Recent(codec, entries.newest_ns, fetch) if checked.producers > 1 else (lambda _: False)
    chain, waiting = choose(checked, entries.unreadable, (copied,), on_its_way)
    if in_tree is not None and in_tree.what is Tampering.FORKED:  # all written anew: older checkpoints know since when
        since = claims.check(TileNodes(tiles, size), size)
        return chain or since or in_tree.at(CHECKPOINT), waiting
    finding = in_tree
    if chain is not None and chain.what is Tampering.FORKED:  # the tree says where, the chain what it is
        finding = chain
    elif in_tree is not None and chain is not None:
        same = chain.place == in_tree.place or entries.unreadable is not None
        if same or in_tree.what in (Tampering.DROPPED, Tampering.TRUNCATED):
            finding = replace(in_tree, producer_id=chain.producer_id, epoch=chain.epoch, seq=chain.seq)
    finding = finding or chain or claims.check(TileNodes(tiles, size), size)
    return (None if finding is None else named(finding, codec, fetch, _words)), waiting


def _words(place: Place) -> str:
    return f"leaf {place.spot}"


def _extends(kept: bytes, custody: Custody, tiles: TileFolder, size: int) -> Finding | None:
    """Whether the log goes on from a checkpoint that somebody kept."""
    try:
        old = custody.open(kept).checkpoint
    except NoteInvalid as error:
        return Finding(Tampering.EDITED, f"the checkpoint that was kept: {error.message}")
    if old.size > size:
        return Finding(
            Tampering.TRUNCATED, f"the log ends at {size}, and the checkpoint that was kept is of {old.size}"
        )
    if root_of(TileNodes(tiles, size), old.size) != old.root:
        return Finding(Tampering.FORKED, f"its first {old.size} leaves are not those of the checkpoint that was kept")
    return None
