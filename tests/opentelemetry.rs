//! The example of OpenTelemetry: what it plays makes one trace in each era, across the wire.

#[path = "../examples/opentelemetry/otel.rs"]
mod otel;
#[path = "../examples/opentelemetry/scene.rs"]
mod scene;

use mcp::Era;
use opentelemetry::trace::{SpanId, SpanKind, Status};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use opentelemetry_sdk::trace::SpanData;

use self::otel::Telemetry;

/// Each span and its parent, by their names and kinds.
fn pairs(spans: &[SpanData]) -> Vec<(String, String)> {
    let title = |span: &SpanData| format!("{:?} {}", span.span_kind, span.name);
    let parent = |span: &SpanData| {
        let parent = spans.iter().find(|other| other.span_context.span_id() == span.parent_span_id);
        assert_eq!(parent.is_none(), span.parent_span_id == SpanId::INVALID, "{span:?}");
        parent.map(title).unwrap_or_default()
    };
    let mut pairs = spans.iter().map(|span| (title(span), parent(span))).collect::<Vec<_>>();
    pairs.sort();
    pairs
}

/// In either era the server's spans are children of the client's, and what they ask and do is below them.
#[tokio::test]
async fn server_spans_are_children_of_client_spans_across_the_wire() {
    for era in [Era::Legacy, Era::Modern] {
        let telemetry = Telemetry::new();
        let _guard = tracing::subscriber::set_default(telemetry.subscriber());
        let server = scene::server();
        telemetry.observe(&server);
        scene::play(era, server.clone()).await.expect("it plays");
        let served = async {
            while server.connections() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), served).await.expect("the connection ends");
        telemetry.flush();
        let spans = telemetry.spans.get_finished_spans().expect("in memory");
        let visit = "Internal visit";
        let (called, served) = ("Client tools/call greet", "Server tools/call greet");
        let asking = match era {
            Era::Legacy => vec![
                ("Client elicitation/create", served),
                ("Client initialize", visit),
                ("Server elicitation/create", "Client elicitation/create"),
            ],
            Era::Modern => vec![
                ("Client server/discover", visit),
                ("Server elicitation/create", called),
                // The first round, which ended with the question.
                (served, called),
            ],
        };
        let mut expected = vec![
            (visit, ""),
            ("Internal mcp.client.session", ""),
            ("Internal mcp.server.session", ""),
            (called, visit),
            (served, called),
            ("Internal look up", served),
            ("Client tools/call fail", visit),
            ("Server tools/call fail", "Client tools/call fail"),
        ];
        expected.extend(asking);
        expected.sort_unstable();
        let found = pairs(&spans);
        let found = found.iter().map(|(span, parent)| (span.as_str(), parent.as_str())).collect::<Vec<_>>();
        assert_eq!(found, expected, "{era:?}");

        // Ids agree as well: all but the connections are one trace.
        let trace = |span: &SpanData| span.span_context.trace_id();
        let root = spans.iter().find(|span| span.name == "visit").expect("the root");
        for span in &spans {
            assert_eq!(trace(span) == trace(root), !span.name.ends_with(".session"), "{span:?}");
            let is_remote = span.parent_span_is_remote;
            let crosses =
                span.span_kind == SpanKind::Server && !(era == Era::Modern && span.name == "elicitation/create");
            assert_eq!(is_remote, crosses, "{span:?}");
            if span.span_kind == SpanKind::Server && crosses {
                assert_eq!(span.links.len(), 1, "to its connection: {span:?}");
            }
            let fails = span.name == "tools/call fail";
            let error = span.attributes.iter().find(|attribute| attribute.key.as_str() == "error.type");
            assert_eq!(error.map(|error| error.value.to_string()).as_deref(), fails.then_some("tool_error"));
            assert_eq!(matches!(span.status, Status::Error { .. }), fails, "{span:?}");
        }

        for (name, least) in [
            ("mcp.client.operation.duration", 3),
            ("mcp.server.operation.duration", 2),
            ("mcp.client.session.duration", 1),
            ("mcp.server.session.duration", 1),
            ("example.mcp.messages", 2),
            ("example.mcp.connections", 1),
        ] {
            let points = points(&telemetry, name);
            assert!(points >= least, "{era:?} {name}: {points}");
        }
    }
}

/// How many different series a metric has, the values of a histogram being counted one by one.
fn points(telemetry: &Telemetry, name: &str) -> u64 {
    let collected = telemetry.metrics.get_finished_metrics().expect("in memory");
    let scopes = collected.iter().flat_map(|resource| resource.scope_metrics());
    let metrics = scopes.flat_map(|scope| scope.metrics()).filter(|metric| metric.name() == name);
    let counts = metrics.map(|metric| match metric.data() {
        AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
            histogram.data_points().map(|point| point.count()).sum::<u64>()
        }
        AggregatedMetrics::U64(MetricData::Sum(sum)) => sum.data_points().count() as u64,
        AggregatedMetrics::U64(MetricData::Gauge(gauge)) => gauge.data_points().count() as u64,
        other => panic!("{name}: {other:?}"),
    });
    counts.sum()
}
