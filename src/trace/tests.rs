//! What tracing costs while nobody looks: nothing that could be counted.

use std::sync::Arc;

use allocation_counter::measure;
use mcp_proto::{
    Body, Connection, ErrorObject, Limits, Message, Meta, ProtocolVersion, Scope, ServerConfig, Start, Timestamp,
};
use serde_json::json;

use super::{Known, Operation, Outcome, Session, Tracer};
use crate::stream::{Role, Shared};

fn shared() -> Arc<Shared> {
    let config = Arc::new(ServerConfig::new(mcp_proto::model::Implementation::new("s", "1")));
    let connection = Connection::server(config, Start::Assume(ProtocolVersion::V2025_11_25), Timestamp::EPOCH);
    Shared::new(connection, Tracer::default(), || Timestamp::EPOCH)
}

fn not_asked() -> Known {
    panic!("nobody wants to know")
}

/// Whatever happens to a request: no memory is asked for, and nobody is asked what is known about it.
#[test]
fn nothing_is_allocated_while_nobody_looks() {
    let shared = shared();
    let text = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "add", "_meta": { "traceparent": "x", "progressToken": 1 } } });
    let message = Message::scan(text.to_string().as_bytes(), &Limits::default());
    let body = Body::new("tools/call", &json!({ "name": "add" })).unwrap();
    let reply = Err(ErrorObject::internal("no"));
    let tracer = Tracer::default();
    let mut meta: Meta = None;
    let spent = measure(|| {
        let served = Operation::serve(&shared, &message, ProtocolVersion::V2025_11_25, not_asked);
        served.replied(Timestamp::EPOCH, &reply);
        let heard = Operation::hear(&shared, &message, not_asked);
        heard.end(Timestamp::EPOCH, &Outcome::Done);
        let sent = Operation::request(&shared, &body, None, &mut meta);
        sent.has_id(7);
        let asked = Operation::question(&shared, &message, not_asked, &sent);
        asked.end(Timestamp::EPOCH, &Outcome::Cancelled);
        sent.answered(Timestamp::EPOCH, &message);
        Operation::notification(&shared, &body, &mut meta).end(Timestamp::EPOCH, &Outcome::Done);
        Session::begin(Role::Server, &tracer, Timestamp::EPOCH).end(&shared);
        for operation in [served, heard, sent, asked] {
            assert!(operation.span().is_disabled());
        }
    });
    assert_eq!((spent.count_total, meta), (0, None));
    // The counter counts: an answer that is encoded does allocate.
    let spent = measure(|| drop(crate::stream::notify(&shared, body.clone(), Scope::Connection, None)));
    assert!(spent.count_total > 0);
}
