//! The steps, room by room.

mod asking;
mod changes;
mod reading;
mod session;
mod tools;

use mcp::{Client, Era};

use crate::heard::Heard;
use crate::transcript::Transcript;

/// Who takes the steps.
#[derive(Clone, Copy)]
struct Walk<'a> {
    client: &'a Client,
    heard: &'a Heard,
}

impl Walk<'_> {
    fn is_modern(self) -> bool {
        self.client.era() == Era::Modern
    }
}

pub(crate) async fn take(client: &Client, heard: &Heard, transcript: &mut Transcript) {
    let walk = Walk { client, heard };
    // Boxed, since each room holds the futures of all its steps.
    Box::pin(session::take(walk, transcript)).await;
    Box::pin(tools::take(walk, transcript)).await;
    Box::pin(asking::take(walk, transcript)).await;
    Box::pin(reading::take(walk, transcript)).await;
    Box::pin(changes::take(walk, transcript)).await;
    Box::pin(session::leave(walk, transcript)).await;
}
