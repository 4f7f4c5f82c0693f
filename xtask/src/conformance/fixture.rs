//! The server before the suite: a process of its own on one runtime.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use crate::command;
use crate::report::Failure;

/// How long it may take until it listens.
const START: Duration = Duration::from_secs(20);

/// The server, until this is dropped.
pub(super) struct Fixture {
    child: Child,
    url: String,
    runtime: String,
    /// What it has said since it listens.
    said: Receiver<(bool, String)>,
}

impl Fixture {
    /// Starts it, and waits until it tells where it listens.
    pub(super) fn start(program: &Path, runtime: &str) -> Result<Self, Failure> {
        println!("   {} --runtime {runtime} --http 127.0.0.1:0", program.display());
        let mut child = Command::new(program)
            .args(["--runtime", runtime, "--http", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| command::missing(&program.display().to_string(), &error))?;
        let (sender, said) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            command::forward(stdout, true, sender.clone());
        }
        if let Some(stderr) = child.stderr.take() {
            command::forward(stderr, false, sender);
        }
        let mut fixture = Self { child, url: String::new(), runtime: runtime.to_owned(), said };
        let (deadline, mut output) = (Instant::now() + START, String::new());
        while fixture.url.is_empty() {
            match fixture.said.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok((_, line)) => {
                    fixture.url = url(&line).unwrap_or_default();
                    output = output + &line + "\n";
                }
                Err(_) => {
                    return Err(Failure { detail: format!("everything_server on {runtime} does not listen"), output });
                }
            }
        }
        Ok(fixture)
    }

    /// Where it listens.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// What is wrong with it, if anything: it must outlive all that the suite does to it.
    pub(super) fn complaint(&mut self) -> Option<String> {
        let ended = match self.child.try_wait() {
            Ok(None) => return None,
            Ok(Some(status)) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let said = self.said.try_iter().map(|(_, line)| line).collect::<Vec<_>>().join("\n");
        Some(format!("everything_server on {} is gone ({ended}):\n{said}", self.runtime))
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        // It has ended by itself, or ends now; either way nobody is left to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The endpoint that a line such as `listening on http://127.0.0.1:4000/mcp` tells of.
fn url(line: &str) -> Option<String> {
    line.trim().strip_prefix("listening on ").filter(|url| url.starts_with("http://")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_it_listens() {
        assert_eq!(url("listening on http://[::1]:80/mcp\r").as_deref(), Some("http://[::1]:80/mcp"));
        assert_eq!(url("listening on 127.0.0.1:80"), None);
        assert_eq!(url("warning: something"), None);
    }

    #[test]
    fn a_server_that_is_not_there_is_named() {
        let failure = Fixture::start(Path::new("no-such-server"), "tokio").map(|_| ());
        assert!(failure.is_err_and(|failure| failure.detail.contains("no-such-server")));
    }
}
