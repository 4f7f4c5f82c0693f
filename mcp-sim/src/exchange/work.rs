//! What happens in a world of exchanges, drawn from its seed.

use std::time::Duration;

use mcp_proto::ProtocolVersion;
use mcp_proto::http::HttpLimits;
use serde_json::{Value, json};

use super::path::Weather;
use crate::Prng;

/// What a handler does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Plan {
    /// It answers at once.
    #[default]
    Echo,
    /// It answers after so many milliseconds.
    Slow(u32),
    /// It tells its progress so many times, with so many milliseconds between.
    Progress(u32, u32),
    /// It says a lot, so many times.
    Flood(u32),
    /// It closes its response on purpose, so many times, where the revision knows that.
    Suspend(u32),
    /// It asks the client.
    Ask,
    /// It answers with so many bytes.
    Big(u32),
    /// It fails.
    Fail,
}

impl Plan {
    /// How often it goes on before it answers.
    pub(crate) fn steps(self) -> u32 {
        match self {
            Self::Progress(times, _) | Self::Flood(times) | Self::Suspend(times) => times,
            Self::Ask => 1,
            _ => 0,
        }
    }

    pub(crate) fn begins_after(self) -> Duration {
        if let Self::Slow(millis) = self { Duration::from_millis(millis.into()) } else { Duration::ZERO }
    }

    /// The arguments of a call.
    pub(crate) fn write(self, tag: &str) -> Value {
        let (name, one, two) = match self {
            Self::Echo => ("echo", 0, 0),
            Self::Slow(millis) => ("slow", millis, 0),
            Self::Progress(times, millis) => ("progress", times, millis),
            Self::Flood(times) => ("flood", times, 0),
            Self::Suspend(times) => ("suspend", times, 0),
            Self::Ask => ("ask", 0, 0),
            Self::Big(size) => ("big", size, 0),
            Self::Fail => ("fail", 0, 0),
        };
        json!({ "tag": tag, "plan": name, "one": one, "two": two })
    }

    pub(crate) fn read(arguments: &Value) -> (String, Self) {
        let number = |key: &str| arguments[key].as_u64().unwrap_or(0) as u32;
        let plan = match arguments["plan"].as_str().unwrap_or_default() {
            "slow" => Self::Slow(number("one")),
            "progress" => Self::Progress(number("one"), number("two")),
            "flood" => Self::Flood(number("one")),
            "suspend" => Self::Suspend(number("one")),
            "ask" => Self::Ask,
            "big" => Self::Big(number("one")),
            "fail" => Self::Fail,
            _ => Self::Echo,
        };
        (arguments["tag"].as_str().unwrap_or_default().into(), plan)
    }

    fn draw(prng: &mut Prng) -> Self {
        match prng.below(16) {
            0..=2 => Self::Echo,
            3 => Self::Slow(prng.pick(&[1, 100, 4_999, 5_000, 5_001, 70_000, 200_000])),
            4..=6 => Self::Progress(prng.within(1..=5) as u32, prng.pick(&[0, 3, 900, 20_000])),
            7 => Self::Flood(prng.pick(&[3, 40])),
            8..=9 => Self::Suspend(prng.within(1..=3) as u32),
            10..=11 => Self::Ask,
            12 => Self::Big(prng.pick(&[100, 30_000])),
            13 => Self::Fail,
            _ => Self::Progress(2, 10),
        }
    }
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) at: Duration,
    pub(crate) client: usize,
    pub(crate) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Call(Plan),
    /// It closes the response of a call that is open, and does not come back.
    GiveUp,
    /// It cancels a call that is open, in the way of its era.
    Cancel,
    /// It opens the stream of GET.
    Listen,
    /// It tries what belongs to another client.
    Steal(usize),
    /// The server says something to everybody.
    Log,
    /// It ends its session.
    Delete,
    /// It is gone, without a word.
    Vanish,
}

/// Everything that a seed decides about a world.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) seed: u64,
    pub(crate) clients: Vec<ClientOptions>,
    pub(crate) limits: HttpLimits,
    pub(crate) items: Vec<Item>,
}

#[derive(Clone, Debug)]
pub(crate) struct ClientOptions {
    pub(crate) version: ProtocolVersion,
    pub(crate) principal: &'static str,
    /// Whether every request has the same id, as those of some large client do.
    pub(crate) same_ids: bool,
    pub(crate) weather: Weather,
}

impl Options {
    pub(crate) fn draw(seed: u64) -> Self {
        let mut prng = Prng::of(seed, "exchanges");
        let count = prng.within(2..=4) as usize;
        let clients = (0..count)
            .map(|number| ClientOptions {
                // The first revision has no exchanges.
                version: ProtocolVersion::ALL[prng.within(1..=4) as usize],
                principal: if number % 2 == 0 { "alice" } else { "bob" },
                same_ids: prng.percent(40),
                weather: Weather::draw(&mut prng),
            })
            .collect();
        let mut limits = HttpLimits::default();
        if prng.percent(50) {
            limits.stream_output = prng.pick(&[4_000, 40_000]);
            limits.replay = prng.pick(&[3_000, 40_000]);
            limits.session_streams = prng.pick(&[6, 40]);
            limits.sessions = prng.pick(&[2, 3, 100]);
        }
        let span = prng.pick(&[50, 2_000, 60_000, 400_000]);
        let items = (0..prng.within(6..=40)).map(|_| {
            let client = prng.below(count as u64) as usize;
            let what = match prng.below(100) {
                0..=59 => What::Call(Plan::draw(&mut prng)),
                60..=67 => What::GiveUp,
                68..=74 => What::Cancel,
                75..=82 => What::Listen,
                83..=87 => What::Steal(prng.below(count as u64) as usize),
                88..=95 => What::Log,
                96..=97 => What::Delete,
                _ => What::Vanish,
            };
            Item { at: Duration::from_millis(prng.below(span)), client, what }
        });
        let mut items: Vec<Item> = items.collect();
        items.sort_by_key(|item| item.at);
        Self { seed, clients, limits, items }
    }
}
