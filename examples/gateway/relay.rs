//! The gateway itself: hands everything between two connections, without decoding any parameters, and loses no member.
use std::{collections::BTreeMap, fmt::Display, time::Duration};

use mcp_proto::model::AcknowledgedParams;
use mcp_proto::{
    Body, CallOptions, Change, Connection, Deadlines, ErrorObject, Event, InboundId, OutboundId, RequestError, Rounds,
    Scope, Timestamp, Wanted,
};

const WAIT: Duration = Duration::from_secs(60);

/// One half: a connection, and whose requests of the other half are asked here.
pub(crate) struct Half {
    pub(crate) connection: Connection,
    pub(crate) asked: BTreeMap<OutboundId, InboundId>,
}

impl Half {
    /// Hands what has come here to the other half.
    pub(crate) fn relay(&mut self, to: &mut Self, now: Timestamp) {
        let here = &mut self.connection;
        let internal = |error: &dyn Display| ErrorObject::internal(error.to_string());
        while let Some(event) = here.poll_event() {
            match event {
                Event::Request { id, message, meta } => {
                    let listens = message.method() == "subscriptions/listen";
                    let mut options = CallOptions::default();
                    options.deadlines = if listens { Deadlines::Stream { first: WAIT } } else { Deadlines::PERSON };
                    options.progress = if meta.token.is_some() { Wanted::Yes } else { Wanted::No };
                    (options.log_level, options.rounds) = (meta.log_level, Rounds::Return);
                    let asked = Body::forward(&message).map_err(|error| internal(&error)).and_then(|(body, meta)| {
                        options.meta = meta;
                        to.connection.request(now, body, options).map_err(|error| internal(&error))
                    });
                    match asked {
                        Ok(asked) => drop(to.asked.insert(asked, id)),
                        Err(error) => drop(here.reject(now, id, &error)),
                    }
                }
                Event::Cancelled { id, reason } => {
                    let asked = to.asked.iter().find(|(_, asker)| **asker == id).map(|(asked, _)| *asked);
                    asked
                        .into_iter()
                        .for_each(|it| to.connection.cancel(now, it, reason.as_deref().unwrap_or_default()));
                    here.release(now, id);
                }
                Event::Response { id, result } => {
                    let Some(asker) = self.asked.remove(&id) else { continue };
                    let answer = result.map_err(|error| match error {
                        RequestError::Rpc(error) => error,
                        other => internal(&other),
                    });
                    let forward = |(kind, message)| Body::forward(&message).map(|(body, meta)| (kind, body, meta));
                    let _ = match answer.and_then(|answer| forward(answer).map_err(|error| internal(&error))) {
                        Ok((kind, body, meta)) => to.connection.respond(now, asker, kind, body, meta),
                        Err(error) => to.connection.reject(now, asker, &error),
                    };
                }
                Event::Progress { id, progress, .. } => {
                    let _ = self.asked.get(&id).map(|asker| to.connection.progress(now, *asker, progress));
                }
                Event::Notification { related: Some(listen), message } => {
                    let granted = message.params().decode::<AcknowledgedParams>();
                    if let (Ok(granted), Some(asker)) = (granted, self.asked.get(&listen)) {
                        let _ = to.connection.grant(now, *asker, &granted.notifications);
                    } else if let Some(change) = Change::of(&message) {
                        to.connection.changed(now, &change);
                    }
                }
                Event::Notification { related: None, message } => {
                    if let Ok((body, meta)) = Body::forward(&message) {
                        let _ = to.connection.notify(now, body, Scope::Connection, meta);
                    }
                }
                Event::Closed { .. } => to.connection.close(now, WAIT),
                _ => {}
            }
        }
    }
}
