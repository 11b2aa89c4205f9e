"""Verification composed: the stores that there are, each by itself, then held against the one that vouches for it.

The log vouches first, as its root is signed; where there is none, the journal does. Bundles and proofs bring their own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from airlock.verification_export import Taken, record_at
from analytics.verify_bundle import check_bundle
from analytics.verify_claims import Claims
from analytics.verify_compare import compare
from analytics.verify_entries import Fetch, Look, Progress, Report, named
from analytics.verify_journal import KEPT, JournalBase, JournalFile, check_journal
from analytics.verify_ledger import Ledger
from analytics.verify_log import LogReport, check_log
from analytics.verify_parquet import check_parquet
from analytics.verify_records import check_records
from analytics.verify_rows import check_rows
from decision.clock import SystemClock, Uuid7Source
from decision.journal.chain import Head
from decision.journal.notes import VerifierKey
from decision.journal.tiles import TileFolder, TileNodes
from decision.journal.trust import TrustPolicy
from decision.journal.verify_core import Finding, Link, Place, Tampering, of
from decision.model.errors import ChainBroken, LogDamaged, NoteInvalid
from decision.wire.events import ProtobufEventCodec
from ingest.kafka_export import Export, ExportDamaged, read_export

if TYPE_CHECKING:
    from ingest.kafka_settings import KafkaSettings

LAG_NS = 60_000_000_000
"""What the projection may be behind before a missing end is a finding."""

LATE_NS = 3_600_000_000_000
"""What a producer's relay may be late, after an outage, before its events should be leaves."""

CODEC = ProtobufEventCodec()
Told = Callable[[str], Progress]
"""Progress for one store, by its name."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the stores are; None for those that are not to be checked. `rows`: the analysts' tables, too.
    `trusted`, `policy` and `kept`: the log's key, whom to believe, and an older checkpoint, which the person who checks
    has from elsewhere."""

    log: Path | None = None
    journal: Path | None = None
    parquet: Path | None = None
    export: Path | None = None
    broker: KafkaSettings | None = None
    rows: bool = False
    trusted: VerifierKey | None = None
    policy: TrustPolicy | None = None
    kept: bytes | None = None


def found_in(data_dir: Path) -> Sources:
    """The stores of a data folder."""

    def there(folder: str, *marks: str) -> Path | None:
        place = data_dir / folder
        return place if any((place / mark).exists() for mark in marks) else None

    return Sources(
        log=there("log", "checkpoint", "tile/entries"),
        journal=there("journal", "journal.db"),
        parquet=there("analytics", "catalog.duckdb", "segments/events"),
    )


def verify(sources: Sources, now_ns: int, told: Told) -> list[Report]:
    """Check every store, then each against what vouches for it: a report for each, in the order of the data's way
    backwards. Raises what says that a store can't be read at all."""
    with tempfile.TemporaryDirectory(prefix="airlock-verify-") as folder:
        ledger = Ledger(Path(folder))
        try:
            reports = _Run(sources, ledger, now_ns, told).reports()
        finally:
            ledger.close()
        if sources.rows and sources.parquet is not None:
            reports.append(check_rows(sources.parquet, Path(folder), SystemClock(), Uuid7Source(), told("tables")))
        return reports


def verify_bundle(
    path: Path, trusted: VerifierKey | None, progress: Progress, policy: TrustPolicy | None = None
) -> Report:
    """Check an evidence bundle by itself. Raises LogUnavailable where it can't be read."""
    with tempfile.TemporaryDirectory(prefix="airlock-verify-") as folder:
        ledger = Ledger(Path(folder))
        try:
            return check_bundle(ledger, path, CODEC, trusted, progress, policy)
        finally:
            ledger.close()


class _Run:
    def __init__(self, sources: Sources, ledger: Ledger, now_ns: int, told: Told) -> None:
        self._sources = sources
        self._ledger = ledger
        self._now_ns = now_ns
        self._told = told
        self._log: LogReport | None = None
        self._log_finding: Finding | None = None
        self._voucher = ""
        self._voucher_bases: dict[str, Head] = {}
        self._voucher_fetch: Fetch = lambda _: None

    def reports(self) -> list[Report]:
        sources = self._sources
        found: list[Report] = []
        if sources.log is not None:
            self._check_log(sources.log)
        if sources.journal is not None:
            found.append(self._check_journal(sources.journal))
        if sources.parquet is not None:
            found.append(self._check_parquet(sources.parquet))
        if sources.export is not None:
            found.append(self._check_export(sources.export))
        if sources.broker is not None:
            found.append(self._check_broker(sources.broker))
        if self._log is not None:
            report = self._log.report
            found.insert(0, replace(report, finding=report.finding or self._log_finding))
        return found

    # ── the stores ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _check_log(self, folder: Path) -> None:
        sources = self._sources
        told = self._told("log")
        self._log = check_log(self._ledger, "log", folder, CODEC, sources.trusted, sources.kept, told, sources.policy)
        if self._log.report.good and self._log.size:
            self._voucher, size = "log", self._log.size
            self._voucher_fetch = lambda place: TileFolder(folder).entry(place.spot, size)

    def _check_journal(self, folder: Path) -> Report:
        with self._claims("journal") as look:
            report, base = check_journal(self._ledger, "journal", folder, CODEC, self._told("journal"), look)
        bases = {base.producer_id: base.head} if base is not None and base.head.seq else {}
        own = "" if base is None else base.producer_id
        report = self._compared(report, "journal", bases, partial(_from_journal, folder), False, own)
        if self._voucher and report.good and self._ledger.holds(KEPT):
            finding = compare(self._ledger, self._voucher, KEPT, partial=True).finding
            if finding is not None:
                report = replace(report, finding=named(finding, CODEC, partial(_from_journal, folder), report.words))
        if not self._voucher and report.good and base is not None:
            self._voucher, self._voucher_bases = "journal", bases
            self._voucher_fetch = partial(_from_journal, folder)
        return report

    def _check_parquet(self, folder: Path) -> Report:
        with self._claims("parquet") as look:
            report, bases = check_parquet(self._ledger, "parquet", folder, CODEC, self._told("parquet"), look)
        return self._compared(report, "parquet", bases, report.fetch, True)

    def _check_export(self, path: Path) -> Report:
        def fetch(place: Place) -> bytes | None:
            with path.open("rb") as file:
                return record_at(read_export(file), place)

        with path.open("rb") as file:
            try:
                export = read_export(file)
            except ExportDamaged as error:
                finding = Finding(Tampering.EDITED, error.message).at(str(path))
                return Report("kafka", str(path), finding=finding)
            return self._check_records(str(path), export, fetch)

    def _check_broker(self, settings: KafkaSettings) -> Report:
        from ingest.kafka_reading import one_record, topic_records

        topic = settings.topics.events

        def fetch(place: Place) -> bytes | None:
            found = one_record(settings, topic, place.part, place.spot)
            return None if found is None else found.value

        where = f"{topic} at {', '.join(settings.bootstrap_servers)}"
        return self._check_records(where, topic_records(settings, [topic]), fetch)

    def _check_records(self, where: str, export: Export, fetch: Fetch) -> Report:
        topic = next((name for name in export.spans if ".events." in name), next(iter(export.spans), ""))
        taken = Taken(export, topic)
        with self._claims("kafka") as look:
            report = check_records(
                self._ledger, "kafka", where, export.spans.get(topic, {}), taken.records(), CODEC, fetch,
                self._told("kafka"), look,
            )  # fmt: skip
        if taken.damage is not None:
            mine = report.finding or taken.damage
            damage = replace(taken.damage, producer_id=mine.producer_id, epoch=mine.epoch, seq=mine.seq)
            report = replace(report, finding=damage)
        return self._compared(report, "kafka", {}, fetch, True)

    # ── one against the other ───────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _claims(self, store: str) -> Iterator[Look | None]:
        """Collects the checkpoints among a store's events, then holds them against the log as it is now."""
        log = self._log
        if log is None or log.custody is None or not log.report.good:
            yield None
            return
        claims = Claims(self._ledger, store, CODEC, log.custody)
        yield claims.look
        folder = TileFolder(Path(log.report.where))
        size = log.size
        try:
            size = max(size, log.custody.open(folder.checkpoint()).checkpoint.size)
        except NoteInvalid as error:
            self._log_finding = self._log_finding or Finding(Tampering.EDITED, error.message).at("checkpoint")
        finding = claims.check(TileNodes(folder, size), size)
        if finding is not None:
            finding = finding.at(f"the {store}")
        self._log_finding = self._log_finding or finding

    def _compared(
        self, report: Report, store: str, bases: dict[str, Head], fetch: Fetch, lags: bool, only: str = ""
    ) -> Report:
        if not self._voucher or not self._ledger.holds(store):
            return report
        known = self._voucher_bases
        compared = compare(self._ledger, self._voucher, store, voucher_bases=known, bases=bases, only=only)
        report = replace(report, vouched=compared.vouched, beyond=compared.beyond)
        finding, mine = compared.finding or self._left_out(compared.next_ones, fetch), report.finding
        if finding is None or (lags and self._on_its_way(finding)):
            return report
        if mine is not None and (not mine.seq or (mine.producer_id, mine.seq) <= (finding.producer_id, finding.seq)):
            return report  # the store's own finding says more, or the same with its place
        raw = self._voucher_fetch(finding.shown_by) if finding.shown_by is not None else None
        event_id = "" if raw is None else CODEC.decode(raw)[0].id
        finding = named(finding, CODEC, fetch, report.words)
        message = f"{finding.message} (by the {self._voucher})"
        return replace(report, finding=replace(finding, message=message, event_id=finding.event_id or event_id))

    def _left_out(self, next_ones: Iterable[Link], fetch: Fetch) -> Finding | None:
        """What the log should have by now: events of before its newest leaf, by more than any relay is late."""
        newest = 0 if self._log is None or self._voucher != "log" else self._log.newest_ns
        for link in next_ones:
            raw = fetch(link.place)
            if raw is not None and CODEC.decode(raw)[0].time_unix_nano < newest - LATE_NS:
                message = "it is older than the log's newest leaf, and no leaf itself: nothing vouches for it"
                return of(link, Tampering.INSERTED, message)
        return None

    def _on_its_way(self, finding: Finding) -> bool:
        """Whether what is missing is of the last minute: a running system may not have projected it yet, one partition
        later than another."""
        if finding.what not in (Tampering.TRUNCATED, Tampering.DROPPED) or finding.shown_by is None:
            return False
        try:
            raw = self._voucher_fetch(finding.shown_by)
            return raw is not None and self._now_ns - CODEC.decode(raw)[0].time_unix_nano < LAG_NS
        except (ChainBroken, LogDamaged):
            return False


def _from_journal(folder: Path, place: Place) -> bytes | None:
    journal = JournalFile(folder)
    try:
        return journal.at(place)
    finally:
        journal.close()


__all__ = ["CODEC", "JournalBase", "Sources", "found_in", "verify", "verify_bundle"]
