//! Deterministic simulation of Model Context Protocol clients and servers.

mod checks;
mod client_app;
mod clock;
mod explore;
mod faults;
mod hostile;
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
mod seen;
mod seed;
mod server_app;
mod shrink;
mod stage;
mod workload;
mod world;

pub use clock::{Place, Schedule};
pub use explore::{Finding, explore, find, try_seed};
pub use faults::{Faults, Pieces};
pub use link::{Cut, Link};
pub use options::{Cast, Options, Pairing};
pub use pipe::{PipeReader, PipeWriter};
pub use prng::Prng;
pub use report::{Caught, Failure, Tally, run_many, run_mutants};
pub use runtime::{Sim, Sleep, Stuck};
pub use seed::seed_of_environment;
pub use workload::Side;
