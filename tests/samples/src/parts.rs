//! What messages are made of, with all that a revision knows or with what it requires.

use mcp_proto::model::{
    Annotations, AudioContent, BlobResourceContents, BooleanSchema, ClientCapabilities, ContentBlock,
    ElicitationCapability, ElicitationTaskRequests, EmbeddedResource, EnumOption, FormSchema, Icon, ImageContent,
    Implementation, LegacyTitledEnumSchema, NumberSchema, PrimitiveSchema, Prompt, PromptArgument, PromptsCapability,
    Resource, ResourceContents, ResourceLink, ResourceTemplate, ResourcesCapability, Role, Root, RootsCapability,
    SamplingCapability, SamplingTaskRequests, ServerCapabilities, StringFormat, StringSchema, Supported,
    TASKS_EXTENSION, TaskMetadata, TaskRequests, TasksCapability, TextContent, TextResourceContents,
    TitledMultiSelectEnumSchema, TitledSingleSelectEnumSchema, Tool, ToolAnnotations, ToolExecution, ToolResultContent,
    ToolUseContent, ToolsCapability, ToolsTaskRequests, Union, UntitledMultiSelectEnumSchema,
    UntitledSingleSelectEnumSchema,
};
use mcp_proto::{Meta, ProtocolVersion};
use serde_json::{Map, Value, json};

pub(crate) use ProtocolVersion::{V2025_03_26 as B, V2025_06_18 as C, V2025_11_25 as D, V2026_07_28 as E};

pub(crate) const URI: &str = "file:///notes/a.txt";
pub(crate) const TIME: &str = "2026-07-28T09:00:00Z";
const DATA: &str = "AAECAw==";

/// The members of an object.
pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        other => panic!("{other} is no object"),
    }
}

/// A revision, and whether optional members are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Maker {
    pub(crate) version: ProtocolVersion,
    pub(crate) full: bool,
}

impl Maker {
    /// An optional member that every revision knows.
    pub(crate) fn always<T>(self, value: impl Into<T>) -> Option<T> {
        self.full.then(|| value.into())
    }

    /// An optional member that is known from this revision on.
    pub(crate) fn since<T>(self, since: ProtocolVersion, value: impl Into<T>) -> Option<T> {
        (self.full && self.version >= since).then(|| value.into())
    }

    /// An optional member that is known in this revision only.
    pub(crate) fn only<T>(self, only: ProtocolVersion, value: impl Into<T>) -> Option<T> {
        (self.full && self.version == only).then(|| value.into())
    }

    fn has(self, union: Union, name: &str) -> bool {
        self.version.has_variant(union, name) == Some(true)
    }

    /// The user's keys of the `_meta` of a message.
    pub(crate) fn meta(self) -> Meta {
        self.always(object(json!({ "com.example/trace": "7", "com.example/nested": { "a": [1, null] } })))
    }

    /// The `_meta` of something within a message (2025-06-18 and later).
    pub(crate) fn inner_meta(self, since: ProtocolVersion) -> Meta {
        self.since(since, object(json!({ "com.example/key": { "a": 1 } })))
    }

    pub(crate) fn implementation(self, name: &str) -> Implementation {
        let mut it = Implementation::new(name, "1.0.0");
        it.title = self.since(C, "A title");
        it.description = self.since(D, "What it is for");
        it.website_url = self.since(D, "https://example.com");
        it.icons = self.since(D, self.icons());
        it
    }

    pub(crate) fn icons(self) -> Vec<Icon> {
        let full = Icon::new("https://example.com/icon.png")
            .with_mime_type("image/png")
            .with_sizes(["48x48".to_owned(), "any".to_owned()])
            .with_theme("dark");
        vec![full, Icon::new("data:image/png;base64,AAECAw==")]
    }

    pub(crate) fn annotations(self) -> Annotations {
        let mut it = Annotations::new().with_audience([Role::User, Role::Assistant]).with_priority(0.5);
        it.last_modified = self.since(C, TIME);
        it
    }

    pub(crate) fn client_capabilities(self) -> ClientCapabilities {
        let supported = Supported::new;
        let mut sampling = SamplingCapability::new();
        sampling.context = self.since(D, supported());
        sampling.tools = self.since(D, supported());
        let mut elicitation = ElicitationCapability::new();
        elicitation.form = self.since(D, supported());
        elicitation.url = self.since(D, supported());
        let mut roots = RootsCapability::new();
        roots.list_changed = if self.version < E { self.always(true) } else { None };
        let requests = TaskRequests::new()
            .with_sampling(SamplingTaskRequests::new().with_create_message(supported()))
            .with_elicitation(ElicitationTaskRequests::new().with_create(supported()));
        let mut it = ClientCapabilities::new();
        it.experimental = self.always(object(json!({ "com.example/thing": { "a": 1 } })));
        it.roots = self.always(roots);
        it.sampling = self.always(sampling);
        it.elicitation = self.since(C, elicitation);
        it.tasks = self
            .only(D, TasksCapability::new().with_list(supported()).with_cancel(supported()).with_requests(requests));
        it.extensions = self.since(E, object(json!({ TASKS_EXTENSION: {}, "com.example/extension": { "a": 1 } })));
        it
    }

    pub(crate) fn server_capabilities(self) -> ServerCapabilities {
        let supported = Supported::new;
        let requests = TaskRequests::new().with_tools(ToolsTaskRequests::new().with_call(supported()));
        let mut it = ServerCapabilities::new();
        it.experimental = self.always(object(json!({ "com.example/thing": { "a": 1 } })));
        it.logging = self.always(supported());
        it.prompts = self.always(PromptsCapability::new().with_list_changed(true));
        it.resources = self.always(ResourcesCapability::new().with_subscribe(true).with_list_changed(true));
        it.tools = self.always(ToolsCapability::new().with_list_changed(true));
        it.completions = self.since(B, supported());
        it.tasks = self
            .only(D, TasksCapability::new().with_list(supported()).with_cancel(supported()).with_requests(requests));
        it.extensions = self.since(E, object(json!({ TASKS_EXTENSION: {} })));
        it
    }

    /// One block of every kind that results of tools and prompts may have.
    pub(crate) fn content(self) -> Vec<ContentBlock> {
        let kinds = [
            ("text", vec![self.text()]),
            ("image", vec![self.image()]),
            ("audio", vec![self.audio()]),
            ("resource", self.contents().into_iter().map(|contents| self.embedded(contents)).collect()),
            ("resource_link", vec![self.link()]),
        ];
        kinds.into_iter().filter(|(kind, _)| self.has(Union::Content, kind)).flat_map(|(_, blocks)| blocks).collect()
    }

    /// One block of every kind that messages of sampling may have.
    pub(crate) fn sampling_content(self) -> Vec<ContentBlock> {
        let kinds = [
            ("text", self.text()),
            ("image", self.image()),
            ("audio", self.audio()),
            ("tool_use", self.tool_use()),
            ("tool_result", self.tool_result()),
        ];
        kinds.into_iter().filter(|(kind, _)| self.has(Union::SamplingContent, kind)).map(|(_, block)| block).collect()
    }

    fn text(self) -> ContentBlock {
        // The second half must be escaped, or is what careless readers cut a line at.
        let mut it = TextContent::new("Grüße \u{1F600}\"\\\n\u{2028}\u{85}\u{0}");
        (it.annotations, it.meta) = (self.always(self.annotations()), self.inner_meta(C));
        it.into()
    }

    fn image(self) -> ContentBlock {
        let mut it = ImageContent::new(DATA, "image/png");
        (it.annotations, it.meta) = (self.always(self.annotations()), self.inner_meta(C));
        it.into()
    }

    fn audio(self) -> ContentBlock {
        let mut it = AudioContent::new(DATA, "audio/wav");
        (it.annotations, it.meta) = (self.always(self.annotations()), self.inner_meta(C));
        it.into()
    }

    fn embedded(self, contents: ResourceContents) -> ContentBlock {
        let mut it = EmbeddedResource::new(contents);
        (it.annotations, it.meta) = (self.always(self.annotations()), self.inner_meta(C));
        it.into()
    }

    fn link(self) -> ContentBlock {
        ResourceLink::from(self.resource()).into()
    }

    fn tool_use(self) -> ContentBlock {
        let mut it = ToolUseContent::new("use-1", "add", object(json!({ "a": 1, "b": null })));
        it.meta = self.inner_meta(C);
        it.into()
    }

    fn tool_result(self) -> ContentBlock {
        let mut it = ToolResultContent::new("use-1").with_content(self.content());
        it.structured_content = self.always(json!({ "sum": 3 }));
        it.is_error = self.always(false);
        it.meta = self.inner_meta(C);
        it.into()
    }

    /// Text and bytes.
    pub(crate) fn contents(self) -> Vec<ResourceContents> {
        let mut text = TextResourceContents::new(URI, "text");
        (text.mime_type, text.meta) = (self.always("text/plain"), self.inner_meta(C));
        let mut blob = BlobResourceContents::new("file:///notes/b.bin", DATA);
        (blob.mime_type, blob.meta) = (self.always("application/octet-stream"), self.inner_meta(C));
        vec![text.into(), blob.into()]
    }

    pub(crate) fn resource(self) -> Resource {
        let mut it = Resource::new(URI, "a");
        it.title = self.since(C, "A title");
        it.description = self.always("What it is");
        it.mime_type = self.always("text/plain");
        it.size = self.always(4);
        it.annotations = self.always(self.annotations());
        it.icons = self.since(D, self.icons());
        it.meta = self.inner_meta(C);
        it
    }

    pub(crate) fn template(self) -> ResourceTemplate {
        let mut it = ResourceTemplate::new("file:///notes/{name}", "note");
        it.title = self.since(C, "A title");
        it.description = self.always("What they are");
        it.mime_type = self.always("text/plain");
        it.annotations = self.always(self.annotations());
        it.icons = self.since(D, self.icons());
        it.meta = self.inner_meta(C);
        it
    }

    pub(crate) fn tool(self) -> Tool {
        let mut schema = json!({ "type": "object", "properties": { "a": { "type": "integer" } }, "required": ["a"] });
        if self.version >= D {
            schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
        }
        let mut it = Tool::new("add", object(if self.full { schema.clone() } else { json!({ "type": "object" }) }));
        let annotations = ToolAnnotations::new()
            .with_title("A title")
            .with_read_only_hint(true)
            .with_destructive_hint(false)
            .with_idempotent_hint(true)
            .with_open_world_hint(false);
        it.title = self.since(C, "A title");
        it.description = self.always("Adds numbers");
        it.output_schema = self.since(C, object(schema));
        it.annotations = self.since(B, annotations);
        it.execution = self.only(D, ToolExecution::new().with_task_support("optional"));
        it.icons = self.since(D, self.icons());
        it.meta = self.inner_meta(C);
        it
    }

    pub(crate) fn prompt(self) -> Prompt {
        let mut argument = PromptArgument::new("language");
        argument.title = self.since(C, "A title");
        argument.description = self.always("What it is");
        argument.required = self.always(true);
        let mut it = Prompt::new("review");
        it.title = self.since(C, "A title");
        it.description = self.always("What it is for");
        it.arguments = self.always([argument, PromptArgument::new("style")]);
        it.icons = self.since(D, self.icons());
        it.meta = self.inner_meta(C);
        it
    }

    pub(crate) fn root(self) -> Root {
        let mut it = Root::new("file:///home/ada/notes");
        (it.name, it.meta) = (self.always("Work"), self.inner_meta(C));
        it
    }

    pub(crate) fn task_wish(self) -> Option<TaskMetadata> {
        self.only(D, TaskMetadata::new().with_ttl(60_000))
    }

    /// A form with a field of every shape that the revision has.
    pub(crate) fn form(self) -> FormSchema {
        let strings = || vec!["a".to_owned(), "b".to_owned()];
        let options = || vec![EnumOption::new("a", "The first"), EnumOption::new("b", "The second")];
        macro_rules! field {
            ($schema:expr, $default:expr) => {{
                let mut it = $schema;
                it.title = self.always("A title");
                it.description = self.always("What it is for");
                it.default = self.since(D, $default);
                it
            }};
        }
        let mut fields: Vec<PrimitiveSchema> = Vec::new();
        for format in [StringFormat::Email, StringFormat::Uri, StringFormat::Date, StringFormat::DateTime] {
            let mut string = field!(StringSchema::new(), "a@example.com");
            (string.min_length, string.max_length) = (self.always(1), self.always(100));
            string.format = self.always(format);
            fields.push(string.into());
        }
        for mut number in [field!(NumberSchema::number(), 2), field!(NumberSchema::integer(), 2)] {
            (number.minimum, number.maximum) = (self.always(1), self.always(3));
            fields.push(number.into());
        }
        let mut boolean = field!(BooleanSchema::new(), true);
        boolean.default = self.always(true);
        fields.push(boolean.into());
        fields.push(field!(UntitledSingleSelectEnumSchema::new(strings()), "a").into());
        fields.push(field!(TitledSingleSelectEnumSchema::new(options()), "a").into());
        fields.push(field!(LegacyTitledEnumSchema::new(strings(), ["A".to_owned(), "B".to_owned()]), "a").into());
        let mut multi = field!(UntitledMultiSelectEnumSchema::of(strings()), strings());
        (multi.min_items, multi.max_items) = (self.always(1), self.always(2));
        fields.push(multi.into());
        let mut multi = field!(TitledMultiSelectEnumSchema::of(options()), strings());
        (multi.min_items, multi.max_items) = (self.always(1), self.always(2));
        fields.push(multi.into());

        let mut form = FormSchema::new();
        form.schema = self.since(D, "https://json-schema.org/draft/2020-12/schema");
        let known = fields.into_iter().filter(|field| field.form().is_some_and(|form| self.has(Union::Form, form)));
        for (number, field) in known.enumerate() {
            form = if self.full && number == 0 {
                form.required_property(format!("field{number}"), field)
            } else {
                form.optional_property(format!("field{number}"), field)
            };
        }
        form
    }
}
