//! A server that is fed what no client should send: answered with the id wherever it can be read, and served on.

mod common;

use common::{Raw, call, soon};
use mcp::{CloseReason, Error, Server, Tool};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

#[derive(Deserialize, JsonSchema)]
struct Text {
    text: String,
}

fn serve(server: Server) -> (JoinHandle<mcp::Result<()>>, Raw) {
    let (here, there) = mcp::memory::duplex(64 * 1024);
    let (reader, writer) = here.into_split();
    (tokio::spawn(mcp_tokio::serve_stream(reader, writer, server)), Raw::memory(there))
}

fn server() -> Server {
    Server::new("target", "1").tool(Tool::new("echo", "", async |args: Text| args.text)).tool(Tool::new(
        "waits",
        "",
        async || std::future::pending::<()>().await,
    ))
}

/// What is to come back.
enum Expected {
    /// A result with that id.
    Served(Value),
    /// An error with that id, and one of these codes.
    Refused(Value, &'static [i64]),
    /// An error without an id, and one of these codes.
    RefusedWithoutId(&'static [i64]),
    /// Nothing.
    Silence,
}

use Expected::{Refused, RefusedWithoutId, Served, Silence};

const PARSE: &[i64] = &[-32700];
const INVALID: &[i64] = &[-32600];
const MALFORMED: &[i64] = &[-32700, -32600];
const PARAMS: &[i64] = &[-32602, -32600];

/// Sends each line, looks at what comes back, and asks for a sign of life.
async fn run(raw: &mut Raw, omits_id: bool, table: Vec<(Vec<u8>, Expected)>) {
    for (line, expected) in table {
        let shown = String::from_utf8_lossy(&line[..line.len().min(120)]).into_owned();
        raw.line(&line).await;
        match expected {
            Served(id) => {
                let answer = raw.heard().await;
                assert!(answer["id"] == id && answer["result"].is_object(), "{shown}: {answer}");
            }
            Refused(id, codes) => {
                let answer = raw.heard().await;
                assert_eq!(answer["id"], id, "{shown}: {answer}");
                let code = answer["error"]["code"].as_i64();
                assert!(code.is_some_and(|code| codes.contains(&code)), "{shown}: {answer}");
            }
            RefusedWithoutId(codes) => {
                let answer = raw.heard().await;
                assert_eq!(answer.get("id").is_none(), omits_id, "{shown}: {answer}");
                assert!(answer["id"].is_null(), "{shown}: {answer}");
                let code = answer["error"]["code"].as_i64();
                assert!(code.is_some_and(|code| codes.contains(&code)), "{shown}: {answer}");
            }
            Silence => {}
        }
        // The next answer is that of a ping, so nothing else was said.
        let answer = raw.ask(json!({ "jsonrpc": "2.0", "id": shown, "method": "ping" })).await;
        assert_eq!(answer["result"], json!({}), "{answer}");
    }
}

fn row(line: impl AsRef<[u8]>, expected: Expected) -> (Vec<u8>, Expected) {
    (line.as_ref().to_vec(), expected)
}

fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

fn not_json() -> Vec<(Vec<u8>, Expected)> {
    let deep = nested(100_000);
    let objects = format!("{}1{}", r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
    vec![
        row("hello", RefusedWithoutId(PARSE)),
        row("{", RefusedWithoutId(PARSE)),
        row(&deep, RefusedWithoutId(MALFORMED)),
        row(&objects, RefusedWithoutId(MALFORMED)),
        row(b"\xff\xfe", RefusedWithoutId(PARSE)),
        row(r#"{"jsonrpc":"2.0","id":10,"method":"ping""#, Refused(json!(10), PARSE)),
        row(r#"{"jsonrpc":"2.0","id":11,"method":"ping"} {"#, Refused(json!(11), PARSE)),
        row(r#"{"jsonrpc":"2.0","id":12,"method":"ping",}"#, Refused(json!(12), PARSE)),
        row(r#"{"jsonrpc":"2.0","id":13,"method":"ping","params":{"a":01}}"#, Refused(json!(13), PARSE)),
        row(r#"{"jsonrpc":"2.0","id":14,"method":"ping","params":{"a":NaN}}"#, Refused(json!(14), PARSE)),
        row(
            b"{\"jsonrpc\":\"2.0\",\"id\":15,\"method\":\"tools/call\",\"params\":{\"name\":\"echo\",\"arguments\":{\"text\":\"\xff\"}}}",
            Refused(json!(15), MALFORMED),
        ),
        row(
            b"{\"jsonrpc\":\"2.0\",\"method\":\"tools/call\",\"params\":{\"name\":\"\xc3\x28\"},\"id\":\"behind\"}",
            Refused(json!("behind"), MALFORMED),
        ),
        row(
            format!(r#"{{"jsonrpc":"2.0","id":16,"method":"ping","params":{{"a":{deep}}}}}"#),
            Refused(json!(16), MALFORMED),
        ),
        row(
            format!(r#"{{"jsonrpc":"2.0","method":"ping","params":{{"a":{objects}}},"id":17}}"#),
            Refused(json!(17), MALFORMED),
        ),
    ]
}

fn no_message() -> Vec<(Vec<u8>, Expected)> {
    vec![
        row("1", RefusedWithoutId(INVALID)),
        row("null", RefusedWithoutId(INVALID)),
        row(r#""text""#, RefusedWithoutId(INVALID)),
        row("{}", RefusedWithoutId(INVALID)),
        row(r#"{"id":20,"method":"ping"}"#, Refused(json!(20), INVALID)),
        row(r#"{"jsonrpc":"1.0","id":21,"method":"ping"}"#, Refused(json!(21), INVALID)),
        row(r#"{"jsonrpc":"2.0","id":22}"#, Refused(json!(22), INVALID)),
        row(r#"{"jsonrpc":"2.0","id":23,"method":7}"#, Refused(json!(23), INVALID)),
        row(r#"{"jsonrpc":"2.0","id":24,"METHOD":"ping"}"#, Refused(json!(24), INVALID)),
        row(r#"{"jsonrpc":"2.0","id":25,"method":"ping","method":"ping"}"#, Refused(json!(25), INVALID)),
        row(r#"{"jsonrpc":"2.0","method":"ping","m\u0065thod":"ping","id":26}"#, Refused(json!(26), INVALID)),
        row(r#"{"jsonrpc":"2.0","id":27,"method":"ping","result":{}}"#, Refused(json!(27), INVALID)),
        row(r#"{"jsonrpc":"2.0","id":28,"method":"ping","params":[1]}"#, Refused(json!(28), PARAMS)),
        row(r#"{"jsonrpc":"2.0","id":29,"method":"ping","params":"x"}"#, Refused(json!(29), PARAMS)),
        row(r#"{"jsonrpc":"2.0","id":30,"method":"no/such"}"#, Refused(json!(30), &[-32601])),
        row(r#"{"jsonrpc":"2.0","id":31,"method":"tools/call"}"#, Refused(json!(31), &[-32602])),
        row(r#"{"jsonrpc":"2.0","id":32,"method":"tools/call","params":{"name":7}}"#, Refused(json!(32), &[-32602])),
        row(r#"{"jsonrpc":"2.0","id":33,"method":"initialize"}"#, Refused(json!(33), INVALID)),
        row(r#"{"jsonrpc":"2.0","id":34,"m\u0065thod":"ping"}"#, Served(json!(34))),
        row(r#"{"jsonrpc":"2.0","id":35,"method":"ping","unknown":{"members":["are","fine"]}}"#, Served(json!(35))),
        row(r#"{"jsonrpc":"2.0","method":"notifications/no/such"}"#, Silence),
        row(r#"{"jsonrpc":"2.0","method":"tools/list"}"#, Silence),
        row(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":null}}"#, Silence),
        row(r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":"much"}}"#, Silence),
    ]
}

fn odd_ids() -> Vec<(Vec<u8>, Expected)> {
    let ping = |id: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
    vec![
        row(ping("null"), RefusedWithoutId(INVALID)),
        row(ping("1.5"), RefusedWithoutId(INVALID)),
        row(ping("true"), RefusedWithoutId(INVALID)),
        row(ping("[1]"), RefusedWithoutId(INVALID)),
        row(ping("{}"), RefusedWithoutId(INVALID)),
        row(ping("1"), Served(json!(1))),
        row(ping("\"1\""), Served(json!("1"))),
        row(ping("\"\""), Served(json!(""))),
        row(ping("\"\\u2028\\n\\u0000\""), Served(json!("\u{2028}\n\0"))),
        row(ping("0"), Served(json!(0))),
        row(ping("-1"), Served(json!(-1))),
        row(ping("9223372036854775807"), Served(json!(i64::MAX))),
        row(ping("-9223372036854775808"), Served(json!(i64::MIN))),
    ]
}

fn responses() -> Vec<(Vec<u8>, Expected)> {
    vec![
        row(r#"{"jsonrpc":"2.0","id":99,"result":{}}"#, Silence),
        row(r#"{"jsonrpc":"2.0","id":"99","result":{}}"#, Silence),
        row(r#"{"jsonrpc":"2.0","id":99,"error":{"code":1,"message":"x"}}"#, Silence),
        row(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}"#, Silence),
        row(r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"x"}}"#, Silence),
    ]
}

/// Specification: basic (messages, error codes): each fault is answered with the id of its request, and the id is that of
/// the request, also in its type.
#[tokio::test]
async fn each_fault_is_answered_with_its_id_and_the_session_lives() {
    for (version, omits_id) in
        [("2024-11-05", false), ("2025-03-26", false), ("2025-06-18", false), ("2025-11-25", true)]
    {
        for table in [not_json(), no_message(), odd_ids(), responses()] {
            let (serving, mut raw) = serve(server());
            raw.initialize(version).await;
            run(&mut raw, omits_id, table).await;
            raw.end().await;
            assert_eq!(raw.hear().await, None);
            soon(serving).await.unwrap().unwrap();
        }
    }
}

/// An id beyond 64 bits with a sign: whatever is made of it, the answer has no other id.
#[tokio::test]
async fn an_id_that_is_too_large_is_answered_and_not_changed() {
    let (_serving, mut raw) = serve(server());
    raw.initialize("2025-11-25").await;
    for id in ["9223372036854775808", "18446744073709551616", "1e3", "1.0"] {
        raw.line(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#)).await;
        let answer = raw.heard().await;
        assert!(answer.get("result").is_some() || answer["error"]["code"] == -32600, "{id}: {answer}");
        let same = |given: &Value| given.as_f64() == id.parse().ok();
        assert!(answer.get("id").is_none_or(same), "{id}: {answer}");
        raw.is_served().await;
    }
}

/// A response with both or neither of `result` and `error` is no request, so nothing waits for an answer with its id.
#[tokio::test]
async fn a_malformed_response_does_no_harm() {
    let (_serving, mut raw) = serve(server());
    raw.initialize("2025-11-25").await;
    raw.line(r#"{"jsonrpc":"2.0","id":99,"result":{},"error":{"code":1,"message":"x"}}"#).await;
    raw.is_served().await;
}

/// Specification: basic (batching): 2025-03-26 has it, the others do not.
#[tokio::test]
async fn an_array_is_a_batch_in_one_revision_only() {
    let batch = r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/x"},7,{"jsonrpc":"2.0","id":2,"method":"ping"}]"#;
    for (version, omits_id) in [("2024-11-05", false), ("2025-06-18", false), ("2025-11-25", true)] {
        let (_serving, mut raw) = serve(server());
        raw.initialize(version).await;
        let table = vec![
            row(batch, RefusedWithoutId(INVALID)),
            row("[]", RefusedWithoutId(INVALID)),
            row("[", RefusedWithoutId(PARSE)),
        ];
        run(&mut raw, omits_id, table).await;
    }
}

/// Specification: basic (batching), 2025-03-26: MUST be received; each request has its answer.
#[tokio::test]
async fn a_batch_is_answered_in_the_revision_that_has_it() {
    let batch = r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/x"},7,{"jsonrpc":"2.0","id":2,"method":"ping"}]"#;
    let (_serving, mut raw) = serve(server());
    raw.initialize("2025-03-26").await;
    raw.line(batch).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let answer = raw.heard().await;
        assert!(answer.get("result").is_some() || answer["error"]["code"] == -32600, "{answer}");
        ids.push(answer["id"].clone());
    }
    ids.sort_by_key(Value::to_string);
    assert_eq!(ids, [json!(1), json!(2), Value::Null]);
    raw.is_served().await;
}

/// Specification: basic (requests): an id MUST NOT have been used before; the first call is untouched.
#[tokio::test]
async fn an_id_in_work_cannot_be_used_again() {
    let (_serving, mut raw) = serve(server());
    raw.initialize("2025-11-25").await;
    raw.send(call(1, "waits", json!({}))).await;
    for request in [call(1, "echo", json!({ "text": "x" })), json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" })] {
        let answer = raw.ask(request).await;
        assert_eq!(answer["error"]["code"], -32600, "{answer}");
        raw.is_served().await;
    }
    // "1" is another id.
    assert!(raw.ask(call("1", "echo", json!({ "text": "x" }))).await["result"].is_object());
    // The first call is still there: cancelled, its id is free.
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } });
    raw.send(cancel).await;
    assert!(raw.ask(call(1, "echo", json!({ "text": "x" }))).await["result"].is_object());
}

/// Specification: basic/lifecycle (initialization).
#[tokio::test]
async fn a_second_initialize_changes_nothing() {
    let (_serving, mut raw) = serve(server());
    raw.initialize("2024-11-05").await;
    let params = json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": { "name": "raw", "version": "2" },
    });
    let answer = raw.ask(json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params })).await;
    assert_eq!(answer["error"]["code"], -32600, "{answer}");
    // Still 2024-11-05, by what that revision does with arguments that do not fit.
    let answer = raw.ask(call(2, "echo", json!({}))).await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
}

/// Specification: basic/lifecycle (initialization): only pings before; whatever else comes gets an answer.
#[tokio::test]
async fn what_comes_before_the_handshake_is_refused_and_the_handshake_still_succeeds() {
    let (_serving, mut raw) = serve(server());
    raw.is_served().await;
    for request in [
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }),
        call("x", "echo", json!({ "text": "x" })),
        json!({ "jsonrpc": "2.0", "id": 2, "method": "initialize", "params": {} }),
        json!({ "jsonrpc": "2.0", "id": 3, "method": "no/such" }),
    ] {
        let answer = raw.ask(request).await;
        assert!(answer["error"]["code"].is_i64(), "{answer}");
    }
    for line in [
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/x"}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{}}"#,
    ] {
        raw.line(line).await;
        raw.is_served().await;
    }
    raw.line("hello").await;
    assert!(raw.heard().await["error"]["code"].is_i64());
    raw.initialize("2025-11-25").await;
    assert!(raw.ask(call(4, "echo", json!({ "text": "x" }))).await["result"].is_object());
}

/// Specification: basic/lifecycle: a request may be pipelined behind `initialize`, and come before `initialized`.
#[tokio::test]
async fn what_follows_initialize_at_once_is_served() {
    let (_serving, mut raw) = serve(server());
    let params =
        json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "raw", "version": "1" } });
    let initialize = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
    let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" });
    raw.bytes(format!("{initialize}\n{list}\n").as_bytes()).await;
    assert_eq!(raw.heard().await["result"]["protocolVersion"], "2025-11-25");
    assert_eq!(raw.heard().await["result"]["tools"][0]["name"], "echo");
}

/// Specification: basic/lifecycle (version negotiation): the version asked for, or another one that the server has.
#[tokio::test]
async fn an_unknown_revision_is_answered_with_one_of_ours() {
    for (asked, answered) in [("2024-11-05", "2024-11-05"), ("1999-01-01", "2025-11-25"), ("", "2025-11-25")] {
        let (_serving, mut raw) = serve(server());
        let params =
            json!({ "protocolVersion": asked, "capabilities": {}, "clientInfo": { "name": "r", "version": "1" } });
        let answer = raw.ask(json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params })).await;
        assert_eq!(answer["result"]["protocolVersion"], answered, "{answer}");
    }
}

/// Specification: basic/transports (stdio): lines; other line ends and a byte order mark are tolerated.
#[tokio::test]
async fn line_ends_of_all_kinds_are_understood() {
    let (serving, mut raw) = serve(server());
    raw.bytes(b"\xef\xbb\xbf{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\r\n\r\n\n  \n\t\r\n").await;
    assert_eq!(raw.heard().await["id"], 1);
    raw.initialize("2025-11-25").await;
    // One line in single bytes.
    let request = call(2, "echo", json!({ "text": "\u{2028}\u{2029}\u{85}\r\n\t\u{1f980}\0" }));
    for byte in format!("{request}\r\n").bytes() {
        raw.bytes(&[byte]).await;
    }
    let answer = raw.heard().await;
    assert_eq!(answer["result"]["content"][0]["text"], "\u{2028}\u{2029}\u{85}\r\n\t\u{1f980}\0", "{answer}");
    // Unescaped inside of a string, and a pair of surrogates.
    let odd = "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"tools/call\",\"params\":{\"name\":\"echo\",\"arguments\":{\"text\":\"\u{2028}\\ud83e\\udd80\"}}}";
    raw.line(odd).await;
    assert_eq!(raw.heard().await["result"]["content"][0]["text"], "\u{2028}\u{1f980}");
    // Half a pair is no text; it is a fault of that call only.
    raw.line(odd.replace("\\udd80", "").replace("\"id\":3", "\"id\":4")).await;
    let answer = raw.heard().await;
    assert_eq!(answer["id"], 4, "{answer}");
    assert!(answer["error"]["code"].is_i64() || answer["result"]["isError"] == true, "{answer}");
    raw.is_served().await;
    // The last line has no end.
    raw.bytes(br#"{"jsonrpc":"2.0","id":"last","method":"ping"}"#).await;
    raw.end().await;
    assert_eq!(raw.heard().await["id"], "last");
    assert_eq!(raw.hear().await, None);
    soon(serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_answer_is_one_line_whatever_the_text() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_util::compat::{FuturesAsyncReadCompatExt, FuturesAsyncWriteCompatExt};

    let (here, there) = mcp::memory::duplex(64 * 1024);
    let (reader, writer) = here.into_split();
    tokio::spawn(mcp_tokio::serve_stream(reader, writer, server()));
    let (reader, writer) = there.into_split();
    let (mut reader, mut writer) = (reader.compat(), writer.compat_write());
    let params =
        json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "r", "version": "1" } });
    let initialize = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
    let echo = call("a\nb", "echo", json!({ "text": "one\ntwo\r\nthree\u{2028}four\u{2029}five\u{85}six" }));
    soon(writer.write_all(format!("{initialize}\n{echo}\n").as_bytes())).await.unwrap();
    soon(writer.shutdown()).await.unwrap();
    let mut heard = String::new();
    soon(reader.read_to_string(&mut heard)).await.unwrap();
    assert_eq!(heard.matches('\n').count(), 2, "{heard:?}");
    assert!(heard.ends_with('\n') && !heard.contains('\r'), "{heard:?}");
    let answer: Value = serde_json::from_str(heard.lines().nth(1).unwrap()).unwrap();
    assert_eq!(answer["id"], "a\nb");
}

#[tokio::test]
async fn a_line_over_the_limit_is_refused_and_read_past() {
    let (_serving, mut raw) = serve(server().limits(|limits| limits.frame = 10_000));
    raw.initialize("2025-11-25").await;
    let text = "x".repeat(1_000_000);
    let answer = raw.ask(call(1, "echo", json!({ "text": text }))).await;
    assert!(answer["error"]["code"].is_i64(), "{answer}");
    raw.is_served().await;
    // The id behind what is too long need not be found; an answer comes all the same.
    raw.line(format!(r#"{{"jsonrpc":"2.0","method":"ping","params":{{"x":"{text}"}},"id":2}}"#)).await;
    let answer = raw.heard().await;
    assert!(answer["error"]["code"].is_i64(), "{answer}");
    assert!(answer.get("id").is_none_or(|id| id == 2), "{answer}");
    raw.is_served().await;
    // A notification that is too long is not answered with an id that it does not have.
    raw.line(format!(r#"{{"jsonrpc":"2.0","method":"notifications/x","params":{{"id":7,"x":"{text}"}}}}"#)).await;
    raw.send(json!({ "jsonrpc": "2.0", "id": 3, "method": "ping" })).await;
    let answer = raw.heard().await;
    if answer["id"] != 3 {
        assert!(answer.get("id").is_none() && answer["error"]["code"].is_i64(), "{answer}");
        assert_eq!(raw.heard().await["id"], 3);
    }
}

#[tokio::test]
async fn who_breaks_the_rules_all_the_time_is_shut_out() {
    let (serving, mut raw) = serve(server().limits(|limits| limits.strikes = 20));
    raw.initialize("2025-11-25").await;
    raw.bytes("hello\n".repeat(100).as_bytes()).await;
    let error = soon(serving).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Closed(CloseReason::Misbehaved)), "{error:?}");
}
