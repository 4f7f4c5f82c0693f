//! What a simulated world is made of, all drawn from one seed.

use std::fmt;
use std::time::Duration;

use mcp_proto::model::{
    ClientCapabilities, ElicitationCapability, Implementation, PromptsCapability, ResourcesCapability, RootsCapability,
    SamplingCapability, ServerCapabilities, Supported, ToolsCapability,
};
use mcp_proto::{ClientConfig, Limits, ProtocolVersion, ServerConfig};

use crate::{Faults, Prng};

/// Everything about a world that its seed decides before it begins, but for the [work](crate::workload) in it.
#[derive(Clone, Debug)]
pub struct Options {
    /// The seed.
    pub seed: u64,
    /// The clients with their servers. All servers share one definition.
    pub pairs: Vec<Pairing>,
    /// What the servers keep.
    pub server_limits: Limits,
    /// The revisions that the servers speak.
    pub server_versions: Vec<ProtocolVersion>,
    /// How long the phase with faults takes.
    pub span: Duration,
}

/// One client and its server.
#[derive(Clone, Debug)]
pub struct Pairing {
    /// Who plays.
    pub cast: Cast,
    /// What the client keeps.
    pub client_limits: Limits,
    /// The revisions that the client speaks.
    pub client_versions: Vec<ProtocolVersion>,
    /// The link to the server.
    pub up: Faults,
    /// The link to the client.
    pub down: Faults,
    /// How late an application takes its events, at most.
    pub lazy: Duration,
}

/// Who plays the two sides of a pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cast {
    /// Two connections of ours.
    #[default]
    Ours,
    /// Two connections of ours, and lines between them that neither has sent.
    Injected,
    /// Our server, and a client that knows no rules.
    HostileClient,
    /// Our client, and a server that knows no rules.
    HostileServer,
}

impl Options {
    /// What this seed decides.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut prng = Prng::of(seed, "options");
        let all = ProtocolVersion::ALL;
        let legacy = all[prng.below(4) as usize];
        let modern = [ProtocolVersion::V2026_07_28];
        let server_versions = prng.weighted(
            &all[..],
            &[(5, &all[..]), (2, &ProtocolVersion::LEGACY[..]), (1, std::slice::from_ref(&legacy)), (2, &modern[..])],
        );
        let server_versions = server_versions.to_vec();
        let count = prng.weighted(1, &[(4, 1), (3, 2), (2, 3), (1, 5)]);
        let pairs = (0..count).map(|_| Pairing::draw(&mut prng, &server_versions)).collect();
        let server_limits = limits(&mut prng);
        let span = Duration::from_secs(prng.pick(&[1, 20, 120]));
        Self { seed, pairs, server_limits, server_versions, span }
    }

    /// What the servers are told at their start.
    #[must_use]
    pub fn server(&self) -> ServerConfig {
        let mut config = ServerConfig::new(Implementation::new("simulated", "1"));
        config.capabilities = ServerCapabilities::default()
            .with_tools(ToolsCapability::default().with_list_changed(true))
            .with_prompts(PromptsCapability::default().with_list_changed(true))
            .with_resources(ResourcesCapability::default().with_list_changed(true).with_subscribe(true))
            .with_logging(Supported::default())
            .with_completions(Supported::default());
        config.versions.clone_from(&self.server_versions);
        config.limits = self.server_limits.clone();
        config
    }

    /// What the client of a pair is told.
    #[must_use]
    pub fn client(&self, pair: usize) -> ClientConfig {
        let mut config = ClientConfig::new(Implementation::new("simulated", "1"));
        config.capabilities = ClientCapabilities::default()
            .with_roots(RootsCapability::default().with_list_changed(true))
            .with_sampling(SamplingCapability::default())
            .with_elicitation(ElicitationCapability::default().with_form(Supported::default()));
        if let Some(pairing) = self.pairs.get(pair) {
            config.versions.clone_from(&pairing.client_versions);
            config.limits = pairing.client_limits.clone();
        }
        config
    }

    /// Whether the two sides of a pair have a revision in common.
    #[must_use]
    pub fn agree(&self, pair: usize) -> bool {
        let theirs = self.pairs.get(pair).map(|pairing| &pairing.client_versions[..]).unwrap_or_default();
        theirs.iter().any(|version| self.server_versions.contains(version))
    }
}

impl Pairing {
    fn draw(prng: &mut Prng, server: &[ProtocolVersion]) -> Self {
        let one = server[prng.below(server.len() as u64) as usize];
        let any = ProtocolVersion::ALL[prng.below(5) as usize];
        let client_versions = match prng.below(20) {
            0..=8 => ProtocolVersion::ALL.to_vec(),
            9..=17 => vec![one],
            18 => ProtocolVersion::LEGACY.to_vec(),
            // Perhaps one that the server does not speak.
            _ => vec![any],
        };
        let casts = [(6, Cast::Ours), (2, Cast::Injected), (2, Cast::HostileClient), (1, Cast::HostileServer)];
        let cast = prng.weighted(Cast::Ours, &casts);
        let calm = prng.percent(30);
        let draw = |prng: &mut Prng| if calm { Faults::none() } else { Faults::draw(prng) };
        let (up, down) = (draw(prng), draw(prng));
        let lazy = if calm { 0 } else { prng.pick(&[0, 0, 0, 20, 3000]) };
        Self { cast, client_limits: limits(prng), client_versions, up, down, lazy: Duration::from_millis(lazy) }
    }

    /// Whether all of it is quick: what is asked here is answered soon, unless a handler takes its time.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        self.up.are_mild() && self.down.are_mild() && self.lazy <= Duration::from_millis(20)
    }
}

/// Small bounds are reached; large ones show what happens when they are not.
fn limits(prng: &mut Prng) -> Limits {
    let mut limits = Limits::default();
    if prng.percent(70) {
        limits.frame = prng.pick(&[3_000, 20_000, 200_000]);
        limits.output = prng.pick(&[2_000, 20_000, 200_000]);
        limits.events = prng.pick(&[3_000, 20_000, 200_000]);
        limits.inbound_requests = prng.pick(&[2, 4, 16]);
        limits.outbound_requests = prng.pick(&[3, 8, 64]);
        limits.subscriptions = prng.pick(&[1, 4, 64]);
        limits.subscribed_uris = prng.pick(&[2, 64]);
        limits.strikes = prng.pick(&[10, 100]);
        limits.stall = Duration::from_secs(prng.pick(&[5, 60]));
        limits.drain = Duration::from_secs(prng.pick(&[1, 30]));
    }
    limits
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |versions: &[ProtocolVersion]| {
            versions.iter().map(|version| version.as_str()).collect::<Vec<_>>().join(" ")
        };
        writeln!(f, "  faults for {:?}; servers speak {}", self.span, names(&self.server_versions))?;
        writeln!(f, "  servers keep {}", Shown(&self.server_limits))?;
        for (number, pair) in self.pairs.iter().enumerate() {
            writeln!(f, "  pair {number}: {:?}, client speaks {}", pair.cast, names(&pair.client_versions))?;
            writeln!(f, "    client keeps {}; events taken within {:?}", Shown(&pair.client_limits), pair.lazy)?;
            writeln!(f, "    up: {}\n    down: {}", pair.up, pair.down)?;
        }
        Ok(())
    }
}

struct Shown<'a>(&'a Limits);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Limits { frame, output, events, inbound_requests, outbound_requests, strikes, stall, drain, .. } = self.0;
        write!(f, "frame {frame}, output {output}, events {events}, {inbound_requests} in, {outbound_requests} out, ")?;
        write!(f, "{strikes} strikes, stall {stall:?}, drain {drain:?}")
    }
}
