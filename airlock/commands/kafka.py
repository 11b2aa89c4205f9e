"""`airlock kafka`: what the brokers hold of ours, and whether it is as it must be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from airlock.commands.common import config_option, format_option, show_rows
from airlock.commands.node import folder_option
from airlock.settings import load_settings
from decision.model.errors import AirlockError

if TYPE_CHECKING:
    from ingest.kafka_settings import KafkaSettings
    from ingest.kafka_topics import ClusterFound

COLUMNS = ("what", "state", "found", "remedy")
NEEDED = ("READ", "WRITE", "DESCRIBE")


def load_kafka(config: Path | None, data_dir: str | None) -> KafkaSettings:
    """`[kafka]`. Raises SettingsError where there is none."""
    from ingest.kafka_clients import quiet

    settings = load_settings(config, data_dir=data_dir).kafka.demand()
    quiet()
    return settings


@click.group("kafka")
def kafka() -> None:
    """Check Kafka and its topics, make them, export what they hold. Where the brokers are stands in [kafka]."""


@kafka.command("check")
@config_option
@folder_option
@format_option
@click.pass_context
def check(context: click.Context, config: Path | None, data_dir: str | None, form: str) -> None:
    """Whether the brokers answer, and whether each topic is as it must be; exit status 1 if something is wrong."""
    from ingest.kafka_topics import look

    settings = load_kafka(config, data_dir)
    try:
        rows = list(findings(settings, look(settings, settings.topics.every)))
    except AirlockError as error:
        rows = [{"what": "brokers", "state": "bad", "found": error.message, "remedy": error.hint}]
    show_rows(COLUMNS, rows, form)
    if any(row["state"] == "bad" for row in rows):
        context.exit(1)


def findings(settings: KafkaSettings, found: ClusterFound) -> Iterator[dict[str, str]]:
    """One row for the brokers, and for each topic one, or one for each complaint."""
    from ingest.kafka_topics import judge

    few = found.brokers < settings.replication
    yield {
        "what": "brokers",
        "state": "note" if few else "good",
        "found": f"{found.brokers}, cluster {found.cluster_id}",
        "remedy": f"fewer than replication = {settings.replication}" if few else "",
    }
    wrong = judge(settings, found, settings.topics.every)
    for name in settings.topics.every:
        about = [one for one in wrong if one.topic == name]
        for one in about:
            yield {"what": name, "state": "bad", "found": one.message, "remedy": one.remedy}
        topic = found.topics.get(name)
        if topic is None or about:
            continue
        lacking = [right for right in NEEDED if topic.rights and right not in topic.rights]
        yield {
            "what": name,
            "state": "note" if lacking else "good",
            "found": f"{topic.partitions} partitions, {topic.replication} copies",
            "remedy": f"we lack {', '.join(lacking)} on it: fine where another service does that" if lacking else "",
        }


@kafka.group("topics")
def topics() -> None:
    """The topics under the prefix."""


@topics.command("create")
@config_option
@folder_option
@click.option("--print", "printed", is_flag=True, help="Only print the commands, for whoever may make topics.")
def create(config: Path | None, data_dir: str | None, printed: bool) -> None:
    """Make the topics that are missing, those of the workers too, with the settings that they need."""
    from ingest.kafka_topics import ensure_topics, make_topics

    settings = load_kafka(config, data_dir)
    if printed:
        for line in commands(settings):
            click.echo(line)
        return
    made = make_topics(settings, settings.topics.every).made
    for name in made:
        click.echo(f"made {name}: {settings.partitions} partitions, {settings.replication} copies")
    ensure_topics(settings, settings.topics.every)
    if not made:
        click.echo("all topics are there, and as they must be")


def commands(settings: KafkaSettings) -> Iterator[str]:
    """The same by Kafka's own tools."""
    shape = settings.shape
    for name in settings.topics.every:
        parts = [
            f"kafka-topics.sh --bootstrap-server {','.join(settings.bootstrap_servers)} --create --topic {name}",
            f"--partitions {shape.partitions} --replication-factor {shape.replication}",
        ]
        configs = settings.topics.configs(name, shape)
        yield " ".join([*parts, *(f"--config {key}={value}" for key, value in configs.items())])


@kafka.command("export")
@config_option
@folder_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The file to write; `airlock verify` takes it.",
)
@click.option("--topic", "names", multiple=True, help="Which topics (default: the events'). May be repeated.")
def export(config: Path | None, data_dir: str | None, output: Path, names: tuple[str, ...]) -> None:
    """Write what the events' topic holds now into one file, to be verified offline or kept as evidence."""
    from ingest.kafka_export import write_export
    from ingest.kafka_reading import topic_records

    settings = load_kafka(config, data_dir)
    chosen = names or (settings.topics.events,)
    found = topic_records(settings, chosen)
    staging = output.with_name(output.name + ".part")
    try:
        with staging.open("wb") as file:
            count = write_export(file, found.spans, found.records)
        staging.replace(output)
    finally:
        staging.unlink(missing_ok=True)
    click.echo(f"{count} records of {', '.join(chosen)} in {output}")
