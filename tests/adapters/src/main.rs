//! A process to be tested against.
fn main() {}
