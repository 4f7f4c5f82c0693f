//! Which runtime the program runs on.

use std::str::FromStr;

/// One for which there is an adapter.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Runtime {
    Tokio,
    AsyncStd,
    Smol,
}

impl FromStr for Runtime {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "tokio" => Ok(Self::Tokio),
            "async-std" => Ok(Self::AsyncStd),
            "smol" => Ok(Self::Smol),
            _ => Err(format!("there is no runtime {name:?}; there are tokio, async-std and smol")),
        }
    }
}
