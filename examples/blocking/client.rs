//! A client by hand: starts the server, calls its tools one after the other, gives one call up, and closes.

use std::error::Error;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use mcp_proto::model::{CallToolResult, Implementation, ListToolsResult};
use mcp_proto::{
    Body, CallOptions, ClientConfig, Connection, Deadlines, Event, Message, ProtocolVersion, RequestError, Wanted,
};
use serde_json::{Value, json};

use crate::wire::{Next, Wire};

/// This client has no threads of its own that could say something.
enum Nothing {}

/// What an ordinary call may take, and one that is given up.
const PATIENCE: Duration = Duration::from_secs(5);
const HURRY: Duration = Duration::from_millis(200);

type Answer = Result<Message, RequestError>;

struct Client {
    wire: Wire<Nothing>,
}

pub(crate) fn run(serve: &str) -> Result<(), Box<dyn Error>> {
    let mut command = Command::new(std::env::current_exe()?);
    let mut child = command.arg(serve).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let (input, output) = (child.stdout.take().ok_or("no stdout")?, child.stdin.take().ok_or("no stdin")?);
    let mut config = ClientConfig::new(Implementation::new("blocking", "1.0.0"));
    config.versions = ProtocolVersion::ALL.to_vec();
    let wire = Wire::new(input, output, |now| Connection::client(Arc::new(config), now));
    let mut client = Client { wire };
    let version = client.ready()?;
    println!("connected in {version}");

    let tools = client.call(Body::empty("tools/list")?, PATIENCE, Wanted::No)??;
    let tools: ListToolsResult = tools.result_as()?;
    println!("it has {}", tools.tools.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>().join(" and "));
    let sum = client.call(tool("add", json!({ "a": 1, "b": 2 }))?, PATIENCE, Wanted::No)??;
    println!("add: {}", sum.result_as::<CallToolResult>()?.joined_text());
    let counted = client.call(tool("count", json!({ "to": 3 }))?, PATIENCE, Wanted::Yes)??;
    println!("count: {}", counted.result_as::<CallToolResult>()?.joined_text());
    // The connection keeps the deadline, and tells the server that nobody waits any more.
    let hurried = client.call(tool("count", json!({ "to": 1_000_000 }))?, HURRY, Wanted::No)?;
    println!("count in a hurry: {}", hurried.err().map_or_else(|| "done".to_owned(), |error| error.to_string()));

    client.close();
    println!("the server has ended: {}", child.wait()?);
    Ok(())
}

fn tool(name: &str, arguments: Value) -> Result<Body, mcp_proto::EncodeError> {
    Body::new("tools/call", &json!({ "name": name, "arguments": arguments }))
}

impl Client {
    /// Waits for the handshake.
    fn ready(&mut self) -> Result<ProtocolVersion, Box<dyn Error>> {
        loop {
            match self.wire.next() {
                Next::Event(Event::Ready { version, .. }) => return Ok(version),
                Next::Event(Event::Closed { reason, .. }) => return Err(reason.to_string().into()),
                Next::Event(_) => {}
                Next::Work(nothing) => match nothing {},
                Next::Over => return Err("the connection is over".into()),
            }
        }
    }

    /// Sends a request and waits for its end, `patience` in all; prints how far it is if that is wanted. The inner error is the
    /// request's own.
    fn call(&mut self, body: Body, patience: Duration, progress: Wanted) -> Result<Answer, Box<dyn Error>> {
        let mut options = CallOptions::default();
        options.deadlines = Deadlines::Call { idle: patience, cap: patience };
        options.progress = progress;
        let call = self.wire.connection.request(self.wire.now(), body, options)?;
        loop {
            match self.wire.next() {
                Next::Event(Event::Response { id, result }) if id == call => {
                    return Ok(result.map(|(_, message)| message));
                }
                Next::Event(Event::Progress { id, progress, .. }) if id == call => println!("at {}", progress.progress),
                Next::Event(_) => {}
                Next::Work(nothing) => match nothing {},
                // A connection that ends answers every request first, so this is a call after its end.
                Next::Over => return Err("the connection is over".into()),
            }
        }
    }

    /// Closes the connection; what is still open may end within two seconds.
    fn close(mut self) {
        self.wire.connection.close(self.wire.now(), Duration::from_secs(2));
        while !matches!(self.wire.next(), Next::Over) {}
    }
}

/// Reading a result as what its method gives.
trait ResultAs {
    fn result_as<T: serde::de::DeserializeOwned>(&self) -> Result<T, Box<dyn Error>>;
}

impl ResultAs for Message {
    fn result_as<T: serde::de::DeserializeOwned>(&self) -> Result<T, Box<dyn Error>> {
        let result = self.result().ok_or("no result")?;
        Ok(serde_json::from_str(result.as_str())?)
    }
}
