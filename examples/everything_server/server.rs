//! What the server offers, put together from the rooms.

use std::time::Duration;

use mcp::model::CacheScope;
use mcp::{Cached, Server};

use crate::pause::Pause;
use crate::{asking, changes, content, counted, extras, prompts, resources, rounds, schema, talk};

/// For how long a client may keep lists and contents.
const FRESH: Duration = Duration::from_secs(300);

/// The whole server. It knows neither the runtime, but for its timer, nor what carries it.
pub(crate) fn server(pause: Pause) -> Server {
    let server = Server::new("mcp-conformance-test-server", "1.0.0")
        .title("Everything")
        .instructions("Something for every feature of the protocol, to try clients with.")
        .logging()
        .state(pause)
        .cache(Cached::Tools, FRESH, CacheScope::Public)
        .cache(Cached::Prompts, FRESH, CacheScope::Public)
        .cache(Cached::Resources, FRESH, CacheScope::Public)
        .cache(Cached::ResourceTemplates, FRESH, CacheScope::Public)
        .cache(Cached::Reads, FRESH, CacheScope::Private);
    let rooms = [
        content::offer,
        talk::offer,
        asking::offer,
        rounds::offer,
        schema::offer,
        changes::offer,
        extras::offer,
        counted::offer,
        resources::offer,
        prompts::offer,
    ];
    rooms.into_iter().fold(server, |server, offer| offer(server))
}
