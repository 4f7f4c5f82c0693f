//! What is kept, for whom, for how long, and what makes it old.

use alloc::format;
use alloc::string::ToString;

use serde_json::{Value, json};

use super::*;
use crate::Limits;

const LIST: Question<'static> = Question::new("tools/list", "{}");
const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: u64) -> Timestamp {
    Timestamp::EPOCH + Duration::from_secs(seconds)
}

fn answer(result: &Value) -> Message {
    let text = json!({ "jsonrpc": "2.0", "id": 1, "result": result }).to_string();
    Message::scan(text.as_bytes(), &Limits::default())
}

fn tools(ttl: &Value, scope: &str) -> Message {
    answer(&json!({ "tools": [], "ttlMs": ttl, "cacheScope": scope }))
}

fn keep(cache: &mut Cache, question: &Question<'_>, message: Message) {
    let asking = cache.ask(question).unwrap();
    cache.keep(at(0), asking, message, Duration::ZERO);
}

fn read(uri: &str) -> String {
    json!({ "uri": uri }).to_string()
}

fn is_fresh(cache: &Cache, seconds: u64, question: &Question<'_>) -> bool {
    matches!(cache.look(at(seconds), question), Found::Fresh(_))
}

/// server/utilities/caching: fresh for `ttlMs` from when it was received; absent and negative are 0.
#[test]
fn an_answer_is_fresh_for_as_long_as_it_says() {
    let day = 24 * 60 * 60;
    for (ttl, fresh, old) in [
        (json!(5000), Some(4), 5),
        (json!(5000.0), Some(4), 5),
        (json!(0), None, 0),
        (json!(-5000), None, 0),
        (Value::Null, None, 0),
        (json!("5000"), None, 0),
        // Absurd: no longer than the longest.
        (json!(i64::MAX), Some(day - 1), day),
    ] {
        let mut cache = Cache::new(CacheLimits::default());
        keep(&mut cache, &LIST, tools(&ttl, "public"));
        assert!(fresh.is_none_or(|fresh| is_fresh(&cache, fresh, &LIST)), "{ttl}");
        assert!(!is_fresh(&cache, old, &LIST), "{ttl}");
    }
    // Of a revision in which results say nothing: as long as the asker says.
    let mut cache = Cache::new(CacheLimits::default());
    let asking = cache.ask(&LIST).unwrap();
    cache.keep(at(0), asking, answer(&json!({ "tools": [] })), 3 * SECOND);
    assert!(is_fresh(&cache, 2, &LIST) && !is_fresh(&cache, 3, &LIST));
}

/// server/utilities/caching: the key is the method with the parameters that matter; each page is one.
#[test]
fn another_question_has_another_answer() {
    let mut cache = Cache::new(CacheLimits::default());
    keep(&mut cache, &LIST, tools(&json!(5000), "public"));
    assert!(!is_fresh(&cache, 0, &Question::new("tools/list", r#"{"cursor":""}"#)));
    assert!(!is_fresh(&cache, 0, &Question::new("prompts/list", "{}")));
    for method in ["tools/call", "prompts/get", "completion/complete", "ping", "vendor/list"] {
        assert!(cache.ask(&Question::new(method, "{}")).is_none(), "{method}");
    }
    // An answer that is not to be kept drives out the one before.
    keep(&mut cache, &LIST, tools(&json!(0), "public"));
    assert!(!is_fresh(&cache, 0, &LIST) && cache.is_empty());
}

/// server/utilities/caching: what is private MUST NOT be given to another authorization.
#[test]
fn what_is_private_is_for_who_asked() {
    let (ada, bob) = (LIST.authorized("ada"), LIST.authorized("bob"));
    let mut cache = Cache::new(CacheLimits::default());
    for scope in ["private", "of a later revision"] {
        keep(&mut cache, &ada, tools(&json!(5000), scope));
        assert!(is_fresh(&cache, 0, &ada) && !is_fresh(&cache, 0, &bob) && !is_fresh(&cache, 0, &LIST), "{scope}");
    }
    keep(&mut cache, &bob, tools(&json!(9000), "public"));
    assert!(is_fresh(&cache, 8, &bob) && is_fresh(&cache, 8, &LIST) && is_fresh(&cache, 4, &ada));
    cache.forget_private(Some("ada"));
    assert!(is_fresh(&cache, 8, &ada), "what is public is for everybody");
    // Once it is private it is nobody else's any more.
    keep(&mut cache, &ada, tools(&json!(5000), "private"));
    assert!(!is_fresh(&cache, 0, &bob) && !is_fresh(&cache, 0, &LIST));
    assert!(!format!("{cache:?} {ada:?} {:?}", cache.ask(&ada)).contains("ada"));
}

/// server/utilities/caching: the matching notification makes it old at once, fresh or not.
#[test]
fn a_change_makes_old_what_it_is_about() {
    let questions = [
        ("tools/list", "{}".to_owned()),
        ("tools/list", r#"{"cursor":"2"}"#.to_owned()),
        ("prompts/list", "{}".to_owned()),
        ("resources/list", "{}".to_owned()),
        ("resources/templates/list", "{}".to_owned()),
        ("resources/read", read("file:///dir")),
        ("resources/read", read("file:///dir/a")),
        ("resources/read", read("file:///directory")),
        ("server/discover", "{}".to_owned()),
    ];
    let changed = |uri: &str| Change::Resource(uri.into());
    for (change, old) in [
        (Change::Tools, &[0, 1][..]),
        (Change::Prompts, &[2]),
        (Change::Resources, &[3, 4]),
        // A directory has changed if something in it has, and the other way round.
        (changed("file:///dir/a"), &[5, 6]),
        (changed("file:///dir"), &[5, 6]),
        (changed("file:///dir/b"), &[5]),
        (changed("file:///directory"), &[7]),
        (changed("other:///dir"), &[]),
    ] {
        let mut cache = Cache::new(CacheLimits { stale: SECOND, ..CacheLimits::default() });
        for (method, params) in &questions {
            keep(&mut cache, &Question::new(method, params), tools(&json!(5000), "public"));
        }
        cache.invalidate(&change);
        for (n, (method, params)) in questions.iter().enumerate() {
            let found = cache.look(at(0), &Question::new(method, params));
            assert_eq!(matches!(found, Found::Nothing), old.contains(&n), "{change:?} {method} {params}");
        }
    }
}

/// What was asked before the change may tell of the time before it.
#[test]
fn an_answer_that_crossed_a_change_is_not_kept() {
    let mut cache = Cache::new(CacheLimits::default());
    let before = cache.ask(&LIST).unwrap();
    cache.invalidate(&Change::Tools);
    let after = cache.ask(&LIST).unwrap();
    cache.keep(at(0), before, tools(&json!(5000), "public"), Duration::ZERO);
    assert!(!is_fresh(&cache, 0, &LIST));
    cache.keep(at(0), after, tools(&json!(5000), "public"), Duration::ZERO);
    assert!(is_fresh(&cache, 0, &LIST));
}

#[test]
fn a_bad_cursor_takes_all_pages_along() {
    let mut cache = Cache::new(CacheLimits::default());
    let second = Question::new("tools/list", r#"{"cursor":"2"}"#);
    let prompts = Question::new("prompts/list", "{}");
    for question in [&LIST, &second, &prompts] {
        keep(&mut cache, question, tools(&json!(5000), "public"));
    }
    cache.forget_pages("tools/list");
    assert!(!is_fresh(&cache, 0, &LIST) && !is_fresh(&cache, 0, &second) && is_fresh(&cache, 0, &prompts));
}

/// server/utilities/caching: an answer MAY stand in for one that cannot be had.
#[test]
fn an_old_answer_stands_in_only_if_that_is_wanted() {
    let mut cache = Cache::new(CacheLimits { stale: 10 * SECOND, ..CacheLimits::default() });
    keep(&mut cache, &LIST, tools(&json!(5000), "public"));
    assert!(matches!(cache.look(at(5), &LIST), Found::Stale(_)));
    assert!(matches!(cache.look(at(14), &LIST), Found::Stale(_)));
    assert!(matches!(cache.look(at(15), &LIST), Found::Nothing));
}

#[test]
fn it_stays_within_its_bounds_and_the_oldest_goes_first() {
    let mut cache = Cache::new(CacheLimits { entries: 3, ..CacheLimits::default() });
    let uris = (0..5).map(|n| read(&n.to_string())).collect::<Vec<_>>();
    for uri in &uris {
        keep(&mut cache, &Question::new("resources/read", uri), tools(&json!(5000), "public"));
        assert!(cache.len() <= 3);
    }
    let kept = uris.iter().map(|uri| is_fresh(&cache, 0, &Question::new("resources/read", uri)));
    assert_eq!(kept.collect::<Vec<_>>(), [false, false, true, true, true]);

    let limit = 10_000;
    let mut cache = Cache::new(CacheLimits { bytes: limit, ..CacheLimits::default() });
    for n in 0..200 {
        let long = answer(&json!({ "contents": [], "ttlMs": 5000, "pad": "x".repeat(n * 37 % 3000) }));
        keep(&mut cache, &Question::new("resources/read", &read(&n.to_string())), long);
        assert!(cache.bytes() <= limit && !cache.is_empty());
    }
    keep(&mut cache, &LIST, answer(&json!({ "tools": [], "ttlMs": 5000, "pad": "x".repeat(limit) })));
    assert!(!is_fresh(&cache, 0, &LIST), "larger than all");
    cache.invalidate(&Change::Resource("none".into()));
    for n in 0..200 {
        cache.invalidate(&Change::Resource(n.to_string()));
    }
    assert_eq!((cache.len(), cache.bytes()), (0, 0));
}
