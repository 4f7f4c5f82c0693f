//! The table of sessions, in virtual time.

use std::vec::Vec;

use super::*;

const EPOCH: Timestamp = Timestamp::EPOCH;
const SECOND: Duration = Duration::from_secs(1);

fn id(number: u32) -> SessionId {
    let mut entropy = [0; 16];
    entropy[..4].copy_from_slice(&number.to_be_bytes());
    SessionId::from_entropy(entropy)
}

fn table(sessions: usize) -> Sessions<u32> {
    Sessions::new(&HttpLimits { sessions, ..HttpLimits::default() })
}

/// Clients that open sessions and are never heard of again, at every step of theirs: after a while nothing of them is left.
#[test]
fn pain_3_abandoned_sessions_leave_nothing() {
    let mut sessions = table(100_000);
    for number in 0..100_000 {
        sessions.insert(EPOCH, id(number), None, number).unwrap();
        if number % 2 == 0 {
            sessions.find(EPOCH, &id(number), None).unwrap();
        }
        if number % 4 == 0 {
            sessions.set_activity(EPOCH, &id(number), Activity::Busy);
            sessions.set_activity(EPOCH + SECOND, &id(number), Activity::Idle);
        }
    }
    assert_eq!(sessions.poll_timeout(), Some(EPOCH + SECOND * 60));
    assert!(sessions.expire(EPOCH + SECOND * 59).is_empty());
    assert_eq!(sessions.expire(EPOCH + SECOND * 60).len(), 50_000, "those that did nothing after initialize");
    assert_eq!(sessions.poll_timeout(), Some(EPOCH + SECOND * 1800));
    assert_eq!(sessions.expire(EPOCH + SECOND * 1800).len(), 25_000);
    assert_eq!(sessions.expire(EPOCH + SECOND * 1801).len(), 25_000);
    assert!(sessions.is_empty() && sessions.idle.is_empty() && sessions.poll_timeout().is_none());
}

/// A session is bound to whoever opened it: to others it is as unknown as one that never was.
#[test]
fn pain_12_a_session_is_unknown_to_everybody_else() {
    let mut sessions = table(10);
    sessions.insert(EPOCH, id(1), Some("alice"), 1).unwrap();
    sessions.insert(EPOCH, id(2), None, 2).unwrap();
    for stranger in [Some("bob"), Some(""), Some("alic"), None] {
        assert_eq!(sessions.find(EPOCH, &id(1), stranger), Err(Reason::SessionUnknown));
        assert_eq!(sessions.remove(&id(1), stranger), Err(Reason::SessionUnknown));
    }
    assert_eq!(sessions.find(EPOCH, &id(2), Some("alice")), Err(Reason::SessionUnknown));
    assert_eq!(sessions.find(EPOCH, &id(3), Some("alice")), Err(Reason::SessionUnknown));
    // That strangers knock does not keep it alive.
    assert_eq!(sessions.poll_timeout(), Some(EPOCH + SECOND * 60));
    assert_eq!(Reason::SessionUnknown.status(), 404);
    assert_eq!((sessions.remove(&id(1), Some("alice")), sessions.remove(&id(2), None)), (Ok(1), Ok(2)));
    assert_eq!(sessions.remove(&id(1), Some("alice")), Err(Reason::SessionUnknown));
}

#[test]
fn a_busy_session_is_not_idle() {
    let mut sessions = table(2);
    sessions.insert(EPOCH, id(1), None, 1).unwrap();
    sessions.insert(EPOCH, id(2), None, 2).unwrap();
    for number in [1, 2] {
        sessions.find(EPOCH, &id(number), None).unwrap();
        sessions.set_activity(EPOCH, &id(number), Activity::Busy);
    }
    let late = EPOCH + SECOND * 1_000_000;
    assert!(sessions.poll_timeout().is_none() && sessions.expire(late).is_empty());
    assert_eq!(sessions.insert(late, id(3), None, 3), Err(Reason::TooManyExchanges), "a call in work is not given up");
    assert_eq!(sessions.len(), 2);
    sessions.set_activity(late, &id(1), Activity::Idle);
    sessions.set_activity(late + SECOND, &id(1), Activity::Idle);
    assert_eq!(sessions.poll_timeout(), Some(late + SECOND * 1800), "its time begins once, when the work ends");
    assert_eq!(sessions.insert(late, id(3), None, 3), Ok(Some(1)));
    // Its owner may end it all the same.
    assert_eq!(sessions.remove(&id(2), None), Ok(2));
    // Whatever is said about one that is gone.
    sessions.set_activity(late, &id(2), Activity::Idle);
    assert_eq!((sessions.len(), sessions.idle.len()), (1, 1));
}

#[test]
fn for_want_of_room_the_longest_idle_goes() {
    let mut sessions = table(3);
    for number in 1..=3 {
        sessions.insert(EPOCH + SECOND * number, id(number), None, number).unwrap();
        sessions.find(EPOCH + SECOND * number, &id(number), None).unwrap();
    }
    sessions.find(EPOCH + SECOND * 10, &id(1), None).unwrap();
    let mut gone = Vec::new();
    for number in 4..=6 {
        let now = EPOCH + SECOND * (20 + number);
        gone.extend(sessions.insert(now, id(number), None, number).unwrap());
        sessions.find(now, &id(number), None).unwrap();
    }
    assert_eq!(gone, [2, 3, 1]);
    assert_eq!(sessions.len(), 3);
    // A crowd that never comes back after initialize goes before those who did.
    for number in 100..20_100 {
        assert!(sessions.insert(EPOCH + SECOND * 30, id(number), None, number).unwrap().is_some());
    }
    assert_eq!(sessions.len(), 3);
    assert!(sessions.values().any(|number| *number == 6) && sessions.values().any(|number| *number == 5));
    let mut rest = sessions.drain();
    rest.sort_unstable();
    assert_eq!(rest.len(), 3);
    assert!(sessions.is_empty() && sessions.poll_timeout().is_none());
}

#[test]
fn an_id_that_comes_twice_leads_nobody_into_a_strange_session() {
    let mut sessions = table(3);
    sessions.insert(EPOCH, id(1), Some("alice"), 1).unwrap();
    assert_eq!(sessions.insert(EPOCH + SECOND, id(1), Some("bob"), 2), Ok(Some(1)));
    assert!(sessions.find(EPOCH, &id(1), Some("alice")).is_err());
    assert_eq!(sessions.find(EPOCH, &id(1), Some("bob")), Ok(&mut 2));
    assert_eq!((sessions.len(), sessions.idle.len()), (1, 1));
    assert_eq!(sessions.forget(&id(1)), Some(2));
    assert_eq!(sessions.idle.len(), 0);
}

proptest::proptest! {
    /// Whatever is done: there are no more than may be, the timers are those of the idle ones, and who leaves was there.
    #[test]
    fn the_books_are_right(steps in proptest::collection::vec((0u8..7, 0u32..6, 0u64..2000), 0..200)) {
        let mut sessions = table(3);
        let mut now = EPOCH;
        let (mut came, mut left) = (0, 0);
        for (what, number, seconds) in steps {
            let owner = if number % 2 == 0 { Some("a") } else { None };
            match what {
                0 | 1 => if let Ok(gone) = sessions.insert(now, id(number), owner, number) {
                    came += 1;
                    left += usize::from(gone.is_some());
                },
                2 => drop(sessions.find(now, &id(number), owner)),
                3 => sessions.set_activity(now, &id(number), Activity::Busy),
                4 => sessions.set_activity(now, &id(number), Activity::Idle),
                5 => left += usize::from(sessions.remove(&id(number), owner).is_ok()),
                _ => {
                    now = now + Duration::from_secs(seconds);
                    left += sessions.expire(now).len();
                }
            }
            proptest::prop_assert!(sessions.len() <= 3);
            proptest::prop_assert_eq!(sessions.len() + left, came);
            let idle: BTreeSet<(Timestamp, SessionId)> =
                sessions.open.iter().filter_map(|(id, entry)| Some((entry.expires?, id.clone()))).collect();
            proptest::prop_assert_eq!(&idle, &sessions.idle);
        }
    }
}
