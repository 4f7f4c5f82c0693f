//! The places that a client lets a server work in; mirrors the specification's Roots page.

use alloc::string::String;
use alloc::vec::Vec;

use serde_json::{Map, Value};

use super::wire::wire_struct;

wire_struct! {
    /// A place that the server may work in.
    pub struct Root {
        /// The place; a `file` URI.
        required uri: String = "uri",
        /// The name for people.
        optional(with_name) name: String = "name",
        /// Metadata of this root.
        optional(with_meta) meta: Map<String, Value> = "_meta",
    }
}

wire_struct! {
    /// The result of `roots/list`.
    #[derive(Default)]
    pub struct ListRootsResult {
        /// The roots.
        defaulted(with_roots) roots: Vec<Root> = "roots",
    }
}
