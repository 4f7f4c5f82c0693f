//! Templates of URIs (RFC 6570, levels 1 to 3): read, expanded with values, and matched against URIs to get the values back.
//!
//! Specification: server/resources, resource templates.

mod matching;

use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use self::matching::Step;

/// A template of URIs, such as `github://repos/{owner}/{repo}`.
///
/// All operators of RFC 6570 up to level 3 are known: `{x}`, `{+x}`, `{#x}`, `{.x}`, `{/x}`, `{;x}`, `{?x}` and `{&x}`, each
/// with any number of variables. The modifiers of level 4 (`{x*}`, `{x:3}`) are refused.
///
/// ```
/// use mcp_proto::uri_template::UriTemplate;
///
/// let template: UriTemplate = "github://repos/{owner}/{repo}{?branch}".parse()?;
/// let uri = template.expand(|name| match name {
///     "owner" => Some("rust lang"),
///     "repo" => Some("mdBook"),
///     _ => None,
/// });
/// assert_eq!(uri, "github://repos/rust%20lang/mdBook");
///
/// let values = template.matches("github://repos/rust%20lang/mdBook?branch=main").expect("it is one of these");
/// assert_eq!(values["owner"], "rust lang");
/// assert_eq!(values["branch"], "main");
/// assert_eq!(template.matches("github://repos/rust-lang/..%2Fsecret"), None);
/// # Ok::<(), mcp_proto::uri_template::UriTemplateError>(())
/// ```
#[derive(Clone, Debug)]
pub struct UriTemplate {
    text: String,
    parts: Vec<Part>,
    /// Each once, in the order in which they first stand.
    variables: Vec<String>,
    steps: Vec<Step>,
}

/// The values of a template's variables, decoded, by their names.
pub type Variables = BTreeMap<String, String>;

#[derive(Clone, Debug)]
enum Part {
    /// As it stands in a URI.
    Literal(String),
    Expression(Operator, Vec<String>),
}

/// What the first character of an expression says; the columns of RFC 6570, appendix A.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Simple,
    Reserved,
    Fragment,
    Label,
    Path,
    Parameter,
    Query,
    Continuation,
}

impl Operator {
    fn of(sign: char) -> Option<Self> {
        Some(match sign {
            '+' => Self::Reserved,
            '#' => Self::Fragment,
            '.' => Self::Label,
            '/' => Self::Path,
            ';' => Self::Parameter,
            '?' => Self::Query,
            '&' => Self::Continuation,
            _ => return None,
        })
    }

    /// What stands before the first value.
    fn first(self) -> Option<u8> {
        Some(match self {
            Self::Simple | Self::Reserved => return None,
            Self::Fragment => b'#',
            Self::Label => b'.',
            Self::Path => b'/',
            Self::Parameter => b';',
            Self::Query => b'?',
            Self::Continuation => b'&',
        })
    }

    /// What stands between two values.
    fn separator(self) -> u8 {
        match self {
            Self::Simple | Self::Reserved | Self::Fragment => b',',
            Self::Label => b'.',
            Self::Path => b'/',
            Self::Parameter => b';',
            Self::Query | Self::Continuation => b'&',
        }
    }

    /// Whether each value is written with its name.
    fn is_named(self) -> bool {
        matches!(self, Self::Parameter | Self::Query | Self::Continuation)
    }

    /// Whether reserved characters stay as they are.
    fn keeps_reserved(self) -> bool {
        matches!(self, Self::Reserved | Self::Fragment)
    }
}

impl UriTemplate {
    /// Reads a template. Takes little more than the time to look at it once.
    ///
    /// # Errors
    ///
    /// When it is none, or one of level 4; the error says where and why.
    pub fn parse(template: &str) -> Result<Self, UriTemplateError> {
        let (mut parts, mut variables, mut known) = (Vec::new(), Vec::new(), BTreeSet::new());
        let mut rest = template;
        while !rest.is_empty() {
            let at = template.len() - rest.len();
            if let Some(inner) = rest.strip_prefix('{') {
                let end = inner.find('}').ok_or(UriTemplateError::new(at, Fault::Unclosed))?;
                let (operator, names) = expression(&inner[..end], at + 1)?;
                variables.extend(names.iter().filter(|name| known.insert((*name).clone())).cloned());
                parts.push(Part::Expression(operator, names));
                rest = &inner[end + 1..];
            } else {
                let end = rest.find('{').unwrap_or(rest.len());
                check_literal(&rest[..end], at)?;
                parts.push(Part::Literal(normal(&rest[..end]).into_owned()));
                rest = &rest[end..];
            }
        }
        let steps = matching::steps(&parts);
        Ok(Self { text: template.into(), parts, variables, steps })
    }

    /// The template as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its variables, each once, in the order in which they stand.
    pub fn variables(&self) -> impl ExactSizeIterator<Item = &str> {
        self.variables.iter().map(String::as_str)
    }

    /// The URI with these values, encoded as the template says. A variable without a value is left out.
    #[must_use]
    pub fn expand<'v>(&self, value_of: impl Fn(&str) -> Option<&'v str>) -> String {
        let mut uri = String::with_capacity(self.text.len());
        for part in &self.parts {
            let (operator, names) = match part {
                Part::Literal(literal) => {
                    uri.push_str(literal);
                    continue;
                }
                Part::Expression(operator, names) => (*operator, names),
            };
            let mut before = operator.first();
            for (name, value) in names.iter().filter_map(|name| Some((name, value_of(name)?))) {
                uri.extend(before.map(char::from));
                before = Some(operator.separator());
                if operator.is_named() {
                    uri.push_str(name);
                    // RFC 6570, 3.2.7: only the path-style parameter has no sign when its value is empty.
                    if !value.is_empty() || operator != Operator::Parameter {
                        uri.push('=');
                    }
                }
                encode(value, operator, &mut uri);
            }
        }
        uri
    }

    /// The values with which the template expands to `uri`, or `None` if there are none.
    ///
    /// Takes time linear in the length of `uri`; a URI of more than 64 KiB is none of any template. Of several ways to read
    /// a URI, the one counts in which the first variable takes the least, then the second, and so on.
    ///
    /// - `{x}` and `{+x}` take at least one character. Variables of the other kinds may be missing.
    /// - The pairs of `{?x,y}`, `{&x}` and `{;x}` may stand in any order; one that is not in the template is no match.
    /// - Values come decoded, once. None holds NUL or a segment `..`; only those of `{+x}`, `{#x}`, `{?x}` and `{&x}` may hold
    ///   `/`. None holds these in an encoded form either, so that whoever decodes once more gets nothing worse. A URI that
    ///   asks for such a value is no match.
    #[must_use]
    pub fn matches(&self, uri: &str) -> Option<Variables> {
        matching::matches(&self.steps, uri)
    }
}

impl FromStr for UriTemplate {
    type Err = UriTemplateError;

    fn from_str(template: &str) -> Result<Self, UriTemplateError> {
        Self::parse(template)
    }
}

impl fmt::Display for UriTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for UriTemplate {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for UriTemplate {}

/// Reads what stands between braces.
fn expression(inner: &str, at: usize) -> Result<(Operator, Vec<String>), UriTemplateError> {
    let sign = inner.chars().next().ok_or(UriTemplateError::new(at, Fault::Empty))?;
    let (operator, list, at) = match Operator::of(sign) {
        Some(operator) => (operator, &inner[1..], at + 1),
        None if "=,!@|".contains(sign) => return Err(UriTemplateError::new(at, Fault::Operator(sign))),
        None => (Operator::Simple, inner, at),
    };
    let mut names = Vec::new();
    let mut from = 0;
    for name in list.split(',') {
        if let Some(modifier) = name.find(['*', ':']) {
            return Err(UriTemplateError::new(at + from + modifier, Fault::Modifier));
        }
        if !is_name(name) {
            return Err(UriTemplateError::new(at + from, Fault::Name));
        }
        names.push(name.into());
        from += name.len() + 1;
    }
    Ok((operator, names))
}

/// RFC 6570, 2.3.
fn is_name(name: &str) -> bool {
    name.split('.').all(|label| {
        let encoded = |at: usize| triplet(&label.as_bytes()[at..]).is_some();
        let mut at = 0;
        while let Some(byte) = label.as_bytes().get(at) {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => at += 1,
                b'%' if encoded(at) => at += 3,
                _ => return false,
            }
        }
        at > 0
    })
}

/// RFC 6570, 2.1.
fn check_literal(literal: &str, at: usize) -> Result<(), UriTemplateError> {
    for (offset, char) in literal.char_indices() {
        let fault = match char {
            '}' => Fault::Unopened,
            '%' if triplet(&literal.as_bytes()[offset..]).is_none() => Fault::Character('%'),
            '\0'..=' ' | '"' | '<' | '>' | '\\' | '^' | '`' | '|' | '\x7F' => Fault::Character(char),
            _ => continue,
        };
        return Err(UriTemplateError::new(at + offset, fault));
    }
    Ok(())
}

/// The byte that an encoded triplet at the start of `bytes` stands for.
fn triplet(bytes: &[u8]) -> Option<u8> {
    let &[b'%', high, low, ..] = bytes else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

/// The same text with every character beyond ASCII encoded, and the digits of triplets in upper case.
fn normal(text: &str) -> Cow<'_, str> {
    let is_normal = text.is_ascii() && !text.contains('%');
    if is_normal {
        return Cow::Borrowed(text);
    }
    let mut normal = String::with_capacity(text.len() + 16);
    let mut bytes = text.as_bytes();
    while let [byte, rest @ ..] = bytes {
        if let Some(encoded) = triplet(bytes) {
            push_encoded(encoded, &mut normal);
            bytes = &bytes[3..];
            continue;
        }
        match byte {
            0x80.. => push_encoded(*byte, &mut normal),
            byte => normal.push(char::from(*byte)),
        }
        bytes = rest;
    }
    Cow::Owned(normal)
}

fn encode(value: &str, operator: Operator, uri: &mut String) {
    let mut bytes = value.as_bytes();
    while let [byte, rest @ ..] = bytes {
        let keeps = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => true,
            b':' | b'/' | b'?' | b'#' | b'[' | b']' | b'@' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+'
            | b',' | b';' | b'=' => operator.keeps_reserved(),
            b'%' => operator.keeps_reserved() && triplet(bytes).is_some(),
            _ => false,
        };
        if keeps {
            uri.push(char::from(*byte));
        } else {
            push_encoded(*byte, uri);
        }
        bytes = rest;
    }
}

fn push_encoded(byte: u8, text: &mut String) {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    text.extend(['%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

/// Why a text is no template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UriTemplateError {
    at: usize,
    fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Unclosed,
    Unopened,
    Empty,
    Operator(char),
    Modifier,
    Name,
    Character(char),
}

impl UriTemplateError {
    const fn new(at: usize, fault: Fault) -> Self {
        Self { at, fault }
    }

    /// Where in the text, in bytes from its start.
    #[must_use]
    pub const fn at(&self) -> usize {
        self.at
    }
}

impl fmt::Display for UriTemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fault {
            Fault::Unclosed => f.write_str("a brace is opened and not closed"),
            Fault::Unopened => f.write_str("a brace is closed that was not opened"),
            Fault::Empty => f.write_str("there is no variable between the braces"),
            Fault::Operator(sign) => write!(f, "the operator {sign:?} is reserved"),
            Fault::Modifier => f.write_str("the modifiers `*` and `:` (level 4) are not supported"),
            Fault::Name => f.write_str("a variable's name is made of letters, digits, `_` and dots between them"),
            Fault::Character(char) => write!(f, "the character {char:?} must be percent-encoded"),
        }?;
        write!(f, " (at byte {})", self.at)
    }
}

impl core::error::Error for UriTemplateError {}

#[cfg(test)]
mod tests;
