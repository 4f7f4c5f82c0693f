//! One suite for all runtimes and transports: the scenarios, and the table of where each is played.
#![cfg(unix)]

#[path = "../common/mod.rs"]
mod common;

mod calls;
mod ends;
mod sizes;

use common::each::run as play;

common::each::scenarios! {
    calls::lifecycle over memory child tcp unix stream;
    calls::concurrency over memory child tcp unix stream;
    calls::cancellation over memory child tcp unix stream;
    calls::deadlines over memory child tcp unix stream;
    calls::progress over memory child tcp unix stream;
    calls::questions over memory child tcp unix stream;
    calls::list_changed over memory child tcp unix stream;
    sizes::big_messages over memory child tcp unix stream;
    sizes::slow_reader over memory child tcp unix stream;
    ends::server_killed over child tcp unix stream,
        not memory: "the two sides of a pair are one future's: neither can be killed without the other";
    ends::client_gone over memory child tcp unix stream;
    ends::half_close over memory child tcp unix stream;
    ends::closing over memory child tcp unix stream;
    ends::pain_24_a_server_that_shuts_down_finishes_what_it_has_begun over tcp unix,
        not memory: "nobody listens: a pair ends with its client, which `closing` is about",
        not child: "nobody listens: a child ends with its client, which `closing` is about",
        not stream: "nobody listens: whoever serves a stream has opened it";
    ends::pain_24_a_server_that_shuts_down_does_not_wait_for_ever over tcp unix,
        not memory: "nobody listens: a pair ends with its client, which `closing` is about",
        not child: "nobody listens: a child ends with its client, which `closing` is about",
        not stream: "nobody listens: whoever serves a stream has opened it";
    ends::restart over child stream,
        not memory: "a pair cannot be opened again: the way to do so is a stream in memory, which is a stream",
        not tcp: "what restarts is given a function that opens a stream; over TCP it is the one of `stream`",
        not unix: "what restarts is given a function that opens a stream, whatever is behind it";
}

#[test]
fn every_scenario_is_played_on_every_runtime_over_every_transport_or_says_why_not() {
    common::each::is_whole(TABLE);
}
