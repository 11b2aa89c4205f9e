"""A real Kafka broker on loopback, without containers: one Java process that is broker and controller (KRaft).

    broker = Broker(folder)
    broker.start()
    broker.create_topics("x.events.v1", partitions=3)
    broker.kill()       SIGKILL, as a crash would
    broker.start()      again, on the same port and over the same folder

The jars and the class-data archive (it halves the start-up) come from tools/fetch.py. Only the standard library is
needed to run a broker; the helpers that speak to it import kafka-python.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support import toolchains

if TYPE_CHECKING:
    from ingest.kafka_settings import KafkaSettings

START_S = 60.0
STOP_S = 15.0
ARCHIVE = "classes.jsa"
_SMALL = ("-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Xlog:disable",
          "-Dlog4j2.level=WARN", "-Djava.awt.headless=true")  # fmt: skip
_PORTS = (20_000, 32_000)
"""Below the ports that the kernel gives to clients: a broker that is away for a moment must find its own free."""


class BrokerFailed(RuntimeError):
    """The broker did not come up; the message holds the end of its log."""


def free_port() -> int:
    """A free port that no client's end of a connection takes while the broker is away."""
    low, high = _PORTS
    start = low + int.from_bytes(os.urandom(4), "big") % (high - low)
    for port in [*range(start, high), *range(low, start)]:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise BrokerFailed("no free port")


class Broker:
    """One broker over `folder`, which it makes. Plain text on a loopback port that stays the same over restarts.

    `settings` are added to server.properties or replace what stands there. `{port}` in their values is the broker's
    port, `{extra}` a second free one (`extra_port`), for another listener, `{controller}` the controller's.
    """

    def __init__(
        self, folder: Path, port: int = 0, *, settings: Mapping[str, str] | None = None,
        java_options: Iterable[str] = (),
    ) -> None:  # fmt: skip
        self.folder = folder
        self.port = port or free_port()
        self.controller_port = free_port()
        self.extra_port = free_port()
        self._settings = dict(settings or {})
        self._java_options = tuple(java_options)
        self._process: subprocess.Popen[bytes] | None = None

    # ── the process ─────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def bootstrap(self) -> str:
        """HOST:PORT, as clients want it."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self.alive() and self._process else None

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> str:
        """Start and wait until it answers; the bootstrap address. Raises BrokerFailed."""
        if self.alive():
            return self.bootstrap
        properties = self.folder / "server.properties"
        if not properties.exists():
            self._format(properties)
        with (self.folder / "server.log").open("ab") as out:
            self._process = subprocess.Popen(
                self._command("kafka.Kafka", str(properties)), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out,
                stderr=out, start_new_session=True,
            )  # fmt: skip
        end = time.monotonic() + START_S
        while not _answers(self.port):
            if not self.alive() or time.monotonic() > end:
                self.kill()
                raise BrokerFailed(f"the broker did not start: {self._log_end()}")
            time.sleep(0.05)
        return self.bootstrap

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL when that takes too long."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def restart(self) -> str:
        self.stop()
        return self.start()

    # ── what is in it ───────────────────────────────────────────────────────────────────────────────────────────────

    def create_topics(
        self, *names: str, partitions: int = 3, configs: Mapping[str, str] | None = None, replication: int = 1
    ) -> None:
        """Create the topics, all alike, and wait until they have leaders. Never compacted, kept for ever, unless
        `configs` says otherwise."""
        kept = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1", **(configs or {})}
        wanted = {"num_partitions": partitions, "replication_factor": replication, "configs": kept}
        with self.admin() as admin:
            admin.create_topics(dict.fromkeys(names, wanted), wait_for_metadata=True)

    @contextlib.contextmanager
    def admin(self) -> Iterator[Any]:
        """A kafka.KafkaAdminClient."""
        from kafka import KafkaAdminClient

        client = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            yield client
        finally:
            client.close()

    def records(self, topic: str, *, deadline_s: float = 60.0) -> list[Any]:
        """All records that the topic has now (kafka ConsumerRecord), partition after partition, in their order."""
        from kafka import KafkaConsumer, TopicPartition

        consumer = KafkaConsumer(
            bootstrap_servers=self.bootstrap, auto_offset_reset="earliest", enable_auto_commit=False,
            max_poll_records=10_000,
        )  # fmt: skip
        try:
            places = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
            consumer.assign(places)
            ends = consumer.end_offsets(places)
            found: dict[Any, list[Any]] = {place: [] for place in places}
            end = time.monotonic() + deadline_s
            while any(consumer.position(place) < ends[place] for place in places):
                for place, records in consumer.poll(timeout_ms=200).items():
                    found[place] += records
                if time.monotonic() > end:
                    raise AssertionError(f"{topic} was not read within {deadline_s} s")
            return [record for place in places for record in found[place] if record.offset < ends[place]]
        finally:
            consumer.close()

    # ── inside ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _format(self, properties: Path) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "tmp").mkdir(exist_ok=True)
        settings = {**self._defaults(), **self._settings}
        places = {"port": str(self.port), "extra": str(self.extra_port), "controller": str(self.controller_port)}
        lines = [f"{name}={_filled(value, places)}" for name, value in settings.items()]
        written = properties.with_suffix(".new")
        written.write_text("\n".join(lines) + "\n", encoding="utf-8")
        cluster = "A" + urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]  # one that begins with - is an option
        done = subprocess.run(
            self._command("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(written)),
            cwd=self.folder, capture_output=True, text=True, check=False, timeout=START_S,
        )  # fmt: skip
        if done.returncode:
            raise BrokerFailed(f"the broker's folder could not be formatted: {(done.stdout + done.stderr)[-2000:]}")
        written.replace(properties)

    def _defaults(self) -> dict[str, str]:
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": str(self.folder / "data"),
            "auto.create.topics.enable": "false",
            "num.partitions": "3",
            "default.replication.factor": "1",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            "broker.session.timeout.ms": "2000",
            "broker.heartbeat.interval.ms": "400",
            "num.network.threads": "2",
            "num.io.threads": "4",
            "log.cleaner.dedupe.buffer.size": "4194304",
            "log.segment.bytes": "67108864",
            "log.index.size.max.bytes": "1048576",
        }

    def _command(self, main: str, *arguments: str) -> list[str]:
        jars = toolchains.kafka()
        java = toolchains.program("java")
        if jars is None or java is None:
            raise BrokerFailed(f"no broker here: it needs Java 17 and the jars; {toolchains.FETCH}")
        archive = jars / ARCHIVE
        shared = [f"-XX:SharedArchiveFile={archive}"] if archive.exists() else []
        options = [*_SMALL, f"-Djava.io.tmpdir={self.folder / 'tmp'}", *shared, *self._java_options]
        return [str(java), *options, "-cp", _class_path(jars), main, *arguments]

    def _log_end(self) -> str:
        log = self.folder / "server.log"
        return log.read_text(encoding="utf-8", errors="replace")[-3000:] if log.exists() else ""


@contextlib.contextmanager
def running_broker(settings: Mapping[str, str] | None = None) -> Iterator[Broker]:
    """A running broker in a temporary folder, which goes with it."""
    folder = Path(tempfile.mkdtemp(prefix="airlock-kafka-"))
    broker = Broker(folder, settings=settings)
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()
        shutil.rmtree(folder, ignore_errors=True)


def settings_for(broker: Broker, prefix: str, **more: Any) -> KafkaSettings:
    """The settings `[kafka]` for a broker of these tests: one copy, three partitions."""
    from ingest.kafka_settings import KafkaSettings

    given = {"partitions": 3, "replication": 1, **more}
    return KafkaSettings(bootstrap_servers=(broker.bootstrap,), topic_prefix=prefix, **given)


def make_archive(jars: Path) -> None:
    """The class-data archive of `jars`: what a broker loads, written at its end. Raises BrokerFailed."""
    target = jars / ARCHIVE
    made = jars / f"{ARCHIVE}.{os.getpid()}"
    folder = Path(tempfile.mkdtemp(prefix="airlock-kafka-"))
    broker = Broker(folder, java_options=[f"-XX:ArchiveClassesAtExit={made}"])
    try:
        broker.start()
        broker.stop()
        if not made.exists():
            raise BrokerFailed(f"Java wrote no class-data archive: {broker._log_end()}")
        made.replace(target)
    finally:
        broker.kill()
        shutil.rmtree(folder, ignore_errors=True)
        made.unlink(missing_ok=True)


def _class_path(jars: Path) -> str:
    """The order is part of the archive's identity."""
    return ":".join(str(jar) for jar in sorted(jars.glob("*.jar")))


def _filled(value: str, places: Mapping[str, str]) -> str:
    for name, place in places.items():
        value = value.replace("{" + name + "}", place)
    return value


def _answers(port: int) -> bool:
    """Whether a broker answers an ApiVersions request (version 0, which every broker takes)."""
    body = struct.pack(">hhih", 18, 0, 1, -1)
    try:
        with socket.create_connection(("127.0.0.1", port), 1.0) as connection:
            connection.settimeout(5.0)
            connection.sendall(struct.pack(">i", len(body)) + body)
            answer = connection.recv(10)
    except OSError:
        return False
    return len(answer) == 10 and answer[4:10] == struct.pack(">ih", 1, 0)


if __name__ == "__main__":
    found = toolchains.kafka()
    if found is None:
        sys.exit("the broker's jars are missing")
    make_archive(found)
