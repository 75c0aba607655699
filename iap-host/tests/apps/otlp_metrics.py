"""Sends metrics of every kind twice with OpenTelemetry's own exporters, and prints as JSON how each export
ended and what was recorded.

Environment: OTLP (host and port of the receiver), PROTOCOL (http or grpc), COMPRESSION (gzip or none),
TEMPORALITY (delta or cumulative)."""

import json
import math
import os
import time

from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider, ObservableCounter, UpDownCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

protocol, gzip = os.environ["PROTOCOL"], os.environ["COMPRESSION"] == "gzip"
if protocol == "grpc":
    from grpc import Compression
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

    exporter = OTLPMetricExporter(
        endpoint=os.environ["OTLP"], insecure=True, timeout=30,
        compression=Compression.Gzip if gzip else Compression.NoCompression,
    )
else:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    exporter = OTLPMetricExporter(
        endpoint=f"http://{os.environ['OTLP']}/v1/metrics", timeout=30,
        compression=Compression.Gzip if gzip else Compression.NoCompression,
    )

kind = getattr(AggregationTemporality, os.environ["TEMPORALITY"].upper())
reader = InMemoryMetricReader(
    preferred_temporality={Counter: kind, Histogram: kind, ObservableCounter: kind, UpDownCounter: kind}
)
service = f"{protocol}-{os.environ['COMPRESSION']}-{os.environ['TEMPORALITY']}"
began = time.time_ns() // 1000
meters = MeterProvider(
    resource=Resource.create({"service.name": service}),
    metric_readers=[reader],
    views=[View(instrument_name="size", aggregation=ExponentialBucketHistogramAggregation())],
)
meter = meters.get_meter("shop")
orders = meter.create_counter("orders", unit="{order}", description="Orders taken.")
open_carts = meter.create_up_down_counter("carts")
duration = meter.create_histogram("duration", unit="s")
size = meter.create_histogram("size", unit="By")
meter.create_gauge("temperature").set(21.5, {"room": "hall"})

sizes, results = [], []
for round_number in range(2):
    for number in range(1, 101):
        orders.add(1, {"country": "kr" if number % 4 else "at"})
        value = round(math.exp(number / 10 + round_number), 6)
        size.record(value)
        sizes.append(value)
        duration.record(number / 1000)
    open_carts.add(7)
    results.append(exporter.export(reader.get_metrics_data()).name)
exporter.shutdown()
print(json.dumps({"service": service, "results": results, "sizes": sizes, "began_us": began,
                  "ended_us": time.time_ns() // 1000 + 1}))
