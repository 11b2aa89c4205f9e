"""Making the topics and looking at them: what ingest.topics says they have to be like, asked of the brokers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import kafka.errors as errors
from kafka.admin import ConfigResource, ConfigResourceType

from decision.model.errors import KafkaUnavailable, TopicRefused
from ingest.kafka_clients import admin, why
from ingest.kafka_settings import KafkaSettings
from ingest.topics import Complaint, TopicFound, complaints, workers_complaints

READY_MS = 20_000


@dataclass(frozen=True, slots=True)
class ClusterFound:
    """`cluster_id` names the brokers' cluster; `topics` are ours that exist, by name; `made` those made just now."""

    cluster_id: str
    brokers: int
    topics: dict[str, TopicFound]
    made: tuple[str, ...] = ()


def ensure_topics(settings: KafkaSettings, names: Sequence[str] = ()) -> ClusterFound:
    """For the start of every service: make what is missing where `create_topics` allows that, then demand that they
    are sound. Raises TopicRefused naming what is wrong and the command that mends it; KafkaUnavailable.

    `names`, here and below: which of our topics; without them those that every service needs.
    """
    found = make_topics(settings, names) if settings.create_topics else look(settings, names)
    wrong = judge(settings, found, names)
    if wrong:
        more = f" (and {len(wrong) - 1} more: airlock kafka check)" if len(wrong) > 1 else ""
        raise TopicRefused(f"the topic {wrong[0].topic} is refused: {wrong[0].message}{more}", hint=wrong[0].remedy)
    return found


def look(settings: KafkaSettings, names: Sequence[str] = ()) -> ClusterFound:
    """What there is. Raises KafkaUnavailable."""
    with admin(settings) as client:
        return _look(client, names or settings.topics.all)


def make_topics(settings: KafkaSettings, names: Sequence[str] = ()) -> ClusterFound:
    """Make the topics that are missing; what there is then. Raises TopicRefused where the brokers refuse that."""
    with admin(settings) as client:
        names = names or settings.topics.all
        before = _look(client, names)
        missing = [name for name in names if name not in before.topics]
        if not missing:
            return before
        for name in missing:
            _make(client, settings, name)
        client.wait_for_topics(missing, timeout_ms=READY_MS)
        after = _look(client, names)
        return ClusterFound(after.cluster_id, after.brokers, after.topics, tuple(missing))


def judge(settings: KafkaSettings, found: ClusterFound, names: Sequence[str] = ()) -> list[Complaint]:
    """Everything that is wrong with the topics."""
    topics, names = settings.topics, names or settings.topics.all
    wrong = [
        Complaint(name, "it does not exist", "airlock kafka topics create")
        for name in names
        if name not in found.topics
    ]
    bootstrap = ",".join(settings.bootstrap_servers)
    for name in names:
        if name not in found.topics:
            continue
        if name in topics.trail:
            wrong += complaints(found.topics[name], settings.shape, bootstrap=bootstrap)
        elif name in topics.workers:
            policy = topics.configs(name, settings.shape)["cleanup.policy"]
            wrong += workers_complaints(found.topics[name], policy, bootstrap=bootstrap)
    return wrong


def _make(client: Any, settings: KafkaSettings, name: str) -> None:
    shape = settings.shape
    wanted = {
        "num_partitions": shape.partitions,
        "replication_factor": shape.replication,
        "configs": settings.topics.configs(name, shape),
    }
    try:
        client.create_topics({name: wanted})
    except errors.TopicAlreadyExistsError:
        return  # another service was first
    except errors.InvalidReplicationFactorError as error:
        raise TopicRefused(
            f"the topic {name} can't have {shape.replication} copies: there are fewer brokers",
            hint="[kafka] replication = 1 for a single broker; with 3 the trail survives the loss of one",
        ) from error
    except errors.BrokerResponseError as error:
        if isinstance(error, errors.RetriableError):
            raise KafkaUnavailable(f"the topic {name} could not be made now: {why(error)}", hint="try again") from error
        raise TopicRefused(
            f"the topic {name} can't be made: {why(error)}",
            hint="allow us Create on the cluster, or make the topics yourself (airlock kafka topics create --print)",
        ) from error


def _look(client: Any, names: Sequence[str]) -> ClusterFound:
    cluster = client.describe_cluster()
    described = [topic for topic in client.describe_topics(list(names)) if topic["error_code"] == 0]
    configs = _configs(client, [topic["name"] for topic in described])
    topics = {
        topic["name"]: TopicFound(
            name=topic["name"],
            topic_id=str(topic["topic_id"] or ""),
            partitions=len(topic["partitions"]),
            replication=min((len(one["replica_nodes"]) for one in topic["partitions"]), default=0),
            configs=configs.get(topic["name"], {}),
            rights=frozenset(topic.get("authorized_operations") or ()),
        )
        for topic in described
    }
    return ClusterFound(str(cluster["cluster_id"] or ""), len(cluster["brokers"]), topics)


def _configs(client: Any, names: list[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    answer = client.describe_configs(resources, config_filter="all")
    return {
        name: {key: str(one["value"]) for key, one in entries.items()}
        for name, entries in answer.get("topic", {}).items()
    }
