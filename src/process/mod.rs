//! Servers as child processes: started without a shell, with a known environment, ended by a ladder, and never left behind.
//!
//! Nothing here needs an async runtime: threads do the waiting, futures only listen to them, and a handle may be dropped anywhere. A child
//! that [`Command::spawn`] started is always waited for, so it never stays a zombie; on Unix it leads a process group of its own, and on Windows
//! it is in a job object of its own, so that what it started in turn (`npx` and `uvx` start the real server as a child) ends with it.
//!
//! It also ends when the runtime shuts down or the thread that holds its client panics: the last handle goes then, and threads that are nobody's
//! do the rest. If this whole process is killed or exits at once, though, nobody is left to do it. Its children then see the end of
//! their input, and a server made with this library ends by itself at that. Of other programs, one that ignores the end of its input lives
//! on: on Linux only `PR_SET_PDEATHSIG` would reach it, which takes unsafe code between fork and exec, and there is none here. On
//! Windows the system ends it with the job.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::sync::Arc;
use std::time::Duration;
use std::{env, fmt, io};

mod child;
#[cfg(unix)]
mod group;
#[cfg(windows)]
mod job;
#[cfg(any(not(unix), test))]
#[cfg_attr(windows, allow(dead_code, reason = "some of it a job does itself"))]
mod portable;
mod stderr;
#[cfg(test)]
#[cfg(unix)]
mod tests;

pub use child::{Child, Exit, How};
#[cfg(unix)]
use group as leader;
#[cfg(windows)]
use job as leader;
#[cfg(not(any(unix, windows)))]
use portable as leader;

/// The variables that a child gets from us unless [`Command::env_remove`] says otherwise; all others only if asked for.
///
/// A server is somebody else's program: the keys and tokens in our environment are not its business. The list is that of the official SDKs.
/// A value that begins with `()` is left out, because some shells would run it.
#[cfg(not(windows))]
pub const INHERITED_ENV: &[&str] = &["HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER"];

/// The variables that a child gets from us unless [`Command::env_remove`] says otherwise; all others only if asked for.
///
/// A server is somebody else's program: the keys and tokens in our environment are not its business. The list is that of the official SDKs.
/// A value that begins with `()` is left out, because some shells would run it.
#[cfg(windows)]
pub const INHERITED_ENV: &[&str] = &[
    "APPDATA",
    "HOMEDRIVE",
    "HOMEPATH",
    "LOCALAPPDATA",
    "PATH",
    "PATHEXT",
    "PROCESSOR_ARCHITECTURE",
    "SYSTEMDRIVE",
    "SYSTEMROOT",
    "TEMP",
    "USERNAME",
    "USERPROFILE",
];

/// How to start a server: a program and its arguments, as they are. No shell ever looks at them.
///
/// ```
/// use mcp::process::Command;
///
/// let command = Command::new("npx").args(["-y", "some-server"]).env("API_KEY", "secret").current_dir("/srv");
/// assert!(!format!("{command:?}").contains("secret"));
///
/// // Wherever a command is asked for, a list will do: first the program, then its arguments.
/// let command = Command::from(["python3", "server.py"]);
/// ```
#[derive(Clone)]
pub struct Command {
    /// Empty if there was none to be had: an error when it is started.
    program: OsString,
    args: Vec<OsString>,
    /// What becomes of a variable; the last word counts.
    env: BTreeMap<OsString, Variable>,
    current_dir: Option<PathBuf>,
    stderr: Stderr,
    shutdown: Shutdown,
}

/// What becomes of one environment variable.
#[derive(Clone)]
enum Variable {
    Set(OsString),
    Inherit,
    Remove,
}

/// Where a child's standard error goes. It is a log for people: nothing in it says whether the child is well.
///
/// ```
/// use std::sync::Arc;
/// use mcp::process::{Command, Stderr};
///
/// let lines = Stderr::Lines(Arc::new(|line| eprintln!("server: {line}")));
/// let command = Command::new("python3").arg("server.py").stderr(lines);
/// # drop(command);
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Stderr {
    /// To our own standard error.
    #[default]
    Inherit,
    /// Nowhere.
    Null,
    /// To a function, line by line, without the line end, from a thread of its own.
    ///
    /// A line over 16 KiB comes in pieces; bytes that are not UTF-8 come as U+FFFD. The child is never held up for long: when the function
    /// is more than 1 MiB behind for a second, lines are dropped, and counted in the `tracing` log. If it panics it is not called again.
    Lines(Arc<dyn Fn(&str) + Send + Sync>),
}

/// How patiently a child is ended, after its standard input was closed.
///
/// The specification leaves the times open. Here they are two seconds each.
///
/// ```
/// use std::time::Duration;
/// use mcp::process::{Command, Shutdown};
///
/// // One that has much to save.
/// let patient = Shutdown { term_after: Duration::from_secs(30), ..Shutdown::default() };
/// let command = Command::from(["python3", "server.py"]).shutdown(patient);
/// # drop(command);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// How long it has to exit by itself before it is asked to: SIGTERM to its process group. On other systems than Unix it is killed then, on
    /// Windows with all that it has started.
    pub term_after: Duration,
    /// How much longer it has before it is killed: SIGKILL to its process group.
    ///
    /// What an exited child leaves behind in its group is asked at once, and has this long as well.
    pub kill_after: Duration,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { term_after: Duration::from_secs(2), kill_after: Duration::from_secs(2) }
    }
}

impl Command {
    /// A command without arguments. A name without a directory is looked for in the `PATH` that the child gets.
    #[must_use]
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: BTreeMap::new(),
            current_dir: None,
            stderr: Stderr::default(),
            shutdown: Shutdown::default(),
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.insert(name.as_ref().to_owned(), Variable::Set(value.as_ref().to_owned()));
        self
    }

    /// Keeps an environment variable from the child, also one of [`INHERITED_ENV`].
    #[must_use]
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.env.insert(name.as_ref().to_owned(), Variable::Remove);
        self
    }

    /// Gives the child an environment variable of ours, with the value that it has when the child is started.
    #[must_use]
    pub fn inherit_env(mut self, name: impl AsRef<OsStr>) -> Self {
        self.env.insert(name.as_ref().to_owned(), Variable::Inherit);
        self
    }

    /// The directory to start in; ours by default.
    #[must_use]
    pub fn current_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.current_dir = Some(dir.as_ref().to_owned());
        self
    }

    /// Where its standard error goes.
    #[must_use]
    pub fn stderr(mut self, stderr: Stderr) -> Self {
        self.stderr = stderr;
        self
    }

    /// How patiently it is ended.
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = shutdown;
        self
    }

    /// Starts it, with pipes to its standard input and from its standard output.
    ///
    /// The pipes are plain blocking ones: adapters make them fit their runtime. On Unix each end has an open file description of its own, so
    /// making ours non-blocking does not touch the child's.
    ///
    /// # Errors
    ///
    /// When it cannot be started. The error names the program and its directory and says what to look at.
    pub fn spawn(&self) -> io::Result<(Child, ChildStdin, ChildStdout)> {
        if self.program.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the command is empty: it needs a program to start",
            ));
        }
        // The threads come first. If one cannot be had, nothing was started that nobody would look after.
        let keeper = child::Keeper::start().map_err(|error| self.explain(&error))?;
        let lines = match &self.stderr {
            Stderr::Lines(on_line) => Some(stderr::Reader::start(on_line).map_err(|error| self.explain(&error))?),
            _ => None,
        };
        let mut child = self.prepare().spawn().map_err(|error| self.explain(&error))?;
        let pipes = (child.stdin.take(), child.stdout.take());
        if let (Some(lines), Some(stderr)) = (lines, child.stderr.take()) {
            lines.read(stderr);
        }
        let child = keeper.keep(child, self.shutdown);
        tracing::debug!(pid = child.id(), program = %self.program.display(), "started a child process");
        match pipes {
            (Some(stdin), Some(stdout)) => Ok((child, stdin, stdout)),
            _ => Err(io::Error::other("the child has no pipes")),
        }
    }

    fn from_words<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> Self {
        let mut words = words.into_iter();
        match words.next() {
            Some(program) => Self::new(program).args(words),
            None => Self::new(""),
        }
    }

    fn prepare(&self) -> std::process::Command {
        let mut command = std::process::Command::new(self.resolved());
        command.args(&self.args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(match self.stderr {
            Stderr::Inherit => Stdio::inherit(),
            Stderr::Null => Stdio::null(),
            Stderr::Lines(_) => Stdio::piped(),
        });
        if let Some(dir) = &self.current_dir {
            command.current_dir(dir);
        }
        command.env_clear();
        for name in INHERITED_ENV {
            if let Some(value) = env::var_os(name).filter(|value| !value.as_encoded_bytes().starts_with(b"()")) {
                command.env(name, value);
            }
        }
        for (name, variable) in &self.env {
            match variable {
                Variable::Set(value) => command.env(name, value),
                Variable::Inherit => match env::var_os(name) {
                    Some(value) => command.env(name, value),
                    None => command.env_remove(name),
                },
                Variable::Remove => command.env_remove(name),
            };
        }
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command
    }

    #[cfg(not(windows))]
    fn resolved(&self) -> OsString {
        self.program.clone()
    }

    /// Windows itself only finds `name.exe`, but `npx` and its like are `name.cmd`: look as its shell would.
    #[cfg(windows)]
    fn resolved(&self) -> OsString {
        let path = match self.env.get(OsStr::new("PATH")) {
            Some(Variable::Set(path)) => Some(path.clone()),
            Some(Variable::Remove) => None,
            _ => env::var_os("PATH"),
        };
        let extensions = env::var("PATHEXT").unwrap_or_else(|_| ".COM;.EXE;.BAT;.CMD".into());
        find_script(&self.program, path.as_deref(), &extensions, |path| path.is_file())
            .unwrap_or_else(|| self.program.clone())
    }

    fn explain(&self, error: &io::Error) -> io::Error {
        let mut text = format!("cannot start `{}`", self.program.display());
        let dir = self.current_dir.as_deref();
        if let Some(dir) = dir {
            text += &format!(" in `{}`", dir.display());
        }
        text += &format!(": {error}");
        let has_dir = Path::new(&self.program).components().count() > 1;
        text += match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory if dir.is_some_and(|dir| !dir.is_dir()) => {
                "; that directory does not exist"
            }
            io::ErrorKind::NotFound if has_dir => {
                "; check the path, and that the interpreter its first line names is installed"
            }
            io::ErrorKind::NotFound if self.program.as_encoded_bytes().contains(&b' ') => {
                "; no shell splits a command: give the program and each argument by itself"
            }
            io::ErrorKind::NotFound => "; is it installed, and in a directory of PATH? A full path works too",
            io::ErrorKind::PermissionDenied => "; is it an executable file, and may this user run it?",
            _ => "",
        };
        io::Error::new(error.kind(), text)
    }
}

/// Arguments and names of variables are shown, their values are not: they hold keys.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("program", &self.program)
            .field("args", &self.args)
            .field("env", &self.env)
            .field("current_dir", &self.current_dir)
            .field("stderr", &self.stderr)
            .field("shutdown", &self.shutdown)
            .finish()
    }
}

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Set(_) => "set",
            Self::Inherit => "inherited",
            Self::Remove => "removed",
        })
    }
}

impl fmt::Debug for Stderr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inherit => "Inherit",
            Self::Null => "Null",
            Self::Lines(_) => "Lines(..)",
        })
    }
}

impl<S: AsRef<OsStr>, const N: usize> From<[S; N]> for Command {
    fn from(words: [S; N]) -> Self {
        Self::from_words(words)
    }
}

impl<S: AsRef<OsStr>> From<&[S]> for Command {
    fn from(words: &[S]) -> Self {
        Self::from_words(words)
    }
}

impl<S: AsRef<OsStr>> From<Vec<S>> for Command {
    fn from(words: Vec<S>) -> Self {
        Self::from_words(words)
    }
}

/// A program without arguments: the text is not split.
impl From<&str> for Command {
    fn from(program: &str) -> Self {
        Self::new(program)
    }
}

/// Where `program` is as a script, if that is all that there is of it.
#[cfg(any(windows, test))]
fn find_script(
    program: &OsStr,
    path: Option<&OsStr>,
    extensions: &str,
    is_file: impl Fn(&Path) -> bool,
) -> Option<OsString> {
    let name = Path::new(program);
    if name.extension().is_some() {
        return None;
    }
    let dirs = match name.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => vec![PathBuf::new()],
        _ => env::split_paths(path?).collect(),
    };
    for dir in dirs {
        for extension in extensions.split(';').filter(|extension| !extension.is_empty()) {
            let mut candidate = dir.join(name).into_os_string();
            candidate.push(extension.to_ascii_lowercase());
            if is_file(Path::new(&candidate)) {
                return Some(candidate);
            }
        }
    }
    None
}
