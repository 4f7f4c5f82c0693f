//! The connection in virtual time: each test proves a rule of the specification or a promise of this crate's documentation.

mod backpressure;
mod batches;
mod cancellation;
mod capabilities;
mod deadlines;
mod ends;
mod exchanges;
mod faults;
mod freeze;
mod harness;
mod lifecycle;
mod limits;
mod lost;
mod modern;
mod own;
mod progress;
mod requests;
mod routing;
mod tasks;
mod waiting;
