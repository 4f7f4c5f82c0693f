//! Attacks on sealed states: none that was changed, moved, kept too long or made elsewhere is ever opened.

use mcp_proto::Limits;

use super::*;

const NOW: Timestamp = Timestamp::from_nanos(1_000_000_000_000);
const TEXT: &str = r#"{"answers":{"who":{"action":"accept"}}}"#;

fn key(secret: u8) -> Key {
    Key::new([secret; Key::LENGTH])
}

fn sealer(ring: KeyRing) -> Sealer {
    Sealer::default().with_keys(ring)
}

fn request(method: &str, params: &str) -> Message {
    let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
    Message::scan(text.as_bytes(), &Limits::default())
}

fn call(arguments: &str) -> Message {
    request("tools/call", &format!(r#"{{"name":"t","arguments":{arguments}}}"#))
}

fn nobody(request: &Message) -> Bound<'_> {
    Bound { principal: None, request }
}

#[test]
fn what_is_sealed_opens_for_the_same_request_and_cannot_be_read() {
    let sealer = Sealer::default();
    for request in [
        call(r#"{"a":1}"#),
        request("prompts/get", r#"{"name":"p"}"#),
        request("resources/read", r#"{"uri":"file:///a"}"#),
    ] {
        let (one, two) = (
            sealer.seal(nobody(&request), NOW, TEXT).unwrap(),
            sealer.clone().seal(nobody(&request), NOW, TEXT).unwrap(),
        );
        assert_eq!(sealer.open(nobody(&request), NOW, &one).as_deref(), Ok(TEXT));
        assert_eq!(sealer.open(nobody(&request), NOW, &two).as_deref(), Ok(TEXT));
        assert_ne!(one, two, "each with a nonce of its own");
        assert!(one.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')), "{one}");
        assert!(!String::from_utf8_lossy(&BASE64_URL_SAFE_NO_PAD.decode(one).unwrap()).contains("who"));
    }
}

/// A client may write the same arguments in another way, and gateways do.
#[test]
fn how_arguments_are_written_does_not_matter() {
    let sealer = Sealer::default();
    let state = sealer.seal(nobody(&call(r#"{"a":[1,{"x":null,"y":"é"}],"b":1.5}"#)), NOW, TEXT).unwrap();
    let other = call("{\"b\" : 1.50, \"a\": [1, {\"y\":\"\\u00e9\",\"x\":null}]}");
    assert_eq!(sealer.open(nobody(&other), NOW, &state).as_deref(), Ok(TEXT));
    // No arguments are no arguments.
    let state = sealer.seal(nobody(&call("{}")), NOW, TEXT).unwrap();
    for without in [call("null"), request("tools/call", r#"{"name":"t"}"#)] {
        assert_eq!(sealer.open(nobody(&without), NOW, &state).as_deref(), Ok(TEXT));
    }
    // Nor do members that are not the request's own.
    let retry = r#"{"name":"t","_meta":{"progressToken":9},"inputResponses":{},"requestState":"x"}"#;
    assert_eq!(sealer.open(nobody(&request("tools/call", retry)), NOW, &state).as_deref(), Ok(TEXT));
}

/// basic/patterns (2026-07-28), multi round-trip requests: the state is bound to the principal and the request.
#[test]
fn a_state_is_good_for_no_other_request_and_no_other_caller() {
    let sealer = Sealer::default();
    let texts = [
        call(r#"{"a":1}"#),
        call(r#"{"a":2}"#),
        call(r#"{"a":"1"}"#),
        call(r#"{"a":1,"b":null}"#),
        call(r#"{"a":[1]}"#),
        call(r#"{"a":[[1]]}"#),
        call(r#"{"a":[1,1]}"#),
        call(r#"{"a":{"1":1}}"#),
        call(r#"{"a":"1,","b":2}"#),
        call(r#"{"a":"1,\"b\":2"}"#),
        call("{}"),
        request("tools/call", r#"{"name":"u","arguments":{"a":1}}"#),
        request("tools/call", r#"{"name":"t","uri":"x:y","arguments":{"a":1}}"#),
        request("prompts/get", r#"{"name":"t","arguments":{"a":1}}"#),
        request("resources/read", r#"{"uri":"t"}"#),
        request("resources/read", r#"{"uri":"x:y"}"#),
    ];
    let bounds: Vec<_> = [None, Some(""), Some("ada"), Some("bob")]
        .into_iter()
        .flat_map(|principal| texts.iter().map(move |request| Bound { principal, request }))
        .collect();
    for (at, bound) in bounds.iter().enumerate() {
        let state = sealer.seal(*bound, NOW, TEXT).unwrap();
        for (other, bound) in bounds.iter().enumerate() {
            let opened = sealer.open(*bound, NOW, &state);
            assert_eq!(opened, if at == other { Ok(TEXT.to_owned()) } else { Err(Refused::NotBound) }, "{bound:?}");
        }
    }
}

#[test]
fn no_bit_of_a_state_can_be_changed() {
    let (sealer, request) = (Sealer::default(), call(r#"{"a":1}"#));
    let state = sealer.seal(nobody(&request), NOW, TEXT).unwrap();
    let sealed = BASE64_URL_SAFE_NO_PAD.decode(&state).unwrap();
    for bit in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let changed = BASE64_URL_SAFE_NO_PAD.encode(changed);
        assert!(sealer.open(nobody(&request), NOW, &changed).is_err(), "bit {bit}");
    }
    // Nor can the same bytes be written in another way.
    for at in 0..state.len() {
        for byte in 0..=0x7f_u8 {
            let mut changed = state.clone().into_bytes();
            if changed[at] == byte {
                continue;
            }
            changed[at] = byte;
            let changed = String::from_utf8(changed).unwrap();
            assert!(sealer.open(nobody(&request), NOW, &changed).is_err(), "{byte:#x} at {at}");
        }
    }
}

#[test]
fn nothing_can_be_cut_off_or_added() {
    let (sealer, request) = (Sealer::default(), call("{}"));
    let state = sealer.seal(nobody(&request), NOW, TEXT).unwrap();
    for length in 0..state.len() {
        assert!(sealer.open(nobody(&request), NOW, &state[..length]).is_err(), "{length}");
        assert!(sealer.open(nobody(&request), NOW, &state[length + 1..]).is_err(), "from {length}");
    }
    for more in ["A", "AA", "AAAA", "=", "==", "\n", " ", "\u{e9}"] {
        assert!(sealer.open(nobody(&request), NOW, &format!("{state}{more}")).is_err(), "{more:?}");
        assert!(sealer.open(nobody(&request), NOW, &format!("{more}{state}")).is_err(), "{more:?}");
    }
    assert!(sealer.open(nobody(&request), NOW, TEXT).is_err(), "not sealed at all");
}

#[test]
fn a_state_lives_as_long_as_it_is_told() {
    let ttl = Duration::from_secs(60);
    let (sealer, request) = (Sealer::default().with_ttl(ttl), call("{}"));
    let state = sealer.seal(nobody(&request), NOW, TEXT).unwrap();
    assert_eq!(sealer.open(nobody(&request), NOW + ttl, &state).as_deref(), Ok(TEXT));
    let late = NOW + ttl + Duration::from_nanos(1);
    assert_eq!(sealer.open(nobody(&request), late, &state), Err(Refused::Expired));
    // However long that is.
    let sealer = sealer.with_ttl(Duration::MAX);
    let state = sealer.seal(nobody(&request), NOW, TEXT).unwrap();
    assert_eq!(sealer.open(nobody(&request), Timestamp::from_nanos(u64::MAX), &state).as_deref(), Ok(TEXT));
}

#[test]
fn keys_rotate() {
    let request = call("{}");
    let old = sealer(KeyRing::new(key(1)));
    let both = sealer(KeyRing::new(key(2)).opening(key(1)));
    let new = sealer(KeyRing::new(key(2)));
    let state = old.seal(nobody(&request), NOW, TEXT).unwrap();
    assert_eq!(both.open(nobody(&request), NOW, &state).as_deref(), Ok(TEXT));
    assert_eq!(new.open(nobody(&request), NOW, &state), Err(Refused::OtherKey), "it has left the ring");
    let state = both.seal(nobody(&request), NOW, TEXT).unwrap();
    assert_eq!(new.open(nobody(&request), NOW, &state).as_deref(), Ok(TEXT), "the first key seals");
    assert_eq!(old.open(nobody(&request), NOW, &state), Err(Refused::OtherKey));
}

#[test]
fn without_keys_each_server_has_a_random_one() {
    let request = call("{}");
    let (one, other) = (Sealer::default(), Sealer::default());
    let same = one.clone();
    let state = one.seal(nobody(&request), NOW, TEXT).unwrap();
    assert_eq!(same.open(nobody(&request), NOW, &state).as_deref(), Ok(TEXT));
    assert_eq!(other.open(nobody(&request), NOW, &state), Err(Refused::OtherKey), "which has not sealed anything yet");
    other.seal(nobody(&request), NOW, TEXT).unwrap();
    assert_eq!(other.open(nobody(&request), NOW, &state), Err(Refused::OtherKey));
}

/// Should two keys have one id, both are tried.
#[test]
fn ids_of_keys_may_collide() {
    let request = call("{}");
    let state = sealer(KeyRing::new(key(1))).seal(nobody(&request), NOW, TEXT).unwrap();
    let twin = Key { id: key(1).id, ..key(2) };
    let ring = sealer(KeyRing::new(twin).opening(key(1)));
    assert_eq!(ring.open(nobody(&request), NOW, &state).as_deref(), Ok(TEXT));
}

#[test]
fn a_key_has_32_bytes_and_is_never_shown() {
    for length in [0, 16, 31, 33, 64] {
        let refused = Key::try_from(vec![7; length].as_slice()).unwrap_err();
        assert_eq!(refused, KeyLength(length));
        assert_eq!(refused.to_string(), format!("a key has exactly 32 bytes, this has {length}"));
    }
    assert_eq!(Key::try_from([7; 32].as_slice()).unwrap().id, key(7).id);
    let server = crate::Server::new("s", "1").seal(KeyRing::new(key(0xAB)).opening(key(0xCD)));
    for shown in [
        format!("{:?}", key(0xAB)),
        format!("{:#?}", KeyRing::new(key(0xAB))),
        format!("{:?}", sealer(KeyRing::new(key(0xAB)))),
        format!("{server:?}"),
    ] {
        let shown = shown.to_lowercase();
        assert!(!["171", "ab, ", "abab", "205", "cdcd"].iter().any(|secret| shown.contains(secret)), "{shown}");
    }
}

/// Nodes of different versions share states, so the layout stays. Sealed by libsodium with the key `[7; 32]`, the nonce
/// `0, 1, .. 23`, and a lifetime until `NOW`.
#[test]
fn the_layout_stays() {
    let state = "AeJHoa4AAQIDBAUGBwgJCgsMDQ4PEBESExQVFheoF6ttLrlLpU6i8TOqXHPvFgTdLeXN32qunOIQ";
    let request = call(r#"{"b":[true],"a":1}"#);
    assert_eq!(sealer(KeyRing::new(key(7))).open(nobody(&request), NOW, state).as_deref(), Ok("kept"));
}
