"""What counting costs a decision, and how fast events are exported. Writes bench/results/exports.json.

    python -m bench.exports [--events 14000] [--rounds 3]

`counting`: nanoseconds of `DecisionMeter.answered`, and of an execution in `PointMeter.executed`, the best of the
rounds, beside a bare call of the clock. `exports`: events a second of each format, mapped and made into JSON (or OTLP
protobuf), with the CPU time of one thread; `to_decode` is the ratio to decoding the same bytes, which comes before all.
"""

from __future__ import annotations

import argparse
import time
import timeit
from collections.abc import Callable, Sequence

from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

from analytics.exports.context import Contexts
from analytics.exports.lines import LINES, line, renderer
from analytics.exports.ocsf import OcsfMapper
from analytics.exports.otlp import OtlpSender
from analytics.exports.reading import decoded
from analytics.exports.telemetry import Telemetry, TelemetryMapper
from bench.measure import machine, write
from decision.clock import SystemClock
from decision.meter import DecisionMeter
from decision.model.decision import Decision, PolicyEffect, RuleResult
from decision.model.events import AuditEvent
from decision.model.session import ExecutionReport, Outcome
from decision.wire.events import event_type
from enforcement.meter import PointMeter
from tests.support.analytics_story import CODEC, story

CALLS = 100_000


def counting(rounds: int) -> dict[str, float]:
    clock = SystemClock()
    decisions, point = DecisionMeter(clock), PointMeter()
    allowed = Decision("1", PolicyEffect.ALLOW)
    denied = Decision("2", PolicyEffect.DENY, results=(RuleResult("airlock.limit_exceeded", PolicyEffect.DENY, ""),))
    reports = (ExecutionReport("s", "d", 0, Outcome.COMPLETED, "SELECT 1", 1, 100, 1_000_000),)
    started = clock.monotonic_ns()
    work: dict[str, Callable[[], object]] = {
        "the clock alone": clock.monotonic_ns,
        "a decision, allowed": lambda: decisions.answered(allowed, started),
        "a decision, denied": lambda: decisions.answered(denied, started),
        "an execution": lambda: point.executed(reports),
    }
    return {
        name: round(min(timeit.repeat(one, number=CALLS, repeat=rounds)) / CALLS * 1e9)
        for name, one in work.items()
    }  # fmt: skip


def seconds(work: Callable[[], object], rounds: int) -> float:
    """The least CPU time of the rounds."""
    took = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return min(took)


def exports(events: Sequence[AuditEvent], rounds: int) -> dict[str, dict[str, float]]:
    def lines(form: str) -> None:
        contexts = Contexts()
        render = renderer(form, "0", contexts)
        for event in events:
            contexts.take(event)
            line(render(event))

    def otel() -> None:
        mapper, telemetry = TelemetryMapper(OcsfMapper("0", Contexts())), Telemetry()
        for event in events:
            mapper.contexts.take(event)
            mapper.take(event, event_type(event.payload), telemetry)
        encode_spans([sender._span(one) for one in telemetry.spans]).SerializeToString()
        encode_logs([sender._log(one) for one in telemetry.logs]).SerializeToString()

    sender = OtlpSender("http://127.0.0.1:9", "0")
    decode = seconds(lambda: [decoded(event.raw, CODEC) for event in events], rounds)
    took = {form: seconds(lambda form=form: lines(form), rounds) for form in LINES}  # type: ignore[misc]
    took["otel"] = seconds(otel, rounds)
    return {
        name: {"events_per_cpu_second": round(len(events) / one), "to_decode": round(decode / one, 2)}
        for name, one in {"decode": decode, **took}.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=14_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    events = story(given.events // 7)
    counted, exported = counting(given.rounds), exports(events, given.rounds)
    for name, nanoseconds in counted.items():
        print(f"{name:<24} {nanoseconds:>8} ns")
    for name, found in exported.items():
        print(f"{name:<24} {found['events_per_cpu_second']:>8} events/s  {found['to_decode']} of decoding")
    write("exports", {"machine": machine(), "events": len(events), "counting_ns": counted, "exports": exported})


if __name__ == "__main__":
    main()
