//! How the client is connected: on which runtime, over what, in which revision.

use std::error::Error;
#[cfg(unix)]
use std::path::PathBuf;
use std::time::Duration;

use mcp::process::Command;
use mcp::{Client, ProtocolVersion};

use crate::heard::Heard;
use crate::pause::Pause;
use crate::runtime::Runtime;

pub(crate) const USAGE: &str = "usage: everything_client [--runtime tokio|async-std|smol] [--revision REVISION] \
                                URL | --tcp ADDRESS | --unix PATH | --spawn COMMAND ARGS...";

/// What came of it all.
pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// For how long nothing may be heard of a request.
const IDLE: Duration = Duration::from_secs(20);

/// What carries it.
#[derive(Clone, Debug)]
pub(crate) enum Transport {
    /// HTTP: the URL.
    Http(String),
    /// A child process: a program and its arguments.
    Spawn(Vec<String>),
    Tcp(String),
    #[cfg(unix)]
    Unix(PathBuf),
}

/// What the command line says.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    runtime: Runtime,
    transport: Transport,
    /// The only revision to speak; all if there is none.
    revision: Option<ProtocolVersion>,
}

impl Options {
    /// Reads the command line. `revision` counts unless that names one.
    pub(crate) fn parse(arguments: &[String], revision: Option<&str>) -> Result<Self, String> {
        let mut runtime = Runtime::Tokio;
        let mut revision = revision.map(revision_of).transpose()?;
        let mut rest = arguments;
        let transport = loop {
            match rest {
                [flag, name, others @ ..] if flag == "--runtime" => (runtime, rest) = (name.parse()?, others),
                [flag, name, others @ ..] if flag == "--revision" => {
                    (revision, rest) = (Some(revision_of(name)?), others);
                }
                [flag, address] if flag == "--tcp" => break Transport::Tcp(address.clone()),
                #[cfg(unix)]
                [flag, path] if flag == "--unix" => break Transport::Unix(path.into()),
                [flag, command @ ..] if flag == "--spawn" && !command.is_empty() => {
                    break Transport::Spawn(command.to_vec());
                }
                [url] if url.starts_with("http://") => break Transport::Http(url.clone()),
                [] => return Err("say how to reach the server".to_owned()),
                [unknown, ..] => return Err(format!("{unknown:?} is not known here, or lacks its value")),
            }
        };
        Ok(Self { runtime, transport, revision })
    }
}

fn revision_of(name: &str) -> Result<ProtocolVersion, String> {
    let known = ProtocolVersion::ALL.into_iter().find(|known| known.as_str() == name);
    known.ok_or_else(|| format!("there is no revision {name:?}"))
}

/// The adapters have the same functions, so that one body serves for all of them.
macro_rules! run_on {
    ($adapter:ident, $runtime:expr, $options:expr, $then:expr) => {{
        let pause = Pause::on($runtime);
        let heard = Heard::default();
        let mut builder = heard.builder().idle(IDLE);
        if let Some(revision) = $options.revision {
            builder = builder.versions([revision]);
        }
        let client = match $options.transport {
            Transport::Http(url) => $adapter::connect_http_with(url, builder).await?,
            Transport::Spawn(command) => $adapter::spawn_with(command_of(command), builder).await?,
            Transport::Tcp(address) => $adapter::connect_tcp_with(address, builder).await?,
            #[cfg(unix)]
            Transport::Unix(path) => $adapter::connect_unix_with(path, builder).await?,
        };
        $then(client, heard, pause).await
    }};
}

/// Connects, then does `then`.
pub(crate) fn run(options: Options, then: impl AsyncFnOnce(Client, Heard, Pause) -> Outcome) -> Outcome {
    match options.runtime {
        Runtime::Tokio => {
            let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            tokio.block_on(async { run_on!(mcp_tokio, mcp_tokio::Tokio::current()?, options, then) })
        }
        Runtime::AsyncStd => async_std::task::block_on(async {
            run_on!(mcp_asyncstd, mcp_asyncstd::AsyncStd::current()?, options, then)
        }),
        Runtime::Smol => smol::block_on(async { run_on!(mcp_smol, mcp_smol::Smol::current()?, options, then) }),
    }
}

fn command_of(words: Vec<String>) -> Command {
    let mut words = words.into_iter();
    Command::new(words.next().unwrap_or_default()).args(words)
}
