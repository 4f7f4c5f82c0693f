//! What a tool, a prompt and a resource can all say of themselves to people.

/// The setters that everything with a `definition` has.
macro_rules! described {
    ($name:ident) => {
        /// What is said of it to people.
        impl $name {
            /// A name for people.
            #[must_use]
            pub fn title(mut self, title: impl Into<String>) -> Self {
                self.definition.title = Some(title.into());
                self
            }

            /// Images that stand for it.
            #[must_use]
            pub fn icons(mut self, icons: impl IntoIterator<Item = mcp_proto::model::Icon>) -> Self {
                self.definition.icons = Some(icons.into_iter().collect());
                self
            }

            /// Metadata of it.
            #[must_use]
            pub fn meta(mut self, meta: serde_json::Map<String, serde_json::Value>) -> Self {
                self.definition.meta = Some(meta);
                self
            }
        }
    };
}

pub(super) use described;
