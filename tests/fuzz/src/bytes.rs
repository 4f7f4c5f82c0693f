//! TODO
pub fn bytes(_: &[u8]) {}
