//! How a client opens the stream of GET, and how it comes back to a stream that it has lost.

use alloc::vec::Vec;

use super::{Session, StreamKey};
use crate::http::ids::EventId;
use crate::http::replay::{EventPlace, StoreCommand, Stored};
use crate::http::shape::Shape;
use crate::http::status::Reason;
use crate::http::stream::{Asked, Primes, Reader, Stream};
use crate::jsonrpc::refusal;
use crate::{ErrorObject, Origin, ProtocolVersion, Timestamp};

/// Inputs.
impl Session {
    /// A GET wants what belongs to no request; or, with the id of an event, what came after that event on its stream, whichever
    /// that is.
    ///
    /// Whoever shows an event of a stream may go on with it, also if its former reader still seems to be there, since a client notices
    /// sooner that a response has broken off; the former reader's ends.
    ///
    /// # Errors
    ///
    /// [`Reason::StreamTaken`] if there is a reader and no event is named; [`Reason::StreamOver`] if the stream has ended with that event,
    /// since a client that were given an empty stream would come back for ever; [`Reason::EventUnknown`] if that event was never sent, or
    /// nothing is known of its stream any more. That is no 404, which would tell the client that its session is gone.
    pub fn open_get(
        &mut self,
        now: Timestamp,
        version: Option<ProtocolVersion>,
        resume: Option<&EventId>,
    ) -> Result<StreamKey, Reason> {
        match resume {
            Some(id) => self.resume(now, EventPlace::of(id).ok_or(Reason::EventUnknown)?),
            None => self.open_standalone(now, version),
        }
    }

    /// A store has answered [`StoreCommand::Fetch`]: what is kept of the stream, in order. Whatever is missing is told to the client: as
    /// an event named `gap`, which clients that do not know it ignore, and in the place of an answer an error. A store that cannot answer
    /// hands in nothing.
    pub fn handle_fetched(&mut self, _now: Timestamp, reader: StreamKey, events: Vec<Stored>) {
        let Some(at) = self.reading(reader) else { return };
        let stream = &mut self.streams[at];
        let Some(fetching) = &stream.fetching else { return };
        let (mut next, until) = (fetching.after + 1, fetching.until);
        for Stored { place, text, .. } in events {
            if place.stream != reader.stream || !(next..until).contains(&place.number) {
                continue;
            }
            if place.number > next {
                stream.push_gap(next, place.number);
            }
            stream.push_kept(place, text);
            next = place.number + 1;
        }
        match (stream.asked.id(), stream.answer) {
            // Whoever asked must not wait for ever for an answer that nobody has any more.
            (Some(id), Some(answer)) if (next..until).contains(&answer) => {
                let error = ErrorObject::internal("the answer is not kept any more");
                let frame = refusal(serde_json::to_string(id).ok().as_deref(), &error);
                if answer > next {
                    stream.push_gap(next, answer);
                }
                stream.push_instead(answer, &frame);
            }
            _ if next < until => stream.push_gap(next, until),
            _ => {}
        }
        stream.fetched();
        self.bound_output(at);
    }
}

impl Session {
    fn open_standalone(&mut self, now: Timestamp, version: Option<ProtocolVersion>) -> Result<StreamKey, Reason> {
        let at = match self.find(Origin::STREAM) {
            Some(at) if self.streams[at].reader == Reader::Attached => return Err(Reason::StreamTaken),
            Some(at) => at,
            None => {
                self.make_room(now)?;
                let shape = Shape::events(now, self.config.limits.keep_alive);
                self.streams.insert(0, Stream::new(0, Asked::Standalone, shape, Primes::in_version(version)));
                0
            }
        };
        // Whatever no reader was ever handed comes now.
        let after = self.streams[at].given.unwrap_or(0);
        Ok(self.read_on(now, at, after, Resumes::No))
    }

    fn resume(&mut self, now: Timestamp, place: EventPlace) -> Result<StreamKey, Reason> {
        let at = self.find(Origin::new(place.stream)).ok_or(Reason::EventUnknown)?;
        if self.streams[at].given.is_none_or(|given| place.number > given) {
            return Err(Reason::EventUnknown);
        }
        self.store(now, StoreCommand::Discard { up_to: place });
        if self.streams[at].ended.is_some() && place.number + 1 == self.streams[at].next_event {
            return Err(Reason::StreamOver);
        }
        Ok(self.read_on(now, at, place.number, Resumes::Yes))
    }

    /// A new reader of a stream, which is told what comes after this event.
    fn read_on(&mut self, now: Timestamp, at: usize, after: u64, resumes: Resumes) -> StreamKey {
        let retry = self.config.limits.retry;
        let stream = &mut self.streams[at];
        stream.attach();
        stream.shape.commit(now);
        stream.begin_events();
        if resumes == Resumes::No && stream.primes == Primes::Yes {
            stream.prime(retry);
        }
        let reader = StreamKey { stream: stream.number, reader: stream.readers };
        stream.fetch(after);
        if after + 1 == stream.next_event {
            self.handle_fetched(now, reader, Vec::new());
        } else {
            let after = EventPlace { stream: reader.stream, number: after };
            self.store(now, StoreCommand::Fetch { reader, after });
        }
        reader
    }
}

/// Whether a reader has an event of its stream, or needs one to be able to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resumes {
    Yes,
    No,
}
