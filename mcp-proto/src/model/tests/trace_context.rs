//! Trace contexts: what of a `_meta` is one, and what is left out.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::{Map, json};

use crate::model::{TraceContext, TraceFault, TraceKey};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// basic, `_meta`: the values of the trace's keys MUST follow W3C Trace Context and W3C Baggage. What does not is no context.
#[test]
fn only_what_w3c_allows_is_a_trace_context() {
    let fits = |key: &str, value: &str| TraceContext::new().set(key, value).is_ok();
    for parent in [
        PARENT,
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
        "00-00000000000000000000000000000001-0000000000000001-ff",
        // A version to come may say more.
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-brings",
    ] {
        assert!(fits("traceparent", parent), "{parent}");
    }
    for parent in [
        "",
        "00",
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
        " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0é",
    ] {
        assert!(!fits("traceparent", parent), "{parent}");
    }
    let members = |count: usize| (0..count).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
    for state in ["a=b", "rojo=00f067aa0ba902b7, congo=t61rcWkgMzE", "fw529a3039@dt=x y", "a=1,,b=2", &members(32)] {
        assert!(fits("tracestate", state), "{state}");
    }
    for state in ["", "a", "=b", "A=b", "a=b=c", "a=\n", "a=é", "a=1,a=2", "a=", &members(33)] {
        assert!(!fits("tracestate", state), "{state}");
    }
    for baggage in [
        "userId=alice,serverNode=DF%2028,isProduction=false",
        "key1=value1;property1;property2, key2 = value2, key3=value3; propertyKey=propertyValue",
        "empty=",
        "a=b=c",
    ] {
        assert!(fits("baggage", baggage), "{baggage}");
    }
    for baggage in ["", "a", "a b=c", "=x", "a=b c", "a=\"b\"", "a=\\", "a=é", "a=1,", "a=1;=2", "a=1\r\nX-Injected: 1"]
    {
        assert!(!fits("baggage", baggage), "{baggage}");
    }
    assert_eq!(TraceContext::new().set("uber-trace-id", "1"), Err(TraceFault::UnknownKey));
}

#[test]
fn what_a_meta_brings_is_read_and_the_rest_is_left_out() {
    let meta = json!({ "traceparent": PARENT, "tracestate": "a=b", "baggage": "k=v", "com.example/x": 1, "n": null });
    let (context, faults) = TraceContext::read(&meta.to_string());
    assert_eq!(faults, []);
    let pairs = context.iter().map(|(key, value)| (key.as_str(), value)).collect::<Vec<_>>();
    assert_eq!(pairs, [("traceparent", PARENT), ("tracestate", "a=b"), ("baggage", "k=v")]);
    assert_eq!(context.trace_id(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
    assert_eq!((context.parent_id(), context.is_sampled()), (Some("00f067aa0ba902b7"), Some(true)));

    // One that is malformed harms no other, but a state without its trace is none.
    let (context, faults) = TraceContext::read(r#"{"traceparent":7,"tracestate":"a=b","baggage":"k=v"}"#);
    assert_eq!(faults, [TraceFault::Malformed(TraceKey::Traceparent)]);
    assert_eq!((context.get("tracestate"), context.get("baggage")), (None, Some("k=v")));
    assert_eq!((context.trace_id(), context.is_sampled()), (None, None));
    for empty in ["{}", r#"{"traceparent":null}"#, "[]", "{", r#"{"tracestate":"a=b"}"#] {
        assert!(TraceContext::read(empty).0.is_empty(), "{empty}");
    }
    let twice = format!(r#"{{"traceparent":"{PARENT}","tr\u0061ceparent":"{PARENT}"}}"#);
    let (context, faults) = TraceContext::read(&twice);
    assert_eq!(
        (context.get("traceparent"), faults),
        (Some(PARENT), Vec::from([TraceFault::Twice(TraceKey::Traceparent)]))
    );
}

#[test]
fn a_value_is_as_long_as_everybody_passes_on_and_no_longer() {
    for (key, begin) in [(TraceKey::Tracestate, "k="), (TraceKey::Baggage, "k=")] {
        let longest = TraceContext::longest(key);
        let value = |length: usize| {
            let mut value = String::from(begin);
            // Two members, since one of a trace state has 256 bytes at most.
            value.push_str(&"v".repeat(250));
            value.push_str(",l=");
            value.push_str(&"v".repeat(length - value.len()));
            value
        };
        let fits = if key == TraceKey::Tracestate { value(longest - 10) } else { value(longest) };
        assert_eq!(TraceContext::new().set(key.as_str(), fits), Ok(()), "{key:?}");
        let too_long = Err(TraceFault::TooLong(key));
        assert_eq!(TraceContext::new().set(key.as_str(), value(longest + 1)), too_long, "{key:?}");
        for length in [longest + 1, longest * 100] {
            let meta = json!({ key.as_str(): value(length), "traceparent": PARENT });
            assert_eq!(TraceContext::read(&meta.to_string()).1, [TraceFault::TooLong(key)]);
        }
    }
}

#[test]
fn what_the_user_has_written_stays() {
    let context = [("traceparent", PARENT), ("tracestate", "a=b"), ("baggage", "k=v"), ("x", "y")];
    let context = context.into_iter().collect::<TraceContext>();
    let mut meta = None;
    context.write(&mut meta);
    assert_eq!(json!(meta), json!({ "traceparent": PARENT, "tracestate": "a=b", "baggage": "k=v" }));
    for (theirs, written) in [
        (json!({ "traceparent": "mine" }), json!({ "traceparent": "mine", "baggage": "k=v" })),
        (json!({ "tracestate": "m=1" }), json!({ "tracestate": "m=1", "baggage": "k=v" })),
        (json!({ "baggage": null }), json!({ "traceparent": PARENT, "tracestate": "a=b", "baggage": null })),
    ] {
        let mut meta: Option<Map<_, _>> = theirs.as_object().cloned();
        context.write(&mut meta);
        assert_eq!(json!(meta), written);
    }
    let mut nothing = None;
    TraceContext::new().write(&mut nothing);
    assert_eq!(nothing, None);
}
