//! What the quickstart prints, for a person to read.

use std::fmt::Display;

use indicatif::{ProgressBar, ProgressStyle};
use mcp::model::{CallToolResult, Progress, Tool};
use mcp::{Client, PeerCapabilities};

pub(crate) fn usage() {
    eprintln!("usage: quickstart [--runtime tokio|async-std|smol] [COMMAND ARGS... [--call NAME JSON]]");
}

pub(crate) fn heading(text: &str) {
    println!("\n{text}");
}

pub(crate) fn line(what: &str, value: impl Display) {
    println!("  {what}: {value}");
}

pub(crate) fn negotiated(client: &Client) {
    let Some(server) = client.server() else { return };
    println!("Connected to {} {}", server.info.name, server.info.version);
    line("revision", client.version());
    if let PeerCapabilities::Server(offered) = &server.capabilities {
        let offers = [
            ("tools", offered.tools.is_some()),
            ("resources", offered.resources.is_some()),
            ("prompts", offered.prompts.is_some()),
            ("logging", offered.logging.is_some()),
            ("completions", offered.completions.is_some()),
        ];
        let names = offers.iter().filter(|(_, offered)| *offered).map(|(name, _)| *name).collect::<Vec<_>>();
        line("offers", if names.is_empty() { "nothing".to_owned() } else { names.join(", ") });
    }
    if let Some(instructions) = &server.instructions {
        line("instructions", instructions);
    }
}

pub(crate) fn tools(tools: &[Tool]) {
    heading(&format!("It has {} tools", tools.len()));
    for tool in tools {
        let description = tool.description.as_deref().unwrap_or("(no description)");
        line(&tool.name, description.lines().next().unwrap_or_default());
    }
}

pub(crate) fn result(result: &CallToolResult) {
    if result.is_error() {
        line("the tool failed", result.joined_text());
        return;
    }
    for block in &result.content {
        match block.as_text() {
            Some(text) => line("text", text),
            None => line("content", format!("of kind {}", block.kind())),
        }
    }
    if let Some(structured) = &result.structured_content {
        line("structured", structured);
    }
}

/// A progress bar where standard error is a terminal, plain lines elsewhere.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new() -> Self {
        // Hidden by itself when standard error is no terminal.
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("  [{bar:40}] {pos}/{len} {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        Self(bar)
    }

    /// What is called with each progress of a call.
    pub(crate) fn follow(&self) -> impl FnMut(Progress) + Send + 'static {
        let bar = self.0.clone();
        move |progress: Progress| {
            if bar.is_hidden() {
                let total = progress.total.map_or_else(String::new, |total| format!(" of {total}"));
                line("progress", format!("{}{total}", progress.progress));
            }
            // A bar counts in whole steps; whatever the server counts in is rounded down.
            bar.set_length(progress.total.unwrap_or(progress.progress).max(0.0) as u64);
            bar.set_position(progress.progress.max(0.0) as u64);
            bar.set_message(progress.message.unwrap_or_default());
        }
    }

    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}
