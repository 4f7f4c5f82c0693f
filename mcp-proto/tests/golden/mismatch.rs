//! In what our side differs from the recorded one, told so that a person finds it.

use std::fmt;

use mcp_proto::model::LoggingLevel;
use mcp_proto::{RespondError, Rule, Why};
use serde_json::{Number, Value};

use crate::session::{Line, Session, Side};

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
    /// No type of the model has this member.
    Unknown(String),
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
            Self::Unknown(member) => write!(f, "a member that the model does not know: {member}"),
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
        write!(f, "{}:{line}, our {ours:?}: {method} (the {whose:?} words): {what:?}", session.name)
    }
}

/// What rows of the table ask for.
impl Mismatch<'_> {
    /// Whether we lack a member whose place ends so, and what it was is such.
    pub(crate) fn lacks(&self, place: &str, is: fn(&Value) -> bool) -> bool {
        matches!(self.member(place), Some((Some(wanted), None)) if is(wanted))
    }

    /// Whether we have one more, and it is such.
    pub(crate) fn adds(&self, place: &str, is: fn(&Value) -> bool) -> bool {
        matches!(self.member(place), Some((None, Some(got))) if is(got))
    }

    /// Whether ours says something else, and both are such.
    pub(crate) fn turns(&self, place: &str, are: fn(&Value, &Value) -> bool) -> bool {
        matches!(self.member(place), Some((Some(wanted), Some(got))) if are(wanted, got))
    }

    /// Whether the code of an error is another.
    pub(crate) fn turns_code(&self, wanted: i64, got: i64) -> bool {
        matches!(self.member("/error/code"), Some((Some(was), Some(is))) if *was == wanted && *is == got)
    }

    /// Whether there is an error of this code instead of a result.
    pub(crate) fn fails_with(&self, code: i64) -> bool {
        matches!(&self.what, What::Outcome { got, .. } if got["code"] == code)
    }

    pub(crate) fn is_fault(&self, broken: &Rule) -> bool {
        matches!(&self.what, What::Fault(rule, _) if rule == broken)
    }

    pub(crate) fn is_unsaid(&self, because: Unsaid) -> bool {
        matches!(self.what, What::Missing { why, .. } if why == because)
    }

    pub(crate) fn is_refused(&self, because: Why) -> bool {
        self.is_unsaid(Unsaid::Refused(because)) && !self.breaks()
    }

    /// Whether the recorded side in whose place we are is this SDK.
    pub(crate) fn is_by(&self, sdk: &str) -> bool {
        let recorded = if self.ours == Side::Client { &self.session.client } else { &self.session.server };
        recorded.split(' ').next() == Some(sdk)
    }

    pub(crate) fn is_in(&self, scenario: &str) -> bool {
        self.session.name.ends_with(scenario)
    }

    /// Whether the line breaks a rule on purpose.
    pub(crate) fn breaks(&self) -> bool {
        self.lines_before().next_back().is_some_and(|line| line.breaks.is_some())
    }

    /// Whether it is a log message less severe than what the client has set before.
    pub(crate) fn is_below_level(&self, message: &Value) -> bool {
        let level = |message: &Value| message["params"]["level"].as_str()?.parse::<LoggingLevel>().ok();
        let set = self.lines_before().filter_map(|line| line.json.as_ref());
        let set = set.filter(|message| message["method"] == "logging/setLevel").filter_map(level).next_back();
        message["method"] == "notifications/message" && set.is_some_and(|set| level(message) < Some(set))
    }

    fn member(&self, end: &str) -> Option<(Option<&Value>, Option<&Value>)> {
        match &self.what {
            What::Member { place, wanted, got } if place.ends_with(end) => Some((wanted.as_ref(), got.as_ref())),
            _ => None,
        }
    }

    /// The lines up to this one.
    fn lines_before(&self) -> impl DoubleEndedIterator<Item = &Line> {
        // Without the header, and counted from 1.
        self.session.lines.iter().take(self.line - 1)
    }
}
