//! The sessions of `tests/golden`: what was recorded of the official SDKs, and what was written by hand.

use std::fs;
use std::path::Path;

use mcp_proto::ProtocolVersion;
use serde_json::Value;

/// One session.
pub(crate) struct Session {
    pub(crate) name: String,
    /// Who was the client, and who the server; `written` if nobody was.
    pub(crate) client: String,
    pub(crate) server: String,
    pub(crate) revision: ProtocolVersion,
    pub(crate) lines: Vec<Line>,
}

/// One line of the wire.
pub(crate) struct Line {
    pub(crate) from: Side,
    pub(crate) text: String,
    /// The same, parsed; `None` if it is no JSON.
    pub(crate) json: Option<Value>,
    /// The rule that it breaks on purpose, in words.
    pub(crate) breaks: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Client,
    Server,
}

impl Session {
    /// All sessions, in the order of their names.
    pub(crate) fn all() -> Vec<Self> {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
        let mut paths: Vec<_> = ["sessions", "written"]
            .iter()
            .flat_map(|folder| fs::read_dir(golden.join(folder)).unwrap())
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let mut lines =
            text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("{path:?}: {line}")));
        let header = lines.next().unwrap();
        let text = |value: &Value, member: &str| {
            value[member].as_str().unwrap_or_else(|| panic!("{path:?}: {member} is no text")).to_string()
        };
        let name = text(&header, "session");
        assert_eq!(path.file_stem().unwrap(), name.as_str(), "a session is called like its file");
        let lines = lines.map(|line| {
            let from = if line["from"] == "client" { Side::Client } else { Side::Server };
            let breaks = line["breaks"].as_str().map(String::from);
            let text = text(&line, "line");
            Line { from, json: serde_json::from_str(&text).ok(), text, breaks }
        });
        Self {
            client: text(&header, "client"),
            server: text(&header, "server"),
            revision: text(&header, "revision").parse().unwrap(),
            lines: lines.collect(),
            name,
        }
    }

    pub(crate) fn is_written(&self) -> bool {
        self.client == "written"
    }

    /// The messages of one side, those of a batch each by itself.
    pub(crate) fn messages(&self, from: Side) -> impl Iterator<Item = &Value> {
        let lines = self.lines.iter().filter(move |line| line.from == from);
        lines.filter_map(|line| line.json.as_ref()).flat_map(|json| match json {
            Value::Array(batch) => batch.as_slice(),
            message => std::slice::from_ref(message),
        })
    }

    /// The first request of one side that has this id.
    pub(crate) fn request(&self, from: Side, id: &Value) -> Option<&Value> {
        let mut messages = self.messages(from);
        messages.find(|message| message.get("method").is_some() && message.get("id") == Some(id))
    }

    /// The method whose result answers this request of one side: its own, but the result of `tasks/result` is that of the
    /// request which has become the task.
    pub(crate) fn result_of<'a>(&'a self, request: &'a Value, from: Side) -> &'a str {
        let method = request["method"].as_str().unwrap_or_default();
        if method != "tasks/result" {
            return method;
        }
        let task = &request["params"]["taskId"];
        let mut answers = self.messages(from.other());
        let made = answers.find(|answer| answer.pointer("/result/task/taskId") == Some(task));
        made.and_then(|made| self.request(from, &made["id"])?["method"].as_str()).unwrap_or(method)
    }
}

impl Side {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}
