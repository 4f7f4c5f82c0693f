//! Requests in both directions and their ids (specification: basic, Requests and Responses).

use std::format;
use std::string::ToString;
use std::time::Duration;
use std::vec::Vec;

use serde_json::{Value, json};

use super::harness::*;
use crate::connection::{
    CallOptions, Event, Limits, Origin, RequestError, RespondError, ResultKind, Rule, Scope, Wanted, Why,
};
use crate::jsonrpc::{ErrorObject, Fault, Message};
use crate::model::ProtocolVersion::{V2025_06_18, V2025_11_25};

/// basic: ids are unique per requestor, so the same id in both directions is two requests.
#[test]
fn the_same_ids_in_both_directions_never_cross() {
    let mut pair = Pair::new(client_config(), server_config()).ready();
    for chunk in [None, Some(1), Some(7)] {
        (pair.up.chunk, pair.down.chunk) = (chunk, chunk);
        let mut asked = Vec::new();
        for number in 0..20 {
            asked.push(pair.client.ask("tools/call", &json!({"name": "up", "number": number})));
            pair.server.ask("roots/list", &json!({"down": number}));
        }
        let (mut up, mut down) = (Outcomes::default(), Outcomes::default());
        pair.run(
            |node, event| {
                echo(node, event.clone());
                up.take(event);
            },
            |node, event| {
                echo(node, event.clone());
                down.take(event);
            },
        );
        assert_eq!((up.0.len(), down.0.len()), (20, 20));
        for (number, (_, outcome)) in up.0.into_iter().enumerate() {
            assert_eq!(outcome.unwrap(), json!({"echo": {"name": "up", "number": number}}));
        }
        for (number, (_, outcome)) in down.0.into_iter().enumerate() {
            assert_eq!(outcome.unwrap(), json!({"echo": {"down": number}}));
        }
    }
}

/// basic: "The request ID MUST NOT have been previously used by the requestor within the same session." The second one is
/// refused, the first is answered: an answer never reaches the wrong call.
#[test]
fn an_id_in_flight_cannot_be_reused() {
    for id in [json!(1), json!(0), json!(""), json!("a"), json!(i64::MIN)] {
        let mut server = Node::server_in(V2025_06_18, |_| {});
        server.tell(&call(&id));
        let (first, ..) = server.take_request();
        server.tell(&json!({"jsonrpc": "2.0", "id": id, "method": "tools/list"}));
        server.tell(&json!({"jsonrpc": "2.0", "id": id, "method": "ping"}));
        let frames = server.frames();
        assert_eq!(frames.len(), 2);
        assert!(frames.iter().all(|frame| frame["id"] == id && frame["error"]["code"] == -32600), "{frames:?}");
        assert_eq!(server.broken_rules(), [Rule::ReusedId, Rule::ReusedId]);
        server.respond(first, &json!({"first": true})).unwrap();
        assert_eq!(server.frames(), [json!({"jsonrpc": "2.0", "id": id, "result": {"first": true}})]);
        // Free again: peers that always send the same id are served one after the other.
        server.tell(&call(&id));
        let (again, ..) = server.take_request();
        assert!(again > first);
    }
}

/// basic, Requests: a requestor MUST NOT use an id twice in a session. Ours rise, whatever became of the requests before; that
/// `initialize` counts as well is seen by the harness.
#[test]
fn our_ids_rise_and_are_never_used_again() {
    for mut node in [Node::client_in(V2025_11_25, |_| {}), Node::server_in(V2025_11_25, |_| {})] {
        let mut last = -1;
        let mut next = |node: &mut Node| {
            let call = node.ask("ping", &json!({}));
            let id = node.frames()[0]["id"].as_i64().expect("our ids are integers");
            assert!(id > last, "{id} after {last}");
            last = id;
            (call, json!(id))
        };
        let (_, answered) = next(&mut node);
        node.tell(&json!({"jsonrpc": "2.0", "id": answered, "result": {}}));
        let (_, refused) = next(&mut node);
        node.tell(&json!({"jsonrpc": "2.0", "id": refused, "error": {"code": -1, "message": "m"}}));
        let (cancelled, _) = next(&mut node);
        node.cancel(cancelled, "");
        node.frames();
        next(&mut node);
        node.wait(Duration::from_secs(61));
        node.frames();
        for _ in 0..20 {
            next(&mut node);
        }
    }
}

/// basic/transports, Streamable HTTP: the same id on two exchanges is two requests, each answered on its own. So no two requests
/// of one session can get each other's answer.
#[test]
fn one_id_on_two_exchanges_is_two_requests() {
    let mut server = Node::server_in(V2025_11_25, |_| {});
    let ids = [1, 2].map(|exchange| {
        let message = Message::scan(call(&json!(1)).to_string().as_bytes(), &Limits::default());
        server.step(|conn, now| conn.handle_message(now, Origin::new(exchange), message.clone()));
        server.take_request().0
    });
    for (id, exchange) in [(ids[1], 2), (ids[0], 1)] {
        server.respond(id, &json!({"exchange": exchange})).unwrap();
        let sent = server.step(|conn, _| conn.poll_transmit()).unwrap();
        assert_eq!(sent.origin, Origin::new(exchange));
        let frame = server.check_frame(&sent.frame);
        assert_eq!(frame, json!({"jsonrpc": "2.0", "id": 1, "result": {"exchange": exchange}}));
    }
    assert!(server.frames().is_empty());
}

/// basic: `1` and `"1"` are different ids.
#[test]
fn a_number_and_a_string_are_different_ids() {
    let mut server = Node::server_in(V2025_06_18, |_| {});
    server.tell(&call(&json!(1)));
    let (number, _, meta) = server.take_request();
    assert_eq!(meta.wire_id, 1.into());
    server.tell(&call(&json!("1")));
    let (string, _, meta) = server.take_request();
    assert_eq!(meta.wire_id, "1".into());
    server.respond(string, &json!({"of": "string"})).unwrap();
    server.respond(number, &json!({"of": "number"})).unwrap();
    let frames = server.frames();
    assert_eq!((&frames[0]["id"], &frames[0]["result"]["of"]), (&json!("1"), &json!("string")));
    assert_eq!((&frames[1]["id"], &frames[1]["result"]["of"]), (&json!(1), &json!("number")));
}

/// basic: "Responses MUST include the same ID as the request they correspond to", also an error's.
#[test]
fn answers_may_come_in_any_order_and_carry_their_ids() {
    let mut server = Node::server_in(V2025_06_18, |_| {});
    let mut ids = Vec::new();
    for id in 1..=3 {
        server.tell(&call(&json!(id)));
        ids.push(server.take_request().0);
    }
    server.reject(ids[2], &ErrorObject::invalid_params("no").with_data(json!(null))).unwrap();
    server.respond(ids[0], &json!({"a": 1})).unwrap();
    server.respond(ids[1], &json!({"_b": {"_meta": 1}})).unwrap();
    let frames = server.frames();
    assert_eq!(frames[0]["error"]["code"], -32602);
    assert_eq!(frames.iter().map(|frame| frame["id"].as_i64().unwrap()).collect::<Vec<_>>(), [3, 1, 2]);
    for id in ids {
        assert_eq!(server.respond(id, &json!({})), Err(RespondError::Gone), "answered at most once");
        assert_eq!(server.reject(id, &ErrorObject::internal("late")), Err(RespondError::Gone));
    }
    assert!(server.frames().is_empty());
}

/// A response for an unknown id is a race or a mistake: surfaced, counted, never a failure of the session.
#[test]
fn answers_to_nobody_are_surfaced() {
    let mut client = Node::client_in(V2025_11_25, |_| {});
    let asked = client.ask("tools/list", &json!({}));
    let id = client.frames()[0]["id"].as_i64().unwrap();
    for stray in [
        json!({"jsonrpc": "2.0", "id": id + 1, "result": {}}),
        json!({"jsonrpc": "2.0", "id": -1, "result": {}}),
        json!({"jsonrpc": "2.0", "id": "no-number", "error": {"code": 1, "message": "m"}}),
        json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "m"}}),
        json!({"jsonrpc": "2.0", "error": {"code": -32700, "message": "m"}}),
    ] {
        client.tell(&stray);
        let events = client.events();
        assert_eq!(kinds(&events), ["stray"], "{stray}");
        let Event::Stray { message } = &events[0] else { panic!() };
        assert_eq!(message.text(), stray.to_string());
    }
    assert_eq!(client.conn.stats().strays, 5);
    assert!(client.frames().is_empty(), "a response is never answered");
    client.tell(&json!({"jsonrpc": "2.0", "id": id, "result": {"tools": []}}));
    let (ended, outcome) = client.take_response();
    assert_eq!((ended, outcome.unwrap()), (asked, json!({"tools": []})));
    client.tell(&json!({"jsonrpc": "2.0", "id": id, "result": {"tools": []}}));
    assert_eq!(kinds(&client.events()), ["stray"], "a second answer finds nobody");
}

/// An error is the peer's, with its code, message and data as they came, whatever the code.
#[test]
fn an_error_of_the_peer_arrives_as_it_is() {
    let mut client = Node::client_in(V2025_11_25, |_| {});
    for (code, data) in [(-32601, None), (-32042, Some(json!({"a": [1]}))), (0, Some(json!(null))), (i64::MAX, None)] {
        client.ask("tools/call", &json!({"name": "t"}));
        let id = client.frames()[0]["id"].clone();
        let mut error = json!({"code": code, "message": "m"});
        if let Some(data) = &data {
            error["data"] = data.clone();
        }
        client.tell(&json!({"jsonrpc": "2.0", "id": id, "error": error}));
        let Err(RequestError::Rpc(error)) = client.take_response().1 else { panic!() };
        assert_eq!((error.code.0, error.message.as_str(), error.data), (code, "m", data));
    }
}

/// basic: a response has "either a result or an error", and the result is an object. One that has not fails its call at
/// once instead of leaving it to its deadline.
#[test]
fn a_malformed_response_fails_its_call_and_no_other() {
    type Fits = fn(Fault) -> bool;
    let answers: [(&str, Fits); 9] = [
        (r#""result":{},"error":{"code":1,"message":"m"}"#, |fault| fault == Fault::NotAMessage),
        (r#""result":[]"#, |fault| fault == Fault::BadResult),
        (r#""result":null"#, |fault| fault == Fault::BadResult),
        (r#""result":"text""#, |fault| fault == Fault::BadResult),
        (r#""error":null"#, |fault| fault == Fault::BadError),
        (r#""error":{}"#, |fault| fault == Fault::BadError),
        (r#""error":{"code":"1","message":"m"}"#, |fault| fault == Fault::BadError),
        (r#""result":{},"result":{}"#, |fault| fault == Fault::DuplicateMember("result")),
        (r#""result":{"a":01}"#, |fault| matches!(fault, Fault::NotJson(_))),
    ];
    for (members, fits) in answers {
        let mut client = Node::client_in(V2025_11_25, |_| {});
        let asked = client.ask("tools/list", &json!({}));
        let id = client.frames()[0]["id"].clone();
        let other = client.ask("prompts/list", &json!({}));
        let next = client.frames()[0]["id"].clone();
        client.line(&std::format!(r#"{{"jsonrpc":"2.0","id":{id},{members}}}"#));
        let (ended, outcome) = client.take_response();
        let Err(RequestError::InvalidResult(fault)) = outcome else { panic!("{members}") };
        assert!(ended == asked && fits(fault), "{members} {fault:?}");
        assert!(client.frames().is_empty(), "a response is never answered");
        client.tell(&json!({"jsonrpc": "2.0", "id": next, "result": {}}));
        assert_eq!(client.take_response().0, other);
    }
}

/// Some peers answer a numeric id with a string of the same digits; the call gets its answer, and it is counted.
#[test]
fn a_numeric_id_that_comes_back_as_a_string_is_taken_and_counted() {
    let mut client = Node::client_in(V2025_11_25, |_| {});
    let asked = client.ask("tools/list", &json!({}));
    let id = client.frames()[0]["id"].to_string();
    for other in [std::format!("+{id}"), std::format!("0{id}"), std::format!(" {id}"), std::format!("{id}.0")] {
        client.tell(&json!({"jsonrpc": "2.0", "id": other, "result": {}}));
        assert_eq!(kinds(&client.events()), ["stray"], "{other:?} is another id");
    }
    client.tell(&json!({"jsonrpc": "2.0", "id": id, "result": {}}));
    assert_eq!(client.take_response().0, asked);
    assert_eq!(client.conn.stats().coerced_ids, 1);
}

/// basic: a response is one to a request that was sent. A peer that guesses the id of one that is still here once ended the call, and
/// the request went out all the same; a question instead of an answer even sent it twice.
#[test]
fn an_answer_that_comes_before_its_request_has_left_is_nobodys() {
    for mut node in [Node::client_in(V2025_11_25, |_| {}), Node::server_in(V2025_11_25, |_| {})] {
        let options = CallOptions { progress: Wanted::Yes, ..CallOptions::default() };
        let asked = node.request(&body("ping", &json!({})), &options).unwrap();
        let id = node.conn.wire_id(asked).unwrap();
        let progress = json!({"jsonrpc": "2.0", "method": "notifications/progress",
            "params": {"progressToken": id, "progress": 1}});
        let result = json!({"jsonrpc": "2.0", "id": id, "result": {"resultType": "input_required"}});
        let error = json!({"jsonrpc": "2.0", "id": id, "error": {"code": -1, "message": "no"}});
        for early in [&progress, &result, &error] {
            node.tell(early);
            assert_eq!(kinds(&node.events()), ["stray"], "{early}");
        }
        let malformed = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":7}}"#);
        node.line(&malformed);
        assert_eq!(kinds(&node.events()), ["misbehaved"]);
        assert_eq!(node.methods(), ["ping"]);
        node.tell(&progress);
        node.tell(&result);
        assert_eq!(kinds(&node.events()), ["progress", "response"]);
    }
}

/// In the legacy era every result is complete; the request stays open for one that is.
#[test]
fn only_complete_results_exist() {
    let mut server = Node::server_in(V2025_06_18, |_| {});
    server.tell(&call(&json!(1)));
    let (id, ..) = server.take_request();
    let refused =
        server.step(|conn, now| conn.respond(now, id, ResultKind::Other("task".into()), result(&json!({})), None));
    assert_eq!(refused, Err(RespondError::NotInThisRevision));
    server.respond(id, &json!({})).unwrap();
}

/// A result of the legacy era is complete, whatever it says of itself: the member is anybody's there.
#[test]
fn a_legacy_result_is_complete_whatever_it_says() {
    let mut client = Node::client_in(V2025_11_25, |_| {});
    for kind in [json!("input_required"), json!("task"), json!("other")] {
        let asked = client.ask("tools/call", &json!({"name": "t"}));
        let id = client.frames()[0]["id"].clone();
        let result = json!({"resultType": kind, "content": []});
        client.tell(&json!({"jsonrpc": "2.0", "id": id, "result": result}));
        assert_eq!(client.take_response(), (asked, Ok(result)), "{kind}");
    }
}

/// What belongs to the core is not the application's to send: it could cancel what is not open, or initialize twice.
#[test]
fn what_the_core_sends_by_itself_nobody_else_sends() {
    for mut node in [Node::client_in(V2025_11_25, |_| {}), Node::server_in(V2025_11_25, |_| {})] {
        for method in ["notifications/initialized", "notifications/cancelled", "notifications/progress"] {
            let params = json!({"requestId": 1, "progressToken": 1, "progress": 1});
            let refused = node.notify(&body(method, &params), Scope::Connection).unwrap_err();
            assert_eq!(refused.why, Why::NotYours, "{method}");
        }
        let refused = node.request(&body("initialize", &json!({})), &CallOptions::default()).unwrap_err();
        assert_eq!(refused.why, Why::NotYours);
        assert!(node.frames().is_empty());
    }
}

/// basic, `_meta`: the user's keys travel on requests, notifications and results; the core's token wins over a user's.
#[test]
fn meta_travels_and_the_core_has_the_last_word() {
    let meta = json!({"progressToken": "mine", "example.com/key": {"a": "\u{2028}"}}).as_object().cloned();
    let mut client = Node::client_in(V2025_11_25, |_| {});
    let mut options = CallOptions { meta: meta.clone(), ..CallOptions::default() };
    client.request(&body("tools/list", &json!({})), &options).unwrap();
    options.progress = Wanted::Yes;
    client.request(&body("tools/list", &json!({"cursor": "c"})), &options).unwrap();
    let frames = client.frames();
    assert_eq!(frames[1]["params"]["_meta"]["example.com/key"], json!({"a": "\u{2028}"}));
    assert_ne!(frames[1]["params"]["_meta"]["progressToken"], "mine");
    assert_eq!(frames[1]["params"]["cursor"], "c");

    let mut server = Node::server_in(V2025_11_25, |_| {});
    server.tell(&call(&json!(1)));
    let (id, ..) = server.take_request();
    server.step(|conn, now| conn.respond(now, id, ResultKind::Complete, result(&json!({})), meta.clone())).unwrap();
    assert_eq!(server.frames()[0]["result"]["_meta"]["example.com/key"]["a"], "\u{2028}");
}

/// Unknown methods and members are the application's: they arrive unchanged.
#[test]
fn unknown_methods_and_members_reach_the_application() {
    let mut server = Node::server_in(V2025_11_25, |_| {});
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "vendor/thing", "params": {"x": [1]}, "extra": {"y": 2}});
    server.tell(&request);
    let (id, message, _) = server.take_request();
    assert_eq!(serde_json::from_str::<Value>(message.text()).unwrap(), request);
    server.reject(id, &ErrorObject::method_not_found("vendor/thing")).unwrap();
    assert_eq!(server.frames()[0]["error"]["code"], -32601);
    server.tell(&json!({"jsonrpc": "2.0", "method": "notifications/vendor/thing", "params": {"x": 1}}));
    assert_eq!(kinds(&server.events()), ["notification"]);
    assert!(server.frames().is_empty());
}

/// A call that belongs to a request of the peer cannot begin once that one is over, and ends with it.
#[test]
fn a_nested_call_ends_with_the_request_that_it_belongs_to() {
    let mut server = Node::server_in(V2025_06_18, |_| {});
    server.tell(&call(&json!(1)));
    let (parent, ..) = server.take_request();
    let options = CallOptions { within: Some(parent), ..CallOptions::default() };
    let nested = server.request(&body("roots/list", &json!({})), &options).unwrap();
    let sent = server.frames()[0]["id"].clone();
    server.respond(parent, &json!({})).unwrap();
    assert_eq!(server.take_response(), (nested, Err(RequestError::Cancelled)));
    let frames = server.frames();
    assert_eq!(frames.len(), 2);
    let cancel = frames.iter().find(|frame| frame["method"] == "notifications/cancelled").unwrap();
    assert_eq!(cancel["params"]["requestId"], sent);
    let refused = server.request(&body("roots/list", &json!({})), &options).unwrap_err();
    assert_eq!(refused.why, Why::Gone);
}

/// What the modern era calls `resultType`, `requestState` and `inputRequests` was anybody's before: a result that has such
/// members, of whatever kind, is a result.
#[test]
fn members_that_mean_something_only_later_are_the_results_own() {
    for (name, value) in [
        ("resultType", json!(7)),
        ("resultType", json!({"a": 1})),
        ("resultType", json!("input_required")),
        ("requestState", json!(["x"])),
        ("inputRequests", json!("x")),
    ] {
        let mut client = Node::client_in(V2025_11_25, |_| {});
        client.ask("tools/call", &json!({"name": "t"}));
        let id = client.frames()[0]["id"].clone();
        let mut result = json!({"content": []});
        result[name] = value;
        client.tell(&json!({"jsonrpc": "2.0", "id": id, "result": result}));
        assert_eq!(client.take_response().1, Ok(result));
    }
}
