//! What must hold in every world of exchanges.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use mcp_proto::Timestamp;
use serde_json::Value;

use super::host::{Holds, Number};
use super::path::Part;
use super::seen::{Outcome, Place, Seen};
use super::work::{Options, Plan};
use crate::checks::require;

/// One thing that must hold. It sees everything, keeps what it needs, and says what is wrong.
pub(crate) trait Check {
    fn name(&self) -> &'static str;

    /// # Errors
    ///
    /// What is wrong, in words.
    fn see(&mut self, facts: &Facts, seen: &Seen) -> Result<(), String>;
}

/// What a check may know beside what it sees.
pub(crate) struct Facts {
    pub(crate) now: Timestamp,
    pub(crate) options: Options,
    /// Whether responses to calls break whatever the weather.
    pub(crate) breaks: bool,
}

/// What a check has found wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The check.
    pub check: &'static str,
    /// What.
    pub why: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = RULES.iter().find(|(name, _)| *name == self.check).map_or("", |(_, rule)| rule);
        write!(f, "{}: {}\n  rule: {rule}", self.check, self.why)
    }
}

/// Every check of worlds of exchanges, and the rule that it watches over.
pub const RULES: [(&str, &str); 13] = [
    ("one response each", "11: a head, data, the end; and the end comes with the answer"),
    ("one stream", "11, 13: a message leaves by the stream that it belongs to, and by no other (pain 1)"),
    ("own answers", "13: everybody gets the answer to his own question, once, or a reason why not (pain 1, 2, 18)"),
    (
        "nothing lost",
        "11: who comes back to a stream misses nothing and gets nothing twice, or is told of a gap (pain 16)",
    ),
    ("principals", "13: somebody else's session is no session (pain 12)"),
    ("disconnects", "11: a disconnect cancels in the modern era, and never in the legacy era (pain 10)"),
    ("signs of life", "no stream is silent for as long as a proxy lets it (pain 15)"),
    ("prompt", "a fast answer waits for nothing (pain 21)"),
    ("own words", "13: who is asked is the one whose call it is about"),
    ("limits", "9: memory stays within the limits, whatever clients do (pain 23)"),
    ("calls end", "12: every call ends (pain 7)"),
    ("nothing left", "14: once all clients are gone nothing is left of them (pain 3)"),
    ("livelock", "12: a world comes to rest"),
];

pub(crate) fn all() -> Vec<Box<dyn Check>> {
    let checks: [Box<dyn Check>; 12] = [
        Box::<Shapes>::default(),
        Box::<OneStream>::default(),
        Box::<OwnAnswers>::default(),
        Box::<NothingLost>::default(),
        Box::<Principals>::default(),
        Box::<Disconnects>::default(),
        Box::<SignsOfLife>::default(),
        Box::<Prompt>::default(),
        Box::<OwnWords>::default(),
        Box::<WithinLimits>::default(),
        Box::<CallsEnd>::default(),
        Box::<NothingLeft>::default(),
    ];
    Vec::from(checks)
}

/// A head, data, the end, which comes with the answer.
#[derive(Default)]
struct Shapes(BTreeMap<Number, Told>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Told {
    #[default]
    Nothing,
    Head,
    Answer,
    End,
}

impl Check for Shapes {
    fn name(&self) -> &'static str {
        "one response each"
    }

    fn see(&mut self, _: &Facts, seen: &Seen) -> Result<(), String> {
        let (number, part) = match seen {
            Seen::Told { number, part } => (number, part),
            Seen::Gone { number } => {
                self.0.remove(number);
                return Ok(());
            }
            Seen::Settled { .. } => {
                let endless = self.0.iter().find(|(_, told)| **told == Told::Answer);
                require!(endless.is_none(), "the answer is there, and no end: {endless:?}");
                return Ok(());
            }
            _ => return Ok(()),
        };
        let told = self.0.entry(*number).or_default();
        *told = match (*told, part) {
            (Told::Nothing, Part::Head(..)) => Told::Head,
            (Told::Head, Part::Bytes(bytes)) if messages(bytes).iter().any(|message| is_answer(message)) => {
                Told::Answer
            }
            (Told::Head, Part::Bytes(_)) => Told::Head,
            (Told::Answer, Part::Bytes(comment)) if messages(comment).is_empty() => Told::Answer,
            (Told::Head | Told::Answer, Part::End) => Told::End,
            (before, _) => return Err(format!("response {number}, after {before:?}: {seen}")),
        };
        Ok(())
    }
}

/// The messages in a part of a response: of an event, or of a JSON text.
fn messages(part: &[u8]) -> Vec<&[u8]> {
    if part.starts_with(b"{") || part.starts_with(b"[") {
        return vec![part];
    }
    let lines = part.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"data: "));
    lines.filter(|data| !data.is_empty()).collect()
}

fn is_answer(message: &[u8]) -> bool {
    serde_json::from_slice::<Value>(message)
        .is_ok_and(|message| message["result"].is_object() || message["error"].is_object())
}

/// Which stream a response reads.
#[derive(Default)]
struct Streams(BTreeMap<Number, Place>);

impl Streams {
    fn see(&mut self, seen: &Seen) {
        if let Seen::Opened { number, place, .. } = seen {
            self.0.insert(*number, *place);
        }
    }
}

/// A message leaves by its stream alone.
#[derive(Default)]
struct OneStream {
    streams: Streams,
    said: BTreeMap<Vec<u8>, BTreeSet<Place>>,
}

impl Check for OneStream {
    fn name(&self) -> &'static str {
        "one stream"
    }

    fn see(&mut self, _: &Facts, seen: &Seen) -> Result<(), String> {
        self.streams.see(seen);
        match seen {
            Seen::Said { place, frame } => {
                self.said.entry(frame.clone()).or_default().insert(*place);
            }
            Seen::Told { number, part: Part::Bytes(bytes) } => {
                let Some(here) = self.streams.0.get(number) else { return Ok(()) };
                for message in messages(bytes) {
                    let places = self.said.get(message);
                    require!(
                        places.is_none_or(|places| places.contains(here)),
                        "{} left by {here:?}, and not by {places:?}",
                        String::from_utf8_lossy(message)
                    );
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Everybody gets the answer to his own question.
#[derive(Default)]
struct OwnAnswers {
    asked: BTreeMap<String, (usize, Plan)>,
    finished: BTreeSet<String>,
    sessions_over: u32,
}

impl Check for OwnAnswers {
    fn name(&self) -> &'static str {
        "own answers"
    }

    fn see(&mut self, facts: &Facts, seen: &Seen) -> Result<(), String> {
        match seen {
            Seen::Asked { client, tag, plan, .. } => {
                self.asked.insert(tag.clone(), (*client, *plan));
            }
            Seen::SessionOver { .. } => self.sessions_over += 1,
            Seen::Finished { tag, outcome } => {
                let Some((client, plan)) = self.asked.get(tag) else { return Err(format!("{tag} was never asked")) };
                require!(self.finished.insert(tag.clone()), "{tag} ends twice");
                let weather = &facts.options.clients[*client].weather;
                let is_stormy = weather.breaks > 0 || weather.slow > 0;
                let is_explained = match (outcome, plan) {
                    (Outcome::Error(code, why), Plan::Fail) if *code == -32603 && why == "it failed on purpose" => true,
                    (Outcome::Result(found, pad), plan) => {
                        let size = if let Plan::Big(size) = plan { *size as usize } else { 0 };
                        found == tag && *pad == size && *plan != Plan::Fail
                    }
                    (Outcome::Error(_, why), _) if why.contains("not kept any more") => is_stormy,
                    // Its session is over, or went for want of room.
                    (Outcome::Error(..) | Outcome::Status(404), _) if self.sessions_over > 0 => true,
                    // There is a limit to how much is kept for whoever may come back, and to how many come at once.
                    (Outcome::Error(_, why), _) if why.contains("names no event that is known") => {
                        facts.options.limits.session_streams < 100
                    }
                    // Its words were cut off.
                    (Outcome::Status(503), _) => is_stormy && facts.options.limits.session_streams < 100,
                    (Outcome::Error(_, why), _) if why.contains("too many requests") => {
                        facts.options.limits.session_streams < 100
                    }
                    (Outcome::Broken, _) => is_stormy || facts.breaks || self.sessions_over > 0,
                    _ => false,
                };
                require!(is_explained, "{tag} ({plan:?}) has ended with {outcome:?}");
            }
            _ => {}
        }
        Ok(())
    }
}

/// What was said arrives, in order and once, or a gap is told.
#[derive(Default)]
struct NothingLost {
    streams: Streams,
    said: BTreeMap<Place, Vec<Vec<u8>>>,
    /// How much of it has been heard; none after a new beginning, where it may have gone on.
    heard: BTreeMap<Place, (usize, bool)>,
}

impl Check for NothingLost {
    fn name(&self) -> &'static str {
        "nothing lost"
    }

    fn see(&mut self, _: &Facts, seen: &Seen) -> Result<(), String> {
        self.streams.see(seen);
        match seen {
            Seen::Said { place, frame } => self.said.entry(*place).or_default().push(frame.clone()),
            Seen::Opened { place, anew, .. } => self.heard.entry(*place).or_default().1 |= anew,
            Seen::Heard { number, status: 200, name, data } => {
                let Some(place) = self.streams.0.get(number) else { return Ok(()) };
                let said = self.said.get(place).map(Vec::as_slice).unwrap_or_default();
                let (at, anew) = self.heard.entry(*place).or_default();
                let value: Value = serde_json::from_slice(data).unwrap_or_default();
                if name.as_deref() == Some("gap") {
                    *at += value["lost"].as_u64().unwrap_or(0) as usize;
                    require!(*at <= said.len(), "a gap of {value} on {place:?}, of which {} was said", said.len());
                    return Ok(());
                }
                if std::mem::take(anew) {
                    // Whoever begins anew hears what comes from now on.
                    *at += said.iter().skip(*at).position(|frame| frame == data).unwrap_or(0);
                }
                let expected = said.get(*at);
                let is_instead =
                    value["error"]["message"].as_str().is_some_and(|why| why.contains("not kept any more"));
                // What the session says by itself: that the call was cancelled, or that it is over.
                let is_own = expected.is_none() && value["error"].is_object();
                require!(
                    expected == Some(data) || (is_instead && expected.is_some_and(|frame| is_answer(frame))) || is_own,
                    "{place:?}, message {at}: heard {}, and this was said: {:?}",
                    String::from_utf8_lossy(data),
                    expected.map(|frame| String::from_utf8_lossy(frame))
                );
                *at += 1;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Somebody else's session is no session.
#[derive(Default)]
struct Principals;

impl Check for Principals {
    fn name(&self) -> &'static str {
        "principals"
    }

    fn see(&mut self, _: &Facts, seen: &Seen) -> Result<(), String> {
        if let Seen::Stolen { status } = seen {
            require!(*status == 404, "somebody else's session answers with {status}");
        }
        Ok(())
    }
}

/// A disconnect cancels in the modern era, and only there.
#[derive(Default)]
struct Disconnects {
    calls: BTreeMap<Number, String>,
    legacy: BTreeSet<String>,
    /// Handlers at work.
    at_work: BTreeSet<String>,
    cancels: BTreeSet<String>,
}

impl Check for Disconnects {
    fn name(&self) -> &'static str {
        "disconnects"
    }

    fn see(&mut self, _: &Facts, seen: &Seen) -> Result<(), String> {
        match seen {
            Seen::Asked { tag, number, modern: true, .. } => drop(self.calls.insert(*number, tag.clone())),
            Seen::Asked { tag, .. } => drop(self.legacy.insert(tag.clone())),
            Seen::Began { tag } => drop(self.at_work.insert(tag.clone())),
            Seen::Answered { tag } => drop(self.at_work.remove(tag)),
            Seen::Cancels { tag } => drop(self.cancels.insert(tag.clone())),
            Seen::Cancelled { tag } => {
                self.at_work.remove(tag);
                let is_wanted = !self.legacy.contains(tag) || self.cancels.contains(tag);
                require!(is_wanted, "the handler of {tag} was cancelled, and nobody has said so");
            }
            Seen::HeardOfIt { number } => {
                let tag = self.calls.get(number);
                let runs_on = tag.filter(|tag| self.at_work.contains(*tag));
                require!(runs_on.is_none(), "nobody waits for {runs_on:?}, and its handler was not told");
            }
            _ => {}
        }
        Ok(())
    }
}

/// No proxy loses its patience.
#[derive(Default)]
struct SignsOfLife;

impl Check for SignsOfLife {
    fn name(&self) -> &'static str {
        "signs of life"
    }

    fn see(&mut self, _: &Facts, seen: &Seen) -> Result<(), String> {
        match seen {
            Seen::Impatient { number } => Err(format!("response {number} was silent for a minute")),
            _ => Ok(()),
        }
    }
}

/// A fast answer leaves at the moment in which its request has come.
#[derive(Default)]
struct Prompt {
    /// Of calls that are answered at once: when they came.
    came: BTreeMap<Number, (String, Option<Timestamp>)>,
}

impl Check for Prompt {
    fn name(&self) -> &'static str {
        "prompt"
    }

    fn see(&mut self, facts: &Facts, seen: &Seen) -> Result<(), String> {
        match seen {
            Seen::Asked { tag, number, plan: Plan::Echo, .. } => drop(self.came.insert(*number, (tag.clone(), None))),
            Seen::Arrived { number } => {
                if let Some((_, came)) = self.came.get_mut(number) {
                    *came = Some(facts.now);
                }
            }
            Seen::Told { number, part: Part::Bytes(_) } => {
                if let Some((tag, Some(came))) = self.came.remove(number) {
                    let took = facts.now.saturating_since(came);
                    require!(took.is_zero(), "{tag} was answered {took:?} after it came");
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Who is asked is the one whose call it is about.
#[derive(Default)]
struct OwnWords;

impl Check for OwnWords {
    fn name(&self) -> &'static str {
        "own words"
    }

    fn see(&mut self, _: &Facts, seen: &Seen) -> Result<(), String> {
        if let Seen::Supplied { tag, answer } = seen {
            require!(tag == answer, "{tag} has asked, and {answer:?} was answered");
        }
        Ok(())
    }
}

/// Memory stays within the limits.
#[derive(Default)]
struct WithinLimits;

/// The largest message of these worlds, with what stands around it.
const LARGEST: usize = 35_000;

impl Check for WithinLimits {
    fn name(&self) -> &'static str {
        "limits"
    }

    fn see(&mut self, facts: &Facts, seen: &Seen) -> Result<(), String> {
        let Seen::Stepped { holds } = seen else { return Ok(()) };
        let limits = &facts.options.limits;
        // Eight streams at their limits, what is kept for replay, and one message that is always taken.
        let most = limits.stream_output.max(limits.replay) * 8 + limits.replay + 2 * LARGEST;
        require!(holds.largest <= most, "{} bytes are held, and at most {most} may be", holds.largest);
        require!(
            holds.sessions <= limits.sessions,
            "{} sessions, and at most {} may be",
            holds.sessions,
            limits.sessions
        );
        Ok(())
    }
}

/// Every call ends.
#[derive(Default)]
struct CallsEnd;

impl Check for CallsEnd {
    fn name(&self) -> &'static str {
        "calls end"
    }

    fn see(&mut self, _: &Facts, seen: &Seen) -> Result<(), String> {
        if let Seen::Settled { waiting } = seen {
            require!(waiting.is_empty(), "these wait for ever: {waiting:?}");
        }
        Ok(())
    }
}

/// Once all clients are gone nothing is left of them.
#[derive(Default)]
struct NothingLeft;

impl Check for NothingLeft {
    fn name(&self) -> &'static str {
        "nothing left"
    }

    fn see(&mut self, _: &Facts, seen: &Seen) -> Result<(), String> {
        if let Seen::Quiet { holds } = seen {
            require!(*holds == Holds::default(), "nothing is due any more, and this is left: {holds:?}");
        }
        Ok(())
    }
}
