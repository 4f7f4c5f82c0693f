//! Running programs: what they say is kept, lines of note are shown as they come, a missing program is named.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::report::Failure;

/// No program of ours takes this long; one that does hangs. [`Run::within`] is for those that have less.
const LIMIT: Duration = Duration::from_secs(40 * 60);

const NODE: &str = "install Node.js 20 or later with npm (Debian: nodejs and npm; https://nodejs.org)";

/// What to do about a program that is not there.
const HINTS: [(&str, &str); 6] = [
    ("cargo", "install Rust with rustup (https://rustup.rs)"),
    ("rustc", "install Rust with rustup (https://rustup.rs)"),
    (
        "rustup",
        "install Rust with rustup (https://rustup.rs): other packagings of Rust lack the toolchains and targets",
    ),
    ("node", NODE),
    ("npm", NODE),
    ("python3", "install Python 3.10 or later with its venv module (Debian: python3-venv)"),
];

/// A program, its arguments, and how it is told about.
#[derive(Debug)]
pub(crate) struct Run {
    command: Command,
    line: String,
    program: String,
    stdin: Option<String>,
    note: fn(&str) -> bool,
    limit: Duration,
}

/// What a finished program said, and how it ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Both streams, in the order they came.
    pub(crate) output: String,
    /// Only stdout.
    pub(crate) stdout: String,
    /// Why it did not succeed, if it did not.
    pub(crate) fault: Option<String>,
}

impl Run {
    /// A command line. The words are separated by blanks; what has blanks in it goes through [`Run::arg`].
    pub(crate) fn new(line: &str) -> Self {
        let mut words = line.split_whitespace();
        let program = words.next().unwrap_or_default().to_owned();
        Self::program(&program).args(words)
    }

    pub(crate) fn program(program: &str) -> Self {
        let line = program.to_owned();
        Self {
            command: Command::new(program),
            program: program.into(),
            line,
            stdin: None,
            note: |_| false,
            limit: LIMIT,
        }
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.line = format!("{} {}", self.line, arg.as_ref().display());
        self.command.arg(arg);
        self
    }

    pub(crate) fn args<T: AsRef<OsStr>>(self, args: impl IntoIterator<Item = T>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    pub(crate) fn env(mut self, key: &str, value: &str) -> Self {
        self.line = format!("{key}='{value}' {}", self.line);
        self.command.env(key, value);
        self
    }

    /// What the program reads on its standard input: by default nothing.
    pub(crate) fn stdin(mut self, text: &str) -> Self {
        self.stdin = Some(text.to_owned());
        self
    }

    /// Which lines to show while the program runs.
    pub(crate) fn show(mut self, note: fn(&str) -> bool) -> Self {
        self.note = note;
        self
    }

    /// How long it may take.
    pub(crate) fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it to its end, and gives what it printed on stdout. Anything but success is a failure.
    pub(crate) fn stdout(self) -> Result<String, Failure> {
        let finished = self.finish()?;
        match finished.fault {
            None => Ok(finished.stdout),
            Some(detail) => Err(Failure { detail, output: finished.output }),
        }
    }

    /// Runs it to its end, however that is. Only a program that cannot run at all is a failure.
    pub(crate) fn finish(mut self) -> Result<Finished, Failure> {
        println!("   {}", self.line);
        self.command.stdin(if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        let mut child = self
            .command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| missing(&self.program, &error))?;
        if let (Some(text), Some(mut pipe)) = (self.stdin.take(), child.stdin.take()) {
            // A program that does not read to the end tells why by itself.
            let _ = pipe.write_all(text.as_bytes());
        }
        let (sender, lines) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            forward(stdout, true, sender.clone());
        }
        if let Some(stderr) = child.stderr.take() {
            forward(stderr, false, sender);
        }

        let (mut output, mut stdout) = (String::new(), String::new());
        let deadline = Instant::now() + self.limit;
        let timely = loop {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok((from_stdout, line)) => {
                    if (self.note)(&line) {
                        println!("   {line}");
                    }
                    if from_stdout {
                        stdout = stdout + &line + "\n";
                    }
                    output = output + &line + "\n";
                }
                Err(RecvTimeoutError::Disconnected) => break true,
                Err(RecvTimeoutError::Timeout) => break false,
            }
        };
        if !timely {
            // If this fails, it has ended meanwhile; wait() tells.
            let _ = child.kill();
        }
        let status = child.wait().map_err(|error| format!("{}: {error}", self.line))?;
        let fault = match (timely, status.success()) {
            (false, _) => Some(format!("`{}` was still running after {} s", self.line, self.limit.as_secs())),
            (true, false) => Some(format!("`{}` ended with {status}", self.line)),
            (true, true) => None,
        };
        Ok(Finished { output, stdout, fault })
    }
}

/// Sends a stream on by lines, from a thread of its own.
pub(crate) fn forward(stream: impl Read + Send + 'static, from_stdout: bool, lines: Sender<(bool, String)>) {
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
            if lines.send((from_stdout, line)).is_err() {
                break;
            }
        }
    });
}

/// What to say of a program that does not start.
pub(crate) fn missing(program: &str, error: &io::Error) -> Failure {
    let hint = HINTS.iter().find(|(name, _)| *name == program).map_or("is it installed and on the PATH?", |row| row.1);
    match error.kind() {
        io::ErrorKind::NotFound => format!("there is no `{program}`: {hint}").into(),
        _ => format!("cannot run `{program}`: {error}; {hint}").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named() {
        let failure = Run::new("no-such-program --version").finish().map(|_| ());
        assert!(failure.is_err_and(|failure| failure.detail.contains("there is no `no-such-program`")));
        let hint = missing("rustup", &io::ErrorKind::NotFound.into()).detail;
        assert!(hint.contains("https://rustup.rs"));
    }

    #[test]
    fn output_and_status_are_kept() {
        let good = Run::new("rustc --version").stdout();
        assert!(good.is_ok_and(|stdout| stdout.starts_with("rustc ")));
        let bad = Run::new("rustc --no-such-flag").stdout();
        assert!(bad.is_err_and(|failure| failure.detail.contains("ended with") && !failure.output.is_empty()));
    }
}
