//! Deterministic simulation of Model Context Protocol clients and servers: virtual time, faulty links, hostile peers, a seed per failure.
//!
//! A simulated world runs on one thread. Its clock jumps from one thing that is due to the next, so hours take milliseconds and nothing
//! waits; what could happen in several orders happens in one that is drawn from the seed. The same seed gives the same run, byte for byte:
//! a failure that was seen once can be looked at as often as it takes.
//!
//! # Your own server in a simulated world
//!
//! [`explore`] runs a scenario under many seeds. [`Sim`] is the world: it joins clients and servers of the crate [`mcp`] by links that may
//! [behave badly](Faults), it is their runtime, and your handlers use its clock and its dice. Here is a server with a fault that a test seldom
//! meets: between looking at the balance and writing it back, another withdrawal may come.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use mcp::{ClientBuilder, Server, Tool};
//! use mcp_sim::{Faults, Sim, find, try_seed};
//! use serde_json::json;
//!
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! struct Withdraw {
//!     amount: i64,
//! }
//!
//! /// A bank that forgets to lock.
//! fn bank(sim: &Sim, balance: &Arc<Mutex<i64>>) -> Server {
//!     let (sim, balance) = (sim.clone(), Arc::clone(balance));
//!     let withdraw = Tool::new("withdraw", "Take money", move |args: Withdraw| {
//!         let (sim, balance) = (sim.clone(), Arc::clone(&balance));
//!         async move {
//!             let before = *balance.lock().unwrap();
//!             // Here a real server asks its database, and others go on meanwhile.
//!             sim.give_way().await;
//!             if before >= args.amount {
//!                 *balance.lock().unwrap() = before - args.amount;
//!                 "paid"
//!             } else {
//!                 "refused"
//!             }
//!         }
//!     });
//!     Server::new("bank", "1.0.0").tool(withdraw)
//! }
//!
//! /// Two clients, and money that must be there only once.
//! async fn no_money_is_made(sim: Sim) -> Result<(), String> {
//!     let balance = Arc::new(Mutex::new(100));
//!     let server = bank(&sim, &balance);
//!     let one = sim.pair(&server).await.map_err(|error| error.to_string())?;
//!     let other = sim.pair_with(&server, ClientBuilder::default(), &Faults::none()).await.map_err(|error| error.to_string())?;
//!     let amount = json!({ "amount": 60 });
//!     let ask = |client: &mcp::Client| client.call_tool("withdraw", &amount).into_future();
//!     let both = futures_lite::future::zip(ask(&one), ask(&other)).await;
//!     let paid = [both.0, both.1].into_iter().flatten().filter(|result| result.joined_text() == "paid").count();
//!     if paid <= 1 { Ok(()) } else { Err(format!("paid {paid} times, and there are {} left", balance.lock().unwrap())) }
//! }
//!
//! // In a test of your own this is `explore(1000, no_money_is_made)`, which fails with the seed and the command that repeats it.
//! let finding = find(1..=1000, &no_money_is_made).expect("the fault is found");
//! assert_eq!(finding.why, "paid 2 times, and there are 40 left");
//! // The same seed, the same fault: now it can be looked into.
//! assert_eq!(try_seed(finding.seed, &no_money_is_made), Some(finding));
//! ```
//!
//! A scenario fails when it gives an error or panics, when [nothing can go on](Stuck) although it has not ended, or when two runs of one seed
//! differ: then something in it is not drawn from the seed. What to keep in mind:
//!
//! - Take time from [`Sim`] (its [`sleep`](Sim::sleep), or [`mcp::runtime::Runtime::now`]), and dice from [`Sim::below`]. `Instant::now`,
//!   `thread_rng` and the order of a `HashMap` are not the seed's.
//! - Put [`Sim::give_way`] where your handlers await something that the simulation leaves out.
//! - Links do what their [`Faults`] say; [`Sim::faults`] draws some. [`PipeWriter::cut`] ends one before its time.
//!
//! # Worlds of bare connections
//!
//! `cargo xtask sim` runs the core by itself, [`mcp_proto::Connection`] against `Connection` or against a hostile peer, some hundred
//! messages a world: [`run_many`]. First there are faults; then they end, and all that was begun must end, new work must succeed, and every
//! connection must close. Each seed runs twice and must give the same run; one in eight runs a third time with connections replaced by their
//! clones, or frozen and thawed, at random steps. What must hold all the time is in [`RULES`].
//!
//! A failure prints the seed, what the world was made of, the step, the last lines, the few things that have to happen in it, and:
//!
//! ```text
//! to repeat it: MCP_SIM_SEED=0x1fc cargo xtask sim --items 3,17-19
//! the whole world: MCP_SIM_SEED=0x1fc cargo xtask sim --runs 1
//! ```
//!
//! # Worlds of exchanges
//!
//! Over HTTP a session is many exchanges, and a modern client has nothing else. [`run_exchanges`] plays naive clients of all revisions that
//! have exchanges against the pure half of HTTP ([`mcp_proto::http`]): requests overtake each other, all of them may have one id, responses
//! break at any byte, pass proxies with habits, or are read slowly; clients give up, cancel, come back, try sessions of others, and vanish.
//! What must hold is in [`EXCHANGE_RULES`]. The clients find events and JSON in ways of their own.
//!
//! # Checks that can fail
//!
//! `cargo xtask sim --mutants` plants a fault for each rule, and for recurring faults of other SDKs, between a connection and its link,
//! its clock or its application, and shows that the check turns red ([`run_mutants`]):
//!
//! | what is planted | about | the check that turns red |
//! |---|---|---|
//! | every response is told twice | invariant 1 | one response |
//! | the end is told twice | invariant 1 | closed last |
//! | a request is cancelled twice | invariant 1 | one answer |
//! | a request is told twice, with one handle | invariant 2 | fresh handles |
//! | a request goes out with the id of the one before | invariant 2 | wire ids |
//! | an answer in three is lost | invariant 2 | replies |
//! | a cancelled request is answered | invariant 1, pain 10 | replies |
//! | a request with an id in flight is taken | invariant 2, pain 1 | reused ids |
//! | a frame lacks its last byte | invariant 3 | frames |
//! | U+2028 is written as it is | invariant 3, pain 30 | frames |
//! | what cannot be read is not answered | invariant 3, pain 19 | recoverable |
//! | of a doubled member the last counts | invariant 3, pain 28 | recoverable |
//! | a client asks before the handshake | invariant 4 | handshake |
//! | a client waits for the answer to its probe for ever | invariant 4, pain 14 | handshake in time |
//! | modern requests without `_meta` | invariant 4 | modern |
//! | modern results without `resultType` | invariant 4 | modern |
//! | a second initialize begins the session anew | invariant 4, pain 26 | one handshake |
//! | requests before `initialized` are refused | invariant 4, pain 18 | eager requests |
//! | progress is sent twice | invariant 5 | progress |
//! | progress comes after its reply | invariant 5, pain 29 | progress |
//! | logs of all levels for everybody | invariant 5 | logs |
//! | subscriptions are not acknowledged | invariant 6 | subscriptions |
//! | changes are not told | invariant 6 | subscriptions |
//! | a retry without its state | invariant 7 | rounds |
//! | the next deadline is now | invariant 8 | timeouts |
//! | it is woken all the time | invariant 12 | livelock |
//! | limits a thousand times as large | invariant 9, pain 23 | bounds |
//! | an unfinished line is forgotten | invariant 10 | chunking |
//! | half of a line is lost now and then | invariant 10, pain 6 | good peers |
//! | no call runs out of time | invariant 12, pain 25 | deadlines |
//! | progress does not keep a call alive | invariant 12, pain 25 | deadlines |
//! | a server reads nothing while a handler works | invariant 12, pain 8 | liveness |
//! | nobody is told that there is room | invariant 12 | settled |
//! | the end of input is ignored | invariants 12 and 14, pain 24 | quiet |
//! | an error ends the session | pain 9 | reasons |
//! | answers of two sessions are exchanged | invariant 13, pain 2 | answers |
//! | something that is not in the seed | determinism | repeats |
//! | a clone loses an event | invariant 16 | repeats |
//!
//! And in worlds of exchanges ([`run_exchange_mutants`]):
//!
//! | what is planted | about | the check that turns red |
//! |---|---|---|
//! | a response has two heads | invariant 11 | one response each |
//! | a response goes on after its answer | invariant 11 | one response each |
//! | an answer goes to whoever used its id last | invariant 2, pain 1 | one stream |
//! | what is said is said on every stream | invariant 13 | one stream |
//! | a handler answers somebody else's call | invariant 13, pain 2 | own answers |
//! | requests before `initialized` are refused | pain 18 | own answers |
//! | an answer is taken for that to another question | invariant 13 | own words |
//! | an answer is lost with a response that broke | invariant 11, pain 7 | calls end |
//! | a client that comes back misses an event | invariant 11, pain 16 | nothing lost |
//! | a client that comes back is told an event twice | pain 16 | nothing lost |
//! | a session serves whoever knows its id | invariant 13, pain 12 | principals |
//! | a modern client disconnects, and its call runs on | invariant 11, pain 10 | disconnects |
//! | a legacy client loses a response, and its call ends | invariant 11 | disconnects |
//! | no comments keep streams alive | pain 15 | signs of life |
//! | answers are held back for 40 ms | pain 21 | prompt |
//! | a response that is read slowly holds up the others | pain 23 | prompt |
//! | limits a thousand times as large | invariant 9, pain 23 | limits |
//! | sessions go only when they are deleted | invariant 14, pain 3 | nothing left |
//! | it is woken all the time | invariant 12 | livelock |

mod checks;
mod client_app;
mod clock;
mod exchange;
mod explore;
mod faults;
mod hostile;
mod items;
mod link;
mod mutants;
mod node;
mod options;
mod oracle;
mod pipe;
mod prng;
mod puppet;
mod report;
mod runtime;
mod seed;
mod seen;
mod server_app;
mod shrink;
mod stage;
mod workload;
mod world;

pub use checks::{Complaint, RULES};
pub use clock::{Place, Schedule};
pub use exchange::{
    EXCHANGE_RULES, ExchangeComplaint, ExchangeFailure, ExchangeTally, run_exchange_mutants, run_exchanges,
};
pub use explore::{Finding, explore, find, try_seed};
pub use faults::{Faults, Pieces};
pub use hostile::{Due, Line};
pub use items::Items;
pub use link::{Cut, Link};
pub use options::{Cast, Options, Pairing};
pub use pipe::{PipeReader, PipeWriter};
pub use prng::Prng;
pub use report::{Caught, Failure, Tally, run_many, run_mutants, run_some};
pub use runtime::{Sim, Sleep, Stuck};
pub use seed::seed_of_environment;
pub use seen::Hash;
pub use stage::Counts;
pub use workload::{Call, Item, Plan, Side, What};
