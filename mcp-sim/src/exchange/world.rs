//! One world of exchanges, from its beginning until nothing is due any more.

use std::collections::VecDeque;
use std::time::Duration;

use mcp_proto::Timestamp;

use super::checks::{self, Check, Complaint, Facts};
use super::client::{Client, Purpose, SaysSo, Todo};
use super::host::{Host, Job, Number, Request};
use super::mutants::Mutant;
use super::path::{Part, Path, Weather};
use super::seen::Seen;
use super::work::{Options, What};
use crate::clock::Place;
use crate::stage::Traced;
use crate::{Hash, Prng, Schedule};

/// What came of a run.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) hash: Hash,
    pub(crate) steps: u64,
    pub(crate) messages: u64,
    pub(crate) broken: u64,
    pub(crate) nanos: u64,
    pub(crate) complaint: Option<Complaint>,
    pub(crate) trace: Vec<String>,
}

/// How a world is run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manner {
    pub(crate) mutant: Option<Mutant>,
    /// At which byte every first response to a call breaks, whatever the weather.
    pub(crate) breaking_at: Option<u64>,
    pub(crate) traced: Traced,
}

struct World {
    options: Options,
    manner: Manner,
    schedule: Schedule<Task>,
    prng: Prng,
    host: Host,
    clients: Vec<Client>,
    exchanges: Vec<Exchange>,
    waking: Option<(Timestamp, Place)>,
    checks: Vec<Box<dyn Check>>,
    facts: Facts,
    outcome: Outcome,
    recent: VecDeque<String>,
}

struct Exchange {
    client: usize,
    path: Path,
    request: Option<Request>,
}

#[derive(Debug)]
enum Task {
    Item(usize),
    Send(usize, Box<Request>, Purpose),
    Arrive(Number),
    Land(Number),
    Gone(Number),
    Impatient(Number),
    Work(Job),
    Wake,
    Pump,
    /// All that was begun must have ended: whoever still reads goes.
    Settle,
}

/// More steps than any world takes: it does not come to rest.
const MOST_STEPS: u64 = 100_000;
/// When all that was begun must have ended.
const SETTLED: Duration = Duration::from_secs(3 * 3600);
/// How often a client comes back through bad weather before it clears up.
const PATIENCE: u32 = 5;
/// How many lines a failure shows.
const SHOWN: usize = 60;

/// Runs a world.
pub(crate) fn run(options: &Options, manner: Manner) -> Outcome {
    let seed = options.seed;
    let mut world = World {
        options: options.clone(),
        manner,
        schedule: Schedule::new(seed),
        prng: Prng::of(seed, "paths"),
        host: Host::new(seed, &options.limits, manner.mutant),
        clients: options.clients.iter().enumerate().map(|(number, client)| Client::new(number, client)).collect(),
        exchanges: Vec::new(),
        waking: None,
        checks: checks::all(),
        facts: Facts { now: Timestamp::EPOCH, options: options.clone(), breaks: manner.breaking_at.is_some() },
        outcome: Outcome {
            hash: Hash::START,
            steps: 0,
            messages: 0,
            broken: 0,
            nanos: 0,
            complaint: None,
            trace: Vec::new(),
        },
        recent: VecDeque::new(),
    };
    world.run();
    world.outcome.nanos = world.schedule.now().as_nanos();
    world.outcome.trace = world.recent.into();
    world.outcome
}

impl World {
    fn run(&mut self) {
        for (number, item) in self.options.items.iter().enumerate() {
            self.schedule.at(Timestamp::EPOCH + item.at, Task::Item(number));
        }
        self.schedule.at(Timestamp::EPOCH + SETTLED, Task::Settle);
        for client in 0..self.clients.len() {
            self.client(client, Client::begin);
        }
        while self.outcome.complaint.is_none() {
            let Some(task) = self.schedule.next() else { break };
            self.facts.now = self.schedule.now();
            self.outcome.steps += 1;
            if self.outcome.steps > MOST_STEPS {
                self.complain("livelock", format!("it does not come to rest: {task:?}"));
            }
            self.perform(task);
            self.arm();
            let holds = self.host.holds();
            self.see(&Seen::Stepped { holds });
        }
        let holds = self.host.holds();
        self.see(&Seen::Quiet { holds });
    }

    fn perform(&mut self, task: Task) {
        let now = self.schedule.now();
        match task {
            Task::Item(number) => self.item(number),
            Task::Send(client, request, purpose) => self.send(client, *request, purpose),
            Task::Arrive(number) => {
                if let Some(request) = self.exchanges[number].request.take() {
                    self.see(&Seen::Arrived { number });
                    self.host.arrive(now, number, request);
                    if self.exchanges[number].path.is_over() {
                        self.host.gone(now, number);
                    }
                }
                self.follow();
            }
            Task::Land(number) => {
                while let Some(part) = self.exchanges[number].path.land(now) {
                    self.outcome.broken += u64::from(part == Part::Broken);
                    let client = self.exchanges[number].client;
                    self.client(client, |client, todos| client.read(todos, number, part));
                }
                self.follow();
            }
            Task::Gone(number) => {
                self.host.gone(now, number);
                self.follow();
            }
            Task::Impatient(number) => {
                let path = &mut self.exchanges[number].path;
                if path.impatient_at().is_some_and(|at| at <= now) {
                    let lands = path.cut(now);
                    self.schedule.at(lands, Task::Land(number));
                    self.schedule.at(now, Task::Gone(number));
                    self.see(&Seen::Impatient { number });
                }
            }
            Task::Work(job) => {
                self.host.work(now, job);
                self.follow();
            }
            Task::Wake => {
                self.waking = None;
                self.host.wake(now);
                self.follow();
            }
            Task::Pump => self.pump(),
            Task::Settle => {
                let waiting = self.clients.iter().flat_map(Client::waiting).map(Into::into).collect();
                self.see(&Seen::Settled { waiting });
                for client in 0..self.clients.len() {
                    self.client(client, Client::vanish);
                }
            }
        }
    }

    fn item(&mut self, number: usize) {
        let item = self.options.items[number].clone();
        let how = self.prng.below(3);
        match item.what {
            What::Call(plan) => self.client(item.client, |client, todos| client.call(todos, plan)),
            What::GiveUp => self.client(item.client, |client, todos| client.take_back(todos, SaysSo::No)),
            What::Cancel => self.client(item.client, |client, todos| client.take_back(todos, SaysSo::Yes)),
            What::Listen => self.client(item.client, Client::listen),
            What::Steal(other) => {
                let owner = &self.clients[other];
                if let Some(session) = owner.session().map(str::to_owned)
                    && owner.principal() != self.clients[item.client].principal()
                {
                    self.client(item.client, |client, todos| client.steal(todos, &session, how));
                }
            }
            What::Log => {
                self.host.log(self.schedule.now(), &format!("log {number}"));
                self.follow();
            }
            What::Delete => self.client(item.client, Client::delete),
            What::Vanish => self.client(item.client, Client::vanish),
        }
    }

    /// A client does something, and what it wants done is done.
    fn client(&mut self, client: usize, act: impl FnOnce(&mut Client, &mut Vec<Todo>)) {
        let mut todos = Vec::new();
        act(&mut self.clients[client], &mut todos);
        for todo in todos {
            match todo {
                Todo::Send { after, request, purpose } if after.is_zero() => self.send(client, request, purpose),
                Todo::Send { after, request, purpose } => {
                    self.schedule.after(after, Task::Send(client, Box::new(request), purpose));
                }
                Todo::Close(number) => {
                    let path = &mut self.exchanges[number].path;
                    path.close();
                    let delay = path.delay();
                    self.schedule.after(delay, Task::Gone(number));
                }
                Todo::See(seen) => self.see(&seen),
            }
        }
    }

    fn send(&mut self, client: usize, request: Request, purpose: Purpose) {
        let now = self.schedule.now();
        let number = self.exchanges.len();
        let returns = self.clients[client].returns(purpose);
        let stormy = &self.options.clients[client].weather;
        // A session that nobody can open proves nothing.
        let calm = purpose == Purpose::Initialize || purpose == Purpose::Theft || returns > PATIENCE;
        let mut path = Path::new(if calm { &Weather::CALM } else { stormy }, &mut self.prng, now);
        if let (Some(bytes), Purpose::Call(_), 0) = (self.manner.breaking_at, purpose, returns) {
            path = path.breaking_at(bytes);
        }
        self.schedule.after(path.delay(), Task::Arrive(number));
        self.exchanges.push(Exchange { client, path, request: Some(request) });
        self.watch(number);
        if let Some(seen) = self.clients[client].sent(number, purpose) {
            self.see(&seen);
        }
    }

    /// What comes of what the server was told.
    fn follow(&mut self) {
        for seen in self.host.take_seen() {
            self.see(&seen);
        }
        for (after, job) in self.host.take_jobs() {
            self.schedule.after(after, Task::Work(job));
        }
        if self.manner.mutant == Some(Mutant::Delays) {
            self.schedule.after(Duration::from_millis(40), Task::Pump);
        } else {
            self.pump();
        }
    }

    /// Wakes the server when it wants to be woken.
    fn arm(&mut self) {
        let busy = (self.manner.mutant == Some(Mutant::BusyTimer)).then(|| self.schedule.now());
        let due = busy.or_else(|| self.host.poll_timeout());
        if self.waking.map(|(at, _)| at) != due {
            if let Some((_, place)) = self.waking.take() {
                self.schedule.remove(place);
            }
            self.waking = due.map(|at| (at, self.schedule.at(at, Task::Wake)));
        }
    }

    /// Responses are told as much as there is room for on their ways.
    fn pump(&mut self) {
        let now = self.schedule.now();
        for number in self.host.open() {
            let mut had_room = false;
            while self.exchanges[number].path.has_room() {
                had_room = true;
                let Some(part) = self.host.poll_output(now, number) else { break };
                for seen in self.host.take_seen() {
                    self.see(&seen);
                }
                self.tell(number, part);
            }
            if !had_room && self.manner.mutant == Some(Mutant::WaitsForTheSlow) {
                break;
            }
        }
        for (after, job) in self.host.take_jobs() {
            self.schedule.after(after, Task::Work(job));
        }
    }

    fn tell(&mut self, number: Number, part: Part) {
        let now = self.schedule.now();
        let is_comment = part == Part::Bytes(b": \n\n".to_vec());
        if is_comment && self.manner.mutant == Some(Mutant::NoComments) {
            return;
        }
        let twice = matches!(part, Part::Head(..)) && self.manner.mutant == Some(Mutant::SecondHead);
        for _ in 0..=usize::from(twice) {
            self.outcome.messages += u64::from(matches!(part, Part::Bytes(_)));
            self.see(&Seen::Told { number, part: part.clone() });
        }
        let path = &mut self.exchanges[number].path;
        let is_end = part == Part::End;
        for lands in path.put(now, part) {
            self.schedule.at(lands, Task::Land(number));
        }
        if path.is_over() && !is_end {
            let delay = path.delay();
            self.schedule.after(delay, Task::Gone(number));
        }
        self.watch(number);
    }

    /// Looks later whether a proxy is still patient.
    fn watch(&mut self, number: Number) {
        if let Some(at) = self.exchanges[number].path.impatient_at() {
            self.schedule.at(at, Task::Impatient(number));
        }
    }

    fn see(&mut self, seen: &Seen) {
        let now = self.schedule.now();
        if !matches!(seen, Seen::Stepped { .. }) {
            seen.digest(now, &mut self.outcome.hash);
        }
        if self.manner.traced == Traced::Yes && !matches!(seen, Seen::Stepped { .. }) {
            if self.recent.len() == SHOWN {
                self.recent.pop_front();
            }
            let text = format!("{:>10.3} {seen}", now.as_nanos() as f64 / 1e9);
            self.recent.push_back(crate::seen::short(text.as_bytes()));
        }
        for at in 0..self.checks.len() {
            if let Err(why) = self.checks[at].see(&self.facts, seen) {
                let name = self.checks[at].name();
                return self.complain(name, why);
            }
        }
    }

    fn complain(&mut self, check: &'static str, why: String) {
        self.outcome.complaint.get_or_insert(Complaint { check, why });
    }
}
