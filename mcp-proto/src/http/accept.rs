//! The headers that say what a body is, and what an answer may be: `Accept`, `Content-Type`, `Content-Encoding`.
//!
//! Specification: RFC 9110, 8.3, 8.4, 12.5.1.

use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

/// What a client would rather have where both will do: an answer as JSON, or as the one event of a stream.
///
/// ```
/// use mcp_proto::http::Preference;
///
/// let mut headers = http::HeaderMap::new();
/// assert_eq!(Preference::of(&headers), Preference::Json);
/// headers.insert("accept", "text/event-stream, application/json".parse()?);
/// assert_eq!(Preference::of(&headers), Preference::Events);
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preference {
    /// JSON, or it does not say.
    #[default]
    Json,
    /// Events: it names both types, and this one with more weight, or first.
    Events,
}

impl Preference {
    /// What the header `Accept` says. An error does not have to follow it, since an error has its own status.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let [json, events] = [JSON, EVENTS].map(|wanted| acceptance(headers, wanted).1.filter(|it| it.exactness == 2));
        match (json, events) {
            (Some(json), Some(events)) if (events.weight, json.place) > (json.weight, events.place) => Self::Events,
            _ => Self::Json,
        }
    }
}

pub(super) const JSON: &str = "application/json";
pub(super) const EVENTS: &str = "text/event-stream";

/// Whether the client accepts this type (`application/json`). Saying nothing accepts anything.
///
/// Of the ranges that hold for a type, the most exact one decides, and `q=0` in it refuses. Parameters of a range do not narrow
/// it: what is sent has none.
pub(super) fn accepts(headers: &HeaderMap, wanted: &str) -> bool {
    let (said, range) = acceptance(headers, wanted);
    range.map_or(said == 0, |range| range.weight > 0)
}

/// What is said about a type.
#[derive(Clone, Copy, Debug)]
struct Range {
    /// 0 for anything, 1 for anything of its kind, 2 for the type itself.
    exactness: u8,
    /// In thousandths.
    weight: u16,
    /// How many ranges stand before it.
    place: usize,
}

/// How many ranges there are, and which of them decides about this type. Of two that are as exact it is the one with more weight.
fn acceptance(headers: &HeaderMap, wanted: &str) -> (usize, Option<Range>) {
    let (mut said, mut best) = (0, None::<Range>);
    let kind = wanted.split_once('/').map_or(wanted, |(kind, _)| kind);
    for range in headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(elements) {
        said += 1;
        let mut parts = split_outside_quotes(range, b';');
        let name = parts.next().unwrap_or_default();
        let exactness = match name.split_once('/') {
            Some(("*", "*")) => 0,
            Some((range_kind, "*")) if range_kind.eq_ignore_ascii_case(kind) => 1,
            Some(_) if name.eq_ignore_ascii_case(wanted) => 2,
            _ => continue,
        };
        let weight = parts.find_map(weight).unwrap_or(1000);
        if best.is_none_or(|best| (exactness, weight) > (best.exactness, best.weight)) {
            best = Some(Range { exactness, weight, place: said });
        }
    }
    (said, best)
}

/// The weight that a parameter tells, if it is that: `q=0.5`. One that cannot be read is the usual one.
fn weight(parameter: &str) -> Option<u16> {
    let (_, value) = parameter.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"))?;
    let (whole, part) = value.trim().split_once('.').unwrap_or((value.trim(), ""));
    let is_digits = part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit());
    match whole {
        "0" if is_digits => alloc::format!("{part:0<3}").parse().ok(),
        _ => Some(1000),
    }
}

/// What the body is said to be, if that is not JSON in UTF-8: `Err` with it, or with nothing if nothing or several things are
/// said.
pub(super) fn is_json(headers: &HeaderMap) -> Result<(), Option<&HeaderValue>> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(None) };
    let Ok(text) = value.to_str() else { return Err(Some(value)) };
    let mut parts = split_outside_quotes(text, b';');
    let is_json = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(JSON));
    let is_utf8 = parts.all(|parameter| match parameter.split_once('=') {
        Some((name, charset)) if name.trim().eq_ignore_ascii_case("charset") => {
            let charset = charset.trim().trim_matches('"');
            ["utf-8", "utf8", "us-ascii"].iter().any(|known| charset.eq_ignore_ascii_case(known))
        }
        _ => true,
    });
    if is_json && is_utf8 { Ok(()) } else { Err(Some(value)) }
}

/// How the body is encoded; `None` if it stands there as it is.
pub(super) fn encoding(headers: &HeaderMap) -> Option<&HeaderValue> {
    let is_identity = |value: &&HeaderValue| {
        value.to_str().is_ok_and(|text| elements(text).all(|coding| coding.eq_ignore_ascii_case("identity")))
    };
    headers.get_all(CONTENT_ENCODING).iter().find(|value| !is_identity(value))
}

/// The elements of a list; those that are empty count for nothing.
fn elements(text: &str) -> impl Iterator<Item = &str> {
    split_outside_quotes(text, b',').filter(|element| !element.is_empty())
}

/// The parts between separators that stand outside of quotes, without the space around them.
fn split_outside_quotes(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    core::iter::from_fn(move || {
        let text = rest?;
        let (mut quoted, mut escaped) = (false, false);
        let end = text.bytes().position(|byte| {
            let is_end = byte == separator && !quoted;
            if !escaped && byte == b'"' {
                quoted = !quoted;
            }
            escaped = quoted && !escaped && byte == b'\\';
            is_end
        });
        rest = end.and_then(|end| text.get(end + 1..));
        let part = end.map_or(text, |end| &text[..end]);
        Some(part.trim_matches([' ', '\t']))
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn headers(name: HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), value.parse().unwrap())).collect()
    }

    /// Whether the most exact range of several accepts, wherever it stands and however it is written.
    #[test]
    fn the_most_exact_range_decides() {
        for (said, wants) in [
            (&["application/json, text/event-stream"][..], [true, true]),
            (&["application/json", "text/event-stream"], [true, true]),
            (&["TEXT/Event-Stream ; q=0.1,\tApplication/JSON;charset=utf-8;q=1"], [true, true]),
            (&["*/*"], [true, true]),
            (&["application/*, text/*;q=0.001"], [true, true]),
            (&["*/*;q=0.5, text/event-stream;q=0"], [true, false]),
            (&["text/event-stream;q=0.000, */*"], [true, false]),
            (&["*/*;q=0, application/json"], [true, false]),
            (&["application/*;q=0, application/json, */*"], [true, true]),
            (&["application/json;q=0, application/json;v=2"], [true, false]),
            (&["application/json"], [true, false]),
            (&["text/event-stream"], [false, true]),
            (&["application/jsonl, text/event-stream-x, json"], [false, false]),
            (&["text/html;x=\"a,application/json;\\\",text/event-stream\""], [false, false]),
            (&["application/json;x=\"a;q=0\""], [true, false]),
            (&["*"], [false, false]),
            (&["/"], [false, false]),
            // Nothing is said.
            (&[""], [true, true]),
            (&[" , ,"], [true, true]),
            (&[], [true, true]),
        ] {
            let map = headers(ACCEPT, said);
            assert_eq!([accepts(&map, JSON), accepts(&map, EVENTS)], wants, "{said:?}");
        }
        let not_text = [(ACCEPT, HeaderValue::from_bytes(b"text/html\xFF").unwrap())].into_iter().collect();
        assert!(accepts(&not_text, JSON), "what cannot be read says nothing");
    }

    /// By weight first, then by what is named first; what is accepted only along with others is not preferred.
    #[test]
    fn what_is_named_first_is_preferred() {
        for (said, wants) in [
            ("text/event-stream, application/json", Preference::Events),
            ("application/json;q=0.5, text/event-stream;q=0.51", Preference::Events),
            ("application/json;q=0.5, text/event-stream", Preference::Events),
            ("*/*, text/event-stream, application/json", Preference::Events),
            ("application/json, text/event-stream", Preference::Json),
            ("text/event-stream;q=0.9, application/json", Preference::Json),
            ("text/event-stream;q=0.9, application/json;q=0.90", Preference::Events),
            ("text/event-stream, */*", Preference::Json),
            ("*/*", Preference::Json),
        ] {
            assert_eq!(Preference::of(&headers(ACCEPT, &[said])), wants, "{said}");
        }
        assert_eq!(Preference::of(&headers(ACCEPT, &["text/event-stream", "application/json"])), Preference::Events);
        assert_eq!(Preference::of(&HeaderMap::new()), Preference::Json);
    }

    #[test]
    fn json_in_utf_8_is_json() {
        for good in [
            "application/json",
            "Application/JSON",
            "application/json; charset=UTF-8",
            "application/json;x=1",
            "application/json ;charset=\"utf-8\"",
            "application/json;",
        ] {
            assert_eq!(is_json(&headers(CONTENT_TYPE, &[good])), Ok(()), "{good}");
        }
        for bad in [
            "text/plain",
            "application/json-rpc",
            "application/json; charset=utf-16",
            "json",
            "",
            "text/plain;application/json",
            "text/plain, application/json",
        ] {
            assert_eq!(is_json(&headers(CONTENT_TYPE, &[bad])), Err(Some(&bad.parse().unwrap())), "{bad}");
        }
        assert_eq!(is_json(&headers(CONTENT_TYPE, &[])), Err(None));
        assert_eq!(is_json(&headers(CONTENT_TYPE, &["application/json", "application/json"])), Err(None));
    }

    #[test]
    fn identity_is_no_encoding() {
        for good in [&[][..], &["identity"], &["Identity, identity"], &[""]] {
            assert_eq!(encoding(&headers(CONTENT_ENCODING, good)), None, "{good:?}");
        }
        for bad in ["gzip", "br", "zstd", "identity, gzip", "x"] {
            assert_eq!(encoding(&headers(CONTENT_ENCODING, &[bad])), Some(&bad.parse().unwrap()), "{bad}");
        }
    }
}
