"""A decision service and an enforcement point as two processes, and what Prometheus reads of each."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from airlock.demo.postgres import free_port
from tests.e2e.support import Running, eventually, running

pytestmark = pytest.mark.postgres
Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]
LITERAL = "zebra-4711"
PEOPLE = ("alice", "mallory")


@dataclass
class Pair:
    service: Running
    proxy: Running

    def scrape(self, of: Running, name: str) -> tuple[Series, str]:
        address = json.loads((of.data_dir / "metrics" / f"{name}.json").read_text())["address"]
        with urllib.request.urlopen(f"{address}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        found: Series = {}
        for family in text_string_to_metric_families(text):
            for one in family.samples:
                key = one.name, tuple(sorted(one.labels.items()))
                assert key not in found, f"{key} stands there twice"
                found[key] = one.value
        return found, text


@pytest.fixture(scope="module")
def pair(folder: Path, shop: str) -> Iterator[Pair]:
    target = f"127.0.0.1:{free_port()}"
    config = folder / "metrics.toml"
    config.write_text(
        f'[[database]]\nname = "shop"\nenvironment = "dev"\nupstream = "{shop}"\n[metrics]\nlisten = "127.0.0.1:0"\n'
    )
    with ExitStack() as stack:
        service = stack.enter_context(
            running("--config", str(config), "--grpc", target, data_dir=folder / "ms", command="serve")
        )
        extra = {
            "AIRLOCK_PROXY__DECISION_SERVICE": target,
            "AIRLOCK_PROXY__TOKEN_FILE": str(folder / "ms" / "keys" / "grpc.token"),
        }
        proxy = stack.enter_context(
            running("--config", str(config), "--listen", "127.0.0.1:0", data_dir=folder / "mp", command="proxy",
                    extra=extra)
        )  # fmt: skip
        yield Pair(service, proxy)


def of(series: Series, name: str, **labels: str) -> float:
    return series[name, tuple(sorted(labels.items()))]


def test_both_processes_count_what_happened(pair: Pair) -> None:
    """A decision, its event, its execution and its bytes are numbers; who asked and what for are not."""
    before, _ = pair.scrape(pair.service, "serve")
    with psycopg.connect(pair.proxy.conninfo(pair.service.token("alice")), autocommit=True) as connection:
        rows = connection.execute("SELECT id FROM products WHERE name <> 'zebra-4711' LIMIT 3").fetchall()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT pg_read_file('zebra-4711')")
        with pytest.raises(psycopg.errors.SyntaxError):
            connection.execute("SELEC 'zebra-4711'")
        during, _ = pair.scrape(pair.proxy, "proxy")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(pair.proxy.conninfo("mallory"))
    assert len(rows) == 3
    assert of(during, "airlock_proxy_sessions_open") == 1

    def reported() -> bool:
        series = pair.scrape(pair.service, "serve")[0]
        return of(series, "airlock_executions_total") > of(before, "airlock_executions_total") and (
            of(series, "airlock_sessions_open") == 0
        )

    eventually(reported, what="the execution reported")
    service, service_text = pair.scrape(pair.service, "serve")
    proxy, proxy_text = pair.scrape(pair.proxy, "proxy")
    for effect, least in (("allow", 1), ("deny", 2)):
        assert of(service, "airlock_decisions_total", effect=effect) >= least
        assert of(service, "airlock_decisions_total", effect=effect) == of(
            service, "airlock_decision_duration_seconds_count", effect=effect
        )
        assert of(proxy, "airlock_proxy_decisions_total", effect=effect) == of(
            service, "airlock_decisions_total", effect=effect
        )
    assert of(service, "airlock_denials_total", reason="syntax_refused") == 1
    assert of(service, "airlock_sessions_opened_total") == of(proxy, "airlock_proxy_sessions_total") == 1
    assert of(service, "airlock_sessions_refused_total", reason="credential_invalid") == 1
    assert of(proxy, "airlock_proxy_sign_in_failures_total", reason="denied") == 1
    assert of(service, "airlock_journal_appends_total") >= 7
    assert of(service, "airlock_journal_appends_total") >= of(service, "airlock_journal_commit_duration_seconds_count")
    assert of(service, "airlock_journal_commit_duration_seconds_sum") > 0
    assert 0 < of(service, "airlock_journal_used_bytes") < of(service, "airlock_journal_quota_bytes")
    assert of(service, "airlock_policy_evaluations_total") >= 2
    assert of(proxy, "airlock_proxy_executions_total", outcome="completed") == 1
    assert of(proxy, "airlock_proxy_rows_total") == 3
    assert of(proxy, "airlock_proxy_bytes_total", direction="out") > of(
        proxy, "airlock_proxy_bytes_total", direction="in"
    )
    assert of(proxy, "airlock_proxy_execution_duration_seconds_count") == 1
    for text in (service_text, proxy_text):
        assert of(service, "airlock_metrics_dropped_total") == 0
        assert of(service, "airlock_metrics_failures_total") == 0
        assert not [word for word in (LITERAL, *PEOPLE, "products", "pg_read_file") if word in text]


def test_denials_given_alone_are_counted_where_they_are_given(pair: Pair) -> None:
    """With no decision service the enforcement point denies by itself; the service hears of it later."""
    token = pair.service.token("alice")
    with psycopg.connect(pair.proxy.conninfo(token), autocommit=True) as connection:
        connection.execute("SELECT 1")
        pair.service.process.send_signal(19)  # SIGSTOP: it does not answer
        try:
            with pytest.raises(psycopg.Error):
                connection.execute("SELECT 2")
            series, _ = pair.scrape(pair.proxy, "proxy")
        finally:
            pair.service.process.send_signal(18)
    alone = sum(value for (name, _), value in series.items() if name == "airlock_proxy_denied_alone_total")
    assert alone >= 1
    assert of(series, "airlock_proxy_unanswered_total") >= 1
    told = eventually(lambda: of(pair.scrape(pair.service, "serve")[0], "airlock_gap_denials_total"))
    assert told >= 1
