//! The store in memory: what goes first, and when.

use std::vec;

use super::*;

const EPOCH: Timestamp = Timestamp::EPOCH;

fn store(replay: usize) -> Replay {
    Replay::new(&HttpLimits { replay, ..HttpLimits::default() })
}

fn at(stream: u64, number: u64) -> EventPlace {
    EventPlace { stream, number }
}

fn keep(store: &mut Replay, now: Timestamp, place: EventPlace, weight: Weight, bytes: usize) {
    let text = Bytes::from(vec![b'x'; bytes]);
    assert_eq!(store.carry_out(now, StoreCommand::Persist(Stored { place, weight, text })), None);
}

fn kept(store: &Replay) -> Vec<EventPlace> {
    store.kept.keys().copied().collect()
}

#[test]
fn the_place_of_an_event_is_its_id_and_back() {
    for place in [at(0, 0), at(3, 14), at(u64::MAX, u64::MAX)] {
        assert_eq!(EventPlace::of(&place.id()), Some(place));
    }
    for bad in ["", "1", "1-", "-1", "1-1-1", "01-1", "1-+1", "1-0x1", "18446744073709551616-1"] {
        assert_eq!(EventId::parse(bad).as_ref().and_then(EventPlace::of), None, "{bad}");
    }
}

#[test]
fn what_was_delivered_goes_first_and_answers_last() {
    let mut store = store(4 * (100 + OVERHEAD));
    keep(&mut store, EPOCH, at(1, 1), Weight::Answer, 100);
    keep(&mut store, EPOCH, at(2, 1), Weight::Remark, 100);
    keep(&mut store, EPOCH, at(3, 1), Weight::Remark, 100);
    keep(&mut store, EPOCH, at(3, 2), Weight::Answer, 100);
    assert_eq!(store.carry_out(EPOCH, StoreCommand::Delivered { stream: 3 }), None);
    let expected = [
        // In this order they go as others come.
        vec![at(1, 1), at(2, 1), at(3, 2), at(4, 1)],
        vec![at(1, 1), at(2, 1), at(4, 1), at(4, 2)],
        vec![at(1, 1), at(4, 1), at(4, 2), at(4, 3)],
        vec![at(1, 1), at(4, 2), at(4, 3), at(4, 4)],
        vec![at(1, 1), at(4, 3), at(4, 4), at(4, 5)],
    ];
    for (number, expected) in (1..).zip(expected) {
        let weight = if number < 3 { Weight::Remark } else { Weight::Answer };
        keep(&mut store, EPOCH, at(4, number), weight, 100);
        assert_eq!(kept(&store), expected, "{number}");
        assert!(store.bytes() <= store.limit);
    }
    // Only answers are left: the oldest goes, and no remark comes in their place.
    keep(&mut store, EPOCH, at(4, 6), Weight::Answer, 100);
    assert_eq!(kept(&store), [at(4, 3), at(4, 4), at(4, 5), at(4, 6)]);
    keep(&mut store, EPOCH, at(4, 7), Weight::Remark, 100);
    assert_eq!(kept(&store), [at(4, 3), at(4, 4), at(4, 5), at(4, 6)]);
}

#[test]
fn an_answer_larger_than_all_is_kept_alone() {
    let mut store = store(1000);
    keep(&mut store, EPOCH, at(1, 1), Weight::Answer, 100);
    keep(&mut store, EPOCH, at(2, 1), Weight::Answer, 5000);
    assert_eq!(kept(&store), [at(2, 1)]);
    keep(&mut store, EPOCH, at(3, 1), Weight::Remark, 100);
    assert_eq!(kept(&store), [at(2, 1)], "a remark does not push an answer out");
    keep(&mut store, EPOCH, at(3, 2), Weight::Answer, 100);
    assert_eq!(kept(&store), [at(3, 2)]);
    keep(&mut store, EPOCH, at(3, 3), Weight::Remark, 5000);
    assert_eq!(kept(&store), [at(3, 2)]);
}

#[test]
fn everything_goes_after_a_while_or_when_it_is_not_wanted() {
    let mut store = store(1 << 20);
    let age = HttpLimits::default().replay_age;
    let second = Duration::from_secs(1);
    for number in 1..=4 {
        keep(&mut store, EPOCH + second * u32::try_from(number).unwrap(), at(7, number), Weight::Remark, 1);
    }
    assert_eq!(store.poll_timeout(), Some(EPOCH + second + age));
    store.expire(EPOCH + second + age);
    assert_eq!(kept(&store), [at(7, 2), at(7, 3), at(7, 4)]);
    store.carry_out(EPOCH, StoreCommand::Discard { up_to: at(7, 3) });
    assert_eq!(kept(&store), [at(7, 4)]);
    store.carry_out(EPOCH, StoreCommand::Delivered { stream: 7 });
    store.carry_out(EPOCH, StoreCommand::Forget { stream: 7 });
    assert_eq!((store.bytes(), store.poll_timeout()), (0, None));
    assert!(store.delivered.is_empty() && store.order.iter().all(BTreeMap::is_empty));
}

#[test]
fn what_is_asked_for_is_the_rest_of_one_stream() {
    let mut store = store(1 << 20);
    for stream in 1..4 {
        for number in 1..4 {
            keep(&mut store, EPOCH, at(stream, number), Weight::Remark, 1);
        }
    }
    let reader = StreamKey::nobody();
    let (_, events) = store.carry_out(EPOCH, StoreCommand::Fetch { reader, after: at(2, 1) }).unwrap();
    assert_eq!(events.iter().map(|event| event.place).collect::<Vec<_>>(), [at(2, 2), at(2, 3)]);
    let nothing = StoreCommand::Fetch { reader, after: at(2, u64::MAX) };
    assert_eq!(store.carry_out(EPOCH, nothing).unwrap().1, []);
}

proptest::proptest! {
    /// Whatever is kept and forgotten: the bytes are those of what is kept, within the limit but for one answer, and all orders agree.
    #[test]
    fn the_books_are_right(steps in proptest::collection::vec((0u8..8, 0u64..4, 1u64..20, 0usize..600), 0..200)) {
        let mut store = store(1500);
        let mut now = EPOCH;
        for (what, stream, number, bytes) in steps {
            match what {
                0..=2 => keep(&mut store, now, at(stream, number), Weight::Remark, bytes),
                3 => keep(&mut store, now, at(stream, number), Weight::Answer, bytes * 4),
                4 => drop(store.carry_out(now, StoreCommand::Delivered { stream })),
                5 => drop(store.carry_out(now, StoreCommand::Discard { up_to: at(stream, number) })),
                6 => drop(store.carry_out(now, StoreCommand::Forget { stream })),
                _ => now = now + Duration::from_secs(60),
            }
            store.expire(now);
            let held: usize = store.kept.values().map(|kept| kept.text.len() + OVERHEAD).sum();
            proptest::prop_assert_eq!(held, store.bytes());
            proptest::prop_assert!(held <= 1500 || store.kept.len() == 1);
            let mut ordered: Vec<EventPlace> = store.order.iter().flat_map(BTreeMap::values).copied().collect();
            ordered.sort_unstable();
            proptest::prop_assert_eq!(ordered, kept(&store));
            let streams: BTreeSet<u64> = store.kept.keys().map(|place| place.stream).collect();
            proptest::prop_assert!(store.delivered.is_subset(&streams));
            proptest::prop_assert!(store.poll_timeout().is_none_or(|due| due > now));
        }
    }
}
