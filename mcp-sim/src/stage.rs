//! What the nodes of a world share: time, links, checks and the transcript.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use mcp_proto::{Connection, InboundId, OutboundId, Timestamp, Transmit};
use serde_json::Value;

use crate::checks::{self, Check, Complaint};
use crate::clock::Place;
use crate::hostile::Due;
use crate::mutants::{Mutant, Saboteur};
use crate::seen::{Deed, End, Facts, Hash, Milestone, Seen};
use crate::workload::Item;
use crate::{Link, Options, Prng, Schedule, world};

/// Something that is due.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Task {
    /// An item of the workload.
    Item(usize),
    /// Something of a node's own.
    Node(usize, Job),
    /// Bytes arrive, by the link whose sender is this node.
    Link(usize),
    /// The world has come so far.
    Milestone(Milestone),
}

/// Something of a node's own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Job {
    /// Its connection wants to be woken.
    Timer,
    /// The application takes its events.
    Events,
    /// A handler goes on.
    Work(InboundId),
    /// The handler of a cancelled request ends.
    Release(InboundId),
    /// A client answers a request of its server.
    Answer(InboundId),
    /// A client answers the questions of a call.
    Supply(OutboundId),
    /// A client gives up a call.
    Cancel(OutboundId),
    /// A client tries again what had to wait.
    Retry,
}

/// What the nodes of a world share.
pub(crate) struct Stage {
    pub(crate) options: Arc<Options>,
    pub(crate) items: Arc<[Item]>,
    pub(crate) schedule: Schedule<Task>,
    /// Each node's output.
    pub(crate) links: Vec<Link>,
    arriving: Vec<Option<(Timestamp, Place)>>,
    ended: Vec<bool>,
    /// Whether the receiver wants no input now.
    blocked: Vec<bool>,
    pub(crate) facts: Vec<Facts>,
    pub(crate) prng: Prng,
    pub(crate) saboteur: Option<Saboteur>,
    pub(crate) healed: bool,
    pub(crate) counts: Counts,
    pub(crate) complaint: Option<Complaint>,
    checks: Vec<Box<dyn Check>>,
    /// The one check that counts, if a fault was planted for it.
    only: Option<&'static str>,
    dues: BTreeMap<Vec<u8>, Due>,
    hash: Hash,
    trace: Option<VecDeque<String>>,
}

/// What was counted in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Things that came due.
    pub steps: u64,
    /// Messages taken by connections.
    pub messages: u64,
    /// What links did to bytes, and lines put between.
    pub faults: u64,
    /// Virtual time, in nanoseconds.
    pub nanos: u64,
}

/// Lines of a transcript that a failure shows.
const SHOWN: usize = 60;

impl Stage {
    pub(crate) fn new(options: Arc<Options>, items: Arc<[Item]>, mutant: Option<Mutant>, traced: Traced) -> Self {
        let seed = options.seed;
        let only = mutant.map(Mutant::caught_by);
        Self {
            schedule: Schedule::new(seed),
            prng: Prng::of(seed, "world"),
            dues: world::dues(&items),
            options,
            items,
            links: Vec::new(),
            arriving: Vec::new(),
            ended: Vec::new(),
            blocked: Vec::new(),
            facts: Vec::new(),
            saboteur: mutant.map(Saboteur::new),
            healed: false,
            counts: Counts::default(),
            complaint: None,
            checks: checks::all(only),
            only,
            hash: Hash::START,
            trace: (traced == Traced::Yes).then(VecDeque::new),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.schedule.now()
    }

    pub(crate) fn add(&mut self, facts: Facts, output: Link) {
        self.facts.push(facts);
        self.links.push(output);
        self.arriving.push(None);
        self.ended.push(false);
        self.blocked.push(false);
    }

    /// Shows something to the transcript and to all checks.
    pub(crate) fn see(&mut self, node: usize, seen: &Seen<'_>) {
        let now = self.now();
        self.hash.add(node as u8, &now.as_nanos().to_le_bytes());
        seen.digest(&mut self.hash);
        let facts = &mut self.facts[node];
        facts.now = now;
        if let Some(trace) = &mut self.trace
            && !matches!(seen, Seen::Stepped(_))
        {
            if trace.len() >= SHOWN {
                trace.pop_front();
            }
            trace.push_back(format!("{now} {:?} {}: {seen}", facts.side, facts.pair));
        }
        for check in &mut self.checks {
            if let Err(why) = check.see(facts, seen)
                && self.complaint.is_none()
            {
                let (name, source) = (check.name(), check.source());
                self.complaint = Some(Complaint { check: name, source, pair: facts.pair, side: facts.side, why });
            }
        }
    }

    /// Complains about what no check sees.
    pub(crate) fn complain(&mut self, node: usize, check: &'static str, why: String) {
        if self.complaint.is_none() && self.only.is_none_or(|only| only == check) {
            let Facts { pair, side, .. } = self.facts[node];
            self.complaint = Some(Complaint { check, source: checks::source_of(check), pair, side, why });
        }
    }

    /// What must come of a line, if it was put in on purpose.
    pub(crate) fn due_of(&self, node: usize, line: &[u8]) -> Option<Due> {
        if self.facts[node].honest { None } else { self.dues.get(line).cloned() }
    }

    pub(crate) fn did(&mut self, node: usize, deed: &Deed) {
        self.see(node, &Seen::Did(deed));
    }

    /// A frame leaves a node.
    pub(crate) fn transmit(&mut self, node: usize, transmit: Transmit) {
        let Some(mut saboteur) = self.saboteur.take() else { return self.send(node, &transmit) };
        for (from, transmit) in saboteur.transmits(&self.facts[node], transmit) {
            self.send(from, &transmit);
        }
        self.saboteur = Some(saboteur);
    }

    pub(crate) fn send(&mut self, node: usize, transmit: &Transmit) {
        let value = serde_json::from_slice(&transmit.frame).unwrap_or(Value::Null);
        self.see(node, &Seen::Sent { transmit, value: &value });
        let now = self.now();
        let mut bytes = Vec::with_capacity(transmit.frame.len() + 1);
        bytes.extend_from_slice(&transmit.frame);
        bytes.push(b'\n');
        self.links[node].send(now, &bytes, &mut self.prng);
        self.arrange(node);
    }

    /// Makes sure that what is on a link arrives.
    pub(crate) fn arrange(&mut self, link: usize) {
        if self.blocked[link] && !self.links[link].has_ended() {
            return;
        }
        let due = match self.links[link].due() {
            Some(due) => due.max(self.now()),
            // The end comes once.
            None if self.links[link].has_ended() && !self.ended[link] => {
                self.ended[link] = true;
                self.now()
            }
            None => return,
        };
        match self.arriving[link] {
            Some((at, _)) if at <= due => {}
            earlier => {
                if let Some((_, place)) = earlier {
                    self.schedule.remove(place);
                }
                self.arriving[link] = Some((due, self.schedule.at(due, Task::Link(link))));
            }
        }
    }

    /// The receiver wants input, or does not.
    pub(crate) fn wants(&mut self, link: usize, wanted: bool) {
        self.blocked[link] = !wanted;
        if wanted {
            self.arrange(link);
        }
    }

    pub(crate) fn arrives(&mut self, link: usize) {
        self.arriving[link] = None;
    }

    /// Bytes that nobody has sent are on their way to this node, as if its peer had.
    pub(crate) fn inject(&mut self, to: usize, line: &[u8]) {
        let mut bytes = line.to_vec();
        bytes.push(b'\n');
        self.counts.faults += 1;
        let now = self.now();
        self.links[to ^ 1].send(now, &bytes, &mut self.prng);
        self.arrange(to ^ 1);
    }

    pub(crate) fn ended(&mut self, node: usize, end: End) {
        self.see(node, &Seen::Ended(end));
    }

    pub(crate) fn stepped(&mut self, node: usize, conn: &Connection) {
        self.see(node, &Seen::Stepped(conn));
    }

    pub(crate) fn hash(&self) -> Hash {
        self.hash
    }

    pub(crate) fn trace(&mut self) -> Vec<String> {
        self.trace.take().map(Vec::from).unwrap_or_default()
    }
}

/// Whether the last lines of a run are kept as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Traced {
    Yes,
    #[default]
    No,
}
