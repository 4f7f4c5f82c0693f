//! What has to hold of everything that client and server said over HTTP.

use std::collections::BTreeSet;

use mcp::ProtocolVersion;
use serde_json::Value;

use super::relay::{End, Exchange};
use crate::table::{Cell, How, Transport};

/// The steps that nobody takes: they are looked for in what was said.
pub(crate) const STEPS: [&str; 5] = ["session", "status", "headers", "own_stream", "delete"];

type Outcome = Result<(), String>;

/// Whether one of the [`STEPS`] went well, or why not.
pub(crate) fn judge(step: &str, cell: &Cell, exchanges: &[Exchange]) -> Outcome {
    // What a client still tries when it has ended the session finds none.
    let ended = exchanges.iter().position(|exchange| exchange.request.start == "DELETE");
    let (exchanges, rest) = exchanges.split_at(ended.map_or(exchanges.len(), |at| at + 1));
    let exchanges = &exchanges[exchanges.iter().take_while(|exchange| is_attempt(exchange, cell)).count()..];
    let each = |rule: fn(&Exchange, &Cell) -> Outcome| {
        exchanges.iter().enumerate().try_for_each(|(at, exchange)| {
            rule(exchange, cell).map_err(|why| {
                let what = exchange.message()["method"].as_str().unwrap_or_default().to_owned();
                format!("exchange {at}, {} {what}: {why}", exchange.request.start)
            })
        })
    };
    match step {
        "session" if cell.is_modern() => each(sessionless),
        "session" => session(exchanges),
        "status" if ended.is_some() => each(status_to_the_end),
        "status" => each(status),
        "headers" => each(headers).and_then(|()| mirrored(cell, exchanges)),
        "own_stream" => own_stream(exchanges),
        "delete" => delete(exchanges, rest),
        step => Err(format!("there is no step {step}")),
    }
}

/// Whether a client that does not know yet what the server speaks asks for something newer first, which does not work out.
fn is_attempt(exchange: &Exchange, cell: &Cell) -> bool {
    let status = exchange.response.as_ref().map_or("", |head| &head.start);
    let (method, failed) = match cell.transport {
        // The transport of the revisions since; not every server looks at the method of a request.
        Transport::Sse => ("initialize", status != "202"),
        _ => ("server/discover", cell.how == How::Default && !cell.is_modern() && status.starts_with('4')),
    };
    exchange.request.start == "POST" && exchange.message()["method"] == method && failed
}

/// There is an id of the session from the first answer on, on each request since, and no other.
fn session(exchanges: &[Exchange]) -> Outcome {
    let opening = exchanges.iter().position(|exchange| exchange.message()["method"] == "initialize");
    let opening = opening.ok_or("no initialize")?;
    let told = |exchange: &Exchange| {
        exchange.response.as_ref().and_then(|head| head.header("mcp-session-id")).map(str::to_owned)
    };
    let id = told(&exchanges[opening]).ok_or("the answer to initialize has no id of a session")?;
    check(id.len() >= 16 && id.bytes().all(|byte| byte.is_ascii_graphic()), format!("an unfit id: {id}"))?;
    for exchange in &exchanges[opening + 1..] {
        let method = &exchange.request.start;
        same(&format!("the id that a {method} has"), &exchange.request.header("mcp-session-id"), &Some(id.as_str()))?;
        same("the id in an answer", &told(exchange).unwrap_or_else(|| id.clone()), &id)?;
    }
    Ok(())
}

/// No id, and nothing but POST.
fn sessionless(exchange: &Exchange, _: &Cell) -> Outcome {
    same("the method", &exchange.request.start.as_str(), &"POST")?;
    let id = exchange.response.as_ref().and_then(|head| head.header("mcp-session-id"));
    same("the id of a session", &id, &None)
}

fn status(exchange: &Exchange, cell: &Cell) -> Outcome {
    let Some(head) = &exchange.response else { return Ok(()) };
    let wanted: &[&str] = match exchange.request.start.as_str() {
        // Whatever it is, the answer comes by the stream.
        "POST" if cell.transport == Transport::Sse => &["202"],
        // A client that opens a second one for itself is refused, and for a stream that is over nothing comes.
        "GET" if exchange.resumes() => &["200", "204", "409"],
        "GET" => &["200", "409"],
        "DELETE" => &["200", "202", "204"],
        // An answer, or a notification, has none itself.
        _ if exchange.message().get("id").is_none() || exchange.message().get("method").is_none() => {
            check(exchange.data.is_empty(), "its answer has a body")?;
            &["202"]
        }
        _ if !cell.is_modern() || exchange.is_stream() => &["200"],
        _ => match answers(exchange).first().map(|answer| answer["error"]["code"].clone()) {
            Some(Value::Number(code)) if code.as_i64() == Some(-32601) => &["404"],
            Some(Value::Number(_)) => &["200", "400"],
            _ => &["200"],
        },
    };
    check(wanted.contains(&head.start.as_str()), format!("status {}, wanted {}", head.start, wanted.join(" or ")))
}

/// The same where the session is deleted in the end: a GET that is under way by then may find it gone.
fn status_to_the_end(exchange: &Exchange, cell: &Cell) -> Outcome {
    let found_nothing = exchange.response.as_ref().is_some_and(|head| head.start == "404");
    if exchange.request.start == "GET" && found_nothing { Ok(()) } else { status(exchange, cell) }
}

/// What both say of themselves: types, revision, and in the modern era what the message is about.
fn headers(exchange: &Exchange, cell: &Cell) -> Outcome {
    let (head, message) = (&exchange.request, exchange.message());
    let accepts = head.header("accept").unwrap_or_default();
    check(accepts.contains("text/event-stream") || head.start == "DELETE", format!("accepts {accepts}"))?;
    let version = head.header("mcp-protocol-version");
    if cell.is_modern() || (cell.revision >= ProtocolVersion::V2025_06_18 && message["method"] != "initialize") {
        same("the revision", &version, &Some(cell.revision.as_str()))?;
    }
    if head.start == "POST" {
        check(accepts.contains("application/json"), format!("accepts {accepts}"))?;
        same("the type", &head.kind(), &Some("application/json"))?;
    }
    if cell.is_modern() && message.get("id").is_some() {
        same("Mcp-Method", &head.header("mcp-method"), &message["method"].as_str())?;
        let name = match message["method"].as_str() {
            Some("tools/call" | "prompts/get") => message["params"]["name"].as_str(),
            Some("resources/read") => message["params"]["uri"].as_str(),
            _ => None,
        };
        check(name.is_none() || head.header("mcp-name") == name, format!("Mcp-Name {:?}", head.header("mcp-name")))?;
    }
    match &exchange.response {
        Some(response) if response.start == "200" && message.get("id").is_some() => check(
            matches!(response.kind(), Some("application/json" | "text/event-stream")),
            format!("an answer of the type {:?}", response.kind()),
        ),
        _ => Ok(()),
    }
}

/// In the modern era the city of `weather` is in a header too, because its schema says so.
fn mirrored(cell: &Cell, exchanges: &[Exchange]) -> Outcome {
    let mut calls = exchanges.iter().filter(|exchange| exchange.message()["params"]["name"] == "weather");
    match calls.next() {
        Some(call) if cell.is_modern() => {
            same("Mcp-Param-City", &call.request.header("mcp-param-city"), &Some("=?base64?S3Jha8Ozdw==?="))
        }
        _ => Ok(()),
    }
}

/// Each answer comes on what its own request has opened, or on what takes that up again; once, and last.
fn own_stream(exchanges: &[Exchange]) -> Outcome {
    let (mut cut, mut answered) = (BTreeSet::new(), BTreeSet::new());
    let cancelled = exchanges.iter().map(Exchange::message).filter(|said| said["method"] == "notifications/cancelled");
    let cancelled = cancelled.map(|said| said["params"]["requestId"].to_string()).collect::<BTreeSet<_>>();
    for exchange in exchanges {
        let id = Some(exchange.message()).filter(|message| message.get("method").is_some());
        let id = id.and_then(|message| message.get("id").map(Value::to_string));
        if let Some(id) = id.clone().filter(|_| exchange.end == End::Cut) {
            cut.insert(id);
        }
        let answers = answers(exchange);
        for (at, answer) in answers.iter().enumerate() {
            // What cannot be told from other requests is not told by an id.
            if answer.get("method").is_some() || answer["id"].is_null() {
                continue;
            }
            let to = answer["id"].to_string();
            let is_own = id.as_ref() == Some(&to) || (exchange.resumes() && cut.contains(&to));
            check(is_own, format!("{to} is answered on what {} {id:?} opened", exchange.request.start))?;
            check(at + 1 == answers.len(), format!("something comes after the answer to {to}"))?;
            check(answered.insert(to.clone()), format!("{to} is answered twice"))?;
        }
        if let Some(id) = id.filter(|_| exchange.end == End::Whole) {
            let is_done = answered.contains(&id) || cancelled.contains(&id);
            check(is_done, format!("the answer to {id} ended without it"))?;
        }
    }
    Ok(())
}

/// The client ends the session, once; nothing comes of what it still asks for.
fn delete(exchanges: &[Exchange], rest: &[Exchange]) -> Outcome {
    let last = exchanges.last().filter(|exchange| exchange.request.start == "DELETE").ok_or("no DELETE")?;
    let status = last.response.as_ref().map_or("none", |head| head.start.as_str());
    check(status.starts_with('2'), format!("status {status}"))?;
    let mut late = rest.iter().filter_map(|exchange| exchange.response.as_ref());
    late.try_for_each(|head| check(head.start.starts_with('4'), format!("status {} after the end", head.start)))
}

/// The messages in an answer: the one that it is, or those of its events.
fn answers(exchange: &Exchange) -> Vec<Value> {
    if !exchange.is_stream() {
        return serde_json::from_slice(&exchange.data).into_iter().collect();
    }
    let text = String::from_utf8_lossy(&exchange.data).replace("\r\n", "\n");
    let data = |event: &str| {
        let lines = event.lines().filter_map(|line| line.strip_prefix("data:"));
        lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
    };
    // The last is not whole.
    let (whole, _) = text.rsplit_once("\n\n").unwrap_or_default();
    whole.split("\n\n").filter_map(|event| serde_json::from_str(&data(event)).ok()).collect()
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, wanted: &T) -> Outcome {
    check(found == wanted, format!("{what}: got {found:?}, wanted {wanted:?}"))
}

fn check(holds: bool, otherwise: impl Into<String>) -> Outcome {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::split::Head;
    use super::*;
    use crate::table;

    const SESSION: &str = "0123456789abcdef";

    fn head(start: &str, headers: &[(&str, &str)]) -> Head {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Head { start: start.to_owned(), headers }
    }

    fn post(message: &Value, headers: &[(&str, &str)], status: &str, answer: &Value) -> Exchange {
        let always = [("accept", "application/json, text/event-stream"), ("content-type", "application/json")];
        let kind = [("content-type", "application/json")];
        Exchange {
            request: head("POST", &[&always, headers].concat()),
            body: message.to_string().into_bytes(),
            response: Some(head(status, if answer.is_null() { &[] } else { &kind })),
            data: if answer.is_null() { Vec::new() } else { answer.to_string().into_bytes() },
            end: End::Whole,
        }
    }

    fn stream(start: &str, headers: &[(&str, &str)], events: &str, end: End) -> Exchange {
        let request = head(start, &[&[("accept", "text/event-stream")], headers].concat());
        let response = Some(head("200", &[("content-type", "text/event-stream; charset=utf-8")]));
        Exchange { request, body: Vec::new(), response, data: events.as_bytes().to_vec(), end }
    }

    fn cell(revision: ProtocolVersion) -> Cell {
        let mut cells = table::cells().into_iter();
        cells.find(|cell| cell.transport == Transport::Http && cell.revision == revision).expect("a cell")
    }

    /// A call whose stream is cut, taken up again, and answered there.
    fn legacy() -> (Cell, Vec<Exchange>) {
        let bound = [("mcp-session-id", SESSION), ("mcp-protocol-version", "2025-11-25")];
        let mut opening =
            post(&json!({ "id": 1, "method": "initialize" }), &[], "200", &json!({ "id": 1, "result": {} }));
        opening.response.as_mut().expect("one").set("mcp-session-id", SESSION);
        let said = json!({ "method": "notifications/initialized" });
        let mut cut = stream("POST", &bound, "id: 1-0\ndata: \n\n", End::Cut);
        cut.body = json!({ "id": 2, "method": "tools/call" }).to_string().into_bytes();
        cut.request = post(&said, &bound, "200", &Value::Null).request;
        let back = [&bound[..], &[("last-event-id", "1-0")]].concat();
        let rest =
            stream("GET", &back, ": \r\n\r\nid: 1-1\r\ndata: {\"id\":2,\r\ndata: \"result\":{}}\r\n\r\n", End::Whole);
        let mut end = stream("DELETE", &bound, "", End::Whole);
        end.response = Some(head("204", &[]));
        (cell(ProtocolVersion::V2025_11_25), vec![opening, post(&said, &bound, "202", &Value::Null), cut, rest, end])
    }

    fn modern() -> (Cell, Vec<Exchange>) {
        let headers = [
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "tools/call"),
            ("mcp-name", "weather"),
            ("mcp-param-city", "=?base64?S3Jha8Ozdw==?="),
        ];
        let call = json!({ "id": 1, "method": "tools/call", "params": { "name": "weather" } });
        (cell(ProtocolVersion::V2026_07_28), vec![post(&call, &headers, "200", &json!({ "id": 1, "result": {} }))])
    }

    /// The steps that fail after something was made wrong.
    fn wrong(
        (cell, mut exchanges): (Cell, Vec<Exchange>),
        spoil: impl FnOnce(&mut Vec<Exchange>),
    ) -> Vec<&'static str> {
        spoil(&mut exchanges);
        let steps = STEPS.into_iter().filter(|step| *step != "delete" || !cell.is_modern());
        steps.filter(|step| judge(step, &cell, &exchanges).is_err()).collect()
    }

    #[test]
    fn what_is_right_is_right() {
        assert_eq!(wrong(legacy(), |_| {}), [""; 0]);
        assert_eq!(wrong(modern(), |_| {}), [""; 0]);
    }

    #[test]
    fn each_fault_is_one_of_its_step() {
        let requests = |at: usize, name: &'static str, value: &'static str| {
            move |all: &mut Vec<Exchange>| all[at].request.set(name, value)
        };
        let answers = |at: usize, name: &'static str, value: &'static str| {
            move |all: &mut Vec<Exchange>| all[at].response.as_mut().expect("one").set(name, value)
        };
        assert_eq!(wrong(legacy(), requests(3, "mcp-session-id", "another")), ["session"]);
        assert_eq!(wrong(legacy(), answers(1, "mcp-session-id", "another")), ["session"]);
        assert_eq!(wrong(legacy(), answers(0, "mcp-session-id", "short")), ["session"]);
        assert_eq!(wrong(modern(), answers(0, "mcp-session-id", SESSION)), ["session"]);
        assert_eq!(wrong(legacy(), requests(2, "mcp-protocol-version", "2025-06-18")), ["headers"]);
        assert_eq!(wrong(modern(), requests(0, "mcp-method", "tools/list")), ["headers"]);
        assert_eq!(wrong(modern(), requests(0, "mcp-name", "echo")), ["headers"]);
        assert_eq!(wrong(modern(), requests(0, "mcp-param-city", "Krakow")), ["headers"]);
        assert_eq!(wrong(modern(), answers(0, "content-type", "text/plain")), ["headers"]);
        assert_eq!(wrong(legacy(), |all| all[1].response = Some(head("204", &[]))), ["status"]);
        assert_eq!(wrong(modern(), |all| all[0].data = br#"{"id":1,"error":{"code":-32601}}"#.to_vec()), ["status"]);
        assert_eq!(wrong(legacy(), |all| all[3].data.extend(b"data: {\"method\":\"late\"}\n\n")), ["own_stream"]);
        assert_eq!(wrong(legacy(), |all| drop(all[3].request.headers.pop())), ["own_stream"]);
        assert_eq!(wrong(modern(), |all| all[0].data = br#"{"id":2,"result":{}}"#.to_vec()), ["own_stream"]);
        assert_eq!(wrong(legacy(), |all| drop(all.pop())), ["delete"]);
    }
}
