//! What the official conformance suite looks for in `everything_server`, frame by frame, where its own scenarios send what no
//! client of ours would.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use common::example;

use serde_json::{Value, json};

/// The server as a child, and a wire to it.
struct Wire {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    next_id: i64,
}

impl Wire {
    fn open() -> Self {
        let mut command = Command::new(example("everything_server"));
        let mut child = command
            .arg("--stdio")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { input: child.stdin.take(), child, output, next_id: 0 }
    }

    /// Sends a request of 2026-07-28 from a client that can do all this; its id.
    fn send(&mut self, method: &str, params: Value, capabilities: Value) -> i64 {
        self.next_id += 1;
        let Value::Object(mut params) = params else { panic!("parameters are an object") };
        params.insert(
            "_meta".to_owned(),
            json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": { "name": "conformance", "version": "1" },
                "io.modelcontextprotocol/clientCapabilities": capabilities,
            }),
        );
        let frame = json!({ "jsonrpc": "2.0", "id": self.next_id, "method": method, "params": params });
        writeln!(self.input.as_mut().expect("still open"), "{frame}").expect("the server reads");
        self.next_id
    }

    fn receive(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the server writes");
        serde_json::from_str(&line).expect("a frame is JSON")
    }

    /// A request and its answer.
    fn ask(&mut self, method: &str, params: Value, capabilities: Value) -> Value {
        let id = self.send(method, params, capabilities);
        let answer = self.receive();
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    fn call(&mut self, tool: &str, more: Value) -> Value {
        let all = json!({ "elicitation": { "form": {} }, "sampling": {}, "roots": {} });
        self.ask("tools/call", called(tool, more), all)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // The end of its input is the end of the server.
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

fn called(tool: &str, more: Value) -> Value {
    let mut params = json!({ "name": tool, "arguments": {} });
    let members = params.as_object_mut().expect("an object");
    members.extend(more.as_object().cloned().unwrap_or_default());
    params
}

const ELICITATION: &str = "test_input_required_result_elicitation";

fn asks(answer: &Value) -> bool {
    answer["result"]["resultType"] == "input_required" && answer["result"]["inputRequests"]["user_name"].is_object()
}

/// 2026-07-28, basic: a result says of which type it is; a question is an `input_required` whose requests have no ids.
#[test]
fn the_first_round_asks_and_the_second_answers() {
    let mut wire = Wire::open();
    let first = wire.call(ELICITATION, json!({}));
    let wanted = json!({
        "message": "What is your name?",
        "requestedSchema": { "type": "object", "properties": { "name": { "type": "string" } }, "required": ["name"] },
    });
    assert_eq!(first["result"]["inputRequests"]["user_name"]["method"], "elicitation/create", "{first}");
    assert_eq!(first["result"]["inputRequests"]["user_name"]["params"], wanted, "{first}");
    let answers = json!({ "user_name": { "action": "accept", "content": { "name": "Alice" } } });
    let state = &first["result"]["requestState"];
    let second = wire.call(ELICITATION, json!({ "inputResponses": answers, "requestState": state }));
    assert_eq!(second["result"]["resultType"], "complete", "{second}");
    assert_eq!(second["result"]["content"], json!([{ "type": "text", "text": "Hello, Alice!" }]));
}

#[test]
fn what_is_missing_is_asked_for_again() {
    let mut wire = Wire::open();
    let wrong = json!({ "wrong_key": { "action": "accept", "content": { "data": "wrong" } } });
    let answer = wire.call(ELICITATION, json!({ "inputResponses": wrong }));
    assert!(asks(&answer), "{answer}");
}

#[test]
fn what_was_not_asked_for_is_passed_over() {
    let mut wire = Wire::open();
    let answers = json!({
        "user_name": { "action": "accept", "content": { "name": "Alice" } },
        "unknown_extra_key": { "action": "accept", "content": { "foo": "bar" } },
    });
    let answer = wire.call(ELICITATION, json!({ "inputResponses": answers }));
    assert_eq!(answer["result"]["content"][0]["text"], "Hello, Alice!", "{answer}");
}

#[test]
fn an_answer_of_the_wrong_shape_is_no_answer() {
    let mut wire = Wire::open();
    let number = wire.call(ELICITATION, json!({ "inputResponses": { "user_name": 12345 } }));
    assert_eq!(number["error"]["code"], -32602, "{number}");
    let nothing = wire.call(ELICITATION, json!({ "inputResponses": null }));
    assert!(nothing["error"].is_object() || asks(&nothing), "{nothing}");
}

#[test]
fn a_state_that_was_tampered_with_is_refused() {
    let mut wire = Wire::open();
    let tool = "test_input_required_result_tampered_state";
    let first = wire.call(tool, json!({}));
    let state = first["result"]["requestState"].as_str().expect("a state").to_owned();
    let answers = json!({ "confirm": { "action": "accept", "content": { "ok": true } } });
    // Longer, and of the same length with one character changed.
    let middle = state.len() / 2;
    let other = if state.as_bytes()[middle] == b'A' { "B" } else { "A" };
    let mut changed = state.clone();
    changed.replace_range(middle..=middle, other);
    for tampered in [format!("{state}-TAMPERED"), changed] {
        let answer = wire.call(tool, json!({ "inputResponses": answers, "requestState": tampered }));
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
    }
    let whole = wire.call(tool, json!({ "inputResponses": answers, "requestState": state }));
    assert_eq!(whole["result"]["content"][0]["text"], "integrity-ok: state verified", "{whole}");
}

#[test]
fn each_round_has_a_state_of_its_own() {
    let mut wire = Wire::open();
    let tool = "test_input_required_result_multi_round";
    let first = wire.call(tool, json!({}));
    let named = json!({ "step1": { "action": "accept", "content": { "name": "Alice" } } });
    let state = &first["result"]["requestState"];
    let second = wire.call(tool, json!({ "inputResponses": named, "requestState": state }));
    assert!(second["result"]["inputRequests"]["step2"].is_object(), "{second}");
    assert_ne!(&second["result"]["requestState"], state);
    let coloured = json!({ "step2": { "action": "accept", "content": { "color": "blue" } } });
    let state = &second["result"]["requestState"];
    let third = wire.call(tool, json!({ "inputResponses": coloured, "requestState": state }));
    assert_eq!(third["result"]["content"][0]["text"], "Multi-round complete for Alice who likes blue", "{third}");
}

#[test]
fn only_what_the_client_declares_is_asked() {
    let mut wire = Wire::open();
    let tool = called("test_input_required_result_capabilities", json!({}));
    let answer = wire.ask("tools/call", tool.clone(), json!({ "sampling": {} }));
    let asked = answer["result"]["inputRequests"].as_object().expect("questions");
    assert_eq!(asked.keys().collect::<Vec<_>>(), ["sample_input"], "{answer}");
    let answer = wire.ask("tools/call", tool, json!({}));
    assert_eq!(answer["result"]["content"][0]["text"], "No supported capabilities declared", "{answer}");
}

#[test]
fn what_the_client_lacks_is_named() {
    let mut wire = Wire::open();
    let answer = wire.ask("tools/call", called("test_missing_capability", json!({})), json!({}));
    assert_eq!(answer["error"]["code"], -32021, "{answer}");
    assert_eq!(answer["error"]["data"]["requiredCapabilities"], json!({ "sampling": {} }), "{answer}");
}

#[test]
fn all_three_kinds_of_questions_go_out_together() {
    let mut wire = Wire::open();
    let answer = wire.call("test_input_required_result_multiple_inputs", json!({}));
    let asked = answer["result"]["inputRequests"].as_object().expect("questions");
    let methods =
        ["user_name", "greeting", "client_roots"].map(|key| asked[key]["method"].as_str().unwrap_or_default());
    assert_eq!(methods, ["elicitation/create", "sampling/createMessage", "roots/list"], "{answer}");
    assert!(answer["result"]["requestState"].is_string(), "{answer}");
}

#[test]
fn nothing_is_logged_for_whoever_did_not_ask() {
    let mut wire = Wire::open();
    // The first frame is the answer, so there was no log message in front of it.
    let answer = wire.call("test_logging_tool", json!({}));
    assert_eq!(answer["result"]["content"][0]["text"], "Logging evaluated", "{answer}");
}

#[test]
fn lists_and_contents_say_how_long_they_are_fresh() {
    let mut wire = Wire::open();
    for method in ["tools/list", "prompts/list", "resources/list", "resources/templates/list"] {
        let answer = wire.ask(method, json!({}), json!({}));
        assert_eq!(answer["result"]["ttlMs"], 300_000, "{method}: {answer}");
        assert_eq!(answer["result"]["cacheScope"], "public", "{method}: {answer}");
    }
    let answer = wire.ask("resources/read", json!({ "uri": "test://static-text" }), json!({}));
    assert_eq!((&answer["result"]["ttlMs"], &answer["result"]["cacheScope"]), (&json!(300_000), &json!("private")));
}

#[test]
fn a_subscription_is_acknowledged_first_and_told_only_what_it_asked_for() {
    let mut wire = Wire::open();
    let listen =
        wire.send("subscriptions/listen", json!({ "notifications": { "promptsListChanged": true } }), json!({}));
    let first = wire.receive();
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged", "{first}");
    for trigger in ["test_trigger_tool_change", "test_trigger_prompt_change"] {
        wire.send("tools/call", called(trigger, json!({})), json!({}));
    }
    // Two answers and one notification, in whatever order.
    let frames = [wire.receive(), wire.receive(), wire.receive()];
    let told = frames.iter().filter(|frame| frame.get("method").is_some()).collect::<Vec<_>>();
    let [told] = told.as_slice() else { panic!("{frames:?}") };
    assert_eq!(told["method"], "notifications/prompts/list_changed");
    let subscription = &told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
    assert!(*subscription == json!(listen) || *subscription == json!(listen.to_string()), "{told}");
}
