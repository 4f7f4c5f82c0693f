//! Arguments of tools that are mirrored in headers: what a schema may ask for, what is sent, and what is compared.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::{PARAM_PREFIX, Quoted, decode_value, encode_value, mismatch, single, string};
use crate::jsonrpc::{ErrorObject, Json, members};

/// The keyword that asks for it.
const KEYWORD: &str = "x-mcp-header";

/// Which arguments of a tool are mirrored in headers `Mcp-Param-...`, as `x-mcp-header` in its input schema says.
///
/// Made once for a tool; empty for most.
///
/// Specification: server/tools, x-mcp-header; basic/transports/streamable-http, Custom Headers from Tool Parameters (2026-07-28).
///
/// ```
/// use mcp_proto::http::headers::ParamHeaders;
/// use mcp_proto::{Limits, Message};
/// use serde_json::json;
///
/// let schema = json!({ "type": "object", "properties": {
///     "region": { "type": "string", "x-mcp-header": "Region" },
///     "query": { "type": "string" },
/// }});
/// let mirrored = ParamHeaders::of_schema(&schema)?;
/// let call = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"sql","arguments":{"region":"eu","query":"-"}}}"#;
/// let message = Message::scan(call, &Limits::default());
///
/// // The client says it in a header,
/// let headers: http::HeaderMap = mirrored.encode(message.arguments())?.into_iter().collect();
/// assert_eq!(headers["mcp-param-region"], "eu");
/// // and the server compares.
/// assert_eq!(mirrored.check(&headers, message.arguments()), Ok(()));
/// assert!(mirrored.check(&http::HeaderMap::new(), message.arguments()).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParamHeaders {
    /// Ordered by path, so that those in one object stand together.
    mirrored: Vec<Mirrored>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Mirrored {
    path: Box<[Box<str>]>,
    header: HeaderName,
    kind: ArgumentKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ArgumentKind {
    String,
    Integer,
    Boolean,
}

impl ParamHeaders {
    /// What an input schema asks for.
    ///
    /// # Errors
    ///
    /// The first annotation that breaks a rule. A client leaves such a tool out of the list, and a server does not offer it.
    pub fn of_schema(schema: &Value) -> Result<Self, SchemaFault> {
        let Reading { mut mirrored, fault, .. } = Reading::of(schema);
        if let Some(fault) = fault {
            return Err(fault);
        }
        mirrored.sort_by(|(place, one), (other_place, other)| {
            one.header.as_str().cmp(other.header.as_str()).then_with(|| place.cmp(other_place))
        });
        if let Some(pair) = mirrored.windows(2).find(|pair| pair[0].1.header == pair[1].1.header) {
            return Err(SchemaFault { place: pair[1].0.clone(), broken: Annotation::Repeated });
        }
        let mut mirrored: Vec<Mirrored> = mirrored.into_iter().map(|(_, mirrored)| mirrored).collect();
        mirrored.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(Self { mirrored })
    }

    /// Whether nothing is mirrored.
    pub fn is_empty(&self) -> bool {
        self.mirrored.is_empty()
    }

    /// The headers that may be asked for, with the prefix.
    pub fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.mirrored.iter().map(|mirrored| &mirrored.header)
    }

    /// Whether the headers of a `tools/call` say what its arguments say. Headers that the schema does not ask for are passed over.
    ///
    /// # Errors
    ///
    /// −32020, which goes with status 400: a header that is missing, that stands there twice, that is malformed, that says
    /// something else, or that is there though the argument is absent or null; and an argument that no header can say, or that
    /// stands there twice.
    pub fn check(&self, headers: &HeaderMap, arguments: Option<Json<'_>>) -> Result<(), ErrorObject> {
        let found = self.find(arguments);
        for (mirrored, argument) in self.mirrored.iter().zip(found) {
            mirrored.check(headers, argument)?;
        }
        Ok(())
    }

    /// The headers that a call with these arguments has to have.
    ///
    /// # Errors
    ///
    /// An argument that the schema wants mirrored and that no header can say, or that stands there twice.
    pub fn encode(&self, arguments: Option<Json<'_>>) -> Result<Vec<(HeaderName, HeaderValue)>, Unmirrorable> {
        let mut headers = Vec::new();
        for (mirrored, argument) in self.mirrored.iter().zip(self.find(arguments)) {
            let value = match mirrored.read(argument)? {
                None => continue,
                Some(Argument::Text(text)) => encode_value(&text),
                Some(Argument::Integer(number)) => HeaderValue::from(number),
                Some(Argument::Boolean(text)) => HeaderValue::from_static(text),
            };
            headers.push((mirrored.header.clone(), value));
        }
        Ok(headers)
    }

    /// Where the arguments stand, in the order of `mirrored`. Every object on the way is read once.
    fn find<'a>(&self, arguments: Option<Json<'a>>) -> Vec<Found<'a>> {
        let mut found: Vec<Found<'a>> = self.mirrored.iter().map(|_| Found::Absent).collect();
        if let Some(arguments) = arguments.filter(|_| !self.is_empty()) {
            find(&self.mirrored, &mut found, 0, arguments.as_str());
        }
        found
    }
}

/// Where an argument stands.
#[derive(Clone, Copy)]
enum Found<'a> {
    Absent,
    At(&'a str),
    /// It, or an object around it, stands there twice: who reads the first and who reads the last would see different things.
    Twice,
}

/// An argument that a header can say.
enum Argument<'a> {
    Text(Cow<'a, str>),
    Integer(i64),
    Boolean(&'static str),
}

/// Looks for what is `mirrored` in the object there; all of it has the same path up to `depth`, and goes on. No deeper than paths are.
fn find<'a>(mirrored: &[Mirrored], found: &mut [Found<'a>], depth: usize, text: &'a str) {
    let mut seen: Vec<bool> = mirrored.iter().map(|_| false).collect();
    // What is no object has no members. The text as a whole was scanned before, so nothing else can fail.
    let _ = members(text, |key, value| {
        let start = mirrored.partition_point(|it| &*it.path[depth] < key);
        let end = mirrored.partition_point(|it| &*it.path[depth] <= key);
        if start == end {
            return;
        }
        let (mut mirrored, mut found) = (&mirrored[start..end], &mut found[start..end]);
        if seen[start] {
            found.fill(Found::Twice);
            return;
        }
        seen[start] = true;
        // A path that ends here comes first, and is the only one of its kind.
        if mirrored[0].path.len() == depth + 1 {
            found[0] = Found::At(value);
            (mirrored, found) = (&mirrored[1..], &mut found[1..]);
        }
        if !mirrored.is_empty() && value.starts_with('{') {
            find(mirrored, found, depth + 1, value);
        }
    });
}

impl Mirrored {
    fn check(&self, headers: &HeaderMap, argument: Found<'_>) -> Result<(), ErrorObject> {
        let header = &self.header;
        let place = || format!("params.arguments.{}", dotted(&self.path));
        let said = single(headers, header).and_then(|value| value.map(decode_value).transpose());
        let said = said.map_err(|fault| mismatch(format_args!("{header}: {fault}")))?;
        let argument = self.read(argument).map_err(|fault| mismatch(format_args!("{fault}")))?;
        let (said, argument) = match (said, argument) {
            (None, None) => return Ok(()),
            (None, Some(_)) => {
                return Err(mismatch(format_args!("{header}: the header is missing, though there is {}", place())));
            }
            (Some(_), None) => {
                return Err(mismatch(format_args!("{header}: the header is there, but there is no {}", place())));
            }
            (Some(said), Some(argument)) => (said, argument),
        };
        let same = match &argument {
            Argument::Text(text) => *text == said,
            // As numbers: what is 42 here may be 42.0 there.
            Argument::Integer(number) => integer(&said) == Some(*number),
            Argument::Boolean(text) => *text == said,
        };
        if same {
            return Ok(());
        }
        Err(mismatch(format_args!("{header}: the header says {}, {} says something else", Quoted(&said), place())))
    }

    fn read<'a>(&self, argument: Found<'a>) -> Result<Option<Argument<'a>>, Unmirrorable> {
        let text = match argument {
            Found::Absent | Found::At("null") => return Ok(None),
            Found::At(text) => text,
            Found::Twice => return Err(self.unmirrorable("stands there twice")),
        };
        let (argument, wanted) = match self.kind {
            ArgumentKind::String => (string(text).map(Argument::Text), "has to be a string of Unicode text"),
            ArgumentKind::Integer => {
                (integer(text).map(Argument::Integer), "has to be an integer between -(2^53-1) and 2^53-1")
            }
            ArgumentKind::Boolean => {
                let known = ["true", "false"].into_iter().find(|known| *known == text);
                (known.map(Argument::Boolean), "has to be true or false")
            }
        };
        argument.map(Some).ok_or_else(|| self.unmirrorable(wanted))
    }

    #[cold]
    fn unmirrorable(&self, why: &'static str) -> Unmirrorable {
        Unmirrorable { place: dotted(&self.path), header: self.header.clone(), why }
    }
}

/// An argument that has to be mirrored in a header, and cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmirrorable {
    place: String,
    header: HeaderName,
    why: &'static str,
}

impl fmt::Display for Unmirrorable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, header, why } = self;
        write!(f, "{header}: params.arguments.{place} {why}, since the header mirrors it")
    }
}

impl core::error::Error for Unmirrorable {}

/// The integer that a JSON number is, whatever its spelling; `None` if it is none, or one that JavaScript cannot hold.
pub(super) fn integer(text: &str) -> Option<i64> {
    const LARGEST: i64 = (1 << 53) - 1;
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (mantissa, ""),
    };
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) || (whole.len() > 1 && whole.starts_with('0')) {
        return None;
    }
    let (behind, exponent_digits) = match exponent.as_bytes().first()? {
        b'-' => (true, &exponent[1..]),
        b'+' => (false, &exponent[1..]),
        _ => (false, exponent),
    };
    if exponent_digits.is_empty() || !is_number(exponent_digits) {
        return None;
    }
    let significant = || whole.bytes().chain(fraction.bytes()).skip_while(|digit| *digit == b'0');
    let count = significant().count();
    if count == 0 {
        return Some(0);
    }
    // Past this no number is both an integer and in range, as long as the text is shorter than that.
    let exponent: i64 = exponent_digits.parse().ok().filter(|exponent| *exponent <= i64::from(u32::MAX))?;
    let point = if behind { -exponent } else { exponent } - i64::try_from(fraction.len()).ok()?;
    // The digits in front of the point; those behind it have to be zeros.
    let kept = usize::try_from(i64::try_from(count).ok()? + point).ok()?;
    if kept > 16 || significant().skip(kept).any(|digit| digit != b'0') {
        return None;
    }
    let digits = significant().chain(core::iter::repeat(b'0')).take(kept);
    let number = digits.fold(0_i64, |number, digit| number * 10 + i64::from(digit - b'0'));
    (number <= LARGEST).then_some(if negative { -number } else { number })
}

/// What is wrong with an annotation `x-mcp-header` of an input schema.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaFault {
    /// Where it stands: `inputSchema`, then members and positions, with points between them.
    pub place: String,
    /// The rule that it breaks.
    pub broken: Annotation,
}

/// The rules of annotations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Annotation {
    /// It is no string.
    NotAString,
    /// It is no name that a header may have: one or more letters, digits, and characters of ``!#$%&'*+-.^_`|~``.
    NotAName,
    /// It is longer than a header's name may be.
    TooLong,
    /// Two properties have the same one, up to upper and lower case.
    Repeated,
    /// The property's type is not exactly `string`, `integer` or `boolean`.
    WrongType,
    /// It stands where arguments are not reached by names of properties alone: at the root, in `items`, `anyOf`, `$defs` and so on.
    OutOfReach,
    /// It stands deeper than arguments may be nested.
    TooDeep,
}

impl fmt::Display for SchemaFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let broken = match self.broken {
            Annotation::NotAString => "has to be a string",
            Annotation::NotAName => "is no name that a header may have",
            Annotation::TooLong => "is too long for the name of a header",
            Annotation::Repeated => "stands there twice, up to upper and lower case",
            Annotation::WrongType => "needs the type string, integer or boolean beside it",
            Annotation::OutOfReach => "may only stand in properties of the root, or of properties",
            Annotation::TooDeep => "is nested too deeply",
        };
        write!(f, "{:.200}: {KEYWORD} {broken}", self.place)
    }
}

impl core::error::Error for SchemaFault {}

/// How deep arguments may be nested, with what is around them.
const DEEPEST: usize = 128;

/// Keywords whose values are no schemas but data, in which the annotation's name is a name like any other.
const DATA: [&str; 5] = ["const", "default", "enum", "example", "examples"];

/// Keywords whose members have names of the schema's author, and values that are schemas.
const NAMED_SCHEMAS: [&str; 6] =
    ["$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"];

/// A part of a schema, and how it is reached.
struct Part<'a> {
    value: &'a Value,
    parent: Option<usize>,
    step: Step<'a>,
    what: What,
    /// Whether names of properties alone lead here from the root.
    in_reach: bool,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Member(&'a str),
    Element(usize),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Root,
    Property,
    Schema,
    /// The value of a keyword of [`NAMED_SCHEMAS`].
    NamedSchemas,
}

/// Reads all of a schema, without recursion: one that a peer has sent may be nested deeply.
struct Reading<'a> {
    parts: Vec<Part<'a>>,
    mirrored: Vec<(String, Mirrored)>,
    /// The first by place, whatever the order of the members.
    fault: Option<SchemaFault>,
}

impl<'a> Reading<'a> {
    fn of(schema: &'a Value) -> Self {
        let root = Part { value: schema, parent: None, step: Step::Root, what: What::Root, in_reach: true };
        let mut reading = Self { parts: Vec::from([root]), mirrored: Vec::new(), fault: None };
        let mut at = 0;
        while let Some(part) = reading.parts.get(at) {
            let (value, what, in_reach) = (part.value, part.what, part.in_reach);
            match value {
                Value::Object(members) if what == What::NamedSchemas => {
                    let what = if in_reach { What::Property } else { What::Schema };
                    for (name, value) in members {
                        reading.push(at, Step::Member(name), value, what, in_reach);
                    }
                }
                Value::Object(members) => {
                    if let Some(annotation) = members.get(KEYWORD) {
                        reading.annotation(at, members, annotation);
                    }
                    for (key, value) in members {
                        let what = match &**key {
                            KEYWORD => continue,
                            data if DATA.contains(&data) => continue,
                            named if NAMED_SCHEMAS.contains(&named) => What::NamedSchemas,
                            _ => What::Schema,
                        };
                        reading.push(at, Step::Member(key), value, what, in_reach && key == "properties");
                    }
                }
                Value::Array(elements) => {
                    for (index, value) in elements.iter().enumerate() {
                        reading.push(at, Step::Element(index), value, What::Schema, false);
                    }
                }
                _ => {}
            }
            at += 1;
        }
        reading
    }

    fn push(&mut self, parent: usize, step: Step<'a>, value: &'a Value, what: What, in_reach: bool) {
        if value.is_object() || value.is_array() {
            self.parts.push(Part { value, parent: Some(parent), step, what, in_reach });
        }
    }

    fn annotation(&mut self, at: usize, schema: &Map<String, Value>, annotation: &Value) {
        match self.read(at, schema, annotation) {
            Ok(mirrored) => self.mirrored.push((self.place(at), mirrored)),
            Err(broken) => {
                let fault = SchemaFault { place: self.place(at), broken };
                if self.fault.as_ref().is_none_or(|other| fault.place < other.place) {
                    self.fault = Some(fault);
                }
            }
        }
    }

    fn read(&self, at: usize, schema: &Map<String, Value>, annotation: &Value) -> Result<Mirrored, Annotation> {
        if self.parts[at].what != What::Property {
            return Err(Annotation::OutOfReach);
        }
        let mut path: Vec<Box<str>> = Vec::new();
        for part in self.way(at).filter(|part| part.what == What::Property) {
            if let Step::Member(name) = part.step {
                path.push(name.into());
            }
        }
        if path.len() > DEEPEST {
            return Err(Annotation::TooDeep);
        }
        path.reverse();
        let name = annotation.as_str().ok_or(Annotation::NotAString)?;
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(Annotation::NotAName);
        }
        let header = format!("{PARAM_PREFIX}{name}").parse().map_err(|_| Annotation::TooLong)?;
        let kind = match schema.get("type").and_then(Value::as_str) {
            Some("string") => ArgumentKind::String,
            Some("integer") => ArgumentKind::Integer,
            Some("boolean") => ArgumentKind::Boolean,
            _ => return Err(Annotation::WrongType),
        };
        Ok(Mirrored { path: path.into(), header, kind })
    }

    /// From this part to the root.
    fn way(&self, at: usize) -> impl Iterator<Item = &Part<'a>> {
        core::iter::successors(self.parts.get(at), |part| part.parent.and_then(|parent| self.parts.get(parent)))
    }

    /// For a person.
    fn place(&self, at: usize) -> String {
        let mut steps: Vec<String> = self
            .way(at)
            .map(|part| match part.step {
                Step::Root => "inputSchema".into(),
                Step::Member(name) => name.into(),
                Step::Element(index) => index.to_string(),
            })
            .collect();
        steps.reverse();
        steps.join(".")
    }
}

/// What names of headers are made of (RFC 9110, 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn dotted(path: &[Box<str>]) -> String {
    path.join(".")
}
