//! The golden sessions (`tests/golden`: what the official SDKs said to each other, and by hand what none of them says), each
//! played twice with our core: our server in the place of the recorded one, and our client in the place of the recorded
//! client. Frame by frame ours say the same, but for a table of named differences.

#![allow(clippy::unwrap_used, reason = "a recording that cannot be read is a failure")]

mod chunks;
mod config;
mod coverage;
mod differences;
mod mismatch;
mod model;
mod player;
mod session;

use std::collections::BTreeSet;

use chunks::Chunks;
use session::{Session, Side};

/// Plays one side of all sessions; what no difference explains is a failure.
fn check(ours: Side) {
    let sessions = Session::all();
    let (mut said, mut compared, mut unexplained) = (0, 0, Vec::new());
    for session in &sessions {
        let played = player::play(session, ours, Chunks::Whole);
        said += session.messages(ours).count();
        compared += played.compared;
        let mismatches = played.mismatches.iter().filter(|mismatch| differences::explain(mismatch).is_none());
        unexplained.extend(mismatches.map(ToString::to_string));
    }
    assert!(unexplained.is_empty(), "{} mismatches\n{}", unexplained.len(), unexplained.join("\n"));
    // The rest is what our core refuses to say.
    assert!(compared * 100 > said * 95, "only {compared} of {said} frames were compared");
}

#[test]
fn our_server_says_what_the_recorded_servers_said() {
    check(Side::Server);
}

#[test]
fn our_client_says_what_the_recorded_clients_said() {
    check(Side::Client);
}

/// An exception that nothing needs any more would hide what comes next.
#[test]
fn each_difference_is_met() {
    let sessions = Session::all();
    let mut met = BTreeSet::new();
    for (session, ours) in sessions.iter().flat_map(|session| [(session, Side::Client), (session, Side::Server)]) {
        met.extend(player::play(session, ours, Chunks::Whole).mismatches.iter().filter_map(differences::explain));
    }
    let stale = differences::stale(met);
    assert!(stale.is_empty(), "nothing differs so any more:\n{}", stale.join("\n"));
}

/// Plays both sides of sessions with the lines in pieces; what our side says must be the same, byte for byte.
fn check_pieces<'a>(sessions: impl IntoIterator<Item = &'a Session>, chunks: Chunks) {
    for session in sessions {
        for ours in [Side::Client, Side::Server] {
            let whole = player::play(session, ours, Chunks::Whole).wire;
            let pieces = player::play(session, ours, chunks).wire;
            assert!(whole == pieces, "{}: our {ours:?} says something else", session.name);
        }
    }
}

/// basic/transports, stdio: messages are delimited by newlines, and by nothing else.
#[test]
fn a_session_that_comes_byte_by_byte_has_the_same_answers() {
    check_pieces(&Session::all(), Chunks::Bytes);
}

/// Of each pair of peers in each revision the shortest session, and all written ones: the rest is more of the same.
#[test]
fn a_session_in_any_two_pieces_has_the_same_answers() {
    let mut sessions = Session::all();
    sessions.sort_by_key(|session| session.lines.iter().map(|line| line.text.len()).sum::<usize>());
    let mut peers = BTreeSet::new();
    sessions.retain(|session| {
        peers.insert((session.revision, session.client.clone(), session.server.clone())) || session.is_written()
    });
    check_pieces(&sessions, Chunks::EveryPair);
}

/// Whatever a table of the model gains, the sessions have to gain as well.
#[test]
fn all_that_a_revision_has_is_in_some_session() {
    let missing = coverage::missing(&Session::all());
    assert!(missing.is_empty(), "{} are in no session:\n{}", missing.len(), missing.join("\n"));
}
