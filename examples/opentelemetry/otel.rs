//! What ties `mcp` to OpenTelemetry: one propagator, and a subscriber of the usual layers.

use std::collections::HashMap;

use mcp::Server;
use mcp::trace::{Propagator, TraceContext};
use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use tracing::{Span, Subscriber};
use tracing_opentelemetry::{MetricsLayer, OpenTelemetrySpanExt};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};

/// The trace of a span as it stands in `_meta`, by the W3C's propagator.
#[derive(Debug, Default)]
pub(crate) struct Otel(TraceContextPropagator);

impl Propagator for Otel {
    fn inject(&self, span: &Span) -> TraceContext {
        let mut carrier = HashMap::new();
        self.0.inject_context(&span.context(), &mut carrier);
        carrier.into_iter().collect()
    }

    fn extract(&self, span: &Span, context: &TraceContext) {
        let carrier = context.iter().map(|(key, value)| (key.as_str().to_owned(), value.to_owned()));
        // It fails only for spans that OpenTelemetry does not see.
        let _ = span.set_parent(self.0.extract(&carrier.collect::<HashMap<_, _>>()));
    }
}

/// Where spans and metrics go. In memory, so that this example needs no collector; a program has exporters here that send them to one.
pub(crate) struct Telemetry {
    pub(crate) spans: InMemorySpanExporter,
    pub(crate) metrics: InMemoryMetricExporter,
    traces: SdkTracerProvider,
    meters: SdkMeterProvider,
}

impl Telemetry {
    pub(crate) fn new() -> Self {
        let (spans, metrics) = (InMemorySpanExporter::default(), InMemoryMetricExporter::default());
        let traces = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
        let meters = SdkMeterProvider::builder().with_reader(PeriodicReader::builder(metrics.clone()).build()).build();
        Self { spans, metrics, traces, meters }
    }

    /// Spans become spans, and the events of the target `mcp::metrics` become the metrics that they are named after.
    pub(crate) fn subscriber(&self) -> impl Subscriber + Send + Sync + use<> {
        let traces = tracing_opentelemetry::layer().with_tracer(self.traces.tracer("example"));
        let metrics = MetricsLayer::new(self.meters.clone());
        Registry::default()
            .with(traces.with_filter(LevelFilter::INFO))
            .with(metrics.with_filter(Targets::new().with_target("mcp::metrics", LevelFilter::TRACE)))
    }

    /// Has a server's counters looked at whenever metrics are collected.
    pub(crate) fn observe(&self, server: &Server) {
        let meter = self.meters.meter("example");
        let counts = server.clone();
        let messages = meter.u64_observable_counter("example.mcp.messages").with_callback(move |seen| {
            let stats = counts.stats();
            seen.observe(stats.received, &[KeyValue::new("direction", "received")]);
            seen.observe(stats.sent, &[KeyValue::new("direction", "sent")]);
        });
        let counts = server.clone();
        let connections = meter.u64_observable_gauge("example.mcp.connections").with_callback(move |seen| {
            seen.observe(counts.connections() as u64, &[]);
        });
        // What looks at the counters belongs to the meter from now on; these are only handles.
        let _ = (messages.build(), connections.build());
    }

    /// Everything up to now is exported.
    pub(crate) fn flush(&self) {
        // In memory nothing fails.
        let _ = (self.traces.force_flush(), self.meters.force_flush());
    }
}
