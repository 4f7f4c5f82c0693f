//! A client over HTTP in virtual time: each test plays a server, by hand or by a script.

mod auth;
mod harness;
mod hostile;
mod legacy;
mod modern;
mod old;
mod probe;
