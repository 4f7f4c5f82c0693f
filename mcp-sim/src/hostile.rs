//! Peers that know no rules: what they send, and how they answer.

use std::fmt;

use serde_json::json;

use crate::{Prng, Side};

/// A line that nobody who keeps to the protocol would send, or not now.
#[derive(Clone)]
pub struct Line {
    /// The line, without its end.
    pub text: Vec<u8>,
    /// What must come of it.
    pub due: Due,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; due: {:?}", crate::seen::short(&self.text), self.due)
    }
}

/// What must come of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// Exactly one answer with this id, as JSON text: an error, since it is no proper request.
    Error(String),
    /// Whatever follows from its being an ordinary message, or nothing.
    Anything,
    /// Nothing is ever said about it: it has no id that could be read, or is no request.
    Silence,
}

/// Ids of lines that must be answered are not used for anything else: they begin here, and there are so many that no two lines
/// of a world draw the same.
const OWN_IDS: u64 = 7_000_000_000_000;
/// The id of lines that are answers, of a sort.
pub(crate) const NO_REQUEST: &str = "123456789";

impl Line {
    /// One for this side.
    pub(crate) fn draw(prng: &mut Prng, to: Side) -> Self {
        let own = (OWN_IDS + prng.below(OWN_IDS)).to_string();
        let few = prng.within(0..=12).to_string();
        // What a real peer may also send: ids of calls that are open, on purpose.
        if prng.percent(55) {
            return Self { text: Self::meddling(prng, to, &few), due: Due::Anything };
        }
        match prng.below(14) {
            0 => Self::broken(&own, format!(r#"{{"jsonrpc":"2.0","id":{own},"method":7,"params":{{}}}}"#)),
            1 => Self::broken(&own, format!(r#"{{"jsonrpc":"2.0","id":{own},"method":"ping","method":"tools/call"}}"#)),
            2 => Self::broken(&own, format!(r#"{{"jsonrpc":"1.0","id":{own},"method":"tools/list"}}"#)),
            3 => Self::broken(&own, format!(r#"{{"jsonrpc":"2.0","id":{own},"method":"tools/list","params":[1]}}"#)),
            4 => {
                Self::broken(&own, format!(r#"{{"jsonrpc":"2.0","id":{own},"method":"tools/list","params":{{"a":}}}}"#))
            }
            5 => {
                let deep = "[".repeat(200) + &"]".repeat(200);
                Self::broken(&own, format!(r#"{{"jsonrpc":"2.0","id":{own},"method":"x","params":{{"a":{deep}}}}}"#))
            }
            6 => {
                let mut text = format!(r#"{{"jsonrpc":"2.0","id":{own},"method":"x","params":{{"a":"#).into_bytes();
                text.extend(b"\"\xff\xfe\"}}");
                Self { text, due: Due::Error(own) }
            }
            7 => {
                let long = "x".repeat(prng.pick(&[4_000, 25_000, 250_000]));
                let text = format!(r#"{{"jsonrpc":"2.0","id":{own},"method":"x","params":{{"a":"{long}"}}}}"#);
                Self { text: text.into_bytes(), due: Due::Anything }
            }
            8 => Self::silent(&format!(r#"{{"jsonrpc":"2.0","id":{NO_REQUEST},"result":{{}},"error":{{}}}}"#)),
            9 => Self::silent(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":{}}}"#),
            10 => Self::silent(
                r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"x","progress":1}}"#,
            ),
            11..=12 => Self { text: Self::batch(prng, to), due: Due::Anything },
            _ => Self { text: random_bytes(prng), due: Due::Anything },
        }
    }

    /// An array of messages. Only 2025-03-26 takes it for that; in all others it is no message.
    fn batch(prng: &mut Prng, to: Side) -> Vec<u8> {
        let count = prng.pick(&[0, 1, 3, 3, 60]);
        let messages = (0..count).map(|_| {
            let (id, own) = (prng.within(0..=12).to_string(), OWN_IDS + prng.below(OWN_IDS));
            match prng.below(8) {
                0 => b"17".to_vec(),
                1 => format!(r#"[{{"jsonrpc":"2.0","id":{id},"method":"ping"}}]"#).into_bytes(),
                2 => format!(r#"{{"jsonrpc":"2.0","id":{own},"method":"ping","params":[]}}"#).into_bytes(),
                _ => Self::meddling(prng, to, &id),
            }
        });
        let messages: Vec<_> = messages.collect();
        [&b"["[..], &messages.join(&b','), b"]"].concat()
    }

    fn broken(id: &str, text: String) -> Self {
        Self { text: text.into_bytes(), due: Due::Error(id.into()) }
    }

    fn silent(text: &str) -> Self {
        Self { text: text.as_bytes().to_vec(), due: Due::Silence }
    }

    /// A message that is well formed and comes at a bad time, with an id that may be somebody else's.
    fn meddling(prng: &mut Prng, to: Side, id: &str) -> Vec<u8> {
        let text = match (prng.below(14), to) {
            (0..=2, _) => {
                format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#)
            }
            (3, _) => format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#),
            (4..=5, Side::Server) => format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"t","arguments":{}}}}}"#,
                json!({ "tag": "hostile", "plan": "slow", "number": 0, "millis": prng.pick(&[0, 5, 5000]) })
            ),
            (6, Side::Server) => format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"initialize","params":{{"protocolVersion":"2024-11-05","capabilities":{{}},"clientInfo":{{"name":"h","version":"0"}}}}}}"#
            ),
            (7, Side::Server) => r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.into(),
            (8..=9, Side::Server) => {
                let meta = json!({
                    "io.modelcontextprotocol/protocolVersion": prng.weighted("2026-07-28", &[(4, "2026-07-28"), (1, "2030-01-01")]),
                    "io.modelcontextprotocol/clientCapabilities": {},
                });
                let method = prng.weighted(
                    "tools/call",
                    &[(2, "tools/call"), (1, "server/discover"), (1, "subscriptions/listen"), (1, "ping")],
                );
                format!(
                    r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{"name":"t","notifications":{{"toolsListChanged":true}},"_meta":{meta}}}}}"#
                )
            }
            (10, _) => format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32603,"message":"no"}}}}"#),
            (11, Side::Client) => format!(
                r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"input_required","inputRequests":{{"q":{{"method":"roots/list"}}}},"requestState":"s"}}}}"#
            ),
            (12, _) => format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{id},"progress":{}}}}}"#,
                prng.below(20)
            ),
            (13, Side::Client) => format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"roots/list"}}"#),
            _ => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[]}}}}"#),
        };
        text.into_bytes()
    }
}

fn random_bytes(prng: &mut Prng) -> Vec<u8> {
    let alphabet = b"{}[]\":,0123456789eE+-.nulltruefalse \\u\xc3\xa9\xe2\x80\xa8\xff\x00id";
    let bytes = (0..prng.below(60)).map(|_| alphabet[prng.below(alphabet.len() as u64) as usize]);
    bytes.collect()
}

/// How a hostile peer answers what it is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Style {
    /// As one should.
    #[default]
    Proper,
    /// Not at all.
    Silent,
    /// Everything with an error.
    Refusing,
    /// Twice.
    Double,
    /// With an id that is not the request's.
    WrongId,
    /// With something that is no answer.
    Garbage,
    /// By ending its output at the first question.
    Dying,
    /// It reads nothing.
    Deaf,
}

impl Style {
    pub(crate) fn draw(prng: &mut Prng) -> Self {
        use Style::{Deaf, Double, Dying, Garbage, Proper, Refusing, Silent, WrongId};
        prng.pick(&[Proper, Proper, Proper, Silent, Refusing, Double, WrongId, Garbage, Dying, Deaf])
    }
}
