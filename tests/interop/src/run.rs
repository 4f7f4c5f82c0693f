//! Runs cells: starts the client of each, which starts its server, and reads how the steps went.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::process::Command;

use crate::table::{Cell, How, Party, SHUTDOWN};

/// No cell takes longer than this, whatever the peers do.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many run at a time.
const AT_ONCE: usize = 3;

/// Where the peers are.
#[derive(Debug, Clone)]
pub(crate) struct Peers {
    /// The interpreter that has the Python SDK.
    pub(crate) python: String,
    /// The program that `rust/` makes.
    pub(crate) rmcp: String,
}

/// What came of a cell.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Each step that failed, and why.
    pub(crate) failed: Vec<(String, String)>,
    /// How many were to be taken, the shutdown included.
    pub(crate) steps: usize,
    /// What both sides wrote to stderr.
    pub(crate) noise: String,
}

/// Does something with each, a few at a time.
pub(crate) async fn each<T: Copy>(items: Vec<T>, work: impl AsyncFn(T)) {
    let next = AtomicUsize::new(0);
    let worker = async || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(*item).await;
        }
    };
    let [a, b, c]: [_; AT_ONCE] = std::array::from_fn(|_| Box::pin(worker()));
    tokio::join!(a, b, c);
}

/// Runs one cell. With `wrong`, our side answers wrong in that way.
pub(crate) async fn one(peers: &Peers, cell: &Cell, wrong: Option<&str>) -> Outcome {
    let steps = cell.steps();
    let mut outcome = Outcome { failed: Vec::new(), steps: steps.len() + 1, noise: String::new() };
    match run(peers, cell, &steps, wrong).await {
        Ok(finished) => finished.judge(&steps, &mut outcome),
        Err(why) => outcome.failed.push(("start".to_owned(), why)),
    }
    outcome
}

/// What a client that has ended left behind.
struct Finished {
    stdout: String,
    stderr: String,
    /// How it ended, if not with success.
    fault: Option<String>,
    /// How many servers were to be started; all but the last are killed.
    servers: usize,
    /// What `watch` wrote: a line for each server that was started, and one for each that ended by itself.
    record: String,
}

async fn run(peers: &Peers, cell: &Cell, steps: &[&str], wrong: Option<&str>) -> Result<Finished, String> {
    let ours = std::env::current_exe().map_err(|error| error.to_string())?;
    let ours = ours.display().to_string();
    let record = scratch();
    // Nobody's from an earlier run with the same process id.
    let _ = std::fs::remove_file(&record);

    let revision = cell.revision.as_str();
    let mut line = program(peers, cell, cell.client, &ours, "client");
    let how = if cell.how == How::Only { How::Pinned } else { cell.how };
    line.extend(["--revision", revision, "--how", how.name(), "--steps", &steps.join(",")].map(str::to_owned));
    if let (Party::Ours, Some(wrong)) = (cell.client, wrong) {
        line.extend(["--wrong".to_owned(), wrong.to_owned()]);
    }
    line.extend([ours.clone(), "watch".to_owned(), record.display().to_string()]);
    line.extend(program(peers, cell, cell.server, &ours, "server"));
    if cell.how == How::Only {
        line.extend(["--only".to_owned(), revision.to_owned()]);
    }
    if let (Party::Ours, Some(wrong)) = (cell.server, wrong) {
        line.extend(["--wrong".to_owned(), wrong.to_owned()]);
    }

    let child = Command::new(&line[0])
        .args(&line[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{} cannot be started: {error}", line[0]))?;
    let ended = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    let left = std::fs::read_to_string(&record).unwrap_or_default();
    let _ = std::fs::remove_file(&record);
    let output = ended
        .map_err(|_| format!("not done after {} s", PATIENCE.as_secs()))?
        .map_err(|error| format!("{}: {error}", line[0]))?;
    Ok(Finished {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        fault: (!output.status.success()).then(|| format!("the client ended with {}", output.status)),
        servers: cell.servers(),
        record: left,
    })
}

/// How a party is started in a role, up to the options.
fn program(peers: &Peers, cell: &Cell, party: Party, ours: &str, role: &str) -> Vec<String> {
    let script = |folder: &str, name: String| format!("tests/interop/{folder}/{name}");
    match party {
        Party::Ours => [ours, role, "--runtime", cell.runtime.name()].map(str::to_owned).to_vec(),
        Party::Python => vec![peers.python.clone(), script("python", format!("{role}.py"))],
        Party::TypeScript => vec!["node".to_owned(), script("typescript", format!("{role}.mjs"))],
        Party::Sdk => vec!["node".to_owned(), script("typescript", format!("{role}1.mjs"))],
        Party::Rmcp => vec![peers.rmcp.clone(), role.to_owned()],
    }
}

/// A file name for this cell alone.
fn scratch() -> PathBuf {
    static SERIAL: AtomicUsize = AtomicUsize::new(0);
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("mcp-interop-{}-{serial}", std::process::id()))
}

impl Finished {
    fn judge(self, steps: &[&str], outcome: &mut Outcome) {
        let told = |name: &str| {
            let mut lines = self.stdout.lines().filter_map(|line| line.strip_prefix("step ")?.strip_prefix(name));
            (lines.next().map(str::trim), lines.next())
        };
        if !self.stdout.lines().any(|line| line.starts_with("step ")) {
            let why = self.fault.clone().unwrap_or_else(|| "it ended with success".to_owned());
            outcome.failed.push(("all".to_owned(), format!("no step was taken: {why}")));
            outcome.noise = self.stderr;
            return;
        }
        for name in steps {
            let why = match told(&format!("{name} ")) {
                (Some("ok"), None) => continue,
                (Some(_), Some(_)) => "was taken twice".to_owned(),
                (Some(line), None) => line.trim_start_matches("FAILED: ").to_owned(),
                (None, _) => "was not taken".to_owned(),
            };
            outcome.failed.push(((*name).to_owned(), why));
        }
        let count = |word: &str| self.record.lines().filter(|line| line.starts_with(word)).count();
        let (started, ended) = (count("started"), count("ended"));
        if (started, ended, count("ended 0")) != (self.servers, 1, 1) {
            let why = match (started, ended) {
                (0, _) => "no server was started".to_owned(),
                (_, 0) => "the server outlived its input and had to be killed".to_owned(),
                _ => format!("the server: {}", self.record.trim().replace('\n', ", ")),
            };
            outcome.failed.push((SHUTDOWN.to_owned(), why));
        } else if let (Some(fault), true) = (self.fault, outcome.failed.is_empty()) {
            outcome.failed.push((SHUTDOWN.to_owned(), fault));
        }
        outcome.noise = self.stderr;
    }
}
