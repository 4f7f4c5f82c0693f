//! Matching a URI against a template, without backtracking: for each step of the template, from the first to the last, the
//! set of places where it may end; then back from the end, choosing among them.
//!
//! So the time is that of one pass over the URI for each step, whatever the URI holds.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use super::{Operator, Part, Variables, normal, triplet};

/// The longest URI that is looked at, in bytes.
const LONGEST: usize = 64 * 1024;

/// One step of a template on its way through a URI.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// This text.
    Literal(String),
    /// Values one after the other, each behind its sign.
    Values { operator: Operator, names: Vec<String> },
    /// Pairs of name and value in any order, or nothing.
    Pairs { first: u8, separator: u8, names: Vec<String> },
}

pub(super) fn steps(parts: &[Part]) -> Vec<Step> {
    let mut steps = Vec::new();
    for part in parts {
        match part {
            Part::Literal(literal) => steps.push(Step::Literal(literal.clone())),
            Part::Expression(operator @ Operator::Continuation, names) => match steps.last_mut() {
                // They share one query.
                Some(Step::Pairs { separator: b'&', names: known, .. }) => known.extend(names.iter().cloned()),
                _ => steps.push(pairs(*operator, names)),
            },
            Part::Expression(operator, names) if operator.is_named() => steps.push(pairs(*operator, names)),
            Part::Expression(operator, names) => {
                steps.push(Step::Values { operator: *operator, names: names.clone() });
            }
        }
    }
    steps
}

fn pairs(operator: Operator, names: &[String]) -> Step {
    let separator = operator.separator();
    Step::Pairs { first: operator.first().unwrap_or(separator), separator, names: names.to_vec() }
}

pub(super) fn matches(steps: &[Step], uri: &str) -> Option<Variables> {
    if uri.len() > LONGEST {
        return None;
    }
    let uri = normal(uri);
    let uri = uri.as_bytes();
    // Most URIs are told apart by how they begin, before anything is allocated for them.
    if let Some(Step::Literal(start)) = steps.first()
        && !uri.starts_with(start.as_bytes())
    {
        return None;
    }
    let mut begins = Places::none(uri);
    begins.0[0] = true;
    let mut traces = Vec::with_capacity(steps.len());
    for step in steps {
        let (trace, ends) = follow(step, begins, uri);
        traces.push(trace);
        begins = ends;
    }
    if !begins.0[uri.len()] {
        return None;
    }
    let mut variables = Variables::new();
    let mut end = uri.len();
    for (step, trace) in steps.iter().zip(&traces).rev() {
        end = go_back(step, trace, uri, end, |name, range, rule| {
            let value = decode(&uri[range], rule)?;
            // One that stands twice must say the same twice.
            let known = variables.entry(name.into()).or_insert_with(|| value.clone());
            (*known == value).then_some(())
        })?;
    }
    Some(variables)
}

/// A set of places in the URI.
#[derive(Clone, Debug)]
struct Places(Vec<bool>);

impl Places {
    fn none(uri: &[u8]) -> Self {
        Self(vec![false; uri.len() + 1])
    }

    fn iter(&self) -> impl DoubleEndedIterator<Item = usize> {
        self.0.iter().enumerate().filter_map(|(place, is_in)| is_in.then_some(place))
    }

    fn add(&mut self, other: &Self) {
        for (place, is_in) in self.0.iter_mut().zip(&other.0) {
            *place |= is_in;
        }
    }
}

/// How a step was taken.
struct Trace {
    /// Where it may begin, and then where it may be after each of its values.
    after: Vec<Places>,
    /// For pairs: where those begin that end at a place; the first of several.
    runs: BTreeMap<usize, usize>,
}

/// Takes a step from every place where it may begin; tells how, and where it may end.
fn follow(step: &Step, begins: Places, uri: &[u8]) -> (Trace, Places) {
    let mut runs = BTreeMap::new();
    let mut after = vec![begins];
    let ends = match step {
        Step::Literal(literal) => {
            let mut ends = Places::none(uri);
            for begin in after[0].iter().filter(|begin| uri[*begin..].starts_with(literal.as_bytes())) {
                ends.0[begin + literal.len()] = true;
            }
            ends
        }
        Step::Values { operator, names } => {
            let mut ends = after[0].clone();
            for number in 0..names.len() {
                let next = after_value(*operator, names.len(), number, &after[number], uri);
                if operator.first().is_some() {
                    ends.add(&next);
                } else {
                    ends = next.clone();
                }
                after.push(next);
            }
            ends
        }
        Step::Pairs { first, separator, names } => {
            let mut ends = after[0].clone();
            for begin in after[0].iter() {
                if let Some((end, _)) = run(uri, begin, *first, *separator, names) {
                    runs.entry(end).or_insert(begin);
                    ends.0[end] = true;
                }
            }
            ends
        }
    };
    (Trace { after, runs }, ends)
}

/// Where the value of this number may end, if what is before it ends at `begins`.
fn after_value(operator: Operator, values: usize, number: usize, begins: &Places, uri: &[u8]) -> Places {
    let mut ends = Places::none(uri);
    let sign = sign(operator, number);
    let mut within = false;
    for (place, byte) in uri.iter().enumerate() {
        let starts = match sign {
            None => begins.0[place],
            Some(sign) => place > 0 && begins.0[place - 1] && uri[place - 1] == sign,
        };
        within = (within || starts) && may_hold(operator, values, *byte);
        ends.0[place + 1] = within;
    }
    ends
}

/// What stands before the value of this number.
fn sign(operator: Operator, number: usize) -> Option<u8> {
    if number == 0 { operator.first() } else { Some(operator.separator()) }
}

/// Whether a value may hold this byte as it stands, not encoded.
fn may_hold(operator: Operator, values: usize, byte: u8) -> bool {
    match operator {
        Operator::Reserved | Operator::Fragment => true,
        // With one value there is nothing that a comma could separate.
        Operator::Simple if values > 1 && byte == b',' => false,
        _ => !matches!(byte, b'/' | b'?' | b'#'),
    }
}

/// Names, and where the value of each is.
type Named<'n> = Vec<(&'n str, Range<usize>)>;

/// The pairs that begin at a place, as far as they go: where they end, and where the value of each is.
///
/// Each name stands once, so this looks at no more pairs than there are names.
fn run<'n>(uri: &[u8], begin: usize, first: u8, separator: u8, names: &'n [String]) -> Option<(usize, Named<'n>)> {
    if *uri.get(begin)? != first {
        return None;
    }
    let is_end = |byte: u8| byte == b'#' || byte == b'?' || separator == b';' && byte == b'/';
    let mut pairs = Named::new();
    let mut at = begin + 1;
    loop {
        let rest = uri.get(at..)?;
        let end = at + rest.iter().position(|byte| *byte == separator || is_end(*byte)).unwrap_or(rest.len());
        let sign = at + uri[at..end].iter().position(|byte| *byte == b'=').unwrap_or(end - at);
        let name = names.iter().find(|name| name.as_bytes() == &uri[at..sign])?;
        if pairs.iter().any(|(known, _)| known == name) {
            return None;
        }
        pairs.push((name, (sign + 1).min(end)..end));
        if uri.get(end) != Some(&separator) {
            return Some((end, pairs));
        }
        at = end + 1;
    }
}

/// Goes a step back from where it ends, telling each value on the way; where it begins.
fn go_back(
    step: &Step,
    trace: &Trace,
    uri: &[u8],
    end: usize,
    mut tell: impl FnMut(&str, Range<usize>, Rule) -> Option<()>,
) -> Option<usize> {
    match step {
        Step::Literal(literal) => Some(end - literal.len()),
        Step::Values { operator, names } => {
            // As many as possible, from the first on.
            let mut values = trace.after.iter().rposition(|places| places.0[end])?;
            let mut end = end;
            while let Some(number) = values.checked_sub(1) {
                let sign = sign(*operator, number);
                let before = usize::from(sign.is_some());
                let is_start = |start: &usize| {
                    let begin = start.checked_sub(before);
                    begin
                        .is_some_and(|begin| trace.after[number].0[begin] && sign.is_none_or(|sign| uri[begin] == sign))
                };
                let within = (0..end).rev().take_while(|at| may_hold(*operator, names.len(), uri[*at]));
                // The earliest: what comes before takes as little as possible.
                let start = within.filter(is_start).last()?;
                let rule = if operator.keeps_reserved() { Rule::Path } else { Rule::Segment };
                tell(&names[number], start..end, rule)?;
                end = start - before;
                values = number;
            }
            Some(end)
        }
        Step::Pairs { first, separator, names } => {
            let Some(begin) = trace.runs.get(&end) else { return Some(end) };
            let rule = if *separator == b'&' { Rule::Path } else { Rule::Segment };
            for (name, value) in run(uri, *begin, *first, *separator, names)?.1 {
                tell(name, value, rule)?;
            }
            Some(*begin)
        }
    }
}

/// What a decoded value may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// No slash.
    Segment,
    /// Slashes, but no segment that leads upwards.
    Path,
}

/// Decodes a value once; `None` if it is no text, or not what it may be.
fn decode(encoded: &[u8], rule: Rule) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let [byte, after @ ..] = rest {
        if *byte == b'%' {
            bytes.push(triplet(rest)?);
            rest = &rest[3..];
        } else {
            bytes.push(*byte);
            rest = after;
        }
    }
    let value = String::from_utf8(bytes).ok()?;
    let is_slash = |byte: u8| matches!(byte, b'/' | b'\\');
    let leads_up = value.split(['/', '\\']).any(|segment| segment == "..");
    let has_slash = value.contains('/');
    // What is still encoded would be decoded by somebody careless: it must not become one of these then either. An encoded
    // percent sign could hide anything.
    let hides = (0..value.len()).filter_map(|at| triplet(&value.as_bytes()[at..])).any(|byte| match byte {
        0 | b'.' | b'%' => true,
        byte => is_slash(byte) && rule == Rule::Segment,
    });
    let is_fine = !leads_up && !value.contains('\0') && !hides && (rule == Rule::Path || !has_slash);
    is_fine.then_some(value)
}
