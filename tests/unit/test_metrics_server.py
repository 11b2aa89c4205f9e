"""The numbers of a process as Prometheus reads them: their form, their bounds, and who may read them."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from airlock.metrics import MetricsServer, shown_metrics
from airlock.metrics_collect import MOST_SERIES, Families, PartsCollector
from airlock.metrics_handed import STALE_S, HandedSamples, read_handed, write_handed
from airlock.metrics_settings import MetricsSettings
from airlock.settings import Settings
from decision.meter import MOST_REASONS, DecisionMeter, Reasons
from decision.model.decision import Decision, PolicyEffect, RuleResult
from decision.model.errors import SettingsError
from decision.model.metrics import Histogram, Sample, SampleKind, counter, gauge
from tests.support.certificates import Authority
from tests.support.eventually import eventually
from tests.support.service import SetClock


class Part:
    def __init__(self, *samples: Sample) -> None:
        self._samples = samples

    def samples(self) -> Iterable[Sample]:
        return self._samples


class Broken:
    def samples(self) -> Iterable[Sample]:
        raise RuntimeError("no numbers")


def get(address: object, path: str = "/metrics", *, secure: bool = False, **headers: str) -> tuple[int, str]:
    host, port = str(address).rsplit(":", 1)
    if secure:
        trusting = ssl._create_unverified_context()
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(host, int(port), context=trusting)
    else:
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def values(text: str) -> dict[str, float]:
    """Of series without labels."""
    return {one.name: one.value for family in plain(text) for one in family.samples if not one.labels}


def shown(data_dir: Path, **metrics: object) -> Settings:
    return Settings(data_dir=data_dir, metrics=MetricsSettings.model_validate(metrics))


def test_a_histogram_counts_up_to_its_bounds() -> None:
    """A duration equal to a bound belongs to it; beyond the last there is one more."""
    made = Histogram((1_000, 2_000))
    for duration in (0, 1_000, 1_001, 5_000):
        made.observe(duration)
    sample = made.sample("x_seconds", "Some.")
    assert sample.buckets == ((1e-6, 2), (2e-6, 3), (float("inf"), 4))
    assert (made.count, sample.value) == (4, 7_001 / 1e9)


@pytest.mark.parametrize("bounds", [(), (2, 1), (1, 1)])
def test_the_bounds_of_a_histogram_rise(bounds: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="rise"):
        Histogram(bounds)


def test_a_decision_is_counted_by_effect_time_and_reason() -> None:
    """Denials by policy are one reason; those by construction are named by their code."""
    clock = SetClock(1)
    meter = DecisionMeter(clock)
    started = clock.monotonic_ns()
    clock.move(0.003)
    denied = [RuleResult(rule, PolicyEffect.DENY, "no") for rule in ("airlock.limit_exceeded", "guardrails.drop")]
    meter.answered(Decision("1", PolicyEffect.ALLOW), started)
    for rule in denied:
        meter.answered(Decision("2", PolicyEffect.DENY, results=(rule,)), started)
    meter.answered(Decision("3", PolicyEffect.HOLD), started)
    found = {(one.name, one.labels): one for one in meter.samples()}
    assert found["decisions", (("effect", "deny"),)].value == 2
    assert found["denials", (("reason", "limit_exceeded"),)].value == 1
    assert found["denials", (("reason", "policy"),)].value == 1
    duration = found["decision_duration_seconds", (("effect", "hold"),)]
    assert duration.value == pytest.approx(0.003)
    assert [count for bound, count in duration.buckets if bound in (0.002, 0.005)] == [0, 1]


def test_reasons_are_bounded() -> None:
    """Whatever invents codes, there are never more series than the bound and `other`."""
    reasons = Reasons()
    for number in range(2 * MOST_REASONS):
        reasons.count(f"code_{number}")
    found = {dict(one.labels)["reason"]: one.value for one in reasons.samples("denials", "Denials.")}
    assert len(found) == MOST_REASONS + 1
    assert found["other"] == MOST_REASONS


@pytest.mark.parametrize(
    "sample",
    [
        counter("statements", "Statements.", 1, principal="alice"),
        counter("Statements", "Statements.", 1),
        counter("statements", "Statements.", 1, reason="x" * 200),
        gauge("known", "Another kind.", 1),
    ],
    ids=["an unknown label", "a name of another form", "a long value", "two kinds of one name"],
)
def test_what_does_not_belong_there_is_left_out(sample: Sample) -> None:
    """No label can name a principal: only those of the list pass."""
    families = Families()
    families.add(counter("known", "Known.", 1))
    families.add(sample)
    assert [len(family.samples) for family in families.found.values() if family.samples] == [1]
    assert families.dropped == 1


def test_a_name_has_a_bounded_number_of_series() -> None:
    families = Families()
    for number in range(MOST_SERIES + 5):
        families.add(gauge("lag_events", "Lag.", 1, partition=str(number)))
    families.add(gauge("lag_events", "Lag.", 2, partition="0"))
    assert len(families.found["airlock_lag_events"].samples) == MOST_SERIES
    assert families.dropped == 6


def test_a_part_that_fails_takes_no_other_with_it() -> None:
    """Its failure is a number of its own."""
    collector = PartsCollector(Part(gauge("first", "A.", 1)), [Broken(), Part(gauge("last", "B.", 2))])
    found = {family.name: family.samples[0].value for family in collector.collect()}
    assert (found["airlock_first"], found["airlock_last"], found["airlock_metrics_failures"]) == (1, 2, 1)


NAMES = st.text("abcdefghijklmnop_", min_size=1, max_size=12)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)


@st.composite
def any_samples(draw: st.DrawFn) -> Sample:
    kind = draw(st.sampled_from(list(SampleKind)))
    value = draw(st.floats(0, 1e12))
    labels = draw(st.lists(st.tuples(st.sampled_from(["topic", "reason", "principal", "rule"]), TEXTS), max_size=2,
                           unique_by=lambda one: one[0]))  # fmt: skip
    buckets = ((1.0, 1), (float("inf"), 2)) if kind is SampleKind.HISTOGRAM else ()
    return Sample(draw(NAMES), kind, draw(TEXTS), value, tuple(labels), buckets)


@settings(max_examples=60, deadline=None)
@given(st.lists(any_samples(), max_size=8))
def test_whatever_parts_say_prometheus_can_read_it(samples: list[Sample]) -> None:
    """Both formats parse, and no series stands there twice."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import choose_encoder

    registry = CollectorRegistry(auto_describe=False)
    registry.register(PartsCollector(Part(), [Part(*samples)]))
    encode, _ = choose_encoder("")
    seen = [(one.name, tuple(sorted(one.labels.items()))) for family in plain(encode(registry).decode())
            for one in family.samples]  # fmt: skip
    assert len(seen) == len(set(seen))


def test_numbers_are_read_on_a_free_loopback_port_in_both_formats(tmp_path: Path) -> None:
    """Where is said in the data folder for as long as the process shows them."""
    parts = [Part(counter("things", "Things.", 3))]
    with shown_metrics(shown(tmp_path, listen="127.0.0.1:0"), None, "serve", parts) as address:
        status, text = get(address)
        assert (status, values(text)["airlock_things_total"]) == (200, 3)
        status, text = get(address, Accept="application/openmetrics-text; version=1.0.0")
        assert {family.name for family in openmetrics(text)} >= {"airlock_things", "process_cpu_seconds"}
        parts.append(Part(gauge("later", "Later.", 1)))
        assert values(get(address)[1])["airlock_later"] == 1
        assert get(address, "/")[0] == 404
        assert [one.address for one in read_handed(tmp_path)] == [f"http://{address}"]
    assert list(read_handed(tmp_path)) == []
    with pytest.raises(OSError):
        get(address)


def test_a_web_page_by_another_name_reads_nothing(tmp_path: Path) -> None:
    """DNS rebinding: on loopback without a token the caller must call it by a loopback name."""
    with shown_metrics(shown(tmp_path), "127.0.0.1:0", "serve", []) as address:
        assert get(address, Host="evil.example:80")[0] == 401
        assert get(address, Host="evil.example")[0] == 401
        assert get(address, Host="localhost:9464")[0] == 200


def test_beyond_loopback_a_token_is_demanded(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="without a token"), shown_metrics(shown(tmp_path), "0.0.0.0:0", "x", []):
        pass
    token = tmp_path / "token"
    token.write_text("t" * 32)
    with shown_metrics(shown(tmp_path, token_file=token), "0.0.0.0:0", "x", []) as address:
        assert address is not None
        there = f"127.0.0.1:{address.port}"
        assert get(there)[0] == 401
        assert get(there, Authorization="Bearer " + "u" * 32)[0] == 401
        assert get(there, Authorization="Bearer \u00fc")[0] == 401
        assert get(there, Authorization="Bearer " + "t" * 32)[0] == 200


def test_with_a_certificate_it_is_tls(tmp_path: Path) -> None:
    """A client that talks plainly is turned away, and does not keep the next from being answered."""
    pair = Authority(tmp_path).pair("localhost", "localhost")
    settings = shown(tmp_path, listen="127.0.0.1:0", certificate_file=pair.certificate, key_file=pair.key)
    with shown_metrics(settings, None, "serve", []) as address:
        with pytest.raises((OSError, http.client.HTTPException)):
            get(address)
        assert get(address, secure=True)[0] == 200


def test_an_address_in_use_is_said_with_the_way_out(tmp_path: Path) -> None:
    with (
        shown_metrics(shown(tmp_path), "127.0.0.1:0", "one", []) as address,
        pytest.raises(SettingsError) as raised,
        shown_metrics(shown(tmp_path), str(address), "two", []),
    ):
        pass
    assert str(address) in raised.value.message
    assert "--metrics" in raised.value.hint


@pytest.mark.parametrize("given", ["off", None])
def test_it_is_off_unless_asked_for(tmp_path: Path, given: str | None) -> None:
    with shown_metrics(shown(tmp_path), given, "serve", []) as address:
        assert address is None
    assert list(tmp_path.iterdir()) == []


def test_a_service_hands_its_numbers_to_the_node(tmp_path: Path) -> None:
    """By a file, which the node shows among its own and which goes with the service."""
    histogram = Histogram()
    histogram.observe(1)
    parts = [Part(counter("relay_sent_events", "Sent.", 7, topic="t"), histogram.sample("relay_seconds", "Time."))]
    node = HandedSamples(tmp_path)
    with shown_metrics(shown(tmp_path), "node", "relay", parts):
        found = eventually(lambda: {one.name: one for one in node.samples()})
        assert found["relay_sent_events"] == parts[0].samples()[0]  # type: ignore[index]
        assert found["relay_seconds"].buckets[-1] == (float("inf"), 1)
        assert dict(found["handed_age_seconds"].labels) == {"service": "relay"}
    assert list(node.samples()) == []


def test_what_a_dead_or_silent_service_left_is_passed_over(tmp_path: Path) -> None:
    """Numbers that nobody brings up to date would look like a standstill."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    path = write_handed(tmp_path, "relay", samples=[gauge("lag_events", "Lag.", 1)])
    assert len(list(HandedSamples(tmp_path).samples())) == 2
    os.utime(path, (0, path.stat().st_mtime - STALE_S - 1))
    assert list(HandedSamples(tmp_path).samples()) == []
    write_handed(tmp_path, "relay", samples=[gauge("lag_events", "Lag.", 1)])
    path.write_text(path.read_text().replace(f'"pid": {os.getpid()}', f'"pid": {ended.pid}'))
    assert list(HandedSamples(tmp_path).samples()) == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"pid": 1}', json.dumps({"pid": 1, "address": "", "samples": [{}]})])
def test_a_file_of_another_form_is_passed_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "x.json").write_text(text)
    assert list(HandedSamples(tmp_path).samples()) == []


def test_a_slow_reader_keeps_nobody_waiting(tmp_path: Path) -> None:
    """One that says nothing holds a thread of its own; beyond the bound the next is turned away, not queued."""
    import socket

    with shown_metrics(shown(tmp_path), "127.0.0.1:0", "serve", []) as address:
        assert address is not None
        silent = [socket.create_connection((address.host, address.port)) for _ in range(3)]
        assert get(address)[0] == 200
        for one in silent:
            one.close()
    assert MetricsServer.daemon_threads
