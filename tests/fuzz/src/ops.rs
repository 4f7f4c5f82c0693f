//! TODO
pub fn ops(_: &[u8]) {}
