//! `ops`: anything that an application, a driver, a clock and a peer can do to one connection, in any order.

use std::time::Duration;

use mcp_proto::model::{LogParams, LoggingLevel, METHODS, Progress, SubscriptionFilter};
use mcp_proto::{
    Body, CallOptions, Change, Deadlines, ErrorCode, ErrorObject, InboundId, InputRequired, RespondError, ResultKind,
    Rounds, Scope, Wanted, Why,
};
use serde_json::json;

use crate::choices::Choices;
use crate::side::Side;
use crate::{peer, setup};

/// No input is worth more steps than this.
const MOST_STEPS: usize = 200;

/// The bytes: a side, and what happens to it.
pub fn ops(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut side = setup::any(&mut choices);
    let mut incoming = Vec::new();
    let mut outgoing = Vec::new();
    for _ in 0..MOST_STEPS {
        if choices.are_over() {
            break;
        }
        step(&mut choices, &mut side, &mut incoming);
        if choices.one_in(4) {
            side.transmit(choices.any(&[usize::MAX, 1]).unwrap_or_default(), &mut outgoing);
            side.events(choices.any(&[usize::MAX, 1]).unwrap_or_default());
            outgoing.clear();
        }
        side.check();
    }
    side.finish();
}

fn step(choices: &mut Choices<'_>, side: &mut Side, incoming: &mut Vec<u8>) {
    match choices.below(16) {
        0..6 => {
            incoming.extend(peer::line(choices, side));
            side.feed(incoming, usize::MAX);
        }
        6 => side.feed(incoming, choices.below(100)),
        7..13 => command(choices, side),
        13 => {
            let seconds = choices.any(&[0, 1, 5, 30, 60, 600, 3600, 86_400]).unwrap_or_default();
            side.wait(Duration::from_millis(seconds * 1000 + choices.below(50) as u64));
        }
        14 => side.replace(),
        _ => match choices.below(16) {
            0 => side.conn.handle_eof(side.now),
            1 => side.conn.handle_broken(side.now, "broken"),
            2 => side.conn.close(side.now, Duration::from_secs(choices.below(10) as u64)),
            3 => _ = side.conn.is_output_full(),
            // A clock that goes back is not followed.
            4 => side.conn.handle_timeout(mcp_proto::Timestamp::EPOCH),
            5 => side.conn.release_id(&(choices.below(10) as i64).into()),
            _ => {
                if let Ok(id) = side.conn.reserve_id() {
                    side.reserved.push(id);
                }
            }
        },
    }
}

/// Something that the application wants.
pub(crate) fn command(choices: &mut Choices<'_>, side: &mut Side) {
    let now = side.now;
    let latest: Vec<InboundId> = side.requests.keys().rev().take(6).copied().collect();
    let request = choices.any(&latest);
    let calls = &side.calls[side.calls.len().saturating_sub(6)..];
    let call = choices.any(calls);
    match (choices.below(16), request, call) {
        (0..4, _, _) => call_something(choices, side, request),
        (4, _, _) => tell(choices, side, request),
        (5, Some(id), _) => {
            let progress = [0.0, 1.0, 2.0, 3.5, f64::NAN, f64::INFINITY, -1.0][choices.below(7)];
            let message = (!choices.one_in(3)).then(|| "m".repeat(choices.below(3) * 600));
            let mut progress = Progress::new(progress);
            progress.message = message;
            let _ = side.conn.progress(now, id, progress);
        }
        (6..9, Some(id), _) => respond(choices, side, id),
        (9, Some(id), _) => {
            let code =
                choices.any(&[ErrorCode::INTERNAL_ERROR, ErrorCode(-32022), ErrorCode(5)]).unwrap_or(ErrorCode(0));
            let error = ErrorObject::new(code, "no".repeat(choices.any(&[0, 1, 3000]).unwrap_or_default()));
            let rejected = side.conn.reject(now, id, &error);
            // One that was cancelled gives its place back, and is over as well.
            if rejected.is_ok() {
                side.answered(id, false);
            }
        }
        (10, Some(id), _) => side.conn.release(now, id),
        (11, Some(id), _) => {
            let granted = filter(choices);
            side.grant(id, &granted);
        }
        (12, Some(id), _) => {
            let mut input = InputRequired::default();
            let body = |method, params| Body::new(method, &params).expect("a body");
            let form = json!({"mode": "form", "message": "m", "requestedSchema": {"type": "object", "properties": {}}});
            if choices.one_in(2) {
                input.requests.insert("q\"".into(), body("elicitation/create", form));
            }
            if choices.one_in(2) {
                let method = choices.of(&["roots/list", "sampling/createMessage", "tools/list"]);
                input.requests.insert("r".into(), body(method, json!({"messages": [], "maxTokens": 1})));
            }
            input.state = choices.one_in(2).then(|| "s".repeat(choices.any(&[1, 500, 5000]).unwrap_or_default()));
            let asked = side.conn.require_input(now, id, &input);
            if matches!(asked, Ok(()) | Err(RespondError::TooLarge | RespondError::PeerLacks)) {
                side.answered(id, false);
            }
        }
        (13, _, Some(id)) => side.conn.cancel(now, id, choices.of(&["", "why not"])),
        (14, _, Some(id)) => supply(choices, side, id),
        _ => {
            let asked_for = request.and_then(|id| side.requests[&id].message.uri().map(str::to_owned));
            let change = match (choices.below(5), asked_for) {
                (0, _) => Change::Tools,
                (1, _) => Change::Prompts,
                (2, _) => Change::Resources,
                (3, Some(uri)) => Change::Resource(uri),
                _ => Change::Resource(format!("a://{}", choices.below(4))),
            };
            side.conn.changed(now, &change);
        }
    }
}

fn call_something(choices: &mut Choices<'_>, side: &mut Side, within: Option<InboundId>) {
    let row = METHODS[choices.below(METHODS.len())];
    let often = ["tools/call", "elicitation/create", "subscriptions/listen", "ping", "vendor/do"];
    let method = if choices.one_in(2) { row.method } else { choices.of(&often) };
    let size = choices.any(&[0, 0, 100, 1000, 5000]).unwrap_or_default();
    let mut params = json!({"name": "t", "text": "x".repeat(size)});
    match method {
        "subscriptions/listen" => params = json!({"notifications": {"toolsListChanged": true}}),
        "tools/call" if choices.one_in(4) => params["task"] = json!({}),
        _ => {}
    }
    let mut options = CallOptions::default();
    options.progress = if choices.one_in(2) { Wanted::Yes } else { Wanted::No };
    options.rounds = if choices.one_in(4) { Rounds::Return } else { Rounds::Drive };
    options.within = within.filter(|_| choices.one_in(3));
    options.log_level = choices.one_in(4).then_some(LoggingLevel::Info);
    options.meta = choices.one_in(4).then(|| {
        let keys = json!({"progressToken": 99, "traceparent": "t", "io.modelcontextprotocol/protocolVersion": "x"});
        keys.as_object().cloned().unwrap_or_default()
    });
    let seconds = |choices: &mut Choices<'_>| Duration::from_secs([60, 0, 1, 5, 600, u64::MAX][choices.below(6)]);
    options.deadlines = match choices.below(4) {
        0 => Deadlines::Stream { first: seconds(choices) },
        _ => Deadlines::Call { idle: seconds(choices), cap: seconds(choices) },
    };
    // The body of a log message is made by other means.
    let Ok(body) = Body::new(method, &params) else { return };
    let sent = if method.starts_with("notifications/") {
        side.conn.notify(side.now, body.clone(), Scope::Connection, None).map(|()| None)
    } else {
        side.conn.request(side.now, body.clone(), options).map(Some)
    };
    match sent {
        Ok(Some(call)) => side.called(call),
        Ok(None) => {}
        Err(error) => {
            assert_eq!(error.body, body, "a body that is refused comes back unchanged");
            let is_ending = !side.conn.wants_input() || side.conn.poll_timeout().is_some();
            assert!(error.why != Why::Closed || is_ending, "refused as closed before any end");
        }
    }
}

fn tell(choices: &mut Choices<'_>, side: &mut Side, within: Option<InboundId>) {
    let scope = within.filter(|_| choices.one_in(2)).map_or(Scope::Connection, Scope::Within);
    let body = if choices.one_in(2) {
        let level = LoggingLevel::ALL[choices.below(8)];
        Body::log(&LogParams::new(level, json!("x".repeat(choices.below(3) * 900)))).expect("a log message")
    } else {
        let method = choices.of(&[
            "notifications/roots/list_changed",
            "notifications/vendor/x",
            "notifications/tools/list_changed",
        ]);
        Body::empty(method).expect("a notification")
    };
    let meta = choices.one_in(4).then(|| json!({"k": 1}).as_object().cloned().unwrap_or_default());
    let _ = side.conn.notify(side.now, body, scope, meta);
}

fn respond(choices: &mut Choices<'_>, side: &mut Side, id: InboundId) {
    let size = choices.any(&[0, 0, 100, 1000, 5000]).unwrap_or_default();
    let mut result = json!({"text": "x".repeat(size)});
    let kind = match choices.below(8) {
        0 => ResultKind::Task,
        1 => ResultKind::InputRequired,
        2 => ResultKind::Other("vendor".into()),
        3 => ResultKind::Other("strange".into()),
        _ => ResultKind::Complete,
    };
    if kind == ResultKind::Task {
        result["task"] = json!({"taskId": "t1"});
    }
    let own = side.requests[&id].meta.own_answer.clone().filter(|_| !choices.one_in(8));
    let body = match own {
        Some(own) => Ok(own),
        None if choices.one_in(20) => Body::empty("ping"),
        None => Body::result(&result),
    };
    let is_task = kind == ResultKind::Task;
    let sent = side.conn.respond(side.now, id, kind, body.expect("a result"), None);
    if matches!(sent, Ok(()) | Err(RespondError::TooLarge)) {
        side.answered(id, is_task && sent.is_ok());
    }
}

fn supply(choices: &mut Choices<'_>, side: &mut Side, id: mcp_proto::OutboundId) {
    let keys = side.asked.get(&id).cloned().unwrap_or_else(|| vec!["a".into()]);
    let left_out = if choices.one_in(6) { 1 } else { 0 };
    let answer = |key: String| (key, Body::result(&json!({"action": "accept", "content": {}})).expect("a result"));
    let answers = keys.into_iter().skip(left_out).map(answer).collect();
    if side.conn.supply_input(side.now, id, &answers).is_ok() {
        side.asked.remove(&id);
    }
}

fn filter(choices: &mut Choices<'_>) -> SubscriptionFilter {
    let all = [
        json!({"toolsListChanged": true, "resourcesListChanged": true, "resourceSubscriptions": ["a://0", "a://1"]}),
        json!({}),
        json!({"promptsListChanged": true, "vendor": [1], "taskIds": ["t1"]}),
    ];
    serde_json::from_value(choices.any(&all).unwrap_or_default()).unwrap_or_default()
}
