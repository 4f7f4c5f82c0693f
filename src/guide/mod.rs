//! A guide: this crate in the order in which one needs it, and all that differs between the eras of the protocol.
//!
#![doc = include_str!("index.md")]

#[doc = include_str!("servers.md")]
pub mod servers {}

#[doc = include_str!("tools.md")]
pub mod tools {}

#[doc = include_str!("resources.md")]
pub mod resources {}

#[doc = include_str!("asking.md")]
pub mod asking {}

#[doc = include_str!("changes.md")]
pub mod changes {}

#[doc = include_str!("clients.md")]
pub mod clients {}

#[cfg(feature = "http")]
#[doc = include_str!("http.md")]
pub mod http {}

#[doc = include_str!("waiting.md")]
pub mod waiting {}

#[doc = include_str!("limits.md")]
pub mod limits {}

#[doc = include_str!("errors.md")]
pub mod errors {}

#[doc = include_str!("testing.md")]
pub mod testing {}

#[doc = include_str!("runtimes.md")]
pub mod runtimes {}

#[doc = include_str!("eras.md")]
pub mod eras {}
