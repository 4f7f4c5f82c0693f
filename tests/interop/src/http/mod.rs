//! What HTTP adds: a relay between client and server that writes down what both said, and the rules that this has to keep.

mod relay;
mod split;
mod wire;

pub(crate) use relay::{Exchange, Relay};
pub(crate) use wire::{STEPS, judge};
