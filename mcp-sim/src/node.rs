//! One connection of ours with its driver and its application, in virtual time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mcp_proto::model::{Progress, SubscriptionFilter};
use mcp_proto::{
    Body, CallOptions, Change, ClientConfig, Connection, ErrorObject, InboundId, InputRequired, OutboundId,
    ProtocolVersion, RespondError, ResultKind, Scope, SendError, ServerConfig, Start, Timestamp,
};
use serde_json::Value;

use crate::client_app::ClientApp;
use crate::clock::Place;
use crate::mutants::Saboteur;
use crate::oracle;
use crate::seen::{Deed, End, Milestone, Seen};
use crate::server_app::ServerApp;
use crate::stage::{Job, Stage, Task};
use crate::{Cut, Prng};

/// One connection of ours.
pub(crate) struct Node {
    id: usize,
    pub(crate) conn: Connection,
    config: Config,
    timer: Option<(Timestamp, Place)>,
    /// Set while the application takes its time.
    events_at: Option<Place>,
    input: oracle::Lines,
    end_told: bool,
    pub(crate) app: App,
}

pub(crate) enum Config {
    Client(Arc<ClientConfig>),
    Server(Arc<ServerConfig>),
}

pub(crate) enum App {
    Client(Box<ClientApp>),
    Server(Box<ServerApp>),
}

/// What an application does is done through this, so that it is seen.
pub(crate) struct Hand<'a> {
    pub(crate) id: usize,
    pub(crate) conn: &'a mut Connection,
    pub(crate) stage: &'a mut Stage,
}

impl Node {
    pub(crate) fn client(id: usize, config: Arc<ClientConfig>, now: Timestamp) -> Self {
        let conn = Connection::client(Arc::clone(&config), now);
        Self::new(id, conn, Config::Client(config), App::Client(Box::default()))
    }

    pub(crate) fn server(id: usize, config: Arc<ServerConfig>, now: Timestamp) -> Self {
        let conn = Connection::server(Arc::clone(&config), Start::Handshake, now);
        Self::new(id, conn, Config::Server(config), App::Server(Box::default()))
    }

    fn new(id: usize, conn: Connection, config: Config, app: App) -> Self {
        let input = oracle::Lines::default();
        Self { id, conn, config, timer: None, events_at: None, input, end_told: false, app }
    }

    pub(crate) fn id(&self) -> usize {
        self.id
    }

    /// Its application acts.
    pub(crate) fn act(&mut self, stage: &mut Stage, act: impl FnOnce(&mut App, &mut Hand<'_>)) {
        act(&mut self.app, &mut Hand { id: self.id, conn: &mut self.conn, stage });
        self.pump(stage);
    }

    /// Whether its connection is over.
    pub(crate) fn is_over(&self) -> bool {
        self.conn.is_drained()
    }

    /// Takes what has arrived, as far as it wants input.
    pub(crate) fn arrive(&mut self, stage: &mut Stage) {
        let from = self.id ^ 1;
        let now = stage.now();
        // A few pieces at once, so that what follows from the first meets the rest still on its way.
        let at_most = stage.prng.within(1..=200);
        for _ in 0..at_most {
            if !self.wants_input(stage) && !self.is_over() {
                break;
            }
            let mut piece = stage.links[from].piece(now, &mut stage.prng).to_vec();
            if piece.is_empty() {
                break;
            }
            piece.truncate(before_batch(&piece));
            let version = self.conn.version();
            if self.is_over() {
                stage.links[from].take(piece.len());
                continue;
            }
            // One byte is cut in one way only.
            let before = (stage.prng.percent(3) && piece.len() > 1).then(|| self.conn.clone());
            let (conn, facts) = (&mut self.conn, &stage.facts[self.id]);
            let taken = match stage.saboteur.as_mut().and_then(|it| it.bytes(facts, conn, &self.config, &piece)) {
                None => conn.handle_input(now, &piece),
                Some(other) => {
                    conn.handle_input(now, &other);
                    piece.len()
                }
            };
            if let Some(before) = before
                && let Some(why) = oracle::chunking_differs(before, &self.conn, now, &piece)
            {
                stage.complain(self.id, "chunking", why);
            }
            let mut lines = Vec::new();
            self.input.push(&piece[..taken], &mut lines);
            stage.links[from].take(taken);
            for line in lines {
                let taken =
                    version == Some(ProtocolVersion::V2025_03_26) && line.len() <= stage.facts[self.id].limits.frame;
                match batch(&line).filter(|_| taken) {
                    Some(messages) => messages.iter().for_each(|message| self.took(stage, message)),
                    None => self.took(stage, &line),
                }
            }
            self.pump(stage);
        }
        let link = &stage.links[from];
        if link.has_ended() && !self.end_told {
            self.end_told = true;
            let end = if link.was_cut() == Some(Cut::Reset) { End::Broken } else { End::Eof };
            match end {
                _ if stage.saboteur.as_ref().is_some_and(Saboteur::ignores_end) => {}
                End::Eof => self.conn.handle_eof(now),
                End::Broken => self.conn.handle_broken(now, "reset"),
            }
            stage.ended(self.id, end);
            let mut last = Vec::new();
            self.input.finish(&mut last);
            for line in last {
                self.took(stage, &line);
            }
            self.pump(stage);
        } else {
            let wanted = self.wants_input(stage) || self.is_over();
            stage.wants(from, wanted);
        }
    }

    fn took(&self, stage: &mut Stage, line: &[u8]) {
        stage.counts.messages += 1;
        let value: Option<Value> = serde_json::from_slice(line).ok();
        let due = stage.due_of(self.id, line);
        stage.see(self.id, &Seen::Took { line, value: value.as_ref(), due: due.as_ref() });
    }

    fn wants_input(&self, stage: &Stage) -> bool {
        let sabotaged = stage.saboteur.as_ref().is_some_and(|saboteur| saboteur.stops_reading(&self.app));
        self.conn.wants_input() && !sabotaged
    }

    /// Something of its own is due.
    pub(crate) fn perform(&mut self, stage: &mut Stage, job: Job) {
        match job {
            Job::Timer => {
                self.timer = None;
                let now = stage.now();
                self.conn.handle_timeout(now);
                let next = self.conn.poll_timeout();
                let next = stage.saboteur.as_ref().map_or(next, |saboteur| saboteur.wakes(next, now));
                stage.see(self.id, &Seen::Woken(next));
            }
            Job::Events => {
                self.events_at = None;
                self.take_events(stage);
            }
            job => {
                let mut hand = Hand { id: self.id, conn: &mut self.conn, stage };
                match &mut self.app {
                    App::Client(app) => app.perform(&mut hand, job),
                    App::Server(app) => app.perform(&mut hand, job),
                }
            }
        }
        self.pump(stage);
    }

    pub(crate) fn milestone(&mut self, stage: &mut Stage, milestone: Milestone) {
        let waits = match &mut self.app {
            App::Client(app) => app.waiting(),
            App::Server(app) => {
                if milestone == Milestone::Healed {
                    app.wake_silent(&mut Hand { id: self.id, conn: &mut self.conn, stage });
                }
                app.waiting()
            }
        };
        if waits > 0 && !self.is_over() {
            stage.did(self.id, &Deed::Waits(waits));
        }
        stage.see(self.id, &Seen::Reached(milestone));
        self.pump(stage);
    }

    /// Does everything that follows: output goes out while there is room, events are taken, the clock is set.
    pub(crate) fn pump(&mut self, stage: &mut Stage) {
        loop {
            let mut moved = false;
            while stage.links[self.id].has_room()
                && let Some(transmit) = self.conn.poll_transmit()
            {
                moved = true;
                stage.transmit(self.id, transmit);
            }
            moved |= self.offer_events(stage);
            if !moved {
                break;
            }
        }
        stage.stepped(self.id, &self.conn);
        self.arm(stage);
        if self.is_over() {
            stage.links[self.id].cut(Cut::Closed);
            stage.arrange(self.id);
        }
        let wanted = self.wants_input(stage) || self.is_over();
        stage.wants(self.id ^ 1, wanted);
    }

    fn offer_events(&mut self, stage: &mut Stage) -> bool {
        let pair = stage.facts[self.id].pair;
        let lazy = if stage.healed { Duration::ZERO } else { stage.options.pairs[pair].lazy };
        if lazy.is_zero() {
            return self.take_events(stage);
        }
        if self.events_at.is_none() && self.conn.buffered_bytes() > 0 {
            let lazy = lazy.as_nanos() as u64;
            let delay = Duration::from_nanos(stage.prng.within(lazy / 4..=lazy));
            self.events_at = Some(stage.schedule.after(delay, Task::Node(self.id, Job::Events)));
        }
        false
    }

    fn take_events(&mut self, stage: &mut Stage) -> bool {
        let mut moved = false;
        while let Some(event) = self.conn.poll_event() {
            moved = true;
            let events = match &mut stage.saboteur {
                None => vec![event],
                Some(saboteur) => saboteur.events(&stage.facts[self.id], &mut self.conn, event),
            };
            for event in events {
                stage.see(self.id, &Seen::Told(&event));
                let mut hand = Hand { id: self.id, conn: &mut self.conn, stage };
                match &mut self.app {
                    App::Client(app) => app.on_event(&mut hand, event),
                    App::Server(app) => app.on_event(&mut hand, event),
                }
            }
        }
        moved
    }

    fn arm(&mut self, stage: &mut Stage) {
        let (facts, now) = (&stage.facts[self.id], stage.now());
        let wanted = match &stage.saboteur {
            None => self.conn.poll_timeout(),
            Some(saboteur) => saboteur.arms(facts, &self.conn, now),
        };
        if self.timer.map(|(at, _)| at) == wanted {
            return;
        }
        if let Some((_, place)) = self.timer.take() {
            stage.schedule.remove(place);
        }
        self.timer = wanted.map(|at| {
            let at = at.max(stage.now());
            (at, stage.schedule.at(at, Task::Node(self.id, Job::Timer)))
        });
    }

    /// Its clone, or what comes back from freezing it, takes its place.
    pub(crate) fn replace(&mut self, prng: &mut Prng, now: Timestamp) {
        if prng.percent(70) {
            self.conn = self.conn.clone();
        } else if let Ok(frozen) = self.conn.freeze() {
            let thawed = match &self.config {
                Config::Client(config) => Connection::thaw_client(Arc::clone(config), &frozen, now),
                Config::Server(config) => Connection::thaw_server(Arc::clone(config), &frozen, now),
            };
            // What does not thaw shows as another run.
            if let Ok(thawed) = thawed {
                self.conn = thawed;
            }
        }
    }
}

/// How much of what has arrived goes in at once: what may be a batch comes by itself, since it depends on what came before it whether
/// it is one.
fn before_batch(piece: &[u8]) -> usize {
    piece.windows(2).position(|pair| pair == b"\n[").map_or(piece.len(), |at| at + 1)
}

/// The messages of a batch, each as a line.
fn batch(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let messages: Vec<Value> = serde_json::from_slice(line).ok()?;
    let lines = messages.iter().map(|message| message.to_string().into_bytes());
    (!messages.is_empty()).then(|| lines.collect())
}

impl Hand<'_> {
    pub(crate) fn later(&mut self, delay: Duration, job: Job) {
        self.stage.schedule.after(delay, Task::Node(self.id, job));
    }

    pub(crate) fn did(&mut self, deed: &Deed) {
        self.stage.did(self.id, deed);
    }

    pub(crate) fn request(&mut self, body: Body, options: CallOptions) -> Result<OutboundId, SendError> {
        self.conn.request(self.stage.now(), body, options)
    }

    pub(crate) fn notify(&mut self, body: Body, scope: Scope) -> Result<(), SendError> {
        self.conn.notify(self.stage.now(), body, scope, None)
    }

    pub(crate) fn give_up(&mut self, id: OutboundId) {
        self.conn.cancel(self.stage.now(), id, "not needed any more");
        self.did(&Deed::GaveUp(id));
    }

    pub(crate) fn respond(&mut self, id: InboundId, result: &Value) -> Result<(), RespondError> {
        let Ok(body) = Body::result(result) else { return Err(RespondError::NotAResult) };
        let sent = self.conn.respond(self.stage.now(), id, ResultKind::Complete, body, None);
        self.did(&Deed::Answered(id, sent));
        sent
    }

    pub(crate) fn reject(&mut self, id: InboundId, error: &ErrorObject) {
        let sent = self.conn.reject(self.stage.now(), id, error);
        self.did(&Deed::Answered(id, sent));
    }

    pub(crate) fn require(&mut self, id: InboundId, input: &InputRequired) -> Result<(), RespondError> {
        let sent = self.conn.require_input(self.stage.now(), id, input);
        self.did(&Deed::Answered(id, sent));
        sent
    }

    pub(crate) fn supply(&mut self, id: OutboundId, responses: &BTreeMap<String, Body>) {
        if self.conn.supply_input(self.stage.now(), id, responses).is_ok() {
            self.did(&Deed::Supplied(id));
        }
    }

    pub(crate) fn report(&mut self, id: InboundId, progress: Progress) {
        if self.conn.progress(self.stage.now(), id, progress).is_ok() {
            self.did(&Deed::Reported(id));
        }
    }

    pub(crate) fn grant(&mut self, id: InboundId, granted: &SubscriptionFilter) {
        if self.conn.grant(self.stage.now(), id, granted).is_ok() {
            self.did(&Deed::Granted(id, granted.clone()));
        }
    }

    pub(crate) fn release(&mut self, id: InboundId) {
        self.conn.release(self.stage.now(), id);
        self.did(&Deed::Released(id));
    }

    pub(crate) fn change(&mut self, change: &Change) {
        self.conn.changed(self.stage.now(), change);
        self.did(&Deed::Changed(change.clone()));
    }

    pub(crate) fn close(&mut self, grace: Duration) {
        self.conn.close(self.stage.now(), grace);
        self.did(&Deed::Closed(grace));
    }
}
