"""Sends spans, log lines and a metric with OpenTelemetry's own gRPC exporters, and prints as JSON how
each export ended.

Environment: OTLP (host and port of the receiver), COMPRESSION (gzip or none)."""

import json
import os

from grpc import Compression
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

compression = Compression.Gzip if os.environ["COMPRESSION"] == "gzip" else Compression.NoCompression
options = {"endpoint": os.environ["OTLP"], "insecure": True, "compression": compression, "timeout": 30}
resource = Resource.create({"service.name": "grpc-app"})

spans, lines, reader = InMemorySpanExporter(), InMemoryLogRecordExporter(), InMemoryMetricReader()
tracers, loggers = TracerProvider(resource=resource), LoggerProvider(resource=resource)
tracers.add_span_processor(SimpleSpanProcessor(spans))
loggers.add_log_record_processor(SimpleLogRecordProcessor(lines))
meters = MeterProvider(resource=resource, metric_readers=[reader])

tracer, logger = tracers.get_tracer("shop"), loggers.get_logger("shop.cart")
with tracer.start_as_current_span("checkout") as root:
    with tracer.start_as_current_span("charge"):
        logger.emit(body="card declined", severity_number=SeverityNumber.ERROR, attributes={"tries": 2})
meters.get_meter("shop").create_counter("orders").add(1)

# More than HTTP/2 lets through at once without updates of its windows.
large = []
for number in range(2_000):
    with tracer.start_as_current_span(f"item {number}", attributes={"text": f"{number} " * 100}) as span:
        large.append(span)

finished = spans.get_finished_spans()
ended = {
    "trace_id": format(root.get_span_context().trace_id, "032x"),
    "last_of_many": format(large[-1].get_span_context().trace_id, "032x"),
    "traces": OTLPSpanExporter(**options).export(finished[:2]).name,
    "many": OTLPSpanExporter(**options).export(finished[2:]).name,
    "logs": OTLPLogExporter(**options).export(lines.get_finished_logs()).name,
    "metrics": OTLPMetricExporter(**options).export(reader.get_metrics_data()).name,
}
print(json.dumps(ended))
