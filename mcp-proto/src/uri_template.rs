//! URI templates (RFC 6570, levels 1 to 3): parse, expand, and match without giving a peer a way out of its segment.
//!
//! Matching takes time proportional to the length of the URI times that of the template: there is no backtracking. What it gives
//! is decoded once and safe to be taken for a name: a `{x}` is never `.` or `..` and holds no `/`, `\` or NUL; a `{+x}` may
//! hold `/`, but no segment `.` or `..`. What still is an encoded form of one of these after decoding does not match.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

/// A longer URI matches no template: what matching costs is bounded by it.
pub const LONGEST_URI: usize = 8 * 1024;
/// A template has no more variables than this.
const MOST_VARIABLES: usize = 64;

/// A template, parsed.
///
/// ```
/// use mcp_proto::uri_template::UriTemplate;
///
/// let template: UriTemplate = "github://repos/{owner}/{repo}{?branch}".parse()?;
/// let found = template.matches("github://repos/rust-lang/rust?branch=beta").expect("it fits");
/// assert_eq!((found["owner"].as_str(), found["branch"].as_str()), ("rust-lang", "beta"));
/// assert_eq!(template.expand(&found), "github://repos/rust-lang/rust?branch=beta");
/// assert!(template.matches("github://repos/..%2Fsecret/x").is_none());
/// # Ok::<(), mcp_proto::uri_template::TemplateError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UriTemplate {
    source: String,
    /// All before the query.
    path: Vec<Part>,
    /// What `{?x,y}` and `{&x}` name.
    query: Option<Query>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// Text as it stands in a URI.
    Literal(String),
    /// An expression with an operator other than `?` and `&`.
    Variable { name: String, place: Place, operator: Operator },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Operator {
    first: &'static str,
    separator: &'static str,
    named: Named,
    allow: Allow,
}

/// Where in its expression a variable stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    First,
    Further,
}

/// Whether the name of a variable is written before its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Yes,
    No,
}

/// What a value may have in it unencoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Allow {
    Unreserved,
    Reserved,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Query {
    /// What stands before the first value: `?`, or `&` after a query that is written out.
    first: char,
    names: Vec<String>,
}

/// Why a text is no template that can be matched. Each tells the byte at which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TemplateError {
    /// A `{` without its `}`, or a `}` without its `{`.
    Unbalanced(usize),
    /// An expression without a variable, or a variable whose name has other characters than `A-Z a-z 0-9 _ .` and `%xx`.
    Name(usize),
    /// An operator that RFC 6570 reserves for extensions.
    Operator(usize),
    /// A modifier of level 4: `*` or `:3`.
    Level4(usize),
    /// A variable that was there before.
    Repeated(usize),
    /// Something after a query expression: values of a query are matched in any order, so it ends the template.
    AfterQuery(usize),
    /// A character that no URI has, such as a space or a quote.
    Character(usize),
    /// More than 64 variables.
    TooMany,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unbalanced(at) => write!(f, "the brace at byte {at} has no partner"),
            Self::Name(at) => write!(f, "the expression at byte {at} has no variable, or one of an illegal name"),
            Self::Operator(at) => write!(f, "the operator at byte {at} is none of + # . / ; ? &"),
            Self::Level4(at) => {
                write!(f, "the variable at byte {at} has a modifier (* or :) of level 4; 1 to 3 are known")
            }
            Self::Repeated(at) => write!(f, "the variable at byte {at} was there before"),
            Self::AfterQuery(at) => write!(f, "something follows a query expression at byte {at}; it must come last"),
            Self::Character(at) => write!(f, "the character at byte {at} stands in no URI; percent-encode it"),
            Self::TooMany => write!(f, "there are more than {MOST_VARIABLES} variables"),
        }
    }
}

impl core::error::Error for TemplateError {}

impl core::str::FromStr for UriTemplate {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let mut template = Self { source: text.into(), path: Vec::new(), query: None };
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            if let Some(inner) = rest.strip_prefix('{') {
                let end = inner.find(['{', '}']).filter(|end| inner[*end..].starts_with('}'));
                let end = end.ok_or(TemplateError::Unbalanced(at))?;
                template.expression(&inner[..end], at + 1)?;
                at += end + 2;
            } else {
                let end = rest.find(['{', '}']).unwrap_or(rest.len());
                if end == 0 {
                    return Err(TemplateError::Unbalanced(at));
                }
                if template.query.is_some() {
                    return Err(TemplateError::AfterQuery(at));
                }
                template.path.push(Part::Literal(literal(&rest[..end], at)?));
                at += end;
            }
        }
        Ok(template)
    }
}

impl UriTemplate {
    fn expression(&mut self, text: &str, at: usize) -> Result<(), TemplateError> {
        let operator = |first, separator, named, allow| Some(Operator { first, separator, named, allow });
        let mut names_at = at + 1;
        let (parsed, names) = match text.as_bytes().first() {
            Some(b'+') => (operator("", ",", Named::No, Allow::Reserved), &text[1..]),
            Some(b'#') => (operator("#", ",", Named::No, Allow::Reserved), &text[1..]),
            Some(b'.') => (operator(".", ".", Named::No, Allow::Unreserved), &text[1..]),
            Some(b'/') => (operator("/", "/", Named::No, Allow::Unreserved), &text[1..]),
            Some(b';') => (operator(";", ";", Named::Yes, Allow::Unreserved), &text[1..]),
            Some(b'?' | b'&') => (None, &text[1..]),
            Some(b'=' | b',' | b'!' | b'@' | b'|' | b'$') => return Err(TemplateError::Operator(at)),
            _ => {
                names_at = at;
                (operator("", ",", Named::No, Allow::Unreserved), text)
            }
        };
        let mut place = Place::First;
        for name in names.split(',') {
            self.check_name(name, names_at)?;
            match parsed {
                Some(operator) if self.query.is_none() => {
                    self.path.push(Part::Variable { name: name.into(), place, operator });
                }
                Some(_) => return Err(TemplateError::AfterQuery(at)),
                None => {
                    let first = if text.starts_with('?') { '?' } else { '&' };
                    let query = self.query.get_or_insert_with(|| Query { first, names: Vec::new() });
                    if place == Place::First && first == '?' && !query.names.is_empty() {
                        return Err(TemplateError::AfterQuery(at));
                    }
                    query.names.push(name.into());
                }
            }
            place = Place::Further;
            names_at += name.len() + 1;
        }
        Ok(())
    }

    fn check_name(&self, name: &str, at: usize) -> Result<(), TemplateError> {
        if name.contains([':', '*']) {
            return Err(TemplateError::Level4(at));
        }
        let bytes = name.as_bytes();
        let legal = |at: usize| match bytes[at] {
            b'%' => is_escape(&bytes[at..]),
            byte => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'),
        };
        if name.is_empty() || name.starts_with('.') || !(0..bytes.len()).all(legal) {
            return Err(TemplateError::Name(at));
        }
        if self.variables().any(|known| known == name) {
            return Err(TemplateError::Repeated(at));
        }
        if self.variables().count() >= MOST_VARIABLES {
            return Err(TemplateError::TooMany);
        }
        Ok(())
    }

    /// The template as it was written.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// The names of its variables, in order.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        let path = self.path.iter().filter_map(|part| match part {
            Part::Variable { name, .. } => Some(name.as_str()),
            Part::Literal(_) => None,
        });
        path.chain(self.query.iter().flat_map(|query| query.names.iter().map(String::as_str)))
    }

    /// The URI with these values in it. Variables without a value are left out, as RFC 6570 says.
    pub fn expand(&self, values: &BTreeMap<String, String>) -> String {
        let mut uri = String::new();
        // Whether a variable of the expression at hand was written already; if not, the next one opens it.
        let mut is_open = false;
        for part in &self.path {
            let Part::Variable { name, place, operator } = part else {
                if let Part::Literal(text) = part {
                    uri.push_str(text);
                }
                continue;
            };
            is_open &= *place == Place::Further;
            let Some(value) = values.get(name) else { continue };
            uri.push_str(if is_open { operator.separator } else { operator.first });
            is_open = true;
            if operator.named == Named::Yes {
                uri.push_str(name);
                if !value.is_empty() {
                    uri.push('=');
                }
            }
            encode(value, operator.allow, &mut uri);
        }
        if let Some(query) = &self.query {
            let mut before = query.first;
            for name in &query.names {
                let Some(value) = values.get(name) else { continue };
                uri.push(before);
                uri.push_str(name);
                uri.push('=');
                encode(value, Allow::Unreserved, &mut uri);
                before = '&';
            }
        }
        uri
    }

    /// The values that give this URI, decoded, or `None`.
    ///
    /// Every variable of the path must be there and must not be empty; those of a query may be missing and stand in any order.
    /// Where several ways fit, the first variable takes the most. A URI of more than [`LONGEST_URI`] bytes does not match.
    pub fn matches(&self, uri: &str) -> Option<BTreeMap<String, String>> {
        if uri.len() > LONGEST_URI {
            return None;
        }
        let uri = encode_foreign(uri);
        let mut found = BTreeMap::new();
        let path = match &self.query {
            None => &*uri,
            Some(query) => {
                let (path, values) = query.split(&uri, self.written_pairs());
                query.read(values, &mut found)?;
                path
            }
        };
        self.match_path(path.as_bytes(), &mut found)?;
        Some(found)
    }

    /// How many `&` the query that is written out before a `{&x}` has.
    fn written_pairs(&self) -> usize {
        let literals = self.path.iter().filter_map(|part| match part {
            Part::Literal(text) => Some(text.as_str()),
            Part::Variable { .. } => None,
        });
        let mut written = literals.skip_while(|text| !text.contains('?'));
        let first = written.next().and_then(|text| text.split_once('?')).map_or("", |(_, query)| query);
        core::iter::once(first).chain(written).map(|text| text.matches('&').count()).sum()
    }

    /// First from the end, which parts can match from where; then from the start, each variable as long as it can be.
    fn match_path(&self, text: &[u8], found: &mut BTreeMap<String, String>) -> Option<()> {
        let width = text.len() + 1;
        let mut fits = vec![false; (self.path.len() + 1) * width];
        *fits.last_mut()? = true;
        for (row, part) in self.path.iter().enumerate().rev() {
            let (here, after) = fits.split_at_mut((row + 1) * width);
            let (here, after) = (&mut here[row * width..], &after[..width]);
            part.reach(text, here, after);
        }
        if !fits[0] {
            return None;
        }
        let mut at = 0;
        for (row, part) in self.path.iter().enumerate() {
            let after = &fits[(row + 1) * width..(row + 2) * width];
            let Part::Variable { name, operator, .. } = part else {
                if let Part::Literal(literal) = part {
                    at += literal.len();
                }
                continue;
            };
            let start = at + part.lead().len();
            let ends = core::iter::successors(Some(start), |end| step(text, *end, operator.allow)).skip(1);
            let end = ends.filter(|end| after[*end]).last()?;
            let value = decode(core::str::from_utf8(&text[start..end]).ok()?)?;
            if !is_safe(&value, operator.allow) {
                return None;
            }
            found.insert(name.clone(), value);
            at = end;
        }
        Some(())
    }
}

impl Part {
    /// What stands before the value.
    fn lead(&self) -> Cow<'_, str> {
        match self {
            Self::Variable { name, place, operator } => {
                let before = if *place == Place::First { operator.first } else { operator.separator };
                match operator.named {
                    Named::Yes => Cow::Owned(alloc::format!("{before}{name}=")),
                    Named::No => Cow::Borrowed(before),
                }
            }
            Self::Literal(text) => Cow::Borrowed(text),
        }
    }

    /// Marks in `here` from where this part leads to a place marked in `after`.
    fn reach(&self, text: &[u8], here: &mut [bool], after: &[bool]) {
        let lead = self.lead();
        let lead = lead.as_bytes();
        let allow = match self {
            Self::Literal(_) => None,
            Self::Variable { operator, .. } => Some(operator.allow),
        };
        // For a variable: whether from this place on at least one of its characters leads on.
        let mut open = vec![false; text.len() + 1];
        if let Some(allow) = allow {
            for at in (0..text.len()).rev() {
                open[at] = step(text, at, allow).is_some_and(|next| after[next] || open[next]);
            }
        }
        let goal = if allow.is_some() { &open } else { after };
        for (at, here) in here.iter_mut().enumerate() {
            *here = text[at..].starts_with(lead) && goal[at + lead.len()];
        }
    }
}

impl Query {
    /// The URI before the values of this query, and the values.
    fn split<'a>(&self, uri: &'a str, written: usize) -> (&'a str, &'a str) {
        let at = if self.first == '?' {
            uri.find('?')
        } else {
            let query = uri.find('?').map_or(uri.len(), |at| at + 1);
            uri[query..].match_indices('&').nth(written).map(|(at, _)| query + at)
        };
        at.map_or((uri, ""), |at| (&uri[..at], &uri[at + 1..]))
    }

    fn read(&self, text: &str, found: &mut BTreeMap<String, String>) -> Option<()> {
        for pair in text.split('&').filter(|_| !text.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = self.names.iter().find(|known| *known == name)?;
            let value = decode(value)?;
            // A value twice could be read as either.
            if !is_safe(&value, Allow::Reserved) || found.insert(name.clone(), value).is_some() {
                return None;
            }
        }
        Some(())
    }
}

const RESERVED: &[u8] = b":/?#[]@!$&'()*+,;=";

/// Where the next character of a value begins, if the one at this place may be in it. What is escaped is taken as a whole: a value
/// that ended inside of a character could not be decoded, while another that fits may be.
fn step(text: &[u8], at: usize, allow: Allow) -> Option<usize> {
    let byte = *text.get(at)?;
    if byte != b'%' {
        return (is_unreserved(byte) || allow == Allow::Reserved && RESERVED.contains(&byte)).then_some(at + 1);
    }
    // As many escapes as the first of them says: the lengths of UTF-8.
    let escapes = match escaped(&text[at..])? {
        0..=0x7F => 1,
        0x80..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0.. => 4,
    };
    let continues = |number: usize| matches!(text.get(at + 3 * number..).and_then(escaped), Some(0x80..=0xBF));
    (1..escapes).all(continues).then_some(at + 3 * escapes)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn is_escape(bytes: &[u8]) -> bool {
    escaped(bytes).is_some()
}

/// The byte that is escaped here.
fn escaped(bytes: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = *bytes else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

fn encode(value: &str, allow: Allow, uri: &mut String) {
    for (at, byte) in value.bytes().enumerate() {
        let as_it_is = match allow {
            Allow::Unreserved => is_unreserved(byte),
            Allow::Reserved => is_unreserved(byte) || RESERVED.contains(&byte) || is_escape(&value.as_bytes()[at..]),
        };
        if as_it_is { uri.push(char::from(byte)) } else { push_escape(byte, uri) }
    }
}

fn push_escape(byte: u8, uri: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    uri.push('%');
    uri.push(char::from(DIGITS[usize::from(byte >> 4)]));
    uri.push(char::from(DIGITS[usize::from(byte & 15)]));
}

/// Literal text as it stands in a URI.
fn literal(text: &str, at: usize) -> Result<String, TemplateError> {
    let illegal = |c: char| c.is_ascii_control() || matches!(c, ' ' | '"' | '\'' | '<' | '>' | '\\' | '^' | '`' | '|');
    if let Some(found) = text.find(illegal) {
        return Err(TemplateError::Character(at + found));
    }
    if let Some((found, _)) = text.match_indices('%').find(|(found, _)| !is_escape(&text.as_bytes()[*found..])) {
        return Err(TemplateError::Character(at + found));
    }
    Ok(encode_foreign(text).into_owned())
}

/// Encodes what is not ASCII: some write it as it is.
fn encode_foreign(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii() { encoded.push(char::from(byte)) } else { push_escape(byte, &mut encoded) }
    }
    Cow::Owned(encoded)
}

/// `None` for what is no percent-encoded UTF-8.
fn decode(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%' {
            decoded.push(escaped(&bytes[at..])?);
            at += 3;
        } else {
            decoded.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(decoded).ok()
}

/// Whether a decoded value can be taken for a name, or for a path below some folder.
fn is_safe(value: &str, allow: Allow) -> bool {
    let is_dots = |segment: &str| matches!(segment, "." | "..");
    let shape = match allow {
        Allow::Unreserved => !value.contains(['/', '\\']) && !is_dots(value),
        Allow::Reserved => !value.split(['/', '\\']).any(is_dots),
    };
    // Whoever decodes once more must not find it either.
    let hidden = value.as_bytes().windows(3).any(|window| {
        let [b'%', high, low] = window else { return false };
        matches!((high, low.to_ascii_lowercase()), (b'0', b'0') | (b'2', b'5' | b'e' | b'f') | (b'5', b'c'))
    });
    shape && !hidden && !value.contains('\0')
}

#[cfg(test)]
mod tests;
