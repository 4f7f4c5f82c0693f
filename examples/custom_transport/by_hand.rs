//! The second level: the core, driven by hand.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use mcp::runtime::Clock;
use mcp_proto::model::{CallToolResult, Implementation};
use mcp_proto::{
    Body, CallOptions, ClientConfig, Connection, Event, Limits, Message, Origin, OutboundId, ProtocolVersion, Wanted,
};
use serde_json::json;
use tokio::sync::mpsc::{Receiver, Sender};

use crate::End;

/// What drives a connection: it is all that a transport on this level has to do.
struct Driver {
    connection: Connection,
    limits: Limits,
    clock: Clock,
    /// What goes next, as soon as there is room for it.
    frame: Option<Vec<u8>>,
    /// `None` once the output is closed, by us at the end or because nobody reads it.
    sender: Option<Sender<Vec<u8>>>,
    /// `None` once the peer has ended.
    receiver: Option<Receiver<Vec<u8>>>,
}

/// When nothing is due. Any long time would do.
const NOTHING_DUE: Duration = Duration::from_secs(3600);
/// How long the last frame may take once the connection is over.
const LINGER: Duration = Duration::from_secs(2);

impl Driver {
    fn client(end: End) -> Self {
        let mut config = ClientConfig::new(Implementation::new("by-hand", "1.0.0"));
        config.versions = ProtocolVersion::ALL.to_vec();
        let (limits, clock) = (config.limits.clone(), Clock::new());
        let connection = Connection::client(Arc::new(config), clock.now());
        let (sender, receiver) = (Some(end.sender), Some(end.receiver));
        Self { connection, limits, clock, frame: None, sender, receiver }
    }

    /// What the application has to know next; `None` when it is over.
    async fn next(&mut self) -> Option<Event> {
        loop {
            // Drained first, since whatever was told to the connection may have made it say something.
            self.drain();
            if let Some(event) = self.connection.poll_event() {
                return Some(event);
            }
            if self.connection.is_drained() && self.frame.is_none() {
                // Closed, so that the peer sees the end.
                self.sender = None;
                return None;
            }
            self.turn().await;
        }
    }

    /// One frame at a time leaves the connection: while the others are in there, it knows that the peer does not keep up.
    fn drain(&mut self) {
        if self.sender.is_none() {
            // Nobody takes it any more; the connection must not wait for that.
            self.frame = None;
            while self.connection.poll_transmit().is_some() {}
        } else if self.frame.is_none() {
            self.frame = self.connection.poll_transmit().map(|transmit| transmit.frame);
        }
    }

    /// Waits for what comes first: room for a frame, a message, the end of them, or the moment that the connection has named. All
    /// at once, since two sides that both wait for room and do not read would wait for ever.
    async fn turn(&mut self) {
        let is_over = self.connection.is_drained();
        let due = self.connection.poll_timeout().map(|at| at.saturating_since(self.clock.now()));
        let patience = if is_over { LINGER } else { due.unwrap_or(NOTHING_DUE) };
        tokio::select! {
            is_sent = send(&self.sender, &mut self.frame) => {
                if !is_sent {
                    // The peer may still have said something: that is read on, to its end. If that has come, neither is left.
                    self.sender = None;
                    if self.receiver.is_none() {
                        self.connection.handle_broken(self.clock.now(), "nobody is there any more");
                    }
                }
            }
            message = receive(&mut self.receiver), if self.connection.wants_input() => match message {
                // Scanned here, where that holds up nobody; judged by the connection, whatever it is.
                Some(bytes) => {
                    let message = Message::scan(&bytes, &self.limits);
                    self.connection.handle_message(self.clock.now(), Origin::STREAM, message);
                }
                None => {
                    self.receiver = None;
                    self.connection.handle_eof(self.clock.now());
                }
            },
            () = tokio::time::sleep(patience) => self.frame = self.frame.take().filter(|_| !is_over), // slow on purpose
        }
        // Due is what the clock says, so it does no harm to tell it too often.
        self.connection.handle_timeout(self.clock.now());
    }
}

/// Sends the frame once there is room; false if nobody takes it. Never ready while there is none, and until then it can be dropped.
async fn send(sender: &Option<Sender<Vec<u8>>>, frame: &mut Option<Vec<u8>>) -> bool {
    let (Some(sender), true) = (sender, frame.is_some()) else { return std::future::pending().await };
    let Ok(room) = sender.reserve().await else { return false };
    if let Some(frame) = frame.take() {
        room.send(frame);
    }
    true
}

/// The next message; never ready once they have ended.
async fn receive(receiver: &mut Option<Receiver<Vec<u8>>>) -> Option<Vec<u8>> {
    match receiver {
        Some(receiver) => receiver.recv().await,
        None => std::future::pending().await,
    }
}

/// Connects, calls the tool, and closes; what happened.
pub(crate) async fn tour(end: End) -> Result<Vec<String>, Box<dyn Error>> {
    let mut driver = Driver::client(end);
    let (mut story, mut call) = (Vec::new(), None::<OutboundId>);
    while let Some(event) = driver.next().await {
        let now = driver.clock.now();
        match event {
            Event::Ready { version, .. } => {
                story.push(format!("connected in {version}"));
                let arguments = json!({ "text": "hello", "times": 3 });
                let body = Body::new("tools/call", &json!({ "name": "repeat", "arguments": arguments }))?;
                let mut options = CallOptions::default();
                options.progress = Wanted::Yes;
                call = Some(driver.connection.request(now, body, options)?);
            }
            Event::Progress { id, progress, .. } if Some(id) == call => story.push(format!("at {}", progress.progress)),
            Event::Response { id, result } if Some(id) == call => {
                let (_, message) = result?;
                let result = message.result().ok_or("no result")?;
                let result: CallToolResult = serde_json::from_str(result.as_str())?;
                story.push(format!("repeat: {}", result.joined_text()));
                driver.connection.close(now, Duration::from_secs(2));
            }
            Event::Closed { reason, .. } => story.push(format!("the end: {reason}")),
            _ => {}
        }
    }
    Ok(story)
}
