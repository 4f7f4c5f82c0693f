//! What the tools of a server want mirrored in headers, as far as it was seen in lists of tools.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::Value;

use crate::connection::Limits;
use crate::http::headers::{ParamHeaders, SchemaFault};
use crate::jsonrpc::{Message, elements, members};

/// See the module. Tools that mirror nothing need no place.
#[derive(Clone, Debug)]
pub(super) struct Tools {
    known: BTreeMap<String, ParamHeaders>,
    limit: usize,
}

/// A tool that breaks a rule, and is left out of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidTool {
    /// Its name.
    pub name: String,
    /// The rule that its schema breaks.
    pub fault: SchemaFault,
}

/// What was read in a list of tools.
pub(super) struct Listed {
    /// The list without the tools that break a rule, if there are any.
    pub(super) mended: Option<Message>,
    pub(super) invalid: Vec<InvalidTool>,
    /// Where the list goes on, as it stands in the text.
    pub(super) next: Option<String>,
}

impl Tools {
    pub(super) const fn new(limit: usize) -> Self {
        Self { known: BTreeMap::new(), limit }
    }

    pub(super) fn get(&self, name: &str) -> Option<&ParamHeaders> {
        self.known.get(name)
    }

    /// Takes a page of a list in (specification 2026-07-28: server/tools, x-mcp-header: tools that break its rules are left out).
    pub(super) fn learn(&mut self, list: &Message, limits: &Limits) -> Listed {
        let mut listed = Listed { mended: None, invalid: Vec::new(), next: None };
        let Some(result) = list.result() else { return listed };
        let (mut tools, mut next) = (None, None);
        // What is no list is for whoever decodes it to refuse.
        let _ = members(result.as_str(), |key, value| match key {
            "tools" => tools = Some(value),
            "nextCursor" if value.starts_with('"') => next = Some(value.to_owned()),
            _ => {}
        });
        listed.next = next;
        let Some(tools) = tools else { return listed };
        let mut valid = Vec::new();
        for tool in elements(tools) {
            match self.learn_tool(tool) {
                Ok(()) => valid.push(tool),
                Err(invalid) => listed.invalid.push(invalid),
            }
        }
        if !listed.invalid.is_empty() {
            // The texts of members are parts of the whole text, so their places in it are known.
            let start = tools.as_ptr() as usize - list.text().as_ptr() as usize;
            let (before, after) = (&list.text()[..start], &list.text()[start + tools.len()..]);
            let mended = alloc::format!("{before}[{}]{after}", valid.join(","));
            listed.mended = Some(Message::scan(mended.as_bytes(), limits));
        }
        listed
    }

    fn learn_tool(&mut self, tool: &str) -> Result<(), InvalidTool> {
        let (mut name, mut schema) = (None, None);
        let _ = members(tool, |key, value| match key {
            "name" => name = serde_json::from_str::<String>(value).ok(),
            "inputSchema" => schema = Some(value),
            _ => {}
        });
        let (Some(name), Some(schema)) = (name, schema) else { return Ok(()) };
        // Most schemas mirror nothing, and are not worth a tree.
        let mirrored = if may_mirror(schema) {
            let schema = serde_json::from_str::<Value>(schema).unwrap_or_default();
            ParamHeaders::of_schema(&schema)
        } else {
            Ok(ParamHeaders::default())
        };
        match mirrored {
            Ok(mirrored) if mirrored.is_empty() => {
                self.known.remove(&name);
                Ok(())
            }
            Ok(mirrored) => {
                if self.known.len() < self.limit || self.known.contains_key(&name) {
                    self.known.insert(name, mirrored);
                }
                Ok(())
            }
            Err(fault) => {
                self.known.remove(&name);
                Err(InvalidTool { name: name.chars().take(100).collect(), fault })
            }
        }
    }
}

/// Whether the keyword may be in it, in whatever spelling.
fn may_mirror(schema: &str) -> bool {
    schema.contains("x-mcp-header") || schema.contains("\\u")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::string::ToString;

    fn list(tools: &Value) -> Message {
        let text = json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools, "nextCursor": "a\"b", "ttlMs": 0}});
        Message::scan(text.to_string().as_bytes(), &Limits::default())
    }

    fn tool(name: &str, kind: &str) -> Value {
        json!({"name": name, "inputSchema": {"type": "object", "properties": {"p": {"type": kind, "x-mcp-header": "P"}}}})
    }

    #[test]
    fn tools_with_invalid_annotations_are_left_out_and_the_rest_stays_as_it_is() {
        let mut tools = Tools::new(10);
        let plain = json!({"name": "plain", "inputSchema": {"type": "object"}, "title": "[,]"});
        let listed =
            tools.learn(&list(&json!([tool("bad", "number"), plain, tool("good", "string")])), &<_>::default());
        assert_eq!(listed.invalid.iter().map(|it| &*it.name).collect::<Vec<_>>(), ["bad"]);
        assert_eq!(listed.next.as_deref(), Some(r#""a\"b""#));
        let mended: Value = serde_json::from_str(listed.mended.unwrap().text()).unwrap();
        assert_eq!(mended["result"]["tools"], json!([plain, tool("good", "string")]));
        assert_eq!((&mended["id"], &mended["result"]["ttlMs"]), (&json!(1), &json!(0)));
        assert!(tools.get("good").is_some() && tools.get("plain").is_none() && tools.get("bad").is_none());

        let listed = tools.learn(&list(&json!([json!({"name": "good", "inputSchema": {}})])), &<_>::default());
        assert!(listed.mended.is_none() && tools.get("good").is_none(), "what a tool wants may change");
    }

    #[test]
    fn no_more_is_kept_than_the_limit() {
        let mut tools = Tools::new(2);
        let many: Vec<Value> = (0..5).map(|it| tool(&it.to_string(), "string")).collect();
        tools.learn(&list(&json!(many)), &<_>::default());
        assert_eq!(tools.known.keys().collect::<Vec<_>>(), ["0", "1"]);
    }

    #[test]
    fn what_is_no_list_of_tools_is_left_alone() {
        let mut tools = Tools::new(2);
        for odd in [json!(7), json!({}), json!([7, null, "x", [], {}, {"name": 7, "inputSchema": 7}])] {
            let listed = tools.learn(&list(&odd), &<_>::default());
            assert!(listed.mended.is_none() && listed.invalid.is_empty(), "{odd}");
        }
    }
}
