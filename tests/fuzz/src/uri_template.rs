//! `uri_template`: parse, expand and match, against a matcher that tries every way.

use std::collections::BTreeMap;

use mcp_proto::uri_template::UriTemplate;

type Values = BTreeMap<String, String>;

/// The bytes: a template, a URI, and values for the variables, one a line.
pub fn uri_template(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let (source, uri) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let template: UriTemplate = match source.parse() {
        Ok(template) => template,
        Err(error) => {
            assert!(!format!("{error}").is_empty());
            return;
        }
    };
    assert_eq!(template.as_str(), source);
    let pieces = Pieces::of(source);
    assert!(template.variables().eq(pieces.names()), "the variables, in order");

    let found = template.matches(uri);
    if pieces.are_few() && uri.len() <= 40 {
        assert_eq!(found, pieces.matches(uri), "as a matcher that tries every way");
    }
    if let Some(found) = &found {
        pieces.check(found);
        again(&template, &pieces, found);
    }

    let values: Values = template.variables().map(str::to_owned).zip(lines.map(str::to_owned)).collect();
    let expanded = template.expand(&values);
    assert!(expanded.is_ascii(), "what is expanded is a URI");
    let are_all = values.len() == template.variables().count();
    if are_all && pieces.keep_apart && values.iter().all(|(name, value)| pieces.takes(name, value)) {
        assert_eq!(template.matches(&expanded), Some(values), "what was expanded is found again in {expanded}");
    }
}

/// What was found in a URI, written and found again: the same, where only one way leads there.
fn again(template: &UriTemplate, pieces: &Pieces<'_>, found: &Values) {
    let uri = template.expand(found);
    let second = template.matches(&uri);
    if pieces.keep_apart && found.iter().all(|(name, value)| pieces.takes(name, value)) {
        assert_eq!(second.as_ref(), Some(found), "the same again from {uri}");
    }
    if let Some(second) = second {
        pieces.check(&second);
    }
}

/// A template as it is written, read slowly. It is known to be one.
struct Pieces<'a> {
    path: Vec<Piece<'a>>,
    /// Of `{?..}` and `{&..}`: its first sign, and the names.
    query: Option<(char, Vec<&'a str>)>,
    /// Whether each variable is followed by something that it cannot hold, so that there is one way only.
    keep_apart: bool,
}

#[derive(Clone, Copy)]
enum Piece<'a> {
    Literal(&'a str),
    Variable { lead: &'static str, name: &'a str, is_named: bool, may_be_reserved: bool },
}

impl<'a> Pieces<'a> {
    fn of(source: &'a str) -> Self {
        let mut pieces = Self { path: Vec::new(), query: None, keep_apart: true };
        let mut rest = source;
        while !rest.is_empty() {
            let end = rest.find('{').unwrap_or(rest.len());
            if end > 0 {
                pieces.path.push(Piece::Literal(&rest[..end]));
                rest = &rest[end..];
                continue;
            }
            let (expression, after) = rest[1..].split_once('}').expect("balanced");
            rest = after;
            let names = expression.trim_start_matches(['+', '#', '.', '/', ';', '?', '&']);
            let operator = expression[..expression.len() - names.len()].chars().next();
            if let Some(first @ ('?' | '&')) = operator {
                pieces.query.get_or_insert((first, Vec::new())).1.extend(names.split(','));
                continue;
            }
            let (first, separator) = match operator {
                Some('+') | None => ("", ","),
                Some('#') => ("#", ","),
                Some('.') => (".", "."),
                Some('/') => ("/", "/"),
                _ => (";", ";"),
            };
            for (number, name) in names.split(',').enumerate() {
                pieces.path.push(Piece::Variable {
                    lead: if number == 0 { first } else { separator },
                    name,
                    is_named: operator == Some(';'),
                    may_be_reserved: matches!(operator, Some('+' | '#')),
                });
            }
        }
        let may_hold_all = |piece: &Piece<'_>| matches!(piece, Piece::Variable { may_be_reserved: true, .. });
        let is_apart = pieces.path.windows(2).all(|pair| match pair {
            [Piece::Variable { .. }, Piece::Literal(text)] => text.starts_with(RESERVED),
            [Piece::Variable { .. }, Piece::Variable { lead, .. }] => lead.starts_with(RESERVED),
            _ => true,
        });
        // A query is found by its sign, so that must stand in the path where it belongs and nowhere else.
        let has_mark = pieces.path.iter().any(|piece| matches!(piece, Piece::Literal(text) if text.contains('?')));
        let is_query_apart = pieces.query.as_ref().is_none_or(|(first, _)| has_mark == (*first == '&'));
        let last_may = pieces.query.is_none() && pieces.path.iter().filter(|piece| may_hold_all(piece)).count() == 1;
        let is_free = pieces.path.iter().all(|piece| !may_hold_all(piece))
            || last_may && pieces.path.last().is_some_and(may_hold_all);
        pieces.keep_apart = is_apart && is_query_apart && is_free;
        pieces
    }

    fn names(&self) -> impl Iterator<Item = &'a str> {
        let path = self.path.iter().filter_map(|piece| match piece {
            Piece::Variable { name, .. } => Some(*name),
            Piece::Literal(_) => None,
        });
        path.chain(self.query.iter().flat_map(|(_, names)| names.iter().copied()))
    }

    /// Whether every way can be tried, and a query is where its sign is.
    fn are_few(&self) -> bool {
        let variables = self.path.iter().filter(|piece| matches!(piece, Piece::Variable { .. })).count();
        variables <= 4 && self.query.as_ref().is_none_or(|(first, _)| *first == '?')
    }

    /// Whether this value may be found again: it is safe and can be told from what stands around it.
    fn takes(&self, name: &str, value: &str) -> bool {
        match self.variable(name) {
            Some(true) => !value.is_empty() && is_safe(value, true) && !(0..value.len()).any(|at| is_escape(value, at)),
            Some(false) => !value.is_empty() && is_safe(value, false),
            None => is_safe(value, true),
        }
    }

    /// Whether a variable of the path may hold what is reserved; `None` for one of the query.
    fn variable(&self, wanted: &str) -> Option<bool> {
        self.path.iter().find_map(|piece| match piece {
            Piece::Variable { name, may_be_reserved, .. } if *name == wanted => Some(*may_be_reserved),
            _ => None,
        })
    }

    /// Nothing unsafe came out, and nothing but what the template names.
    fn check(&self, found: &Values) {
        for (name, value) in found {
            assert!(self.names().any(|known| known == name), "{name}");
            assert!(is_safe(value, self.variable(name).unwrap_or(true)), "{name} {value:?}");
        }
    }

    fn matches(&self, uri: &str) -> Option<Values> {
        let uri = encoded(uri);
        let mut found = Vec::new();
        let (path, query) = match (&self.query, uri.split_once('?')) {
            (Some(_), Some((path, query))) => (path, query),
            _ => (&*uri, ""),
        };
        if let Some((_, names)) = &self.query {
            for pair in query.split('&').filter(|_| !query.is_empty()) {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                found.push((*names.iter().find(|known| **known == name)?, value));
            }
        }
        found.extend(fit(&self.path, path)?);
        let mut values = Values::new();
        for (name, value) in found {
            let value = decoded(value)?;
            let may_be_reserved = self.variable(name).unwrap_or(true);
            if !is_safe(&value, may_be_reserved) || values.insert(name.into(), value).is_some() {
                return None;
            }
        }
        Some(values)
    }
}

/// The first way in which the pieces fit, if each variable from the first on takes as much as it can.
fn fit<'a>(pieces: &[Piece<'a>], uri: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
    let Some((piece, after)) = pieces.split_first() else { return uri.is_empty().then(Vec::new) };
    match piece {
        Piece::Literal(text) => fit(after, uri.strip_prefix(&encoded(text))?),
        Piece::Variable { lead, name, is_named, may_be_reserved } => {
            let mut rest = uri.strip_prefix(lead)?;
            if *is_named {
                rest = rest.strip_prefix(name)?.strip_prefix('=')?;
            }
            // A character that is escaped is taken as a whole.
            let mut ends = Vec::new();
            let mut at = 0;
            while let Some(next) = rest[at..].chars().next() {
                let is_plain = next.is_ascii_alphanumeric() || "-._~".contains(next);
                match next {
                    '%' => {
                        match (1..=4).map(|escapes| at + 3 * escapes).find(|end| is_character(&rest[at..], end - at)) {
                            Some(end) => at = end,
                            None => break,
                        }
                    }
                    _ if is_plain || *may_be_reserved && RESERVED.contains(&next) => at += 1,
                    _ => break,
                }
                ends.push(at);
            }
            ends.into_iter().rev().find_map(|end| {
                let mut found = fit(after, &rest[end..])?;
                found.push((name, &rest[..end]));
                Some(found)
            })
        }
    }
}

const RESERVED: &[char] = &[':', '/', '?', '#', '[', ']', '@', '!', '$', '&', '\'', '(', ')', '*', '+', ',', ';', '='];

fn is_escape(text: &str, at: usize) -> bool {
    let bytes = &text.as_bytes()[at..];
    bytes.len() > 2 && bytes[0] == b'%' && bytes[1..3].iter().all(u8::is_ascii_hexdigit)
}

/// Whether the first bytes, so many, are escapes that spell one character.
fn is_character(text: &str, length: usize) -> bool {
    let escapes = text.get(..length).filter(|escapes| (0..length).step_by(3).all(|at| is_escape(escapes, at)));
    escapes.and_then(decoded).is_some_and(|decoded| decoded.chars().count() == 1)
}

fn is_safe(value: &str, may_be_reserved: bool) -> bool {
    let lower = value.to_ascii_lowercase();
    let hides = ["%00", "%25", "%2e", "%2f", "%5c"].iter().any(|escape| lower.contains(escape));
    let leads_out = value.split(['/', '\\']).any(|segment| segment == "." || segment == "..");
    let has_slash = value.contains(['/', '\\']);
    !hides && !leads_out && !value.contains('\0') && (may_be_reserved || !has_slash)
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| if byte.is_ascii() { char::from(byte).into() } else { format!("%{byte:02X}") }).collect()
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut at = 0;
    while let Some(byte) = text.as_bytes().get(at) {
        if *byte == b'%' {
            bytes.push(u8::from_str_radix(text.get(at + 1..at + 3).filter(|_| is_escape(text, at))?, 16).ok()?);
            at += 3;
        } else {
            bytes.push(*byte);
            at += 1;
        }
    }
    String::from_utf8(bytes).ok()
}
