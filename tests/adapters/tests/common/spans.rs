//! A subscriber that writes down every span and event of this crate, and a propagator over its spans.
#![allow(dead_code, reason = "every test binary uses its part")]

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::ThreadId;

use mcp::trace::{Propagator, TraceContext};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Span, Subscriber};
use tracing_core::span::Current;

use super::until;

/// What is written down. Clones are one.
#[derive(Clone)]
pub(crate) struct Spans {
    book: Arc<Mutex<Book>>,
    most: Level,
}

#[derive(Default)]
struct Book {
    spans: BTreeMap<u64, Seen>,
    events: Vec<Logged>,
    entered: HashMap<ThreadId, Vec<u64>>,
}

/// One span.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) id: u64,
    pub(crate) name: &'static str,
    pub(crate) level: Option<Level>,
    pub(crate) parent: Option<u64>,
    /// The parent that a propagator has told.
    pub(crate) remote: Option<u64>,
    pub(crate) links: Vec<u64>,
    pub(crate) fields: BTreeMap<&'static str, String>,
    metadata: Option<&'static Metadata<'static>>,
    handles: usize,
}

/// One event.
#[derive(Clone, Debug)]
pub(crate) struct Logged {
    pub(crate) level: Level,
    pub(crate) target: &'static str,
    /// The span in which it happened.
    pub(crate) span: Option<u64>,
    pub(crate) fields: BTreeMap<&'static str, String>,
}

impl Seen {
    /// A field, empty if it was not recorded.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map(String::as_str).unwrap_or_default()
    }

    /// What it is called by who shows traces.
    pub(crate) fn title(&self) -> &str {
        if self.fields.contains_key("otel.name") { self.field("otel.name") } else { self.name }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.handles == 0
    }
}

impl Spans {
    /// Sees what happens on this thread, up to this level, as long as the guard lives.
    pub(crate) fn of_this_thread(most: Level) -> (Self, tracing::subscriber::DefaultGuard) {
        let spans = Self { book: Arc::default(), most };
        let guard = tracing::subscriber::set_default(spans.clone());
        (spans, guard)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("no panic")
    }

    /// All spans in the order in which they began.
    pub(crate) fn all(&self) -> Vec<Seen> {
        self.book().spans.values().cloned().collect()
    }

    /// The spans of this name and title.
    pub(crate) fn named(&self, name: &str, title: &str) -> Vec<Seen> {
        self.all().into_iter().filter(|span| span.name == name && span.title() == title).collect()
    }

    /// The one span of this name and title, once it is closed.
    #[track_caller]
    pub(crate) fn one(&self, name: &'static str, title: &'static str) -> impl Future<Output = Seen> {
        let (spans, within) = (self.clone(), self.clone());
        let closed = until(move || matches!(&spans.named(name, title)[..], [span, ..] if span.is_closed()));
        async move {
            closed.await;
            let [span] = &within.named(name, title)[..] else { panic!("one {name} {title}: {:#?}", within.all()) };
            span.clone()
        }
    }

    /// All events.
    pub(crate) fn events(&self) -> Vec<Logged> {
        self.book().events.clone()
    }

    /// The events with this message.
    pub(crate) fn said(&self, message: &str) -> Vec<Logged> {
        let says = |event: &Logged| event.fields.get("message").is_some_and(|said| said == message);
        self.events().into_iter().filter(says).collect()
    }
}

struct Fields<'a>(&'a mut BTreeMap<&'static str, String>);

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl Book {
    fn current(&self) -> Option<u64> {
        self.entered.get(&std::thread::current().id()).and_then(|stack| stack.last().copied())
    }

    fn span(&mut self, id: &Id) -> &mut Seen {
        self.spans.get_mut(&id.into_u64()).expect("a span that is known")
    }

    fn parent(&self, explicit: Option<&Id>, is_contextual: bool) -> Option<u64> {
        explicit.map(Id::into_u64).or_else(|| self.current().filter(|_| is_contextual))
    }
}

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        *metadata.level() <= self.most && (target.starts_with("mcp") || target.starts_with("trace"))
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut book = self.book();
        let id = book.spans.len() as u64 + 1;
        let parent = book.parent(attributes.parent(), attributes.is_contextual());
        let metadata = attributes.metadata();
        let (name, level) = (metadata.name(), Some(*metadata.level()));
        let mut seen = Seen { id, name, level, parent, metadata: Some(metadata), handles: 1, ..Seen::default() };
        attributes.record(&mut Fields(&mut seen.fields));
        book.spans.insert(id, seen);
        Id::from_u64(id)
    }

    fn record(&self, id: &Id, record: &Record<'_>) {
        record.record(&mut Fields(&mut self.book().span(id).fields));
    }

    fn record_follows_from(&self, id: &Id, follows: &Id) {
        self.book().span(id).links.push(follows.into_u64());
    }

    fn event(&self, event: &Event<'_>) {
        let mut book = self.book();
        let span = book.parent(event.parent(), event.is_contextual());
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        let mut fields = BTreeMap::new();
        event.record(&mut Fields(&mut fields));
        book.events.push(Logged { level, target, span, fields });
    }

    fn enter(&self, id: &Id) {
        self.book().entered.entry(std::thread::current().id()).or_default().push(id.into_u64());
    }

    fn exit(&self, id: &Id) {
        let mut book = self.book();
        let left = book.entered.get_mut(&std::thread::current().id()).and_then(Vec::pop);
        assert_eq!(left, Some(id.into_u64()), "what was entered last is left first");
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.book().span(id).handles += 1;
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let mut book = self.book();
        let span = book.span(&id);
        assert!(span.handles > 0, "closed once too often: {span:?}");
        span.handles -= 1;
        span.handles == 0
    }

    fn current_span(&self) -> Current {
        let mut book = self.book();
        match book.current() {
            Some(id) => {
                let id = Id::from_u64(id);
                let metadata = book.span(&id).metadata.expect("each has some");
                Current::new(id, metadata)
            }
            None => Current::none(),
        }
    }
}

/// Tells the wire the numbers of the spans, and the spans which they came from.
impl Propagator for Spans {
    fn inject(&self, span: &Span) -> TraceContext {
        let parent = span.id().map(|id| ("traceparent", format!("00-{TRACE}-{:016x}-01", id.into_u64())));
        parent.into_iter().collect()
    }

    fn extract(&self, span: &Span, context: &TraceContext) {
        let parent = context.parent_id().and_then(|parent| u64::from_str_radix(parent, 16).ok());
        if let Some(id) = span.id() {
            self.book().span(&id).remote = parent;
        }
    }
}

/// The one trace of a test.
pub(crate) const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
