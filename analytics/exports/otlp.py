"""Sends telemetry to an OpenTelemetry collector by OTLP over HTTP (protobuf), with the SDK's own exporters.

Headers, certificates, compression and time-outs come from the usual OTEL_EXPORTER_OTLP_* variables. An exporter tries
again by itself where the protocol says so; what it gives up is ours to send again, and the same ids make that harmless.
"""

from __future__ import annotations

from functools import lru_cache

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from analytics.exports.run import ExportFailed
from analytics.exports.telemetry import SERVER, Log, Span, Telemetry, TraceContext

SCHEMA_URL = "https://opentelemetry.io/schemas/1.33.0"
_KINDS = {SERVER: SpanKind.SERVER}


class OtlpSender:
    """`endpoint` is the collector's base URL (`http://127.0.0.1:4318`); `version` this program's."""

    def __init__(self, endpoint: str, version: str, timeout_s: float | None = None) -> None:
        base = endpoint.rstrip("/")
        self._endpoint = base
        self._version = version
        self._scope = InstrumentationScope("airlock", version, SCHEMA_URL)
        self._spans = OTLPSpanExporter(endpoint=f"{base}/v1/traces", timeout=timeout_s)
        self._logs = OTLPLogExporter(endpoint=f"{base}/v1/logs", timeout=timeout_s)
        self._resource = lru_cache(maxsize=256)(self._made_resource)

    def send(self, telemetry: Telemetry) -> None:
        """Raises ExportFailed unless the collector took all of it."""
        if telemetry.spans:
            sent = self._spans.export([self._span(one) for one in telemetry.spans])
            if sent is not SpanExportResult.SUCCESS:
                raise self._failed("spans")
        if telemetry.logs:
            told = self._logs.export([self._log(one) for one in telemetry.logs])
            if told is not LogRecordExportResult.SUCCESS:
                raise self._failed("log records")

    def close(self) -> None:
        self._spans.shutdown()  # type: ignore[no-untyped-call]
        self._logs.shutdown()  # type: ignore[no-untyped-call]

    def _failed(self, what: str) -> ExportFailed:
        return ExportFailed(
            f"the collector at {self._endpoint} did not take the {what}",
            hint="is it up, and does it take OTLP over HTTP there? What was sent before may be sent again",
        )

    def _made_resource(self, producer_id: str) -> Resource:
        attributes = {"service.name": "airlock", "service.version": self._version}
        if producer_id:
            attributes["service.instance.id"] = producer_id
        return Resource(attributes, SCHEMA_URL)

    def _span(self, span: Span) -> ReadableSpan:
        context = _context(span.context)
        parent = _context((span.context[0], span.parent)) if span.parent else None
        status = Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.UNSET)
        return ReadableSpan(
            name=span.name,
            context=context,
            parent=parent,
            resource=self._resource(span.producer_id),
            attributes=dict(span.attributes),
            links=[trace.Link(_context(span.link))] if span.link is not None else (),
            kind=_KINDS.get(span.kind, SpanKind.CLIENT),
            status=status,
            start_time=span.start,
            end_time=span.end,
            instrumentation_scope=self._scope,
        )

    def _log(self, log: Log) -> ReadableLogRecord:
        around = trace.set_span_in_context(trace.NonRecordingSpan(_context(log.context)))
        record = LogRecord(
            timestamp=log.time,
            observed_timestamp=log.time,
            context=around,
            severity_number=SeverityNumber(log.severity),
            severity_text=SeverityNumber(log.severity).name,
            body=log.body,
            attributes=dict(log.attributes),
            event_name=log.event_name,
        )
        return ReadableLogRecord(record, self._resource(log.producer_id), self._scope)


def _context(ids: TraceContext) -> SpanContext:
    return SpanContext(
        int.from_bytes(ids[0]), int.from_bytes(ids[1]), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED)
    )
