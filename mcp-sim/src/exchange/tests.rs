//! Single worlds of exchanges that are made on purpose.

use std::time::Duration;

use mcp_proto::http::HttpLimits;
use mcp_proto::{ProtocolVersion, Timestamp};

use super::client::{Client, Todo};
use super::host::{Holds, Host};
use super::path::Weather;
use super::work::{ClientOptions, Item, Options, Plan, What};
use super::world::{Manner, run};

fn world(clients: usize, version: ProtocolVersion, items: Vec<Item>) -> Options {
    let client = |number| ClientOptions {
        version,
        principal: if number % 2 == 0 { "alice" } else { "bob" },
        same_ids: false,
        weather: Weather::CALM,
    };
    Options { seed: 1, clients: (0..clients).map(client).collect(), limits: HttpLimits::default(), items }
}

/// "The server MUST NOT replay messages that would have been delivered on a different stream", and delivers what comes after the last
/// event (specification: basic/transports, Resumability and Redelivery): the response breaks at every single byte, and what was said is
/// heard, in order and once.
#[test]
fn pain_16_a_stream_that_breaks_at_any_byte_loses_nothing() {
    let plans = [Plan::Progress(4, 300), Plan::Suspend(2), Plan::Ask, Plan::Slow(6_000)];
    for version in [ProtocolVersion::V2025_03_26, ProtocolVersion::V2025_06_18, ProtocolVersion::V2025_11_25] {
        let call = |plan| Item { at: Duration::from_millis(1), client: 0, what: What::Call(plan) };
        let mut longest = 0;
        for plan in plans {
            let options = world(1, version, vec![call(plan)]);
            // Until there is no such byte any more.
            for byte in 0.. {
                let outcome = run(&options, Manner { breaking_at: Some(byte), ..Manner::default() });
                assert_eq!(outcome.complaint, None, "{version} {plan:?} at {byte}");
                if outcome.broken == 0 {
                    longest = longest.max(byte);
                    break;
                }
            }
        }
        assert!(longest > 500, "streams of some length are broken: {longest} bytes");
    }
}

/// Clients open sessions and vanish: 10 000 of them, some in a call, some while they listen. Once their time is up nothing is left.
#[test]
fn pain_3_sessions_that_are_abandoned_leave_nothing() {
    const CLIENTS: usize = 10_000;
    let mut host = Host::new(1, &HttpLimits::default(), None);
    let mut now = Timestamp::EPOCH;
    let options = world(1, ProtocolVersion::V2025_11_25, Vec::new()).clients.remove(0);
    let mut number = 0;
    for client in 0..CLIENTS {
        let mut client_side = Client::new(client, &options);
        let mut todos = Vec::new();
        client_side.begin(&mut todos);
        if client % 2 == 0 {
            client_side.call(&mut todos, Plan::Slow(20_000));
        }
        // Whatever is to be sent is, until nothing more is said; then the client is gone.
        while let Some(todo) = todos.pop() {
            let Todo::Send { request, purpose, .. } = todo else { continue };
            number += 1;
            client_side.sent(number, purpose);
            host.arrive(now, number, request);
            while let Some(part) = host.poll_output(now, number) {
                client_side.read(&mut todos, number, part);
            }
        }
        if client % 4 < 2 {
            client_side.listen(&mut todos);
            if let Some(Todo::Send { request, .. }) = todos.pop() {
                number += 1;
                host.arrive(now, number, request);
            }
        }
        for open in host.open() {
            host.gone(now, open);
        }
    }
    assert_eq!(host.holds().sessions, CLIENTS);
    // Handlers work on for a client that may come back, and end.
    let mut jobs = host.take_jobs();
    assert_eq!(jobs.len(), CLIENTS / 2);
    now = now + Duration::from_secs(20);
    jobs.drain(..).for_each(|(_, job)| host.work(now, job));
    while let Some(due) = host.poll_timeout() {
        now = due;
        host.wake(now);
    }
    assert_eq!(host.holds(), Holds::default());
    assert!(now < Timestamp::EPOCH + Duration::from_secs(3600), "it takes half an hour from the last sign of life on");
}
