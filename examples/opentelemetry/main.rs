//! Traces of OpenTelemetry across the wire: a server and a client in one process, and the one trace that their spans make.
//!
//! `cargo run --example opentelemetry` plays a session in each era, then prints the spans as a tree and the metrics.
//! `otel.rs` is all that ties the two libraries together; `mcp` itself knows nothing of OpenTelemetry.

mod otel;
mod scene;

use mcp::Era;
use opentelemetry::trace::{SpanId, SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;

use self::otel::Telemetry;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let telemetry = Telemetry::new();
    tracing::subscriber::set_global_default(telemetry.subscriber())?;
    let server = scene::server();
    telemetry.observe(&server);
    for era in [Era::Legacy, Era::Modern] {
        scene::play(era, server.clone()).await?;
    }
    telemetry.flush();

    println!("\nSpans, each below its parent:");
    let spans = telemetry.spans.get_finished_spans()?;
    let is_here = |id: SpanId| spans.iter().any(|span| span.span_context.span_id() == id);
    spans.iter().filter(|span| !is_here(span.parent_span_id)).for_each(|root| show(&spans, root, 1));

    println!("\nMetrics:");
    let collected = telemetry.metrics.get_finished_metrics()?;
    let mut names = collected.iter().flat_map(|resource| resource.scope_metrics());
    let mut names = names.by_ref().flat_map(|scope| scope.metrics()).map(|metric| metric.name()).collect::<Vec<_>>();
    names.sort_unstable();
    names.dedup();
    names.iter().for_each(|name| println!("  {name}"));
    Ok(())
}

fn show(spans: &[SpanData], span: &SpanData, depth: usize) {
    let kind = if span.span_kind == SpanKind::Internal { String::new() } else { format!(" ({:?})", span.span_kind) };
    let status = match &span.status {
        Status::Error { .. } => " failed",
        _ => "",
    };
    println!("{:indent$}{}{kind}{status}", "", span.name, indent = 2 * depth);
    let mut children = spans.iter().filter(|it| it.parent_span_id == span.span_context.span_id()).collect::<Vec<_>>();
    children.sort_by_key(|child| child.start_time);
    children.into_iter().for_each(|child| show(spans, child, depth + 1));
}
