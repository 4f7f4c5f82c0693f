//! Responses that break off, and clients that come back.

use super::*;

/// A disconnection is no cancellation: a server SHOULD NOT take it for one (specification: basic/transports, Sending Messages to the
/// Server). The client comes back with GET, whatever the stream began with, and MUST be told of this stream only.
#[test]
fn a_client_that_lost_a_stream_comes_back_for_the_rest_of_it() {
    for version in [ProtocolVersion::V2025_03_26, ProtocolVersion::V2025_06_18, ProtocolVersion::V2025_11_25] {
        let mut host = Host::new(version);
        let keys = [host.call(1), host.call(2)];
        let asked = host.asked.clone();
        host.progress(asked[0], 1.0);
        let told = host.read(keys[0]);
        host.session.detach(host.now, keys[0]);
        host.settle();
        assert_eq!(host.asked, asked, "nobody was cancelled");
        host.progress(asked[0], 2.0);
        host.progress(asked[1], 7.0);
        host.answer(asked[0], &json!({ "content": [] }));
        let key = host.get(Some(&told.last_id())).unwrap();
        let rest = host.read(key);
        assert_eq!((rest.status, rest.ended), (Some(200), true), "{version}");
        let messages = rest.messages();
        assert_eq!((&messages[0]["params"]["progress"], &messages[1]["id"]), (&json!(2.0), &json!(1)));
        assert_eq!(messages.len(), 2, "{version}: {messages:?}");
    }
}

/// A stream may end without an answer, if its call was cancelled, and a client may take that for a break. Were it given an empty stream, it
/// would come back again, and then without an event, for the stream of the session, which is taken.
#[test]
fn a_stream_that_has_ended_is_not_come_back_for() {
    let mut host = Host::new(ProtocolVersion::V2025_11_25);
    let (cancelled, answered) = (host.call(1), host.call(2));
    let asked = host.asked.clone();
    host.progress(asked[0], 1.0);
    host.progress(asked[1], 1.0);
    let first = host.read(cancelled).last_id();
    host.post(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } }));
    assert!(host.read(cancelled).ended);
    assert_eq!(host.get(Some(&first)), Err(Reason::StreamOver));
    host.answer(asked[1], &json!({}));
    let last = host.read(answered).last_id();
    assert_eq!(host.get(Some(&last)), Err(Reason::StreamOver));
    let response = crate::http::Refusal::new(Reason::StreamOver).into_response();
    assert_eq!((response.status().as_u16(), response.body().len(), response.headers().len()), (204, 0, 0));
}

/// A stream that is cut after every one of its outputs, and resumed: all is delivered, in order, nothing twice.
#[test]
fn a_stream_that_is_cut_anywhere_is_delivered_whole() {
    // Before that, the head and a comment: nothing to come back with.
    for cut in 3..14 {
        let mut host = Host::new(ProtocolVersion::V2025_11_25);
        let key = host.call(1);
        let asked = host.asked[0];
        for step in 1..=8 {
            host.progress(asked, f64::from(step));
        }
        host.answer(asked, &json!({}));
        let begun = host.read_some(key, cut);
        host.session.detach(host.now, key);
        let ids = |told: &Told| told.events().into_iter().filter_map(|event| event.id).collect::<Vec<_>>();
        let mut got = ids(&begun);
        match host.get(Some(&begun.last_id())) {
            Ok(key) => {
                let rest = host.read(key);
                assert!(rest.ended);
                got.extend(ids(&rest));
            }
            Err(reason) => assert!(reason == Reason::StreamOver && cut >= 12, "cut after {cut}: {reason}"),
        }
        let sent: Vec<String> = (0..=9).map(|number| format!("3-{number}")).collect();
        assert_eq!(got, sent, "cut after {cut}");
    }
}

/// What a client makes of a stream that it reads, loses and comes back to.
#[derive(Debug, Default)]
struct Client {
    told: Told,
    numbers: Vec<u32>,
    lost: u64,
    place: Option<EventId>,
    answers: usize,
}

impl Client {
    fn read(&mut self, host: &mut Host, key: StreamKey, outputs: usize) {
        host.read_into(&mut self.told, key, outputs);
        if self.told.status.is_none() {
            return;
        }
        for event in self.told.events() {
            if let Some(id) = &event.id {
                self.place = EventId::parse(id);
            }
            let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
            match (event.name.as_deref(), &data["id"]) {
                (Some("gap"), _) => self.lost += data["lost"].as_u64().unwrap(),
                (_, id) if *id == 1 => self.answers += 1,
                _ if data.is_null() => {}
                _ => self.numbers.push(data["params"]["data"].as_str().unwrap().parse().unwrap()),
            }
        }
        self.told.body.clear();
    }

    /// Loses the stream, and comes back if it can.
    fn come_back(&mut self, host: &mut Host, key: &mut StreamKey) {
        if let Some(place) = &self.place {
            host.session.detach(host.now, *key);
            match host.get(Some(place)) {
                Ok(reader) => (*key, self.told) = (reader, Told::default()),
                Err(reason) => assert_eq!(reason, Reason::StreamOver),
            }
        }
    }
}

proptest::proptest! {
    /// For any schedule of events, pauses, cuts and returns, and however little is kept: what was delivered is what was sent, in order,
    /// nothing twice, and as many are reported missing as are; and there is one answer.
    #[test]
    fn pain_16_delivered_is_sent_or_a_gap_is_reported(
        steps in proptest::collection::vec((0u8..10, 1usize..30), 1..60),
        replay in proptest::sample::select(&[0usize, 900, 4000, 1 << 20][..]),
        output in proptest::sample::select(&[0usize, 600, 1 << 20][..]),
    ) {
        let mut host = Host::with(ProtocolVersion::V2025_11_25, |config| {
            (config.limits.replay, config.limits.stream_output) = (replay, output);
        });
        let mut key = host.call(1);
        let asked = host.asked[0];
        let (mut sent, mut client) = (0u32, Client::default());
        // Otherwise there might be nothing to come back with.
        host.pass(Duration::from_secs(5));
        client.read(&mut host, key, usize::MAX);
        for (what, amount) in steps {
            match what {
                0..=5 => for _ in 0..amount {
                    sent += 1;
                    host.log(asked, &format!("{sent}"));
                },
                6 | 7 => client.read(&mut host, key, amount),
                _ => client.come_back(&mut host, &mut key),
            }
            if client.told.ended {
                client.come_back(&mut host, &mut key);
            }
        }
        host.answer(asked, &json!({}));
        for _ in 0..3 {
            if !client.told.ended {
                client.read(&mut host, key, usize::MAX);
            }
            if client.answers == 0 {
                client.come_back(&mut host, &mut key);
            }
        }
        proptest::prop_assert_eq!(client.answers, 1);
        proptest::prop_assert!(client.numbers.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", client.numbers);
        proptest::prop_assert_eq!(client.numbers.len() as u64 + client.lost, u64::from(sent), "{:?}", client);
        proptest::prop_assert!(replay < 1 << 20 || client.lost == 0);
    }
}

#[test]
fn an_event_that_nobody_was_sent_is_unknown() {
    let mut host = Host::new(ProtocolVersion::V2025_11_25);
    let key = host.call(1);
    let asked = host.asked[0];
    // Nothing was shown yet, so nobody can have anything to come back with.
    assert_eq!(host.get(Some(&id("3-0"))), Err(Reason::EventUnknown));
    host.progress(asked, 1.0);
    host.read(key);
    let never = ["3-2", "3-99", "4-0", "2-0", "1-0", "0-0"];
    let nonsense = ["3", "-", "3-", "-1", "3--1", "+3-1", "3-01", "03-1", "3-1-1", "x-y", "3-18446744073709551616"];
    for bad in never.into_iter().chain(nonsense) {
        assert_eq!(host.get(Some(&id(bad))), Err(Reason::EventUnknown), "{bad}");
    }
    assert_eq!(Reason::EventUnknown.status(), 400, "404 would say that the session is gone");
    assert!(host.get(Some(&id("3-0"))).is_ok());
}

/// A client knows sooner that its response broke off than the server does.
#[test]
fn who_comes_back_takes_over_from_the_former_reader() {
    let mut host = Host::new(ProtocolVersion::V2025_11_25);
    let first = host.call(1);
    host.progress(host.asked[0], 1.0);
    let mut told = host.read(first);
    let second = host.get(Some(&told.last_id())).unwrap();
    host.read_into(&mut told, first, 1);
    assert!(told.ended, "one reader at a time");
    // That it goes disturbs nobody.
    host.session.detach(host.now, first);
    host.answer(host.asked[0], &json!({}));
    assert!(host.read(second).ended);
    assert_eq!(told.messages().len(), 1);
}

#[test]
fn a_second_stream_of_get_is_refused_and_a_later_one_goes_on() {
    let mut host = Host::new(ProtocolVersion::V2025_11_25);
    let get = host.get(None).unwrap();
    assert_eq!(host.get(None), Err(Reason::StreamTaken));
    assert_eq!(Reason::StreamTaken.status(), 409);
    host.read(get);
    host.conn.changed(host.now, &Change::Tools);
    host.settle();
    // It broke off before that was taken: the next one is told.
    host.session.detach(host.now, get);
    let get = host.get(None).unwrap();
    let told = host.read(get);
    assert_eq!(told.messages().len(), 1, "{told:?}");
    host.session.detach(host.now, get);
    let get = host.get(None).unwrap();
    let again = host.read(get);
    assert!(again.messages().is_empty(), "what was handed out comes again only for whoever asks for it: {again:?}");
    // And the event with which it begins is a place to come back to from there.
    host.session.detach(host.now, get);
    let get = host.get(Some(&again.last_id())).unwrap();
    assert!(host.read(get).messages().is_empty());
}

/// Whatever is missing is told, and a lost answer is an error, so that nobody waits for it for ever.
#[test]
fn what_is_not_kept_any_more_is_reported() {
    let mut host = Host::with(ProtocolVersion::V2025_11_25, |config| config.limits.replay = 2000);
    let key = host.call(1);
    let asked = host.asked[0];
    host.progress(asked, 1.0);
    let told = host.read(key);
    host.session.detach(host.now, key);
    for step in 2..40 {
        host.progress(asked, f64::from(step));
    }
    let key = host.get(Some(&told.last_id())).unwrap();
    let rest = host.read(key);
    let (gap, others) = rest.events().split_first().map(|(gap, rest)| (gap.clone(), rest.len() as u64)).unwrap();
    let lost = serde_json::from_str::<Value>(&gap.data).unwrap()["lost"].as_u64().unwrap();
    assert_eq!((gap.name.as_deref(), lost + others), (Some("gap"), 38));
    assert!(lost > 0 && others > 0);

    // The answers of others push its answer out: the oldest goes first, and after everything else.
    host.session.detach(host.now, key);
    let place = rest.last_id();
    host.answer(asked, &json!({ "text": "x".repeat(500) }));
    for at in 2..6 {
        let key = host.call(at);
        let asked = host.asked[0];
        host.progress(asked, 1.0);
        host.read(key);
        host.session.detach(host.now, key);
        host.answer(asked, &json!({ "text": "x".repeat(500) }));
    }
    assert!(host.session.buffered() <= 2000);
    let key = host.get(Some(&place)).unwrap();
    let rest = host.read(key);
    let [answer] = &rest.messages()[..] else { panic!("{rest:?}") };
    assert_eq!((&answer["id"], &answer["error"]["code"], rest.ended), (&json!(1), &json!(-32603), true));
}

#[test]
fn an_answer_larger_than_all_is_kept_alone_and_only_for_a_while() {
    let mut host = Host::with(ProtocolVersion::V2025_11_25, |config| config.limits.replay = 2000);
    let lost = |host: &mut Host, at: u32| {
        let key = host.call(at);
        host.progress(host.asked[0], 1.0);
        let told = host.read(key);
        host.session.detach(host.now, key);
        host.answer(host.asked[0], &json!({ "text": "x".repeat(100_000) }));
        assert!(host.session.buffered() > 100_000);
        told.last_id()
    };
    let place = lost(&mut host, 1);
    let key = host.get(Some(&place)).unwrap();
    let rest = host.read(key);
    assert_eq!((rest.messages().len(), rest.ended), (1, true));
    // For a client that says that it has it, nothing needs to be kept.
    assert_eq!(host.get(Some(&rest.last_id())), Err(Reason::StreamOver));
    assert_eq!(host.session.buffered(), 0);

    let place = lost(&mut host, 2);
    host.pass(Duration::from_secs(5 * 60));
    assert_eq!(host.session.buffered(), 0);
    assert_eq!(host.get(Some(&place)), Err(Reason::EventUnknown));
    assert_eq!(host.session.poll_timeout(), None);
}

/// A response that is not read is cut: it holds no more than its bound, and the others go on. Its client comes back.
#[test]
fn a_response_that_is_not_read_is_cut_and_holds_nobody_up() {
    let mut host = Host::with(ProtocolVersion::V2025_11_25, |config| config.limits.stream_output = 10_000);
    let keys = [host.call(1), host.call(2)];
    let asked = host.asked.clone();
    host.progress(asked[0], 1.0);
    let mut told = host.read(keys[0]);
    let mut sibling = Told::default();
    for step in 2..1000 {
        host.progress(asked[0], f64::from(step));
        host.progress(asked[1], f64::from(step));
        host.read_into(&mut sibling, keys[1], usize::MAX);
        assert!(host.session.streams.iter().map(Stream::queued).sum::<usize>() < 11_000);
    }
    assert_eq!(sibling.messages().len(), 998);
    host.read_into(&mut told, keys[0], usize::MAX);
    let early = told.messages().len();
    assert!(told.ended && (2..100).contains(&early), "{early}");
    let key = host.get(Some(&told.last_id())).unwrap();
    let rest = host.read(key);
    assert_eq!(early + rest.messages().len(), 999, "all of it was kept");
    // One message is taken whatever its size.
    host.answer(asked[1], &json!({ "text": "x".repeat(50_000) }));
    host.read_into(&mut sibling, keys[1], usize::MAX);
    assert!(sibling.ended && sibling.messages().len() == 999);
}

/// Many responses that are not read hold no more than their session may.
#[test]
fn all_responses_of_a_session_together_have_a_bound() {
    let mut host = Host::with(ProtocolVersion::V2025_11_25, |config| {
        (config.limits.stream_output, config.limits.replay) = (10_000, 1000);
    });
    let keys: Vec<StreamKey> = (0..50).map(|at| host.call(at)).collect();
    let asked = host.asked.clone();
    for step in 1..80 {
        for id in &asked {
            host.progress(*id, f64::from(step));
        }
        assert!(host.session.buffered() < 8 * 10_000 + 2000);
    }
    let ended = keys.iter().filter(|key| host.read(**key).ended).count();
    assert!((1..50).contains(&ended), "{ended}");
}

/// A server MAY close a stream after an event from which it can be resumed, and SHOULD say for how long to wait (specification 2025-11-25:
/// basic/transports, Sending Messages to the Server). Before, a client would take it for the end.
#[test]
fn a_stream_is_closed_on_purpose_where_clients_come_back() {
    let mut host = Host::new(ProtocolVersion::V2025_11_25);
    let key = host.call(1);
    let asked = host.asked[0];
    let wait = Duration::from_millis(2500);
    assert_eq!(host.session.suspend(host.now, key.origin(), wait), Ok(()));
    let told = host.read(key);
    assert!(told.ended && told.messages().is_empty(), "{told:?}");
    let retries: Vec<String> = told.events().into_iter().filter_map(|event| event.retry).collect();
    assert_eq!(retries, ["1000", "2500"], "the last one counts");
    assert_eq!(host.session.suspend(host.now, key.origin(), wait), Err(NotSuspended::NotOpen));
    host.progress(asked, 1.0);
    // It polls ...
    let key = host.get(Some(&told.last_id())).unwrap();
    let more = host.read(key);
    assert_eq!(more.messages().len(), 1);
    host.session.suspend(host.now, key.origin(), wait).unwrap();
    assert!(host.read_some(key, 2).body.contains("2500"));
    host.answer(asked, &json!({}));
    // ... until the answer is there.
    let key = host.get(Some(&more.last_id())).unwrap();
    let rest = host.read(key);
    assert_eq!((rest.messages()[0]["id"].clone(), rest.ended), (json!(1), true));

    let mut host = Host::new(ProtocolVersion::V2025_06_18);
    let key = host.call(1);
    assert_eq!(host.session.suspend(host.now, key.origin(), wait), Err(NotSuspended::NotInThisRevision));
    assert_eq!(host.session.suspend(host.now, Origin::new(99), wait), Err(NotSuspended::NotOpen));
}

/// A POST whose response broke off before it showed an event cannot be resumed; its request goes on, and leaves nothing behind.
#[test]
fn a_post_that_broke_off_before_anything_was_said_leaves_nothing() {
    let mut host = Host::new(ProtocolVersion::V2025_11_25);
    let key = host.call(1);
    host.session.detach(host.now, key);
    host.settle();
    let asked = host.asked[0];
    host.progress(asked, 1.0);
    host.answer(asked, &json!({}));
    assert_eq!((host.session.dropped(), host.session.buffered()), (2, 0));
    assert!(host.session.streams.is_empty());
    assert_eq!(host.session.poll_timeout(), None);
    // Also when the answer was there and was not taken.
    let key = host.call(2);
    host.answer(host.asked[0], &json!({}));
    host.session.detach(host.now, key);
    assert!(host.session.streams.is_empty());
}

/// A store that is elsewhere, as its commands make it.
#[derive(Default)]
struct Elsewhere {
    kept: Vec<Stored>,
    asked: Vec<(StreamKey, Vec<Stored>)>,
}

impl Elsewhere {
    fn work(&mut self, host: &mut Host) {
        while let Some(command) = host.session.poll_store() {
            match command {
                StoreCommand::Persist(event) => self.kept.push(event),
                StoreCommand::Fetch { reader, after } => {
                    let later = |event: &&Stored| event.place.stream == after.stream && event.place > after;
                    self.asked.push((reader, self.kept.iter().filter(later).cloned().collect()));
                }
                StoreCommand::Discard { up_to } => {
                    self.kept.retain(|event| event.place.stream != up_to.stream || event.place > up_to);
                }
                StoreCommand::Forget { stream } => self.kept.retain(|event| event.place.stream != stream),
                StoreCommand::Delivered { .. } => {}
            }
        }
    }
}

/// The store may be elsewhere: what is to be kept and what is asked for are commands, and what comes while it is asked is put in order.
#[test]
fn a_store_elsewhere_is_told_and_asked() {
    let mut host = Host::with(ProtocolVersion::V2025_11_25, |config| config.replay = ReplayIn::Store);
    let mut store = Elsewhere::default();
    let key = host.call(1);
    let asked = host.asked[0];
    host.progress(asked, 1.0);
    let told = host.read(key);
    host.session.detach(host.now, key);
    host.progress(asked, 2.0);
    let key = host.get(Some(&told.last_id())).unwrap();
    store.work(&mut host);
    assert_eq!((store.asked.len(), store.kept.len()), (1, 1), "what the client has was discarded");
    // The store takes its time; meanwhile the call ends.
    let mut rest = host.read(key);
    assert!(rest.messages().is_empty());
    host.progress(asked, 3.0);
    host.answer(asked, &json!({}));
    let (reader, events) = store.asked.pop().unwrap();
    host.session.handle_fetched(host.now, reader, events);
    host.read_into(&mut rest, key, usize::MAX);
    let progress: Vec<Value> = rest.messages().iter().map(|it| it["params"]["progress"].clone()).collect();
    assert_eq!(progress, [json!(2.0), json!(3.0), Value::Null]);
    assert!(rest.ended);
    // A second answer is nobody's. Once nobody can come back for it any more, all is forgotten.
    host.session.handle_fetched(host.now, reader, Vec::new());
    host.pass(Duration::from_secs(5 * 60));
    store.work(&mut host);
    assert!(store.kept.is_empty());

    // A store that has lost everything.
    let key = host.call(2);
    let asked = host.asked[0];
    host.progress(asked, 1.0);
    let told = host.read(key);
    host.session.detach(host.now, key);
    host.answer(asked, &json!({}));
    let key = host.get(Some(&told.last_id())).unwrap();
    host.session.handle_fetched(host.now, key, Vec::new());
    let rest = host.read(key);
    assert_eq!((&rest.messages()[0]["error"]["code"], rest.ended), (&json!(-32603), true));
}

/// Whoever asks a store that never answers holds nothing up, and the end of the session ends the response.
#[test]
fn a_store_that_never_answers_is_not_waited_for() {
    let mut host = Host::with(ProtocolVersion::V2025_11_25, |config| {
        (config.replay, config.limits.stream_output) = (ReplayIn::Store, 5000);
    });
    let key = host.call(1);
    let asked = host.asked[0];
    host.progress(asked, 1.0);
    let told = host.read(key);
    host.session.detach(host.now, key);
    host.progress(asked, 2.0);
    let key = host.get(Some(&told.last_id())).unwrap();
    for step in 3..200 {
        host.progress(asked, f64::from(step));
    }
    assert!(host.session.buffered() < 6000);
    assert!(host.read(key).ended, "it was cut");
    let key = host.get(Some(&told.last_id())).unwrap();
    host.session.close(host.now);
    assert!(host.read(key).ended);
}
