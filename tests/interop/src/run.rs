//! Runs cells: starts the client of each, which starts its server, and reads how the steps went. Over HTTP it starts the server
//! too, with a relay between the two.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::http::{self, Exchange, Relay};
use crate::prove;
use crate::table::{Cell, How, Party, SHUTDOWN, Transport};

/// No cell takes longer than this, whatever the peers do.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a server over HTTP may take to tell where it listens, and to end.
const START: Duration = Duration::from_secs(30);
const END: Duration = Duration::from_secs(10);

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
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Each step that failed, and why.
    pub(crate) failed: Vec<(String, String)>,
    /// How many were to be taken, the shutdown included.
    pub(crate) steps: usize,
    /// What both sides wrote to stderr.
    pub(crate) noise: String,
    /// What they said to each other over HTTP, an exchange each.
    pub(crate) said: Vec<String>,
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
    let mut outcome = Outcome { failed: Vec::new(), steps: cell.length(), ..Outcome::default() };
    let finished = match cell.transport {
        Transport::Stdio => over_stdio(peers, cell, wrong).await,
        Transport::Http | Transport::Sse => over_http(peers, cell, wrong).await,
    };
    match finished {
        Ok(finished) => finished.judge(cell, &mut outcome),
        Err(why) => outcome.failed.push(("start".to_owned(), why)),
    }
    outcome
}

/// What a cell that has ended left behind.
struct Finished {
    stdout: String,
    stderr: String,
    /// How the client ended, if not with success.
    fault: Option<String>,
    /// How the server ended, if not as it should.
    shutdown: Result<(), String>,
    /// What the two said, over HTTP.
    said: Vec<Exchange>,
}

async fn over_stdio(peers: &Peers, cell: &Cell, wrong: Option<&str>) -> Result<Finished, String> {
    let record = scratch();
    // Nobody's from an earlier run with the same process id.
    let _ = std::fs::remove_file(&record);
    let mut line = client(peers, cell, wrong)?;
    line.extend([ours()?, "watch".to_owned(), record.display().to_string()]);
    line.extend(server(peers, cell, wrong)?);
    let ended = timeout(PATIENCE, start(&line, Stdio::null())?.wait_with_output()).await;
    let left = std::fs::read_to_string(&record).unwrap_or_default();
    let _ = std::fs::remove_file(&record);
    let mut finished = Finished::of(&line[0], ended)?;
    finished.shutdown = shutdown(&left, cell.servers());
    Ok(finished)
}

/// What is wrong with how the servers ended that the client started: all but the last are killed. The record has a line for each
/// that was started, and one for each that ended by itself.
fn shutdown(record: &str, servers: usize) -> Result<(), String> {
    let count = |word: &str| record.lines().filter(|line| line.starts_with(word)).count();
    let (started, ended) = (count("started"), count("ended"));
    match (started, ended) {
        _ if (started, ended, count("ended 0")) == (servers, 1, 1) => Ok(()),
        (0, _) => Err("no server was started".to_owned()),
        (_, 0) => Err("the server outlived its input and had to be killed".to_owned()),
        _ => Err(format!("the server: {}", record.trim().replace('\n', ", "))),
    }
}

async fn over_http(peers: &Peers, cell: &Cell, wrong: Option<&str>) -> Result<Finished, String> {
    let line = server(peers, cell, wrong)?;
    let mut serving = start(&line, Stdio::piped())?;
    let (address, path) = match timeout(START, listening(&mut serving)).await {
        Ok(Some(found)) => found,
        late_or_none => {
            let left = serving.start_kill().and(serving.wait_with_output().await.map(|output| output.stderr));
            let noise = left.map(|noise| String::from_utf8_lossy(&noise).into_owned()).unwrap_or_default();
            return Err(format!("{} does not tell where it listens ({late_or_none:?}): {noise}", line[0]));
        }
    };
    // Read all along, so that it never waits for us.
    let noise = serving.stderr.take().map(|mut stderr| {
        tokio::spawn(async move {
            let mut noise = String::new();
            let _ = stderr.read_to_string(&mut noise).await;
            noise
        })
    });
    let altered = wrong.filter(|wrong| prove::WIRE.contains(wrong));
    let relay = Relay::start(address, altered).await.map_err(|error| format!("the relay: {error}"))?;
    let mut line = client(peers, cell, wrong)?;
    let (flag, path) = if cell.transport == Transport::Sse { ("--sse", "/sse") } else { ("--http", path.as_str()) };
    line.extend([flag.to_owned(), format!("http://{}{path}", relay.address())]);
    let ended = timeout(PATIENCE, start(&line, Stdio::null())?.wait_with_output()).await;

    drop(serving.stdin.take());
    let shutdown = match timeout(END, serving.wait()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("the server ended with {status}")),
        Ok(Err(error)) => Err(format!("the server: {error}")),
        Err(_) => Err("the server outlived its input and had to be killed".to_owned()),
    };
    // It is over then, in one way or the other.
    let _ = serving.start_kill();
    let said = relay.stop().await;
    let mut finished = Finished::of(&line[0], ended)?;
    if let Some(noise) = noise {
        finished.stderr += &noise.await.unwrap_or_default();
    }
    Ok(Finished { shutdown, said, ..finished })
}

/// Where a server listens, which is the first that it prints.
async fn listening(server: &mut Child) -> Option<(SocketAddr, String)> {
    let mut line = String::new();
    BufReader::new(server.stdout.take()?).read_line(&mut line).await.ok()?;
    let (address, path) = line.trim().strip_prefix("http://")?.split_once('/')?;
    Some((address.parse().ok()?, format!("/{path}")))
}

fn start(line: &[String], input: Stdio) -> Result<Child, String> {
    let mut command = Command::new(&line[0]);
    command.args(&line[1..]).env("NO_PROXY", "127.0.0.1").stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.kill_on_drop(true).spawn().map_err(|error| format!("{} cannot be started: {error}", line[0]))
}

/// How the client is started, up to where its server is.
fn client(peers: &Peers, cell: &Cell, wrong: Option<&str>) -> Result<Vec<String>, String> {
    let mut line = program(peers, cell, cell.client, "client")?;
    let how = if cell.how == How::Only { How::Pinned } else { cell.how };
    let steps = cell.steps().join(",");
    line.extend(["--revision", cell.revision.as_str(), "--how", how.name(), "--steps", &steps].map(str::to_owned));
    if let (Party::Ours, Some(wrong)) = (cell.client, wrong) {
        line.extend(["--wrong".to_owned(), wrong.to_owned()]);
    }
    Ok(line)
}

/// How the server is started.
fn server(peers: &Peers, cell: &Cell, wrong: Option<&str>) -> Result<Vec<String>, String> {
    let mut line = program(peers, cell, cell.server, "server")?;
    if cell.transport != Transport::Stdio {
        line.push("--http".to_owned());
    }
    if cell.how == How::Only {
        line.extend(["--only", cell.revision.as_str()].map(str::to_owned));
    }
    if let (Party::Ours, Some(wrong)) = (cell.server, wrong) {
        line.extend(["--wrong".to_owned(), wrong.to_owned()]);
    }
    Ok(line)
}

fn ours() -> Result<String, String> {
    std::env::current_exe().map(|path| path.display().to_string()).map_err(|error| error.to_string())
}

/// How a party is started in a role, up to the options.
fn program(peers: &Peers, cell: &Cell, party: Party, role: &str) -> Result<Vec<String>, String> {
    let script = |folder: &str, name: String| format!("tests/interop/{folder}/{name}");
    Ok(match party {
        Party::Ours => [&ours()?, role, "--runtime", cell.runtime.name()].map(str::to_owned).to_vec(),
        Party::Python => vec![peers.python.clone(), script("python", format!("{role}.py"))],
        Party::TypeScript => vec!["node".to_owned(), script("typescript", format!("{role}.mjs"))],
        Party::Sdk => vec!["node".to_owned(), script("typescript", format!("{role}1.mjs"))],
        Party::Rmcp => vec![peers.rmcp.clone(), role.to_owned()],
    })
}

/// A file name for this cell alone.
fn scratch() -> PathBuf {
    static SERIAL: AtomicUsize = AtomicUsize::new(0);
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("mcp-interop-{}-{serial}", std::process::id()))
}

impl Finished {
    /// A client that has ended, or was given up.
    fn of(
        program: &str,
        ended: Result<std::io::Result<std::process::Output>, tokio::time::error::Elapsed>,
    ) -> Result<Self, String> {
        let ended = ended.map_err(|_| format!("not done after {} s", PATIENCE.as_secs()))?;
        let output = ended.map_err(|error| format!("{program}: {error}"))?;
        Ok(Self {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            fault: (!output.status.success()).then(|| format!("the client ended with {}", output.status)),
            shutdown: Ok(()),
            said: Vec::new(),
        })
    }

    fn judge(self, cell: &Cell, outcome: &mut Outcome) {
        let told = |name: &str| {
            let mut lines = self.stdout.lines().filter_map(|line| line.strip_prefix("step ")?.strip_prefix(name));
            (lines.next().map(str::trim), lines.next())
        };
        outcome.noise = self.stderr;
        outcome.said = self.said.iter().map(Exchange::shown).collect();
        if !self.stdout.lines().any(|line| line.starts_with("step ")) {
            let why = self.fault.clone().unwrap_or_else(|| "it ended with success".to_owned());
            outcome.failed.push(("all".to_owned(), format!("no step was taken: {why}")));
            return;
        }
        for name in cell.steps() {
            let why = match told(&format!("{name} ")) {
                (Some("ok"), None) => continue,
                (Some(_), Some(_)) => "was taken twice".to_owned(),
                (Some(line), None) => line.trim_start_matches("FAILED: ").to_owned(),
                (None, _) => "was not taken".to_owned(),
            };
            outcome.failed.push((name.to_owned(), why));
        }
        for name in cell.wire_steps() {
            if let Err(why) = http::judge(name, cell, &self.said) {
                outcome.failed.push((name.to_owned(), why));
            }
        }
        if let Err(why) = self.shutdown {
            outcome.failed.push((SHUTDOWN.to_owned(), why));
        } else if let (Some(fault), true) = (self.fault, outcome.failed.is_empty()) {
            outcome.failed.push((SHUTDOWN.to_owned(), fault));
        }
    }
}
