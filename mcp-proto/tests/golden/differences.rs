//! In what our side may differ from the recorded one: a table of named differences, each with its reason.

use std::fmt;

use mcp_proto::jsonrpc::Fault;
use mcp_proto::model::{Era, LoggingLevel, meta_key};
use mcp_proto::{ProtocolVersion, RespondError, Rule, Why};
use serde_json::{Number, Value, json};

use crate::session::{Session, Side};

/// One thing in which our side and the recorded side differ.
pub(crate) struct Mismatch<'a> {
    pub(crate) session: &'a Session,
    /// Whose place our connection takes.
    pub(crate) ours: Side,
    /// The line of the file.
    pub(crate) line: usize,
    /// The method of the message, or of the request that it answers.
    pub(crate) method: String,
    pub(crate) whose: Whose,
    pub(crate) what: What,
}

/// Who has worded a frame of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Our core, by itself.
    Cores,
    /// Our application, in the words of the recorded one.
    Applications,
}

pub(crate) enum What {
    /// A member of a frame, by its JSON pointer.
    Member { place: String, wanted: Option<Value>, got: Option<Value> },
    /// An error instead of a result, or the other way round.
    Outcome { wanted: Value, got: Value },
    /// We did not say it.
    Missing { wanted: Value, why: Unsaid },
    /// We said something more.
    Extra(Value),
    /// Our application was not told of a notification.
    Unheard(Value),
    /// The peer broke a rule, and nobody noticed.
    Unnoticed,
    /// The peer broke a rule.
    Fault(Rule, String),
    /// The peer answered, or reported on, something that nobody waits for.
    Stray(String),
    /// A call of ours did not end by what the peer had answered.
    End(String),
}

/// Why we did not say something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsaid {
    /// Our core took it and said nothing, or something else.
    Dropped,
    /// Our core refused it.
    Refused(Why),
    /// Our core refused it as an answer, or as something about a request.
    NotAnswered(RespondError),
    /// It is about a request that is not open here.
    Nobody,
    /// It is no message that our application could say.
    NoMessage,
}

/// A difference that has to be.
struct Difference {
    name: &'static str,
    why: &'static str,
    covers: fn(&Mismatch<'_>) -> bool,
}

#[rustfmt::skip]
const DIFFERENCES: &[Difference] = &[
    // What says the same in another way.
    Difference {
        name: "empty parameters",
        why: "a message without parameters has empty ones from us; the schemas have both",
        covers: |it| it.member("/params", |wanted, got| wanted.is_none() && is_empty(got) || is_empty(wanted) && got.is_none()),
    },
    Difference {
        name: "empty _meta",
        why: "a `_meta` without a key is left out",
        covers: |it| it.member("/_meta", |wanted, got| is_empty(wanted) && got.is_none()),
    },
    Difference {
        name: "one block of sampling",
        why: "one block is written as itself and not as an array of one, since every revision reads that",
        covers: |it| it.member("/content", |wanted, got| {
            matches!((wanted, got), (Some(Value::Array(blocks)), Some(got)) if matches!(&blocks[..], [block] if differences(block, got).is_empty()))
        }),
    },
    Difference {
        name: "wording of our core",
        why: "an error that the core answers with has the code and the id of the recorded one, but its own words",
        covers: |it| it.whose == Whose::Cores && (it.member("/error/message", |wanted, got| wanted.is_some() && got.is_some())
            || it.member("/error/data", |wanted, got| wanted.is_none() || got.is_none())),
    },
    Difference {
        name: "freshness of server/discover",
        why: "ours is fresh for no time, since what a server offers may change with its next request",
        covers: |it| it.method == "server/discover" && it.member("/result/ttlMs", |_, got| got == Some(&json!(0))),
    },

    // What our core does better.
    Difference {
        name: "serverInfo",
        why: "each result of the modern era should say who the server is; rmcp leaves it out of most",
        covers: |it| it.is_by("rmcp") && it.member("/result/_meta", |wanted, got| {
            let keys = got.and_then(Value::as_object).map(|meta| meta.keys().map(String::as_str).collect::<Vec<_>>());
            wanted.is_none() && keys == Some(vec![meta_key::SERVER_INFO])
        }),
    },
    Difference {
        name: "words of progress",
        why: "2024-11-05 has no `message` there; the recorded peers send one all the same",
        covers: |it| it.session.revision == ProtocolVersion::V2024_11_05 && it.method == "notifications/progress"
            && it.member("/params/message", |_, got| got.is_none()),
    },
    Difference {
        name: "unwanted log messages",
        why: "the recorded Python and Rust servers log below the level that the client has set",
        covers: |it| matches!(&it.what, What::Missing { wanted, why: Unsaid::Dropped } if it.is_below_level(wanted)),
    },
    Difference {
        name: "codes of later revisions",
        why: "-32021 belongs to the modern era; the recorded tool raises it in every revision",
        covers: |it| it.session.revision.era() == Era::Legacy && it.member("/error/code", |wanted, got| {
            wanted == Some(&json!(-32021)) && got == Some(&json!(-32603))
        }),
    },
    Difference {
        name: "what a revision lacks",
        why: "a client of ours does not send a method that the revision does not have; it was sent to see it refused",
        covers: |it| it.is_refused(Why::NotInThisRevision),
    },
    Difference {
        name: "a handshake in the middle",
        why: "the handshake is our core's, and no application can repeat it",
        covers: |it| it.ours == Side::Client && it.method == "initialize" && it.is_refused(Why::NotYours),
    },
    Difference {
        name: "a second handshake",
        why: "a session has one; the recorded servers begin anew, and forget what the first has agreed on",
        covers: |it| match &it.what {
            What::Fault(rule, _) => *rule == Rule::SecondInitialize,
            What::Outcome { got, .. } => it.is_in("crossed") && it.method == "initialize" && got["code"] == -32600,
            _ => false,
        },
    },
    Difference {
        name: "broken terms",
        why: "a client of ours cannot be made to leave out or to falsify the terms of a modern request",
        covers: |it| it.ours == Side::Client && it.is_in("errors") && matches!(&it.what, What::Member { place, got: Some(_), .. }
            if place == "/params" || place.starts_with("/params/_meta")),
    },
    Difference {
        name: "a revision that is none",
        why: "a client of ours offers only what it speaks",
        covers: |it| it.is_in("unknown") && it.member("/params/protocolVersion", |_, got| got == Some(&json!("2025-11-25"))),
    },
    Difference {
        name: "a method of the legacy era in the modern one",
        why: "`logging/setLevel` is gone; the Rust server answers it all the same",
        covers: |it| it.is_by("rmcp") && it.method == "logging/setLevel" && matches!(&it.what, What::Outcome { got, .. } if got["code"] == -32601),
    },

    // What a side asks for although the other has not declared it.
    Difference {
        name: "undeclared: a request",
        why: "our core does not send what the peer has not declared",
        covers: |it| it.is_refused(Why::PeerLacks),
    },
    Difference {
        name: "undeclared: a question",
        why: "our core answers with -32021 instead of the question",
        covers: |it| it.ours == Side::Server && it.whose == Whose::Applications
            && matches!(&it.what, What::Outcome { wanted, got } if wanted["resultType"] == "input_required" && got["code"] == -32021),
    },
    Difference {
        name: "undeclared: an answer",
        why: "our core refuses what we have not declared as an unknown method, as the specification has it for roots; Python says -32600, the Rust client answers",
        covers: |it| it.is_in("unable") && it.ours == Side::Client && it.whose == Whose::Cores && match &it.what {
            What::Outcome { got, .. } => got["code"] == -32601,
            _ => it.member("/error/code", |wanted, got| wanted == Some(&json!(-32600)) && got == Some(&json!(-32601))),
        },
    },
    Difference {
        name: "undeclared: a round",
        why: "a question that we have not declared to answer makes the result invalid",
        covers: |it| match &it.what {
            What::Fault(rule, _) => *rule == Rule::Malformed(Fault::BadResultMember("inputRequests")),
            What::End(end) => end == "Err(InvalidResult(BadResultMember(\"inputRequests\")))",
            _ => false,
        },
    },

    // What is open to choice.
    Difference {
        name: "the probe at a legacy server",
        why: "a server of ours knows both eras, so that it can say which revisions it was told to speak; clients fall back on any error",
        covers: |it| it.method == "server/discover" && it.whose == Whose::Cores && it.member("/error/code", |_, got| got == Some(&json!(-32022))),
    },
    Difference {
        name: "the probe of a client that knows",
        why: "a client of ours asks first also if it speaks only one modern revision",
        covers: |it| matches!(&it.what, What::Extra(got) if got["method"] == "server/discover"),
    },
    Difference {
        name: "a request of neither era",
        why: "without `_meta` and without a handshake it is no request of the modern era, to a server of both",
        covers: |it| it.is_in("rmcp-errors") && match &it.what {
            What::Fault(rule, _) => *rule == Rule::NotInitialized,
            _ => it.method == "tools/list" && it.member("/error/code", |wanted, got| wanted == Some(&json!(-32602)) && got == Some(&json!(-32600))),
        },
    },
    Difference {
        name: "terms of a cancel",
        why: "a notification needs none; TypeScript clients stamp it like a request",
        covers: |it| it.is_by("typescript") && it.method == "notifications/cancelled" && it.member("/params/_meta", |_, got| got.is_none()),
    },
    Difference {
        name: "an envelope with more in it",
        why: "what stands beside the members of JSON-RPC is read past; there is no place for it in ours",
        covers: |it| it.is_written() && it.member("/vendorEnvelope", |_, got| got.is_none()),
    },
    Difference {
        name: "crossed by a cancel",
        why: "the recorded side had not heard yet that the request is over when it said this about it",
        covers: |it| match &it.what {
            What::Missing { wanted, why: Unsaid::Nobody } => wanted.get("id").is_none() && it.method != "notifications/cancelled",
            What::Stray(_) | What::Unheard(_) => it.method == "notifications/progress",
            _ => false,
        },
    },
    Difference {
        name: "news of a task that nobody subscribed to",
        why: "they belong on a subscription; rmcp has none for tasks",
        covers: |it| it.is_by("rmcp") && it.method == "notifications/tasks" && it.is_refused(Why::NotReady),
    },
    Difference {
        name: "a subscription that ends twice",
        why: "servers end one by its result, by a cancel, or both; ours by the result alone, and a client takes what comes first",
        covers: |it| it.is_written() && it.is_in("listen") && match &it.what {
            What::Missing { why, .. } => it.method == "notifications/cancelled" && *why == Unsaid::Nobody,
            What::Stray(_) => true,
            _ => false,
        },
    },
    Difference {
        name: "a result of before",
        why: "without `resultType` a result is complete; ours says so, and who the server is",
        covers: |it| it.is_written() && it.is_in("strangers") && it.ours == Side::Server && (it.member("/result/resultType", |wanted, _| wanted.is_none())
            || it.member("/result/_meta", |wanted, _| wanted.is_none())),
    },

    // What is broken on purpose.
    Difference {
        name: "broken: not said",
        why: "our core cannot be made to break a rule",
        covers: |it| it.breaks() && matches!(it.what, What::Missing { why: Unsaid::NoMessage | Unsaid::Nobody | Unsaid::NotAnswered(_) | Unsaid::Refused(_), .. }),
    },
    Difference {
        name: "broken: noticed",
        why: "a broken rule is told, and ends no more than the call that it is about",
        covers: |it| it.breaks() && match &it.what {
            What::Fault(..) | What::Stray(_) | What::Unheard(_) => true,
            What::End(end) => end.starts_with("Err(InvalidResult("),
            _ => false,
        },
    },
    Difference {
        name: "broken: refused",
        why: "what our client did not say was refused; the refusal names no id, so it answers nothing",
        covers: |it| it.is_written() && it.ours == Side::Client && matches!(&it.what, What::Stray(text) if text.contains("Invalid request") || text.contains("Parse error")),
    },
];

impl fmt::Debug for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<Value>| value.as_ref().map_or("nothing".into(), Value::to_string);
        match self {
            Self::Member { place, wanted, got } => {
                write!(f, "{place}:\n  wanted {}\n  got    {}", text(wanted), text(got))
            }
            Self::Outcome { wanted, got } => write!(f, "another end:\n  wanted {wanted}\n  got    {got}"),
            Self::Missing { wanted, why } => write!(f, "not said ({why:?}):\n  wanted {wanted}"),
            Self::Extra(got) => write!(f, "said without need:\n  got    {got}"),
            Self::Unheard(got) => write!(f, "kept from the application:\n  {got}"),
            Self::Unnoticed => f.write_str("a broken rule that nobody noticed"),
            Self::Fault(rule, detail) => write!(f, "a broken rule: {rule} ({rule:?}):\n  {detail}"),
            Self::Stray(text) => write!(f, "nobody waits for this:\n  {text}"),
            Self::End(end) => write!(f, "a call has ended in another way:\n  {end}"),
        }
    }
}

impl fmt::Display for Mismatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { session, ours, line, method, whose, what } = self;
        write!(f, "{}:{line}, our {ours:?}: {method} ({whose:?} words): {what:?}", session.name)
    }
}

impl Mismatch<'_> {
    fn member(&self, end: &str, holds: fn(Option<&Value>, Option<&Value>) -> bool) -> bool {
        matches!(&self.what, What::Member { place, wanted, got }
            if place.ends_with(end) && holds(wanted.as_ref(), got.as_ref()))
    }

    /// Whether the recorded side in whose place we are is this SDK.
    fn is_by(&self, sdk: &str) -> bool {
        let session = self.session;
        let recorded = if self.ours == Side::Client { &session.client } else { &session.server };
        recorded.split(' ').next() == Some(sdk)
    }

    fn is_written(&self) -> bool {
        self.session.is_written()
    }

    /// Whether the line breaks a rule on purpose.
    fn breaks(&self) -> bool {
        // Behind the header, and counted from 1.
        let line = self.line.checked_sub(2).and_then(|at| self.session.lines.get(at));
        line.is_some_and(|line| line.breaks.is_some())
    }

    fn is_refused(&self, because: Why) -> bool {
        matches!(self.what, What::Missing { why: Unsaid::Refused(why), .. } if why == because)
    }

    /// Whether it is a log message less severe than what the client has set before.
    fn is_below_level(&self, message: &Value) -> bool {
        let level = |message: &Value| message["params"]["level"].as_str()?.parse::<LoggingLevel>().ok();
        let before = self.session.lines[..self.line - 2].iter().filter_map(|line| line.json.as_ref());
        let set = before.filter(|message| message["method"] == "logging/setLevel").filter_map(level).last();
        message["method"] == "notifications/message" && set.is_some_and(|set| level(message) < Some(set))
    }

    fn is_in(&self, scenario: &str) -> bool {
        self.session.name.ends_with(scenario)
    }
}

fn is_empty(value: Option<&Value>) -> bool {
    value.is_some_and(|value| value == &json!({}))
}

/// The difference that explains a mismatch, by its place in the table.
pub(crate) fn explain(mismatch: &Mismatch<'_>) -> Option<usize> {
    DIFFERENCES.iter().position(|difference| (difference.covers)(mismatch))
}

/// The differences that explain nothing any more.
pub(crate) fn stale(met: impl Iterator<Item = usize>) -> Vec<String> {
    let mut left: Vec<_> = DIFFERENCES.iter().map(Some).collect();
    met.for_each(|at| left[at] = None);
    left.into_iter().flatten().map(|difference| format!("{}: {}", difference.name, difference.why)).collect()
}

/// In what two frames differ. The order of members is none, and numbers are equal if their values are.
pub(crate) fn differences(wanted: &Value, got: &Value) -> Vec<What> {
    let mut found = Vec::new();
    if wanted.get("method").is_none() && wanted.get("error").is_some() != got.get("error").is_some() {
        let outcome = |frame: &Value| frame.get("error").or(frame.get("result")).cloned().unwrap_or_default();
        return vec![What::Outcome { wanted: outcome(wanted), got: outcome(got) }];
    }
    compare(String::new(), Some(wanted), Some(got), &mut found);
    found
}

fn compare(place: String, wanted: Option<&Value>, got: Option<&Value>, found: &mut Vec<What>) {
    match (wanted, got) {
        (Some(Value::Object(wanted)), Some(Value::Object(got))) => {
            let more = got.keys().filter(|key| !wanted.contains_key(*key));
            for key in wanted.keys().chain(more) {
                let place = format!("{place}/{}", key.replace('~', "~0").replace('/', "~1"));
                compare(place, wanted.get(key), got.get(key), found);
            }
        }
        (Some(Value::Array(wanted)), Some(Value::Array(got))) if wanted.len() == got.len() => {
            for (at, (wanted, got)) in wanted.iter().zip(got).enumerate() {
                compare(format!("{place}/{at}"), Some(wanted), Some(got), found);
            }
        }
        (Some(Value::Number(wanted)), Some(Value::Number(got))) if is_equal(wanted, got) => {}
        (wanted, got) if wanted == got => {}
        (wanted, got) => found.push(What::Member { place, wanted: wanted.cloned(), got: got.cloned() }),
    }
}

/// Whether two numbers have the same value, however they are written; integers to the last digit.
fn is_equal(one: &Number, other: &Number) -> bool {
    match (one.as_i64(), other.as_i64()) {
        (Some(one), Some(other)) => one == other,
        _ => one.as_f64() == other.as_f64(),
    }
}
