//! TODO
pub fn pair(_: &[u8]) {}
