"""The topics: their names, what their records are, and what they have to be like.

| topic | key | value |
|---|---|---|
| `<prefix>.events.v1` | session id, else correlation id, else producer id | the journal's bytes of the event |
| `<prefix>.approvals.v1` | approval id | the bytes of the approval's event: the same record as in events |
| `<prefix>.alerts.v1` | alert id | an AuditEvent with AlertRaised, outside any chain: raised again, it replaces |
| `<prefix>.counters.v1` | principal | a Counters message: the newest one of a key counts |
| `<prefix>.signals.v1` | none: the partition by principal | from worker to worker (ingest.app_records) |
| `<prefix>.firsts.v1` | principal and table | from worker to worker: first times |

Events and approvals are the audit trail: nothing of them may go by compaction or age before its time, and each key's
records stay in one partition for ever. Alerts and counters are derived, and may be compacted. The last two
are the workers' own: no other service needs them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

VERSION = "v1"
DAY_MS = 86_400_000
FOR_EVER = -1
SIGNALS_DAYS = 3


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics under one prefix."""

    prefix: str = "airlock"

    @property
    def events(self) -> str:
        return f"{self.prefix}.events.{VERSION}"

    @property
    def approvals(self) -> str:
        return f"{self.prefix}.approvals.{VERSION}"

    @property
    def alerts(self) -> str:
        return f"{self.prefix}.alerts.{VERSION}"

    @property
    def counters(self) -> str:
        return f"{self.prefix}.counters.{VERSION}"

    @property
    def trail(self) -> tuple[str, str]:
        """Those that are the audit trail itself."""
        return self.events, self.approvals

    @property
    def derived(self) -> tuple[str, str]:
        return self.alerts, self.counters

    @property
    def signals(self) -> str:
        return f"{self.prefix}.signals.{VERSION}"

    @property
    def firsts(self) -> str:
        return f"{self.prefix}.firsts.{VERSION}"

    @property
    def workers(self) -> tuple[str, str]:
        """Those that only the workers use."""
        return self.signals, self.firsts

    @property
    def all(self) -> tuple[str, ...]:
        """Those that every service needs."""
        return *self.trail, *self.derived

    @property
    def every(self) -> tuple[str, ...]:
        return *self.all, *self.workers

    def configs(self, name: str, shape: TopicShape) -> dict[str, str]:
        """The configuration that one of them is made with."""
        configs = shape.configs(derived=name not in self.trail)
        if name == self.signals:
            return {**configs, "cleanup.policy": "delete", "retention.ms": str(SIGNALS_DAYS * DAY_MS)}
        return configs


@dataclass(frozen=True, slots=True)
class TopicShape:
    """What the topics have to be like; see the settings. `message_bytes`: of the largest request to one partition."""

    partitions: int
    replication: int
    insync: int
    retention_days: int
    message_bytes: int

    def configs(self, derived: bool) -> dict[str, str]:
        """The configuration that a topic is made with."""
        common = {"min.insync.replicas": str(self.insync), "max.message.bytes": str(self.message_bytes)}
        if derived:
            return {**common, "cleanup.policy": "compact"}
        return {
            **common,
            "cleanup.policy": "delete",
            "retention.ms": str(retention_ms(self.retention_days)),
            "retention.bytes": "-1",
            "unclean.leader.election.enable": "false",
            "compression.type": "producer",
            "message.timestamp.type": "CreateTime",
        }


@dataclass(frozen=True, slots=True)
class TopicFound:
    """What a topic is like. `configs` hold every setting of it, its broker's defaults included; none where we may not
    ask for them. `rights` are ours on it, in Kafka's words; none where the broker does not say."""

    name: str
    topic_id: str
    partitions: int
    replication: int
    configs: Mapping[str, str]
    rights: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong with a topic, and the command or setting that mends it."""

    topic: str
    message: str
    remedy: str


def retention_ms(days: int) -> int:
    return FOR_EVER if days == FOR_EVER else days * DAY_MS


def complaints(found: TopicFound, shape: TopicShape, *, bootstrap: str) -> Iterator[Complaint]:
    """Why a topic of the trail must not be used. `bootstrap` stands in the commands that mend it."""
    if found.partitions != shape.partitions:
        yield Complaint(
            found.name,
            f"it has {found.partitions} partitions, the settings say {shape.partitions}",
            f"[kafka] partitions = {found.partitions} if it was made so; where partitions were added to it in use, the "
            "order of each session is broken: go on under a new topic_prefix",
        )
    if not found.configs:
        yield Complaint(found.name, "its settings can't be read", "allow us DescribeConfigs on the topic")
        return
    for key, value, why in _wrong(found.configs, shape):
        yield Complaint(found.name, why, _altering(bootstrap, found.name, f"{key}={value}"))


def workers_complaints(found: TopicFound, policy: str, *, bootstrap: str) -> Iterator[Complaint]:
    """Why a topic of the workers must not be used; `policy` is the clean-up that it needs."""
    policies = {one.strip() for one in found.configs.get("cleanup.policy", policy).split(",")}
    if policies != {policy}:
        why = "signals have no key" if policy == "delete" else "what a principal first did would be forgotten"
        yield Complaint(
            found.name,
            f"its cleanup.policy is not {policy}: {why}",
            _altering(bootstrap, found.name, f"cleanup.policy={policy}"),
        )


def _altering(bootstrap: str, name: str, config: str) -> str:
    return (
        f"kafka-configs.sh --bootstrap-server {bootstrap} --alter --entity-type topics --entity-name {name} "
        f"--add-config {config}"
    )


def _wrong(configs: Mapping[str, str], shape: TopicShape) -> Iterator[tuple[str, str, str]]:
    """(setting, what it must be, why) of each setting that could lose or hide events."""
    wanted = shape.configs(derived=False)
    policies = {one.strip() for one in configs.get("cleanup.policy", "delete").split(",")}
    if policies != {"delete"}:
        yield "cleanup.policy", "delete", "it is compacted, which deletes all but the newest event of each session"
    kept, least = _number(configs, "retention.ms", FOR_EVER), retention_ms(shape.retention_days)
    if kept != FOR_EVER and (least == FOR_EVER or kept < least):
        asked = "for ever" if least == FOR_EVER else f"{shape.retention_days} days"
        yield (
            "retention.ms",
            wanted["retention.ms"],
            f"it keeps events {kept / DAY_MS:.1f} days, the settings ask for {asked} ([kafka] retention_days)",
        )
    if _number(configs, "retention.bytes", FOR_EVER) != FOR_EVER:
        yield "retention.bytes", "-1", "it deletes the oldest events beyond a size"
    if configs.get("unclean.leader.election.enable", "false") == "true":
        yield "unclean.leader.election.enable", "false", "a broker that lags may become its leader and drop events"
    if _number(configs, "min.insync.replicas", shape.insync) < shape.insync:
        yield (
            "min.insync.replicas",
            str(shape.insync),
            f"an event counts as relayed with fewer than {shape.insync} copies ([kafka] min_insync_replicas)",
        )
    if _number(configs, "max.message.bytes", shape.message_bytes) < shape.message_bytes:
        yield (
            "max.message.bytes",
            str(shape.message_bytes),
            f"it refuses the relay's largest requests, of {shape.message_bytes} bytes ([kafka] batch_bytes)",
        )
    if configs.get("message.timestamp.type", "CreateTime") != "CreateTime":
        yield "message.timestamp.type", "CreateTime", "it replaces the time of an event by that of its arrival"


def _number(configs: Mapping[str, str], key: str, default: int) -> int:
    try:
        return int(configs.get(key, default))
    except ValueError:
        return default
