//! In what our side may differ from the recorded one: a table of named differences, each with its reason. What no row covers
//! is a failure, and so is a row that covers nothing.

use mcp_proto::jsonrpc::Fault;
use mcp_proto::model::{Era, meta_key};
use mcp_proto::{ProtocolVersion, Rule, Why};
use serde_json::{Value, json};

use crate::mismatch::{Mismatch, Unsaid, What, Whose, differences};
use crate::session::Side;

struct Difference {
    name: &'static str,
    why: &'static str,
    covers: fn(&Mismatch<'_>) -> bool,
}

/// The difference that explains a mismatch, by its place in the table.
pub(crate) fn explain(mismatch: &Mismatch<'_>) -> Option<usize> {
    DIFFERENCES.iter().position(|difference| (difference.covers)(mismatch))
}

/// The differences that are not among those which were met.
pub(crate) fn stale(met: impl IntoIterator<Item = usize>) -> Vec<String> {
    let mut left: Vec<_> = DIFFERENCES.iter().map(Some).collect();
    met.into_iter().for_each(|at| left[at] = None);
    left.into_iter().flatten().map(|difference| format!("{}: {}", difference.name, difference.why)).collect()
}

const DIFFERENCES: &[Difference] = &[
    // The same, said in another way.
    Difference {
        name: "empty parameters",
        why: "where peers leave out parameters, ours are empty; the schemas have both",
        covers: |it| it.adds("/params", is_empty) || it.lacks("/params", is_empty),
    },
    Difference {
        name: "empty _meta",
        why: "a `_meta` without a key is left out",
        covers: |it| it.lacks("/_meta", is_empty),
    },
    Difference {
        name: "one block of sampling",
        why: "one block is written as itself and not as an array of one, since every revision reads that",
        covers: |it| {
            it.turns("/content", |wanted, got| {
                wanted.as_array().is_some_and(|blocks| blocks.len() == 1 && differences(&blocks[0], got).is_empty())
            })
        },
    },
    Difference {
        name: "the core's words",
        why: "an error of the core has the code and the id of the recorded one, but its own words",
        covers: |it| {
            let words = it.turns("/error/message", |_, _| true);
            let data = it.adds("/error/data", |_| true) || it.lacks("/error/data", |_| true);
            it.whose == Whose::Cores && (words || data)
        },
    },
    Difference {
        name: "how long server/discover is fresh",
        why: "for no time: what a server offers may change with its next request",
        covers: |it| it.method == "server/discover" && it.turns("/result/ttlMs", |_, got| got == 0),
    },
    Difference {
        name: "more in the envelope",
        why: "what stands beside the members of JSON-RPC is read past; ours have no place for it",
        covers: |it| it.lacks("/vendorEnvelope", |_| true),
    },
    // What no type of the model has by name; it survives all the same.
    Difference {
        name: "members of vendors",
        why: "objects are open",
        covers: |it| it.is_in("written-open") && matches!(it.what, What::Unknown(_)),
    },
    Difference {
        name: "the task of a question about one",
        why: "TypeScript 1.x repeats in `tasks/get` and `tasks/result` what it asked for when it made the task",
        covers: |it| {
            let is_about_one = ["tasks/get", "tasks/result"].contains(&&*it.method);
            it.is_by("typescript") && is_about_one && matches!(&it.what, What::Unknown(member) if member == "task")
        },
    },
    // What the specification says and the recorded peer does not do.
    Difference {
        name: "serverInfo",
        why: "each result of the modern era should say who the server is; rmcp leaves it out of most",
        covers: |it| it.is_by("rmcp") && it.adds("/result/_meta", is_server_info),
    },
    Difference {
        name: "a result of before",
        why: "without `resultType` a result is complete; ours says so, and who the server is",
        covers: |it| {
            let is_said = it.adds("/result/resultType", |got| got == "complete");
            it.is_in("strangers") && (is_said || it.adds("/result/_meta", is_server_info))
        },
    },
    Difference {
        name: "what is going on, in 2024-11-05",
        why: "progress has no `message` there; all peers send one",
        covers: |it| {
            let is_there = it.session.revision == ProtocolVersion::V2024_11_05;
            is_there && it.method == "notifications/progress" && it.lacks("/params/message", |_| true)
        },
    },
    Difference {
        name: "unwanted log messages",
        why: "the Python and Rust servers log below the level that the client has set",
        covers: |it| matches!(&it.what, What::Missing { wanted, why: Unsaid::Dropped } if it.is_below_level(wanted)),
    },
    Difference {
        name: "a code of another era",
        why: "-32021 is of the modern one; the recorded tool raises it everywhere",
        covers: |it| it.session.revision.era() == Era::Legacy && it.turns_code(-32021, -32603),
    },
    Difference {
        name: "a method of another era",
        why: "`logging/setLevel` is gone; rmcp answers it all the same",
        covers: |it| it.is_by("rmcp") && it.method == "logging/setLevel" && it.fails_with(-32601),
    },
    Difference {
        name: "a second handshake",
        why: "a session has one; the recorded servers forget what it has agreed on and begin anew",
        covers: |it| {
            let is_refused = it.method == "initialize" && it.fails_with(-32600);
            it.is_in("crossed") && (is_refused || it.is_fault(&Rule::SecondInitialize))
        },
    },
    Difference {
        name: "news of a task that nobody subscribed to",
        why: "they belong on a subscription; rmcp has none for tasks",
        covers: |it| it.is_by("rmcp") && it.method == "notifications/tasks" && it.is_refused(Why::NotReady),
    },
    // What a recorded peer asks for although the other side has not declared it.
    Difference {
        name: "undeclared: a request",
        why: "our core does not send it",
        covers: |it| it.is_refused(Why::PeerLacks),
    },
    Difference {
        name: "undeclared: a question instead of an answer",
        why: "our core answers with -32021 instead",
        covers: |it| it.ours == Side::Server && it.whose == Whose::Applications && it.fails_with(-32021),
    },
    Difference {
        name: "undeclared: an answer",
        why: "to what we have not declared it is -32601; Python says -32600, and rmcp answers",
        covers: |it| {
            let is_refused = it.fails_with(-32601) || it.turns_code(-32600, -32601);
            it.is_in("unable") && it.ours == Side::Client && it.whose == Whose::Cores && is_refused
        },
    },
    Difference {
        name: "undeclared: a round",
        why: "a question that we have not declared to answer ends the call, which says so",
        covers: |it| {
            let is_told = matches!(&it.what, What::End(end) if end.starts_with("Err(Undeclared {"));
            !it.breaks() && (is_told || it.is_fault(&Rule::Malformed(Fault::BadResultMember("inputRequests"))))
        },
    },
    // What is open to choice.
    Difference {
        name: "the probe of who knows",
        why: "a client of ours asks first, also if it speaks one modern revision only",
        covers: |it| matches!(&it.what, What::Extra(got) if got["method"] == "server/discover"),
    },
    Difference {
        name: "the probe at a legacy server",
        why: "ours knows both eras, so it says which revisions it was told to speak; clients fall back on any error",
        covers: |it| {
            let is_named = it.turns_code(-32601, -32022) || it.turns_code(-32600, -32022);
            it.method == "server/discover" && it.whose == Whose::Cores && is_named
        },
    },
    Difference {
        name: "a request of neither era",
        why: "without `_meta` and without a handshake it is not modern, to a server of both eras",
        covers: |it| {
            let is_refused = it.method == "tools/list" && it.turns_code(-32602, -32600);
            it.is_in("rmcp-errors") && (is_refused || it.is_fault(&Rule::NotInitialized))
        },
    },
    Difference {
        name: "the terms of a cancel",
        why: "a notification needs none; TypeScript stamps it like a request",
        covers: |it| {
            let is_cancel = it.method == "notifications/cancelled";
            it.is_by("typescript") && is_cancel && it.lacks("/params/_meta", |_| true)
        },
    },
    Difference {
        name: "a subscription that ends twice",
        why: "a server may end it by the result, by a cancel, or by both; ours does by the result, and the first counts",
        covers: |it| {
            let is_cancel = it.method == "notifications/cancelled" && it.is_unsaid(Unsaid::Nobody);
            it.is_in("listen") && it.session.is_written() && (is_cancel || matches!(it.what, What::Stray(_)))
        },
    },
    Difference {
        name: "crossed by a cancel",
        why: "the recorded side had not heard yet that what this is about is over",
        covers: |it| match &it.what {
            What::Missing { .. } => it.method.ends_with("/list_changed") && it.is_unsaid(Unsaid::Nobody),
            What::Stray(_) | What::Unheard(_) => it.method == "notifications/progress" && !it.breaks(),
            _ => false,
        },
    },
    Difference {
        name: "progress of what was not asked",
        why: "the request that it is about was cancelled, or refused as undeclared",
        covers: |it| it.method == "notifications/progress" && it.is_unsaid(Unsaid::Nobody),
    },
    // What our core cannot be made to say: it was said on purpose, to see it refused.
    Difference {
        name: "what a revision lacks",
        why: "a method that the revision does not have is not sent",
        covers: |it| it.is_refused(Why::NotInThisRevision),
    },
    Difference {
        name: "a handshake in the middle",
        why: "the handshake is the core's own, and no application can repeat it",
        covers: |it| it.method == "initialize" && it.is_refused(Why::NotYours),
    },
    Difference {
        name: "a revision that is none",
        why: "a client offers what it speaks",
        covers: |it| it.is_in("unknown") && it.turns("/params/protocolVersion", |wanted, _| wanted == "2099-01-01"),
    },
    Difference {
        name: "broken terms",
        why: "no application can leave out or falsify the terms of a modern request",
        covers: |it| {
            let keys = [meta_key::PROTOCOL_VERSION, meta_key::CLIENT_CAPABILITIES, meta_key::CLIENT_INFO];
            let is_a_term = |place: &str| {
                let key = place.strip_prefix("/params/_meta/").map(|key| key.replace("~1", "/"));
                ["/params", "/params/_meta"].contains(&place) || key.is_some_and(|key| keys.contains(&&*key))
            };
            let is_there = matches!(&it.what, What::Member { place, got: Some(_), .. } if is_a_term(place));
            it.is_in("errors") && it.ours == Side::Client && is_there
        },
    },
    Difference {
        name: "broken rules: not said",
        why: "they are marked as such in the sessions written by hand",
        covers: |it| it.breaks() && matches!(it.what, What::Missing { .. }),
    },
    Difference {
        name: "broken rules: noticed",
        why: "a broken rule is told, and ends no more than the call that it is about",
        covers: |it| {
            let is_told = matches!(it.what, What::Fault(..) | What::Stray(_) | What::Unheard(_));
            let ends = matches!(&it.what, What::End(end) if end.starts_with("Err(InvalidResult("));
            it.breaks() && (is_told || ends)
        },
    },
    Difference {
        name: "broken rules: refused",
        why: "an error without an id answers nothing, here what our client did not say",
        covers: |it| {
            let is_error = |text: &str| {
                serde_json::from_str::<Value>(text).is_ok_and(|it| it["id"].is_null() && it.get("error").is_some())
            };
            it.session.is_written() && matches!(&it.what, What::Stray(text) if is_error(text))
        },
    },
];

fn is_empty(value: &Value) -> bool {
    *value == json!({})
}

/// Whether a `_meta` says who the server is and nothing else.
fn is_server_info(meta: &Value) -> bool {
    meta.as_object().is_some_and(|meta| meta.len() == 1 && meta.contains_key(meta_key::SERVER_INFO))
}
