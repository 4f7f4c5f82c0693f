//! One simulated world, from its beginning until nothing is due any more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mcp_proto::{ProtocolVersion, Timestamp};

use crate::checks::Complaint;
use crate::client_app::{ClientApp, LIVELY};
use crate::hostile::Due;
use crate::mutants::Mutant;
use crate::node::{App, Hand, Node};
use crate::puppet::Puppet;
use crate::seen::{Facts, Hash, Milestone};
use crate::server_app::ServerApp;
use crate::stage::{Counts, Stage, Task, Traced};
use crate::workload::{Call, Item, Plan, What};
use crate::{Cast, Faults, Link, Options, Prng, Side};

/// What came of a run.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) hash: Hash,
    pub(crate) counts: Counts,
    pub(crate) complaint: Option<Complaint>,
    /// The last lines, if they were asked for.
    pub(crate) trace: Vec<String>,
}

/// How a world is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    /// Whether connections are replaced by their clones as it runs.
    pub(crate) replaced: bool,
    pub(crate) traced: Traced,
    pub(crate) mutant: Option<Mutant>,
}

impl Manner {
    pub(crate) const PLAIN: Self = Self { replaced: false, traced: Traced::No, mutant: None };
}

/// A world.
pub(crate) struct World {
    stage: Stage,
    actors: Vec<Actor>,
    /// The node of the client of each pair; its server is the next.
    current: Vec<usize>,
    replacing: Option<Prng>,
    mutant: Option<Mutant>,
}

enum Actor {
    Ours(Box<Node>),
    Puppet(Puppet),
}

/// How long after the faults all that was begun must have ended: nobody answers, and a handler waits for that, one after the other.
const SETTLING: Duration = Duration::from_secs(24 * 3600);
/// How long undisturbed work may take.
const UNDISTURBED_FOR: Duration = Duration::from_secs(30);
/// What every pair does once nothing disturbs it.
const UNDISTURBED: [Plan; 5] = [Plan::Echo, Plan::Progress(3, 5), Plan::Ask(1), Plan::Slow(200), Plan::Ask(2)];
/// More steps than any world takes: it does not come to rest.
const MOST_STEPS: u64 = 300_000;

/// Runs a world with these items.
pub(crate) fn run(options: &Arc<Options>, items: &Arc<[Item]>, manner: Manner) -> Outcome {
    let mut world = World::new(options, items, manner);
    world.run();
    let World { mut stage, .. } = world;
    stage.counts.nanos = stage.now().as_nanos();
    stage.counts.faults += stage.links.iter().map(Link::injected).sum::<u64>();
    Outcome { hash: stage.hash(), counts: stage.counts, trace: stage.trace(), complaint: stage.complaint }
}

impl World {
    fn new(options: &Arc<Options>, items: &Arc<[Item]>, manner: Manner) -> Self {
        let mut stage = Stage::new(Arc::clone(options), Arc::clone(items), manner.mutant, manner.traced);
        for (number, item) in items.iter().enumerate() {
            stage.schedule.at(Timestamp::EPOCH + item.at, Task::Item(number));
        }
        let milestones = [
            (options.span, Milestone::Healed),
            (options.span + SETTLING, Milestone::Settled),
            (options.span + SETTLING + Duration::from_secs(1), Milestone::Lively),
            (options.span + SETTLING + Duration::from_secs(1) + UNDISTURBED_FOR, Milestone::Judged),
        ];
        for (at, milestone) in milestones {
            stage.schedule.at(Timestamp::EPOCH + at, Task::Milestone(milestone));
        }
        let replacing = manner.replaced.then(|| Prng::of(options.seed, "replacing"));
        let mut world = Self { stage, actors: Vec::new(), current: Vec::new(), replacing, mutant: manner.mutant };
        for pair in 0..options.pairs.len() {
            world.begin_pair(pair, Fresh::No);
        }
        world
    }

    fn run(&mut self) {
        while self.stage.complaint.is_none() {
            let Some(task) = self.stage.schedule.next() else { break };
            self.stage.counts.steps += 1;
            if self.stage.counts.steps > MOST_STEPS {
                self.stage.complain(0, "livelock", format!("it does not come to rest: {task:?}"));
            }
            if let Some(prng) = &mut self.replacing
                && prng.percent(10)
                && let Some(Actor::Ours(node)) = {
                    let at = prng.below(self.actors.len() as u64) as usize;
                    self.actors.get_mut(at)
                }
            {
                let now = self.stage.now();
                node.replace(prng, now);
                if let Some(saboteur) = &self.stage.saboteur {
                    saboteur.forgets(&mut node.conn);
                }
            }
            self.perform(task);
        }
        if self.stage.complaint.is_none() {
            for actor in &mut self.actors {
                if let Actor::Ours(node) = actor {
                    node.milestone(&mut self.stage, Milestone::Quiet);
                    if !node.is_over() {
                        self.stage.complain(
                            node.id(),
                            "quiet",
                            "the world is silent, and this connection is not over".into(),
                        );
                    }
                }
            }
        }
    }

    fn perform(&mut self, task: Task) {
        match task {
            Task::Item(number) => self.item(number),
            Task::Node(node, job) => {
                if let Some(Actor::Ours(node)) = self.actors.get_mut(node) {
                    node.perform(&mut self.stage, job);
                }
            }
            Task::Link(link) => {
                self.stage.arrives(link);
                match &mut self.actors[link ^ 1] {
                    Actor::Ours(node) => node.arrive(&mut self.stage),
                    Actor::Puppet(puppet) => puppet.arrive(&mut self.stage),
                }
                // There is room again.
                if let Actor::Ours(node) = &mut self.actors[link] {
                    node.pump(&mut self.stage);
                }
            }
            Task::Milestone(milestone) => self.milestone(milestone),
        }
    }

    fn begin_pair(&mut self, pair: usize, fresh: Fresh) {
        let options = Arc::clone(&self.stage.options);
        let pairing = &options.pairs[pair];
        let now = self.stage.now();
        let id = self.actors.len();
        let fresh = fresh == Fresh::Yes;
        let link = |faults: &Faults| Link::new(if fresh { Faults::none() } else { faults.clone() });
        let facts = |node: usize, side| {
            let (client, server) = (pairing.client_limits.clone(), options.server_limits.clone());
            let (limits, peer_limits) = if side == Side::Client { (client, server) } else { (server, client) };
            Facts {
                node,
                pair,
                side,
                now,
                cast: pairing.cast,
                honest: fresh || pairing.cast == Cast::Ours,
                calm: fresh || pairing.is_calm(),
                agree: options.agree(pair),
                modern_server: options.server_versions.contains(&ProtocolVersion::V2026_07_28),
                fresh,
                limits,
                peer_limits,
            }
        };
        self.stage.add(facts(id, Side::Client), link(&pairing.up));
        self.stage.add(facts(id + 1, Side::Server), link(&pairing.down));
        let mut client_config = options.client(pair);
        let mut server_config = options.server();
        if let Some(mutant) = self.mutant {
            mutant.configure(&mut client_config, &mut server_config);
        }
        let is_puppet = |side: Cast| !fresh && pairing.cast == side;
        let client = if is_puppet(Cast::HostileClient) {
            Actor::Puppet(Puppet::new(id, Side::Client, &mut self.stage.prng))
        } else {
            Actor::Ours(Box::new(Node::client(id, Arc::new(client_config), now)))
        };
        let server = if is_puppet(Cast::HostileServer) {
            Actor::Puppet(Puppet::new(id + 1, Side::Server, &mut self.stage.prng))
        } else {
            Actor::Ours(Box::new(Node::server(id + 1, Arc::new(server_config), now)))
        };
        self.actors.extend([client, server]);
        if pair < self.current.len() {
            self.current[pair] = id;
        } else {
            self.current.push(id);
        }
        for actor in &mut self.actors[id..] {
            match actor {
                Actor::Ours(node) => node.pump(&mut self.stage),
                Actor::Puppet(puppet) => puppet.begin(&mut self.stage),
            }
        }
    }

    fn item(&mut self, number: usize) {
        let items = Arc::clone(&self.stage.items);
        let Item { pair, what, .. } = &items[number];
        let client = self.current[*pair];
        match what {
            What::Call(call, times) => self.call(client, number, call, *times),
            What::Listen(until) => self.client(client, |app, hand| app.listen(hand, *until)),
            What::SetLevel(level) => self.client(client, |app, hand| app.set_level(hand, level)),
            What::RootsChanged => self.client(client, ClientApp::roots_changed),
            // One definition, many connections: all hear of it.
            What::Change(times) => {
                for server in self.current.clone() {
                    self.server(server + 1, |app, hand| app.change(hand, *times));
                }
            }
            What::Log => self.server(client + 1, ServerApp::log),
            What::Ask => self.server(client + 1, ServerApp::ask),
            What::Close(side, grace) => {
                let node = client + usize::from(*side == Side::Server);
                self.hand(node, |_, hand| hand.close(*grace));
            }
            What::Cut(side, cut) => {
                let link = client + usize::from(*side == Side::Server);
                for cut_off in if *cut == crate::Cut::Reset { vec![link, link ^ 1] } else { vec![link] } {
                    self.stage.links[cut_off].cut(*cut);
                    self.stage.facts[cut_off].calm = false;
                    self.stage.facts[cut_off ^ 1].calm = false;
                    self.stage.arrange(cut_off);
                    if let Actor::Ours(node) = &mut self.actors[cut_off] {
                        // What waited for room goes, into nothing.
                        node.pump(&mut self.stage);
                    }
                }
            }
            What::Inject(side, line) => {
                let to = client + usize::from(*side == Side::Server);
                self.stage.inject(to, &line.text);
            }
        }
    }

    fn call(&mut self, client: usize, number: usize, call: &Call, times: u32) {
        let pair = self.stage.facts[client].pair;
        match &mut self.actors[client] {
            Actor::Puppet(puppet) => puppet.call(&mut self.stage, "puppet", call, times),
            Actor::Ours(_) => {
                for time in 0..times {
                    let tag = format!("p{pair}.{number}.{time}");
                    self.client(client, |app, hand| app.call(hand, tag, call.clone()));
                }
            }
        }
    }

    fn milestone(&mut self, milestone: Milestone) {
        match milestone {
            Milestone::Healed => self.heal(),
            Milestone::Lively => self.enliven(),
            _ => {}
        }
        for actor in &mut self.actors {
            if let Actor::Ours(node) = actor {
                node.milestone(&mut self.stage, milestone);
            }
        }
        if milestone == Milestone::Judged {
            self.judge();
            // Either side may begin with the end; both must come to it.
            for client in self.current.clone() {
                let node = client + self.stage.prng.below(2) as usize;
                self.hand(node, |_, hand| hand.close(Duration::from_secs(20)));
            }
        }
    }

    fn heal(&mut self) {
        self.stage.healed = true;
        let now = self.stage.now();
        for link in 0..self.stage.links.len() {
            self.stage.links[link].heal(now);
            self.stage.arrange(link);
        }
        for node in 0..self.actors.len() {
            match &mut self.actors[node] {
                Actor::Puppet(puppet) => puppet.leave(&mut self.stage),
                // Whoever has as many open as it may must not wait for ever.
                Actor::Ours(_) => self.client(node, ClientApp::stop_listening),
            }
        }
    }

    /// Pairs that are no more begin again, and all do what must succeed now.
    fn enliven(&mut self) {
        for pair in 0..self.current.len() {
            let client = self.current[pair];
            if self.is_gone(client) || self.is_gone(client + 1) {
                if !self.stage.options.agree(pair) {
                    continue;
                }
                for node in [client, client + 1] {
                    self.hand(node, |_, hand| hand.close(Duration::from_secs(1)));
                }
                self.begin_pair(pair, Fresh::Yes);
            }
            let client = self.current[pair];
            self.client(client, |app, hand| app.listen(hand, None));
            for (number, plan) in UNDISTURBED.into_iter().enumerate() {
                let tag = format!("p{pair}{LIVELY}{number}");
                self.client(client, |app, hand| app.call(hand, tag, Call::plain(plan)));
            }
        }
        for client in self.current.clone() {
            self.server(client + 1, |app, hand| app.change(hand, 1));
        }
    }

    /// All that was undisturbed has succeeded.
    fn judge(&mut self) {
        for (pair, client) in self.current.iter().enumerate() {
            if let Actor::Ours(node) = &self.actors[*client]
                && let App::Client(app) = &node.app
                && self.stage.options.agree(pair)
                && app.succeeded() < UNDISTURBED.len()
            {
                let why = format!("{} of {} undisturbed calls succeeded", app.succeeded(), UNDISTURBED.len());
                self.stage.complain(*client, "liveness", why);
            }
        }
    }

    fn is_gone(&self, node: usize) -> bool {
        let gone = self.stage.links[node].was_cut().is_some() || !self.stage.facts[node].honest;
        gone || !matches!(&self.actors[node], Actor::Ours(node) if !node.is_over())
    }

    fn hand(&mut self, node: usize, act: impl FnOnce(&mut App, &mut Hand<'_>)) {
        if let Actor::Ours(node) = &mut self.actors[node] {
            node.act(&mut self.stage, act);
        }
    }

    fn client(&mut self, node: usize, act: impl FnOnce(&mut ClientApp, &mut Hand<'_>)) {
        self.hand(node, |app, hand| {
            if let App::Client(app) = app {
                act(app, hand);
            }
        });
    }

    fn server(&mut self, node: usize, act: impl FnOnce(&mut ServerApp, &mut Hand<'_>)) {
        self.hand(node, |app, hand| {
            if let App::Server(app) = app {
                act(app, hand);
            }
        });
    }
}

/// Whether a pair begins after the faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fresh {
    Yes,
    No,
}

/// What must come of lines that were put in on purpose, by their text.
pub(crate) fn dues(items: &[Item]) -> BTreeMap<Vec<u8>, Due> {
    let lines = items.iter().filter_map(|item| match &item.what {
        What::Inject(_, line) if line.due != Due::Anything => Some((line.text.trim_ascii().to_vec(), line.due.clone())),
        _ => None,
    });
    lines.collect()
}
