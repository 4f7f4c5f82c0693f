//! Questions of the server in the middle of a request (specification 2026-07-28: multi round-trip requests).

use super::*;
use crate::connection::{About, CloseReason, Deadlines, Event, Rounds, Rule, TimedOut, Wanted, Why};
use crate::model::{ElicitationCapability, MAY_REQUIRE_INPUT, SamplingCapability, Supported};
use ProtocolVersion::V2025_11_25;
use std::format;
use std::string::ToString;
use std::time::Duration;

/// A result that asks, with its members as JSON text.
fn asks(id: &Value, members: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"input_required"{members}}}}}"#)
}

const ROOTS: &str = r#","inputRequests":{"k":{"method":"roots/list"}}"#;

/// A client that offers every mode of everything.
fn willing() -> Node {
    modern_client(|config| {
        let supported = Supported::default;
        config.capabilities.elicitation =
            Some(ElicitationCapability::default().with_form(supported()).with_url(supported()));
        config.capabilities.sampling = Some(SamplingCapability::default().with_tools(supported()));
    })
}

/// A client with a call under way, its handle and what was sent.
fn calling(client: &mut Node, options: &CallOptions) -> (OutboundId, Value) {
    let call = client.request(&body("tools/call", &json!({"name": "t", "arguments": {"a": 1.50}})), options).unwrap();
    (call, answer(client))
}

fn asked(client: &mut Node) -> (OutboundId, Vec<(String, Value)>) {
    let events = client.events();
    let [Event::InputRequired { id, requests }] = &events[..] else { panic!("{events:?}") };
    let question = |(key, message): (&String, &crate::jsonrpc::Message)| {
        (key.clone(), json!([message.method(), message.params().decode::<Value>().unwrap()]))
    };
    (*id, requests.iter().map(question).collect())
}

/// A call that is sent again in the moment of a timeout, since that made room, was due in that very moment if it may not be silent at
/// all: a driver that asked when to come back was told "now".
#[test]
fn what_is_sent_again_in_a_moment_is_not_overdue_in_it() {
    let mut client = modern_client(|config| config.limits.output = 2000);
    let at_once =
        |cap| CallOptions { deadlines: Deadlines::Call { idle: Duration::ZERO, cap }, ..CallOptions::default() };
    let (call, first) = calling(&mut client, &at_once(Duration::from_secs(60)));
    let due = client.conn.poll_timeout().unwrap();
    client.line(&asks(&first["id"], ROOTS));
    asked(&mut client);
    let large = body("tools/call", &json!({"name": "t", "arguments": {"a": "x".repeat(3000)}}));
    client.request(&large, &at_once(Duration::ZERO)).unwrap();
    client.wait(Duration::from_millis(1));
    client.supply(call, &[("k", json!({"roots": []}))]).unwrap();
    // Those that have not left go, so that there is room. That the next moment lies ahead, `wait` asks itself.
    client.wait(due.saturating_since(client.now));
    let sent = client.frames();
    assert!(sent.iter().any(|frame| frame["params"]["inputResponses"].is_object()), "{sent:?}");
}

/// Questions that the application has not taken count as events: reading stops over `Limits::events`.
#[test]
fn questions_count_as_events() {
    let mut client = modern_client(|config| config.limits.events = 2000);
    let (_, first) = calling(&mut client, &CallOptions::default());
    let params = json!({"_meta": {"com.example/k": "x".repeat(3000)}});
    let questions = format!(r#","inputRequests":{{"k":{{"method":"roots/list","params":{params}}}}}"#);
    client.line(&asks(&first["id"], &questions));
    assert!(client.conn.buffered_bytes() > 3000);
    assert!(!client.conn.wants_input());
    asked(&mut client);
    assert!(client.conn.wants_input());
}

/// "the client … retries the original request … with the `inputResponses` … a new JSON-RPC id", the same method and
/// parameters, "`requestState` … exactly as received", and the `_meta` that every request needs.
#[test]
fn a_question_is_answered_by_asking_again() {
    let mut client = willing();
    let options = CallOptions { progress: Wanted::Yes, ..CallOptions::default() };
    let (call, first) = calling(&mut client, &options);
    let state = r#","requestState":"a\u00e9\/\n\\\u0041é""#;
    let questions = r#","inputRequests":{"r":{"method":"roots/list"},"e":{"method":"elicitation/create","params":
        {"message":"?","requestedSchema":{"type":"object","properties":{}}}}}"#
        .replace('\n', " ");
    client.line(&asks(&first["id"], &format!("{questions}{state}")));
    let (id, questions) = asked(&mut client);
    assert_eq!(id, call);
    assert_eq!(questions[0].0, "e");
    assert_eq!(questions[0].1[0], "elicitation/create");
    assert_eq!(questions[0].1[1]["message"], "?");
    assert_eq!(questions[1], ("r".to_string(), json!(["roots/list", {}])));
    assert!(client.frames().is_empty(), "nothing is sent before the answers are there");

    client.supply(call, &[("r", json!({"roots": []})), ("e", json!({"action": "decline"}))]).unwrap();
    let frame = client.step(|conn, _| conn.poll_transmit()).unwrap().frame;
    let text = std::str::from_utf8(&frame).unwrap();
    assert!(text.contains(r#""requestState":"a\u00e9\/\n\\\u0041é""#), "byte for byte: {text}");
    let second = client.check_frame(&frame);
    assert_ne!(second["id"], first["id"]);
    assert_eq!(second["method"], "tools/call");
    assert_eq!(second["params"]["name"], "t");
    assert_eq!(second["params"]["arguments"], json!({"a": 1.5}));
    assert_eq!(
        second["params"]["inputResponses"],
        json!({"r": {"roots": []}, "e": {"action": "decline"}}),
        "bare results: no resultType, no envelope"
    );
    let (mut meta, before) = (second["params"]["_meta"].clone(), &first["params"]["_meta"]);
    assert_eq!(meta[meta_key::PROGRESS_TOKEN], second["id"], "a token of its own");
    meta[meta_key::PROGRESS_TOKEN] = before[meta_key::PROGRESS_TOKEN].clone();
    assert_eq!(&meta, before);
    assert_eq!(second["params"].as_object().unwrap().len(), 5, "{second}");

    client.tell(&json!({"jsonrpc": "2.0", "id": second["id"], "result": {"resultType": "complete", "content": []}}));
    let (id, end) = take_end(&mut client);
    assert_eq!((id, end.unwrap().0), (call, ResultKind::Complete));
}

/// A client MUST have all answers before it tries again: as long as one lacks, nothing is sent and the question stays open.
#[test]
fn all_questions_are_answered_before_the_request_is_sent_again() {
    let mut client = willing();
    let (call, first) = calling(&mut client, &CallOptions::default());
    client.line(&asks(&first["id"], r#","inputRequests":{"a":{"method":"roots/list"},"b":{"method":"roots/list"}}"#));
    asked(&mut client);
    let roots = || json!({"roots": []});
    for answers in [&[][..], &[("a", roots())], &[("b", roots()), ("c", roots())]] {
        assert_eq!(client.supply(call, answers), Err(RespondError::Incomplete));
        assert!(client.frames().is_empty() && client.events().is_empty());
    }
    client.supply(call, &[("a", roots()), ("b", roots())]).unwrap();
    assert_eq!(answer(&mut client)["params"]["inputResponses"], json!({"a": roots(), "b": roots()}));
}

/// "`requestState` … MUST NOT be included if … not" received, and only the latest one is.
#[test]
fn only_the_latest_state_is_sent_and_none_if_there_was_none() {
    let mut client = willing();
    let (call, first) = calling(&mut client, &CallOptions::default());
    let mut wire = first["id"].clone();
    for (state, expected) in [
        (r#","requestState":"one""#, json!("one")),
        ("", json!(null)),
        (r#","requestState":"""#, json!("")),
        (r#","requestState":"two""#, json!("two")),
    ] {
        client.line(&asks(&wire, &format!("{ROOTS}{state}")));
        asked(&mut client);
        client.supply(call, &[("k", json!({"roots": []}))]).unwrap();
        let again = answer(&mut client);
        assert_eq!(again["params"].get("requestState"), (!expected.is_null()).then_some(&expected), "{again}");
        assert_eq!(again["params"]["inputResponses"].as_object().unwrap().len(), 1, "only this round's");
        wire = again["id"].clone();
    }
    // "MUST NOT" go into any other request.
    client.ask("tools/call", &json!({"name": "t"}));
    let other = answer(&mut client);
    assert_eq!((other["params"].get("requestState"), other["params"].get("inputResponses")), (None, None));
}

/// A question may be put about each of the three methods that know it.
#[test]
fn the_three_methods_may_be_answered_with_a_question() {
    for method in MAY_REQUIRE_INPUT {
        let mut client = willing();
        let call = client.ask(method, &json!({"name": "t", "uri": "x:y"}));
        let first = answer(&mut client);
        client.line(&asks(&first["id"], ROOTS));
        assert_eq!(asked(&mut client).0, call);
        client.supply(call, &[("k", json!({"roots": []}))]).unwrap();
        assert_eq!(answer(&mut client)["method"], method);
    }
}

/// "MUST NOT" be used for any other method.
#[test]
fn for_other_methods_a_question_is_no_result() {
    for method in ["tools/list", "prompts/list", "completion/complete", "subscriptions/listen", "vendor/any"] {
        for rounds in [Rounds::Drive, Rounds::Return] {
            let mut client = willing();
            let options = CallOptions { rounds, ..CallOptions::default() };
            let call = client.request(&body(method, &json!({})), &options).unwrap();
            let id = answer(&mut client)["id"].clone();
            client.line(&asks(&id, ROOTS));
            let (id, end) = take_end(&mut client);
            assert_eq!(id, call);
            assert!(matches!(end, Err(RequestError::InvalidResult(_))), "{method}: {end:?}");
            assert!(client.frames().is_empty());
        }
    }
}

/// A round without a question only asks for patience: the request is sent again by itself, each time a little later.
#[test]
fn rounds_with_a_state_only_are_held_back_longer_and_longer() {
    let mut client = modern_client(|config| config.rounds = 6);
    let (call, first) = calling(&mut client, &CallOptions::default());
    let (mut wire, mut before) = (first["id"].clone(), Duration::ZERO);
    for round in 0..6 {
        client.line(&asks(&wire, &format!(r#","requestState":"s{round}""#)));
        assert!(client.events().is_empty(), "nobody is asked");
        assert!(client.frames().is_empty(), "not at once");
        let delay = client.conn.poll_timeout().unwrap().saturating_since(client.now);
        assert!(delay > before && delay < secs(10), "{delay:?} after {before:?}");
        client.wait(delay - Duration::from_nanos(1));
        assert!(client.frames().is_empty());
        client.wait(Duration::from_nanos(1));
        let again = answer(&mut client);
        assert_eq!(again["params"]["requestState"], format!("s{round}"));
        assert_eq!(again["params"].get("inputResponses"), None);
        (wire, before) = (again["id"].clone(), delay);
    }
    client.line(&asks(&wire, r#","requestState":"more""#));
    assert_eq!(take_end(&mut client), (call, Err(RequestError::TooManyRounds(6))));
    assert!(client.frames().is_empty());
}

/// Found by simulation, first for those that are held back and then for those whose questions the application answers: a client that
/// had to send many again did so for all of them at once, with more than twice its own output, and took the server for one that does not
/// read. They go as there is room.
#[test]
fn many_that_are_sent_again_do_not_all_go_at_once() {
    const MANY: usize = 20;
    const OUTPUT: usize = 1000;

    for members in [r#","requestState":"s""#, ROOTS] {
        let mut client = modern_client(|config| config.limits.output = OUTPUT);
        let first: Vec<Value> = (0..MANY).map(|_| calling(&mut client, &CallOptions::default()).1).collect();
        for first in &first {
            client.line(&asks(&first["id"], members));
        }
        let questions = client.events();
        for event in &questions {
            let Event::InputRequired { id, .. } = event else { panic!("{event:?}") };
            client.supply(*id, &[("k", json!({"roots": []}))]).unwrap();
        }
        client.wait(Duration::from_millis(100));
        assert_eq!(client.closed_by(), None);
        let (mut again, mut turns) = (0, 0);
        while let Some(sent) = client.step(|conn, _| conn.poll_transmit()) {
            again += usize::from(matches!(sent.about, About::Call(_)));
            turns += 1;
            assert!(client.conn.buffered_bytes() <= OUTPUT + sent.frame.len() + 50, "{}", client.conn.buffered_bytes());
        }
        assert_eq!((again, turns), (MANY, MANY));
    }
}

/// One that waits for room keeps its deadlines, can be given up without a word, and ends with the connection.
#[test]
fn a_call_that_waits_for_room_to_be_sent_again_ends_as_any_other() {
    let ends: [fn(&mut Node, OutboundId); 3] = [
        |client, call| client.cancel(call, ""),
        |client, _| client.wait(Duration::from_secs(61)),
        |client, _| client.eof(),
    ];
    for end in ends {
        let mut client = modern_client(|config| config.limits.output = 100);
        let calls = [(); 2].map(|()| calling(&mut client, &CallOptions::default()));
        for (_, first) in &calls {
            client.line(&asks(&first["id"], ROOTS));
        }
        client.events();
        for (call, _) in &calls {
            client.supply(*call, &[("k", json!({"roots": []}))]).unwrap();
        }
        let second = calls[1].0;
        end(&mut client, second);
        let ended =
            client.events().into_iter().filter(|event| matches!(event, Event::Response { id, .. } if *id == second));
        assert_eq!(ended.count(), 1);
        let about = |sent: crate::connection::Transmit| sent.about;
        let left: Vec<_> = std::iter::from_fn(|| client.step(|conn, _| conn.poll_transmit())).map(about).collect();
        assert!(!left.contains(&About::Call(second)) && left.len() <= 1, "{left:?}");
    }
}

/// The limit counts rounds with questions just so; by default there may be ten.
#[test]
fn rounds_are_limited() {
    let mut client = willing();
    let (call, first) = calling(&mut client, &CallOptions::default());
    let mut wire = first["id"].clone();
    for _ in 0..10 {
        client.line(&asks(&wire, ROOTS));
        asked(&mut client);
        client.supply(call, &[("k", json!({"roots": []}))]).unwrap();
        wire = answer(&mut client)["id"].clone();
    }
    client.line(&asks(&wire, ROOTS));
    assert_eq!(take_end(&mut client), (call, Err(RequestError::TooManyRounds(10))));
    assert_eq!(client.supply(call, &[]), Err(RespondError::Gone));
}

/// A person may think for an hour: the call's clocks stand still while we are asked, and go on afterwards.
#[test]
fn the_clocks_stand_still_while_the_application_is_asked() {
    let (idle, cap) = (secs(10), secs(15));
    let options = CallOptions { deadlines: Deadlines::Call { idle, cap }, ..CallOptions::default() };
    let mut client = willing();
    let (call, first) = calling(&mut client, &options);
    client.wait(secs(8));
    client.line(&asks(&first["id"], ROOTS));
    asked(&mut client);
    client.wait(secs(3500));
    assert!(client.events().is_empty());
    assert!(client.frames().is_empty());
    client.supply(call, &[("k", json!({"roots": []}))]).unwrap();
    answer(&mut client);
    // 8 of the 15 seconds are gone; the silence begins anew.
    client.wait(secs(7) - MILLI);
    assert!(client.events().is_empty());
    client.wait(MILLI + SLACK);
    assert_eq!(take_end(&mut client), (call, Err(RequestError::TimedOut(TimedOut::Cap(cap)))));
    assert_eq!(client.methods(), ["notifications/cancelled"]);
}

/// But no longer: an application that never answers does not keep the call for ever. The server waits for nothing.
#[test]
fn a_question_that_is_never_answered_ends_the_call() {
    let mut client = willing();
    let (call, first) = calling(&mut client, &CallOptions::default());
    client.line(&asks(&first["id"], ROOTS));
    asked(&mut client);
    client.wait(secs(3600) + SLACK);
    assert_eq!(take_end(&mut client), (call, Err(RequestError::TimedOut(TimedOut::Idle(secs(3600))))));
    assert!(client.frames().is_empty());
}

/// While we are asked or the request is held back, the server works on nothing that could be cancelled.
#[test]
fn a_cancel_between_two_rounds_sends_nothing() {
    for members in [ROOTS, r#","requestState":"s""#] {
        let mut client = willing();
        let (call, first) = calling(&mut client, &CallOptions::default());
        client.line(&asks(&first["id"], members));
        assert!(client.events().len() <= 1);
        client.cancel(call, "enough");
        assert_eq!(take_end(&mut client), (call, Err(RequestError::Cancelled)));
        client.wait(secs(60));
        assert!(client.frames().is_empty());
        assert_eq!(client.supply(call, &[]), Err(RespondError::Gone));
    }
    // In the next round it is cancelled by its new id.
    let mut client = willing();
    let (call, first) = calling(&mut client, &CallOptions::default());
    client.line(&asks(&first["id"], ROOTS));
    asked(&mut client);
    client.supply(call, &[("k", json!({"roots": []}))]).unwrap();
    let second = answer(&mut client);
    client.cancel(call, "enough");
    assert_eq!(take_end(&mut client).0, call);
    assert_eq!(answer(&mut client)["params"]["requestId"], second["id"]);
}

/// The connection's end is the call's as well, wherever it stands.
#[test]
fn the_end_of_the_connection_ends_a_call_between_two_rounds() {
    for members in [ROOTS, r#","requestState":"s""#] {
        let mut client = willing();
        let (call, first) = calling(&mut client, &CallOptions::default());
        client.line(&asks(&first["id"], members));
        client.events();
        client.eof();
        let events = client.events();
        assert!(
            matches!(&events[..], [Event::Response { id, result: Err(RequestError::Closed(CloseReason::PeerClosed)) },
            Event::Closed { .. }] if *id == call),
            "{events:?}"
        );
    }
}

/// The old id is free: an answer to it is nobody's, and progress begins anew under the new token.
#[test]
fn what_comes_late_for_an_earlier_round_is_nobodys() {
    let mut client = willing();
    let options = CallOptions { progress: Wanted::Yes, ..CallOptions::default() };
    let (call, first) = calling(&mut client, &options);
    let progress = |token: &Value, progress: u32| {
        json!({"jsonrpc": "2.0", "method": "notifications/progress",
            "params": {"progressToken": token, "progress": progress}})
    };
    client.tell(&progress(&first["id"], 9));
    assert_eq!(kinds(&client.events()), ["progress"]);
    client.line(&asks(&first["id"], ROOTS));
    asked(&mut client);
    client.supply(call, &[("k", json!({"roots": []}))]).unwrap();
    let second = answer(&mut client);
    client.tell(&json!({"jsonrpc": "2.0", "id": first["id"], "result": {"content": []}}));
    assert_eq!(kinds(&client.events()), ["stray"]);
    client.tell(&progress(&first["id"], 10));
    assert_eq!(kinds(&client.events()), ["stray"]);
    client.tell(&progress(&second["id"], 1));
    assert_eq!(kinds(&client.events()), ["progress"], "each token has its own");
}

/// The same for a request that is sent again: a question for one that has not left yet sent it once more, beside the first.
#[test]
fn a_question_that_comes_before_its_request_has_left_is_nobodys() {
    let mut client = willing();
    let (call, first) = calling(&mut client, &CallOptions::default());
    client.line(&asks(&first["id"], ROOTS));
    asked(&mut client);
    client.supply(call, &[("k", json!({"roots": []}))]).unwrap();
    let second = client.conn.wire_id(call).unwrap();
    client.line(&asks(&json!(second), ROOTS));
    assert_eq!(kinds(&client.events()), ["stray"]);
    assert_eq!(answer(&mut client)["id"], json!(second));
    client.line(&asks(&json!(second), ROOTS));
    asked(&mut client);
}

/// "servers MUST NOT include input requests … the client has not declared": such an answer is no valid one.
#[test]
fn a_question_that_we_never_offered_to_answer_fails_the_call() {
    let url = r#"{"method":"elicitation/create","params":{"mode":"url","message":"m","url":"https://x","elicitationId":"e"}}"#;
    let tools = r#"{"method":"sampling/createMessage","params":{"messages":[],"maxTokens":1,"tools":[]}}"#;
    for (question, lacking) in [
        (url, r#""b" by elicitation/create, and this client did not declare {"elicitation":{"url":{}}}"#),
        (tools, r#""b" by sampling/createMessage, and this client did not declare {"sampling":{"tools":{}}}"#),
        (r#"{"method":"ping"}"#, r#""b" by ping, which may not be asked so"#),
        (r#"{"method":"tools/list"}"#, r#""b" by tools/list, which may not be asked so"#),
        (r#"{"method":"vendor/any"}"#, r#""b" by vendor/any, which may not be asked so"#),
    ] {
        let mut client = modern_client(|_| {});
        let (call, first) = calling(&mut client, &CallOptions::default());
        let members = format!(r#","inputRequests":{{"a":{{"method":"roots/list"}},"b":{question}}}"#);
        client.line(&asks(&first["id"], &members));
        let (id, end) = take_end(&mut client);
        assert_eq!(id, call);
        let Err(error @ RequestError::Undeclared { .. }) = end else { panic!("{question}: {end:?}") };
        assert!(error.to_string().ends_with(lacking), "{error}");
        assert!(client.frames().is_empty());
    }
    let mut client = modern_client(|config| config.capabilities = ClientCapabilities::default());
    let (_, first) = calling(&mut client, &CallOptions::default());
    client.line(&asks(&first["id"], ROOTS));
    let Err(RequestError::Undeclared { needs: Some(needs), .. }) = take_end(&mut client).1 else { panic!("no roots") };
    assert_eq!(needs, Capability::Roots);
}

/// "at least one of `inputRequests` and `requestState`"; and each question must be one.
#[test]
fn a_question_that_cannot_be_read_fails_the_call() {
    let faults = [
        "",
        r#","inputRequests":[]"#,
        r#","inputRequests":"k""#,
        r#","inputRequests":{"k":{}}"#,
        r#","inputRequests":{"k":null}"#,
        r#","inputRequests":{"k":"roots/list"}"#,
        r#","inputRequests":{"k":{"method":1}}"#,
        r#","inputRequests":{"k":{"method":"roots/list","params":[]}}"#,
        r#","inputRequests":{"k":{"method":"elicitation/create"}}"#,
        r#","inputRequests":{"k":{"method":"roots/list"},"k":{"method":"roots/list"}}"#,
        r#","requestState":5"#,
        r#","requestState":{"a":1}"#,
    ];
    for members in faults {
        let mut client = willing();
        let (call, first) = calling(&mut client, &CallOptions::default());
        client.line(&asks(&first["id"], members));
        let mut ends = 0;
        for event in client.events() {
            match event {
                Event::Response { id, result: Err(RequestError::InvalidResult(_)) } if id == call => ends += 1,
                Event::Misbehaved { rule: Rule::Malformed(_), .. } => {}
                other => panic!("{members}: {other:?}"),
            }
        }
        assert_eq!(ends, 1, "{members}");
        client.wait(secs(60));
        assert!(client.frames().is_empty(), "{members}");
    }
}

/// A gateway passes the question on: it is the response then, and no other round is our affair.
#[test]
fn a_question_may_be_the_response() {
    let mut client = willing();
    let options = CallOptions { rounds: Rounds::Return, ..CallOptions::default() };
    let (call, first) = calling(&mut client, &options);
    client.line(&asks(&first["id"], &format!(r#"{ROOTS},"requestState":"s""#)));
    let (id, end) = take_end(&mut client);
    let (kind, value) = end.unwrap();
    assert_eq!((id, kind), (call, ResultKind::InputRequired));
    assert_eq!(value["inputRequests"]["k"]["method"], "roots/list");
    assert_eq!(value["requestState"], "s");
    assert_eq!(client.supply(call, &[]), Err(RespondError::Gone));
}

/// `supply_input` is for a call that waits for it, and takes results.
#[test]
fn answers_without_a_question_are_refused() {
    let mut client = willing();
    let (call, first) = calling(&mut client, &CallOptions::default());
    assert_eq!(client.supply(call, &[]), Err(RespondError::Gone), "not asked yet");
    client.line(&asks(&first["id"], ROOTS));
    asked(&mut client);
    let wrong: BTreeMap<String, Body> = [("k".to_string(), body("roots/list", &json!({})))].into();
    let sent = client.step(|conn, now| conn.supply_input(now, call, &wrong));
    assert_eq!(sent, Err(RespondError::NotAResult), "still asked");
    client.supply(call, &[("k", json!({"roots": []}))]).unwrap();
    assert_eq!(client.supply(call, &[("k", json!({"roots": []}))]), Err(RespondError::Gone), "answered");
    assert_eq!(client.frames().len(), 1);
}

/// A request whose answers do not fit a frame ends here, and the server hears nothing of it.
#[test]
fn answers_that_are_too_long_fail_the_call() {
    let mut client = modern_client(|config| config.limits.frame = 2000);
    let (call, first) = calling(&mut client, &CallOptions::default());
    client.line(&asks(&first["id"], ROOTS));
    asked(&mut client);
    let _ = client.supply(call, &[("k", json!({"roots": [], "x": "y".repeat(2000)}))]);
    assert_eq!(take_end(&mut client), (call, Err(RequestError::TooLarge)));
    assert!(client.frames().is_empty());
}

/// A server that has a request of this method from a client with these capabilities in work.
fn serving(method: &str, capabilities: &Value) -> (Node, InboundId) {
    let mut server = Node::server(dual_server());
    server.tell(&modern_with(&json!("w"), method, json!({"name": "t", "uri": "x:y"}), capabilities));
    let (id, ..) = server.take_request();
    (server, id)
}

/// "`resultType`: `input_required`" with all questions in one result, as requests without envelope.
#[test]
fn a_server_asks_by_its_result() {
    for method in MAY_REQUIRE_INPUT {
        let (mut server, id) = serving(method, &json!({"roots": {}, "elicitation": {}}));
        let questions = [("e", "elicitation/create", form()), ("r\"", "roots/list", json!({}))];
        server.require(id, &questions, Some("s\u{e9}\"/")).unwrap();
        let frame = answer(&mut server);
        let mut expected = json!({"jsonrpc": "2.0", "id": "w", "result": {"resultType": "input_required",
            "inputRequests": {"e": {"method": "elicitation/create", "params": form()}, "r\"": {"method": "roots/list"}},
            "requestState": "s\u{e9}\"/", "_meta": {meta_key::SERVER_INFO: {"name": "server", "version": "1"}}}});
        let mut frame = frame;
        for frame in [&mut frame, &mut expected] {
            frame["result"]["inputRequests"]["r\""]["params"] = json!({});
        }
        assert_eq!(frame, expected, "no cache fields, nothing else");
        assert_eq!(server.respond(id, &json!({})), Err(RespondError::Gone), "the request is over");
        // "MUST NOT assume that the client will retry": the next round is a request like any other.
        let mut retry = modern_with(
            &json!("w2"),
            method,
            json!({"name": "t", "uri": "x:y", "requestState": "s",
            "inputResponses": {"e": {"action": "accept"}}}),
            &json!({}),
        );
        retry["params"]["_meta"][meta_key::CLIENT_CAPABILITIES] = json!({});
        server.tell(&retry);
        let (_, message, _) = server.take_request();
        assert_eq!(message.params().decode::<Value>().unwrap()["requestState"], "s");
    }
    let (mut server, id) = serving("tools/call", &json!({}));
    server.require(id, &[], Some("s")).unwrap();
    let result = answer(&mut server)["result"].clone();
    assert_eq!((&result["requestState"], result.get("inputRequests")), (&json!("s"), None));
    let (mut server, id) = serving("tools/call", &json!({"roots": {}}));
    server.require(id, &[("k", "roots/list", json!({}))], None).unwrap();
    assert_eq!(answer(&mut server)["result"].get("requestState"), None);
}

/// A server MUST NOT count on the client's trying again: a question that is never answered holds no place and nothing else.
#[test]
fn a_question_leaves_nothing_behind() {
    let mut config = dual_server();
    config.limits.inbound_requests = 1;
    let mut server = Node::server(config);
    for round in 0..100 {
        server.tell(&modern_with(&json!(round), "tools/call", json!({"name": "t"}), &json!({"roots": {}})));
        let (id, ..) = server.take_request();
        server.require(id, &[("k", "roots/list", json!({}))], Some("state")).unwrap();
        assert_eq!(answer(&mut server)["result"]["resultType"], "input_required");
        assert_eq!((server.conn.buffered_bytes(), server.conn.poll_timeout()), (0, None));
    }
    server.eof();
    assert_eq!(server.closed_by(), Some(CloseReason::PeerClosed), "at once: nothing is in work");
}

/// The other methods and the other era know no questions; nor is there one without anything in it. The request stays open.
#[test]
fn a_server_cannot_ask_where_there_are_no_questions() {
    for method in ["tools/list", "completion/complete", "subscriptions/listen", "vendor/any"] {
        let mut server = Node::server(dual_server());
        server.tell(&modern_with(&json!(1), method, json!({"notifications": {}}), &json!({"roots": {}})));
        let (id, ..) = server.take_request();
        let sent = server.require(id, &[("k", "roots/list", json!({}))], Some("s"));
        assert_eq!(sent, Err(RespondError::NotInThisRevision), "{method}");
        server.respond(id, &json!({})).unwrap();
    }
    let mut server = Node::server_in(V2025_11_25, |_| {});
    server.tell(&call(&json!(1)));
    let (id, ..) = server.take_request();
    let sent = server.require(id, &[("k", "roots/list", json!({}))], Some("s"));
    assert_eq!(sent, Err(RespondError::NotInThisRevision));
    server.respond(id, &json!({"content": []})).unwrap();

    let (mut server, id) = serving("tools/call", &json!({"roots": {}}));
    assert!(server.require(id, &[], None).is_err(), "both empty");
    for method in ["ping", "tools/list", "vendor/any"] {
        assert!(server.require(id, &[("k", method, json!({}))], None).is_err(), "{method}");
    }
    assert!(server.frames().is_empty());
    server.respond(id, &json!({"content": []})).unwrap();
    assert_eq!(answer(&mut server)["result"]["resultType"], "complete");
}

/// "MissingRequiredClientCapabilityError … `requiredCapabilities`": what this request has not declared is not asked of it, mode
/// by mode.
#[test]
fn a_client_is_asked_only_what_this_request_declares() {
    let sampling = json!({"messages": [], "maxTokens": 1});
    let with_tools = json!({"messages": [], "maxTokens": 1, "tools": []});
    let by_url = json!({"mode": "url", "message": "m", "url": "https://x.example"});
    let cases = [
        ("roots/list", json!({}), json!({}), json!({"roots": {}}), json!({"roots": {}})),
        ("sampling/createMessage", sampling, json!({"roots": {}}), json!({"sampling": {}}), json!({"sampling": {}})),
        (
            "sampling/createMessage",
            with_tools,
            json!({"sampling": {}}),
            json!({"sampling": {"tools": {}}}),
            json!({"sampling": {"tools": {}}}),
        ),
        ("elicitation/create", form(), json!({}), json!({"elicitation": {}}), json!({"elicitation": {"form": {}}})),
        (
            "elicitation/create",
            form(),
            json!({"elicitation": {"url": {}}}),
            json!({"elicitation": {"form": {}}}),
            json!({"elicitation": {"form": {}}}),
        ),
        (
            "elicitation/create",
            by_url,
            json!({"elicitation": {}}),
            json!({"elicitation": {"url": {}}}),
            json!({"elicitation": {"url": {}}}),
        ),
    ];
    for (method, params, lacks, has, required) in cases {
        let (mut server, id) = serving("tools/call", &lacks);
        let sent = server.require(id, &[("k", method, params.clone())], Some("s"));
        assert_eq!(sent, Err(RespondError::PeerLacks), "{method} with {lacks}");
        let reply = answer(&mut server);
        assert_eq!((&reply["id"], &reply["error"]["code"]), (&json!("w"), &json!(-32021)));
        assert_eq!(reply["error"]["data"], json!({"requiredCapabilities": required}), "{method}");
        assert_eq!(server.respond(id, &json!({})), Err(RespondError::Gone));

        // What another request has declared says nothing about this one.
        server.tell(&modern_with(&json!(1), "tools/call", json!({"name": "t"}), &has));
        let (id, ..) = server.take_request();
        server.require(id, &[("k", method, params)], None).unwrap();
        assert_eq!(answer(&mut server)["result"]["resultType"], "input_required");
    }
}

/// The whole of it, between the two sides of this crate.
#[test]
fn both_sides_go_through_the_rounds_together() {
    let mut pair = Pair::new(dual_client(), dual_server()).run_ready();
    let call = pair.client.ask("tools/call", &json!({"name": "t"}));
    let mut ends = Vec::new();
    let on_client = |node: &mut Node, event| match event {
        Event::InputRequired { id, requests } => {
            let key = requests.keys().next().unwrap();
            node.supply(id, &[(key.as_str(), json!({"roots": [{"uri": format!("file:///{key}")}]}))]).unwrap();
        }
        Event::Response { id, result } => {
            ends.push((id, result.unwrap().1.result().unwrap().decode::<Value>().unwrap()));
        }
        other => panic!("{other:?}"),
    };
    let on_server = |node: &mut Node, event| {
        let Event::Request { id, message, .. } = event else { panic!("{event:?}") };
        let params: Value = message.params().decode().unwrap();
        match params["requestState"].as_str() {
            None => node.require(id, &[("a", "roots/list", json!({}))], Some("1")).unwrap(),
            Some("1") => node.require(id, &[("b", "roots/list", json!({}))], Some("2")).unwrap(),
            Some(_) => node.respond(id, &params["inputResponses"]).unwrap(),
        }
    };
    pair.run(on_client, on_server);
    assert_eq!(ends.len(), 1);
    assert_eq!(ends[0].0, call, "one handle and one response");
    assert_eq!(ends[0].1["b"], json!({"roots": [{"uri": "file:///b"}]}));
    let sent = pair.client.request(&body("ping", &json!({})), &CallOptions::default());
    assert_eq!(sent.unwrap_err().why, Why::NotInThisRevision);
}

/// "`requiredCapabilities`" names all that the client would have to declare, so that it is refused once and not for each.
#[test]
fn all_that_a_client_lacks_is_named_at_once() {
    let (mut server, id) = serving("tools/call", &json!({"sampling": {}}));
    let questions = [
        ("a", "roots/list", json!({})),
        ("b", "sampling/createMessage", json!({"messages": [], "maxTokens": 1, "tools": []})),
        ("c", "elicitation/create", form()),
        ("d", "elicitation/create", json!({"mode": "url", "message": "m", "url": "https://x.example"})),
        ("e", "sampling/createMessage", json!({"messages": [], "maxTokens": 1})),
    ];
    assert_eq!(server.require(id, &questions, None), Err(RespondError::PeerLacks));
    let required = json!({"roots": {}, "sampling": {"tools": {}}, "elicitation": {"form": {}, "url": {}}});
    assert_eq!(answer(&mut server)["error"]["data"], json!({"requiredCapabilities": required}));
}

/// What a server wants kept from one round to the next is bounded, for all calls together: a call that has no room fails.
#[test]
fn what_is_kept_between_rounds_is_bounded() {
    let mut client = modern_client(|config| config.limits.events = 10_000);
    let mut failed = 0;
    for _ in 0..10 {
        client.ask("tools/call", &json!({"name": "t"}));
        let id = answer(&mut client)["id"].clone();
        client.tell(&json!({"jsonrpc": "2.0", "id": id, "result": {"resultType": "input_required",
            "inputRequests": {"k": {"method": "roots/list"}}, "requestState": "s".repeat(3000)}}));
        for event in client.events() {
            if let Event::Response { result, .. } = event {
                assert_eq!(result.unwrap_err(), RequestError::TooLarge);
                failed += 1;
            }
        }
    }
    assert_eq!(failed, 7, "three times 3000 bytes fit into 10 000");
}

/// Found by simulation: a question instead of an answer to a request that was cancelled meanwhile left its slot taken for ever.
#[test]
fn a_question_to_a_cancelled_request_gives_its_slot_back() {
    let mut config = modern_server();
    config.limits.inbound_requests = 1;
    let mut server = Node::server(config);
    let elicitation = json!({"elicitation": {}});
    server.tell(&modern_with(&json!(1), "tools/call", json!({"name": "t"}), &elicitation));
    let (id, ..) = server.take_request();
    server.tell(&cancelled(&json!(1)));
    assert_eq!(kinds(&server.events()), ["cancelled"]);
    server.tell(&modern_with(&json!(2), "tools/call", json!({"name": "t"}), &elicitation));
    assert!(server.events().is_empty(), "it waits for a place");
    assert_eq!(server.require(id, &[("k", "elicitation/create", form())], None), Err(RespondError::Gone));
    server.take_request();
}
