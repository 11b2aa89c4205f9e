"""One run: the composition, load, kills, calm, and the account of what became of every acknowledged decision."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from airlock.parts import read_classified
from decision.model.principal import PrincipalKind
from tests.chaos import check
from tests.chaos.kills import Killer
from tests.chaos.load import Seen, Service, ask, consent, use
from tests.support.composition import Composition

SETTLE_S = 120.0


@dataclass
class Account:
    """`figures` for people; `wrong` is empty when all is well."""

    figures: dict[str, int] = field(default_factory=dict)
    kills: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


async def storm(
    folder: Path, upstream: str, *, seed: int, seconds: float, askers: int = 2, clients: int = 2
) -> Account:
    """Start everything in `folder`, kill for `seconds` under load, let it calm down, and account.

    `upstream` is the DSN of the demo database; `askers` is by decision service, `clients` in all.
    """
    composition = Composition(folder, upstream)
    account = Account()
    seen = Seen()
    try:
        await asyncio.to_thread(composition.start)
        await _run(composition, upstream, seen, account, seed, seconds, askers, clients)
        await _calm(composition, account)
        for complaint in composition.complaints():
            account.wrong.append(complaint)
    finally:
        ended = await asyncio.to_thread(composition.stop)
    account.wrong += [
        f"{name} ended with status {status} when asked to end" for name, status in ended.items() if status
    ]
    await asyncio.to_thread(_account, composition, seen, account)
    return account


async def _run(
    composition: Composition, upstream: str, seen: Seen, account: Account, seed: int, seconds: float, askers: int,
    clients: int,
) -> None:  # fmt: skip
    snapshot = await read_classified(upstream, "shop")
    ending = asyncio.Event()
    load = []
    services = [
        Service(composition.target(number), composition.token_file(number), snapshot)
        for number in range(len(composition.services))
    ]
    for number, service in enumerate(services):
        for asker in range(askers):
            credential = composition.credential(f"asker-{number}-{asker}", PrincipalKind.SERVICE, ("migrations",))
            load.append(asyncio.create_task(ask(service, credential, seen, ending, seed * 100 + number * 10 + asker)))
    dora, dan = composition.credential("dora", groups=("developers",)), composition.credential("dan", groups=("dba",))
    load.append(asyncio.create_task(consent(services, dora, dan, seen, ending)))
    for client in range(clients):
        password = composition.credential(f"client-{client}", groups=("support",))
        dsn = f"host=127.0.0.1 port={composition.proxy_port} dbname=shop user=client-{client} password={password}"
        load.append(asyncio.create_task(use(dsn, seen, ending, seed * 100 + 50 + client)))
    killer = Killer(composition, seed)
    await killer.run(seconds)
    account.kills = killer.kills
    killer.keep_all()
    await asyncio.sleep(6)  # some load on the whole composition again
    ending.set()
    await asyncio.gather(*load)


async def _calm(composition: Composition, account: Account) -> None:
    """Until everything durable has arrived everywhere."""
    end = asyncio.get_running_loop().time() + SETTLE_S
    missing = "nothing was looked at"
    while missing:
        if asyncio.get_running_loop().time() > end:
            account.wrong.append(f"after {SETTLE_S:.0f} s of calm: {missing}")
            return
        await asyncio.sleep(1)  # between two looks at everything
        missing = await asyncio.to_thread(_missing, composition)


def _missing(composition: Composition) -> str:
    """What has not arrived yet; empty when nothing is left."""
    journals = check.in_journals(composition)
    kafka = check.in_kafka(composition, "chaos.events.v1")
    if late := len(journals.places.keys() - kafka.places.keys()):
        return f"{late} events are not in Kafka"
    shown = check.in_duckdb(composition)
    if late := len(kafka.places.keys() - shown.places.keys()):
        return f"{late} events are not in DuckDB"
    leaves = check.events_of_tree(composition.sequencer.data_dir / "log")
    if late := set(kafka.bytes_of.values()) - leaves.keys() - kafka.checkpoints:
        return f"{len(late)} events are no leaves"
    return ""


def _account(composition: Composition, seen: Seen, account: Account) -> None:
    """Compare all stores. The parts are stopped; the broker is started again to be read."""
    wrong = account.wrong
    composition.broker.start()
    try:
        kafka = check.in_kafka(composition, "chaos.events.v1")
        wrong += _verified(composition)
    finally:
        composition.broker.stop()
    journals = check.in_journals(composition)
    shown = check.in_duckdb(composition)
    leaves = check.events_of_tree(composition.sequencer.data_dir / "log")
    acknowledged = seen.acknowledged
    for name, found in (("journal", journals), ("Kafka", kafka), ("DuckDB", shown)):
        if lost := acknowledged - found.decisions.keys():
            wrong.append(f"{len(lost)} acknowledged decisions are not in {name}, such as {min(lost)}")
        if found.places.keys() != journals.places.keys():
            wrong.append(f"{name} has other events than the journals")
    doubled = [what for what, times in (*shown.decisions.items(), *shown.places.items()) if times != 1]
    if doubled:
        wrong.append(f"{len(doubled)} events or decisions stand in DuckDB more than once, such as {doubled[0]}")
    if changed := [place for place, raw in kafka.bytes_of.items() if journals.bytes_of.get(place) != raw]:
        wrong.append(f"{len(changed)} events have other bytes in Kafka than in the journal, such as {changed[0]}")
    if kafka.disorder:
        wrong.append(f"{len(kafka.disorder)} disorders in Kafka, such as {kafka.disorder[0]}")
    events = set(journals.bytes_of.values())
    if strange := leaves.keys() - events:
        wrong.append(f"{len(strange)} leaves are no events of the journals")
    if missing := events - leaves.keys() - journals.checkpoints:  # the last checkpoint's own event waits for the next
        wrong.append(f"{len(missing)} events are no leaves")
    if twice := [leaf for leaf, times in leaves.items() if times != 1]:
        wrong.append(f"{len(twice)} events are several leaves")
    if twice_run := [text for text, times in seen.let_through.items() if times > 1]:
        wrong.append(f"{len(twice_run)} grants let their statement through more than once")
    account.figures = {
        "acknowledged decisions": len(acknowledged),
        "askings that failed": seen.failures,
        "events in the journals": len(journals.places),
        "records in Kafka": sum(kafka.places.values()),
        "of them repeated": sum(kafka.places.values()) - len(kafka.places),
        "events in DuckDB": len(shown.places),
        "leaves": sum(leaves.values()),
        "grants": seen.grants,
        "of them used": sum(seen.let_through.values()),
        "kills": sum(account.kills.values()),
    }


def _verified(composition: Composition) -> list[str]:
    """What `airlock verify` says of each store, held against the signed tree."""
    log = ("--log", str(composition.sequencer.data_dir / "log"))
    stores: list[tuple[str, ...]] = [("--journal", str(part.data_dir / "journal")) for part in composition.services]
    stores += [("--parquet", str(composition.sink.data_dir / "analytics"), "--rows")]
    stores += [("--kafka", "--config", str(composition.config))]
    return [complaint for store in stores for complaint in _verify(composition, *log, *store)]


def _verify(composition: Composition, *arguments: str) -> list[str]:
    try:
        composition.airlock("verify", *arguments, "--format", "json")
    except AssertionError as error:
        return [f"airlock verify {' '.join(arguments)}: {error}"]
    return []


def told(account: Account) -> str:
    """For people."""
    lines = [f"  {value:>9,}  {name}" for name, value in account.figures.items()]
    lines.append("  killed: " + ", ".join(f"{name} {times}" for name, times in sorted(account.kills.items())))
    lines += [f"  WRONG: {one}" for one in account.wrong]
    return "\n".join(lines)


def written(account: Account, seed: int) -> str:
    return json.dumps(
        {"seed": seed, "figures": account.figures, "kills": account.kills, "wrong": account.wrong}, indent=1
    )
