//! What the applications of a world do, drawn from its seed: calls, cancels, changes, and accidents.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::{Cast, Cut, Options, Prng, hostile};

/// One thing that happens. A failing world is made smaller by leaving out such items.
#[derive(Clone, Debug)]
pub struct Item {
    /// When, after the beginning.
    pub at: Duration,
    /// In which pair.
    pub pair: usize,
    /// What.
    pub what: What,
}

/// What happens.
#[derive(Clone, Debug)]
pub enum What {
    /// The client asks for something, so many times at once.
    Call(Call, u32),
    /// The client listens for changes, in whatever way its revision has, for so long or to the end.
    Listen(Option<Duration>),
    /// The client chooses from which severity on it wants logs.
    SetLevel(&'static str),
    /// The client tells that its roots have changed.
    RootsChanged,
    /// What this server offers has changed, so many times at once.
    Change(u32),
    /// The server logs something that belongs to no request.
    Log,
    /// The server asks something that belongs to no request.
    Ask,
    /// A side closes, with so much grace.
    Close(Side, Duration),
    /// A direction ends before its time: the link whose sender is this side.
    Cut(Side, Cut),
    /// A line arrives at this side that its peer did not send.
    Inject(Side, hostile::Line),
}

/// The two sides of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The client.
    Client,
    /// The server.
    Server,
}

/// A request of a client, and what becomes of it.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which request.
    pub method: &'static str,
    /// What the server's handler does.
    pub plan: Plan,
    /// Whether the client wants to hear of its progress.
    pub progress: bool,
    /// Its two deadlines.
    pub deadlines: (Duration, Duration),
    /// When the client gives it up, if it does.
    pub cancel: Option<Duration>,
    /// When the client answers what it is asked meanwhile; never if `None`.
    pub answers: Option<Duration>,
}

/// What a handler does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Answers at once.
    Echo,
    /// Answers at once, with so many bytes.
    Big(usize),
    /// Fails, as a handler does that panics.
    Fail,
    /// Answers after so many milliseconds.
    Slow(u64),
    /// Answers nothing while there are faults.
    Silent,
    /// Reports progress so many times, so many milliseconds apart, and answers.
    Progress(u64, u64),
    /// Logs so many times and answers.
    Log(u64),
    /// Asks the client so many times, one question after the other, and answers.
    Ask(u64),
    /// Wants to be asked again so many times, without a question (modern era).
    HoldBack(u64),
}

impl Plan {
    /// The arguments that tell a handler what to do.
    #[must_use]
    pub fn arguments(self, tag: &str) -> Value {
        let (name, number, millis) = match self {
            Self::Echo => ("echo", 0, 0),
            Self::Big(size) => ("big", size as u64, 0),
            Self::Fail => ("fail", 0, 0),
            Self::Slow(millis) => ("slow", 0, millis),
            Self::Silent => ("silent", 0, 0),
            Self::Progress(times, millis) => ("progress", times, millis),
            Self::Log(times) => ("log", times, 0),
            Self::Ask(times) => ("ask", times, 0),
            Self::HoldBack(times) => ("hold back", times, 0),
        };
        json!({ "tag": tag, "plan": name, "number": number, "millis": millis, "text": TEXT })
    }

    /// Reads such arguments.
    #[must_use]
    pub fn read(arguments: &Value) -> Option<(String, Self)> {
        let number = arguments["number"].as_u64()?;
        let millis = arguments["millis"].as_u64()?;
        let plan = match arguments["plan"].as_str()? {
            "echo" => Self::Echo,
            "big" => Self::Big(number as usize),
            "fail" => Self::Fail,
            "slow" => Self::Slow(millis),
            "silent" => Self::Silent,
            "progress" => Self::Progress(number, millis),
            "log" => Self::Log(number),
            "ask" => Self::Ask(number),
            "hold back" => Self::HoldBack(number),
            _ => return None,
        };
        Some((arguments["tag"].as_str()?.to_owned(), plan))
    }
}

/// In every request and answer: what careless writers and readers of lines trip over.
pub(crate) const TEXT: &str = "ä\u{2028}\u{85}\r\n\t\u{1F600}\"\\";

impl Call {
    /// An ordinary call, as it must succeed when nothing is wrong.
    #[must_use]
    pub fn plain(plan: Plan) -> Self {
        let (method, deadlines) = ("tools/call", (Duration::from_secs(60), Duration::from_secs(600)));
        let progress = matches!(plan, Plan::Progress(..));
        Self { method, plan, progress, deadlines, cancel: None, answers: Some(Duration::from_millis(10)) }
    }

    fn draw(prng: &mut Prng) -> Self {
        let millis = Duration::from_millis;
        let plan = match prng.below(20) {
            0..=5 => Plan::Echo,
            6 => Plan::Big(prng.pick(&[500, 2_500, 15_000, 60_000])),
            7 => Plan::Fail,
            8..=9 => Plan::Slow(prng.pick(&[1, 50, 900, 40_000])),
            10 => Plan::Silent,
            11..=13 => Plan::Progress(prng.within(1..=12), prng.pick(&[0, 0, 1, 30, 2000])),
            14 => Plan::Log(prng.within(1..=6)),
            15..=18 => Plan::Ask(prng.pick(&[1, 1, 1, 2, 3, 11])),
            _ => Plan::HoldBack(prng.within(1..=3)),
        };
        let method = match plan {
            Plan::Ask(_) | Plan::HoldBack(_) => {
                prng.weighted("tools/call", &[(4, "tools/call"), (1, "prompts/get"), (1, "resources/read")])
            }
            _ => prng.weighted("tools/call", &[(8, "tools/call"), (1, "prompts/get"), (1, "vendor/x"), (1, "ping")]),
        };
        let (idle, cap) = prng.pick(&[(60_000, 600_000), (60_000, 600_000), (1_000, 3_000), (100, 5_000), (0, 0)]);
        let cancel = prng.percent(20).then(|| millis(prng.pick(&[0, 1, 40, 1500])));
        let answers = (!prng.percent(8)).then(|| millis(prng.pick(&[0, 1, 20, 4000])));
        Self { method, plan, progress: prng.percent(70), deadlines: (millis(idle), millis(cap)), cancel, answers }
    }
}

/// The work of a world, in the order in which it happens.
#[must_use]
pub(crate) fn draw(options: &Options) -> Vec<Item> {
    let mut prng = Prng::of(options.seed, "workload");
    let mut items = Vec::new();
    let count = prng.pick(&[20, 80, 200]);
    let storm = prng.percent(20);
    for _ in 0..count {
        let pair = prng.below(options.pairs.len() as u64) as usize;
        let cast = options.pairs[pair].cast;
        // Where work comes at once, it meets itself.
        let span = if storm { options.span / 50 } else { options.span };
        let at = Duration::from_nanos(prng.below(span.as_nanos() as u64));
        let side = if prng.percent(50) { Side::Client } else { Side::Server };
        let hostile_to = match cast {
            Cast::Ours => None,
            Cast::Injected => Some((30, side)),
            Cast::HostileClient => Some((90, Side::Server)),
            Cast::HostileServer => Some((40, Side::Client)),
        };
        let what = match hostile_to {
            Some((share, to)) if prng.percent(share) => What::Inject(to, hostile::Line::draw(&mut prng, to)),
            _ => work(&mut prng, side),
        };
        items.push(Item { at, pair, what });
    }
    items.sort_by_key(|item| item.at);
    items
}

fn work(prng: &mut Prng, side: Side) -> What {
    let millis = Duration::from_millis;
    match prng.below(100) {
        0..=59 => {
            let times = prng.weighted(1, &[(8, 1), (2, 3), (1, 20)]);
            What::Call(Call::draw(prng), times)
        }
        60..=67 => What::Listen((!prng.percent(30)).then(|| millis(prng.pick(&[0, 10, 5000])))),
        68..=71 => What::SetLevel(prng.weighted("debug", &[(1, "debug"), (1, "warning"), (1, "emergency")])),
        72..=73 => What::RootsChanged,
        74..=85 => What::Change(prng.pick(&[1, 1, 3, 30])),
        86..=89 => What::Log,
        90..=95 => What::Ask,
        96..=97 => What::Close(side, millis(prng.pick(&[0, 200, 20_000]))),
        _ => {
            let cut = match prng.below(4) {
                0 => Cut::Closed,
                1..=2 => Cut::Truncated(prng.below(400)),
                _ => Cut::Reset,
            };
            What::Cut(side, cut)
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>12?} pair {}: {:?}", self.at, self.pair, self.what)
    }
}
