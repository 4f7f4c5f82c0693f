//! A gateway between a server and its client, on nothing but the core: `cargo run --example gateway -- COMMAND ARGS...`
//! starts a server, and speaks on standard input and output for it, in the era that both know; `--legacy` in front of the
//! command keeps to the older one.
//!
//! What it is told on either side it hands on as it is (`relay.rs`); only the handshakes are its own. Threads read, one loop
//! does the rest: no async runtime is needed for it.

mod relay;

use std::io::{Read, Write};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use mcp::runtime::Clock;
use mcp_proto::model::{
    ClientCapabilities, ElicitationCapability, Implementation, RootsCapability, SamplingCapability,
};
use mcp_proto::{ClientConfig, Connection, PeerCapabilities, ProtocolVersion, ServerConfig, Start};
use relay::Half;

/// Bytes that have come from one of the two sides; `None` at its end.
enum Input {
    Server(Option<Vec<u8>>),
    Client(Option<Vec<u8>>),
}

fn main() -> ExitCode {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    let arguments = arguments.iter().map(String::as_str).collect::<Vec<_>>();
    let (versions, command): (&[ProtocolVersion], _) = match arguments.as_slice() {
        ["--legacy", command @ ..] => (&ProtocolVersion::LEGACY, command),
        command => (&ProtocolVersion::ALL, command),
    };
    let [program, arguments @ ..] = command else {
        eprintln!("usage: gateway [--legacy] COMMAND ARGS...");
        return ExitCode::FAILURE;
    };
    match run(Command::new(program).args(arguments), versions) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gateway: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &mut Command, versions: &[ProtocolVersion]) -> Result<(), Box<dyn std::error::Error>> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let (mut to_server, from_server) = (child.stdin.take().ok_or("no stdin")?, child.stdout.take().ok_or("no stdout")?);
    let (sender, inputs) = channel();
    read(from_server, sender.clone(), Input::Server);
    let clock = Clock::new();

    // Upwards first: what the server offers is what the gateway offers.
    let mut config = ClientConfig::new(Implementation::new("gateway", env!("CARGO_PKG_VERSION")));
    config.versions = versions.to_vec();
    config.capabilities = ClientCapabilities::default()
        .with_elicitation(ElicitationCapability::default())
        .with_sampling(SamplingCapability::default())
        .with_roots(RootsCapability::default());
    let connection = Connection::client(Arc::new(config), clock.now());
    let (mut up, mut down) = (Half { connection, asked: <_>::default() }, None::<Half>);
    let (mut wire, mut out) = (Vec::new(), std::io::stdout());
    let (mut from_up, mut from_down) = (Vec::new(), Vec::new());
    loop {
        if down.is_none()
            && let (Some(version), Some(server)) = (up.connection.version(), up.connection.peer())
        {
            let mut config = ServerConfig::new(server.info.clone());
            config.versions = versions.iter().copied().filter(|it| it.era() == version.era()).collect();
            config.instructions.clone_from(&server.instructions);
            if let PeerCapabilities::Server(offered) = &server.capabilities {
                config.capabilities = offered.clone();
            }
            let connection = Connection::server(Arc::new(config), Start::Handshake, clock.now());
            down = Some(Half { connection, asked: <_>::default() });
            read(std::io::stdin(), sender.clone(), Input::Client);
        }
        if let Some(down) = &mut down {
            up.relay(down, clock.now());
            down.relay(&mut up, clock.now());
            while down.connection.drain_lines(&mut wire, 64 * 1024) {
                out.write_all(&std::mem::take(&mut wire))?;
                out.flush()?;
            }
        }
        while up.connection.drain_lines(&mut wire, 64 * 1024) {
            to_server.write_all(&std::mem::take(&mut wire))?;
        }
        if down.as_ref().is_some_and(|down| down.connection.is_drained()) || up.connection.is_drained() {
            break;
        }
        let halves = [Some(&up), down.as_ref()].into_iter().flatten();
        let timeout = halves.filter_map(|half| half.connection.poll_timeout()).min();
        let patience = timeout.map_or(Duration::MAX, |at| at.saturating_since(clock.now()));
        let now = |input| (clock.now(), input);
        match (inputs.recv_timeout(patience.min(Duration::from_secs(3600))).map(now), &mut down) {
            (Ok((_, Input::Server(Some(bytes)))), _) => from_up.extend(bytes),
            (Ok((now, Input::Server(None))), _) => up.connection.handle_eof(now),
            (Ok((_, Input::Client(Some(bytes)))), Some(_)) => from_down.extend(bytes),
            (Ok((now, Input::Client(None))), Some(down)) => down.connection.handle_eof(now),
            (Ok(_), None) | (Err(RecvTimeoutError::Timeout), _) => {}
            (Err(RecvTimeoutError::Disconnected), _) => break,
        }
        // What is not taken now is offered again, once the other side has taken what came before.
        let taken = up.connection.handle_input(clock.now(), &from_up);
        from_up.drain(..taken);
        if let Some(down) = &mut down {
            let taken = down.connection.handle_input(clock.now(), &from_down);
            from_down.drain(..taken);
        }
        up.connection.handle_timeout(clock.now());
        down.iter_mut().for_each(|down| down.connection.handle_timeout(clock.now()));
    }
    drop(to_server);
    child.wait()?;
    Ok(())
}

fn read(mut from: impl Read + Send + 'static, to: Sender<Input>, side: fn(Option<Vec<u8>>) -> Input) {
    std::thread::spawn(move || {
        let mut buffer = [0; 64 * 1024];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            if to.send(side(Some(buffer[..read].to_vec()))).is_err() {
                return;
            }
        }
        // The other side may be gone already.
        let _ = to.send(side(None));
    });
}
