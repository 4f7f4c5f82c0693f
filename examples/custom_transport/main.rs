//! The guide for authors of transports: a server and a client over a channel of messages, as a message bus or a socket of the
//! web would be.
//!
//! `cargo run --example custom_transport`
//!
//! There are two levels to join at. Choose the first unless it does not fit:
//!
//! - **A stream** (`framed.rs`). What carries messages in order, both ways, becomes a pair of a reader and a writer, and
//!   [`mcp::stream`] does the rest: a whole [`Server`](mcp::Server) or [`Client`](mcp::Client) on it, with handlers, deadlines,
//!   backpressure and all ends. A message is a line to it, so that joining and cutting at line ends is all there is to do. What
//!   already carries bytes needs not even that.
//! - **The core** (`by_hand.rs`). [`Connection`](mcp_proto::Connection) takes and gives messages one by one and leaves everything
//!   else to its driver. That is for what is no pair of streams: answers that leave by the exchange that their request came by
//!   (HTTP), relays that look at messages and do not serve them (`examples/gateway`), programs without async (`examples/blocking`),
//!   other languages.
//!
//! On either level the same three questions are to be answered:
//!
//! 1. *What to feed.* Whole messages, in order, as they came: what is malformed is for the core to judge and to answer. Not more
//!    of them than it wants ([`wants_input`](mcp_proto::Connection::wants_input)): leave the rest where it holds back the peer.
//! 2. *What to drain.* All that [`poll_transmit`](mcp_proto::Connection::poll_transmit) gives, after every call and whenever the
//!    carrier has room again, and in that order. Let the carrier be bounded, and wait for it: the core notices a peer that does
//!    not read, and keeps its own queue within bounds.
//! 3. *What to do at the end.* The peer's end of input is [`handle_eof`](mcp_proto::Connection::handle_eof): what is in work is
//!    still answered, so go on draining until [`is_drained`](mcp_proto::Connection::is_drained), and then close so that the peer sees
//!    it. A carrier that fails is [`handle_broken`](mcp_proto::Connection::handle_broken).
//!
//! Here the server joins at the first level and the client at the second, and they understand each other.

mod by_hand;
mod framed;

use mcp::{Context, Server, Tool};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// One end of the transport: messages out, messages in. Dropping the sender is the end of what goes out.
pub(crate) struct End {
    pub(crate) sender: Sender<Vec<u8>>,
    pub(crate) receiver: Receiver<Vec<u8>>,
}

/// So many messages are on the way before the sender waits.
const ON_THE_WAY: usize = 4;

/// The transport: two ends, joined.
fn transport() -> (End, End) {
    let (to_there, from_here) = channel(ON_THE_WAY);
    let (to_here, from_there) = channel(ON_THE_WAY);
    (End { sender: to_there, receiver: from_there }, End { sender: to_here, receiver: from_here })
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Repeat {
    /// What to say.
    text: String,
    /// How often.
    times: u32,
}

fn server() -> Server {
    let repeat = Tool::new("repeat", "Say it again", async |ctx: Context, args: Repeat| {
        for n in 1..=args.times {
            ctx.progress(n, args.times)?;
        }
        Ok::<_, mcp::Error>(vec![args.text; args.times as usize].join(" "))
    });
    Server::new("custom-transport", "1.0.0").tool(repeat)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (here, there) = transport();
    let serving = tokio::spawn(framed::serve(there, server()));
    for line in by_hand::tour(here).await? {
        println!("{line}");
    }
    serving.await??;
    println!("the server has seen the end");
    Ok(())
}
