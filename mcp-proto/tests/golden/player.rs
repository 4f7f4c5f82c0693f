//! Plays one side of a session with a connection of ours: the lines of the other side are fed to it as they were recorded,
//! and our application says what the recorded one said, at the same points. What our connection makes of that is compared
//! with the recorded frames.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mcp_proto::model::{
    AcknowledgedParams, Era, InputRequests, LoggingLevel, ProgressParams, ProtocolVersion, meta_key,
};
use mcp_proto::{
    Body, CallOptions, Change, Connection, ErrorObject, Event, InboundId, InputRequired, Limits, Message, OutboundId,
    RequestError, RespondError, ResultKind, Scope, Start, Timestamp, Wanted,
};
use serde_json::{Map, Value, json};

use crate::chunks::Chunks;
use crate::mismatch::{Mismatch, Unsaid, What, Whose, differences};
use crate::session::{Line, Session, Side};
use crate::{config, model};

/// What came of playing a session.
pub(crate) struct Played<'a> {
    pub(crate) mismatches: Vec<Mismatch<'a>>,
    /// How many frames were compared with recorded ones.
    pub(crate) compared: usize,
    /// All that our connection said, as it went over the wire.
    pub(crate) wire: Vec<u8>,
}

/// Plays `ours`, one side of a session.
pub(crate) fn play(session: &Session, ours: Side, chunks: Chunks) -> Played<'_> {
    let mut player = Player::new(session, ours, chunks);
    for (at, line) in session.lines.iter().enumerate() {
        // Behind the header, and counted from 1.
        player.line = at + 2;
        if line.from == ours { player.say_line(line) } else { player.hear(line) }
    }
    player.finish()
}

struct Player<'a> {
    session: &'a Session,
    ours: Side,
    chunks: Chunks,
    line: usize,
    conn: Connection,
    now: Timestamp,
    /// What we said and was not compared yet, each with the line during which we did.
    said: Vec<(usize, Value)>,
    /// What the peer asked and our application has not answered, by its id.
    asked: BTreeMap<String, Asked>,
    /// What we asked, by the recorded id.
    calls: BTreeMap<String, OutboundId>,
    /// Our ids, by the recorded ones; and tokens likewise.
    ids: BTreeMap<String, Value>,
    tokens: BTreeMap<String, Value>,
    /// What the server wants to know before it answers, by call.
    questions: BTreeMap<OutboundId, BTreeMap<String, Message>>,
    /// The parameters of calls that may be sent again.
    open: BTreeMap<OutboundId, Value>,
    given_up: BTreeSet<OutboundId>,
    ended: BTreeSet<OutboundId>,
    /// How many notifications and progress reports our application was told of.
    told: usize,
    is_closed: bool,
    played: Played<'a>,
}

struct Asked {
    id: InboundId,
    request: Value,
    version: ProtocolVersion,
    token: Option<Value>,
    log_level: Option<LoggingLevel>,
}

impl<'a> Player<'a> {
    fn new(session: &'a Session, ours: Side, chunks: Chunks) -> Self {
        let now = Timestamp::from_nanos(1_000_000_000);
        let conn = match ours {
            Side::Client => Connection::client(Arc::new(config::client(session)), now),
            Side::Server => Connection::server(Arc::new(config::server(session)), Start::Handshake, now),
        };
        let mut player = Self {
            session,
            ours,
            chunks,
            line: 1,
            conn,
            now,
            said: Vec::new(),
            asked: BTreeMap::new(),
            calls: BTreeMap::new(),
            ids: BTreeMap::new(),
            tokens: BTreeMap::new(),
            questions: BTreeMap::new(),
            open: BTreeMap::new(),
            given_up: BTreeSet::new(),
            ended: BTreeSet::new(),
            told: 0,
            is_closed: false,
            played: Played { mismatches: Vec::new(), compared: 0, wire: Vec::new() },
        };
        player.collect();
        player.answer_probe();
        player
    }

    /// A client of ours asks first which revisions the server speaks, even if the recorded client did not.
    fn answer_probe(&mut self) {
        let is_recorded =
            self.session.messages(self.ours).next().is_none_or(|first| first["method"] == "server/discover");
        if is_recorded || !self.said.iter().any(|(_, frame)| frame["method"] == "server/discover") {
            return;
        }
        let (_, probe) = self.said.remove(0);
        let offered = config::server(self.session).capabilities;
        let result = json!({
            "resultType": "complete", "supportedVersions": [self.session.revision.as_str()], "capabilities": offered,
            "ttlMs": 0, "cacheScope": "private",
        });
        let answer = json!({ "jsonrpc": "2.0", "id": probe["id"], "result": result });
        self.conn.handle_input(self.now, format!("{answer}\n").as_bytes());
        self.report("server/discover", What::Extra(probe));
        self.events(&[]);
    }

    fn report(&mut self, method: &str, what: What) {
        self.report_of(Whose::Applications, method, what);
    }

    fn report_of(&mut self, whose: Whose, method: &str, what: What) {
        let (session, ours, line) = (self.session, self.ours, self.line);
        self.played.mismatches.push(Mismatch { session, ours, line, method: method.into(), whose, what });
    }

    /// Takes what our connection has to say.
    fn collect(&mut self) {
        let mut wire = Vec::new();
        self.conn.drain_lines(&mut wire, usize::MAX);
        let frames = wire.split(|byte| *byte == b'\n').filter(|frame| !frame.is_empty());
        self.said.extend(frames.map(|frame| (self.line, serde_json::from_slice(frame).unwrap())));
        self.played.wire.extend(wire);
    }

    /// Ends the input, and so the session.
    fn finish(mut self) -> Played<'a> {
        for (line, frame) in std::mem::take(&mut self.said) {
            self.line = line;
            let method = self.method_of(&frame).unwrap_or_default().to_string();
            self.report(&method, What::Extra(frame));
        }
        self.conn.handle_eof(self.now);
        // What is in work may still be answered, so whoever has nothing to say about it has to say that.
        for (_, asked) in std::mem::take(&mut self.asked) {
            self.conn.reject(self.now, asked.id, &ErrorObject::internal("not recorded")).ok();
        }
        // A recording ends where its client does, so nothing is compared any more.
        self.collect();
        self.events(&[]);
        assert!(self.is_closed, "{}: {:?} is still open", self.session.name, self.ours);
        let calls: BTreeSet<_> = self.open.keys().copied().collect();
        assert_eq!(calls, self.ended, "{}: {:?}: each call ends once", self.session.name, self.ours);
        self.played
    }

    /// The method of a request or notification, or that of the request that is answered.
    fn method_of<'b>(&'b self, frame: &'b Value) -> Option<&'b str> {
        frame
            .get("method")
            .or_else(|| self.session.request(self.ours.other(), frame.get("id")?)?.get("method"))?
            .as_str()
    }
}

/// What our side says.
impl<'a> Player<'a> {
    fn say_line(&mut self, line: &'a Line) {
        let unsayable = |wanted: Value| What::Missing { wanted, why: Unsaid::NoMessage };
        match &line.json {
            // We send each message of a batch by itself.
            Some(Value::Array(batch)) if !batch.is_empty() && self.speaks_batches() => {
                for wanted in batch {
                    match scan(&wanted.to_string()).fault() {
                        Some(_) => self.report("", unsayable(wanted.clone())),
                        None => self.say(wanted),
                    }
                }
            }
            Some(wanted) if scan(&line.text).fault().is_none() => self.say(wanted),
            _ => self.report("", unsayable(json!(line.text))),
        }
    }

    fn speaks_batches(&self) -> bool {
        self.conn.version().is_some_and(|version| version.rules().batches)
    }

    /// Sees to it that our connection says the same.
    fn say(&mut self, wanted: &'a Value) {
        let method = self.method_of(wanted).unwrap_or_default().to_string();
        let (mut whose, mut why) = (Whose::Cores, Unsaid::Dropped);
        let mut found = self.find(wanted);
        if found.is_none() {
            whose = Whose::Applications;
            why = self.act(wanted).err().unwrap_or(why);
            self.collect();
            self.events(&[]);
            found = self.find(wanted);
        }
        let Some(at) = found else {
            return self.report(&method, What::Missing { wanted: wanted.clone(), why });
        };
        let (_, mut got) = self.said.remove(at);
        self.learn(wanted, &mut got);
        self.played.compared += 1;
        for what in differences(wanted, &got) {
            self.report_of(whose, &method, what);
        }
    }

    /// Where the counterpart of a recorded frame is: best the same, else one of the same kind.
    fn find(&self, wanted: &Value) -> Option<usize> {
        let is_like = |got: &Value| match wanted.get("method") {
            Some(method) => got.get("method") == Some(method) && got.get("id").is_some() == wanted.get("id").is_some(),
            None => got.get("method").is_none() && got["id"] == wanted["id"],
        };
        let is_same = |got: &Value| is_like(got) && differences(wanted, got).is_empty();
        let mut frames = self.said.iter().map(|(_, frame)| frame);
        frames.clone().position(is_same).or_else(|| frames.position(is_like))
    }

    /// Learns which id and token of ours stand for the recorded ones, and puts those in their places.
    fn learn(&mut self, wanted: &Value, got: &mut Value) {
        if wanted.get("method").is_none() {
            return;
        }
        for (place, learned) in [("/id", &mut self.ids), ("/params/_meta/progressToken", &mut self.tokens)] {
            if let (Some(wanted), Some(got)) = (wanted.pointer(place), got.pointer_mut(place)) {
                learned.insert(wanted.to_string(), std::mem::replace(got, wanted.clone()));
            }
        }
        if wanted["method"] == "notifications/cancelled"
            && self.ids.get(&wanted["params"]["requestId"].to_string()) == Some(&got["params"]["requestId"])
        {
            got["params"]["requestId"] = wanted["params"]["requestId"].clone();
        }
    }

    /// Lets our application do what makes our connection say it; the error is why it will not.
    fn act(&mut self, wanted: &'a Value) -> Result<(), Unsaid> {
        match (wanted["method"].as_str(), wanted.get("id")) {
            (Some(method), Some(_)) => self.ask(method, wanted),
            (Some(method), None) => self.tell(method, wanted),
            (None, Some(_)) => self.answer(wanted),
            (None, None) => Err(Unsaid::NoMessage),
        }
    }

    fn ask(&mut self, method: &str, wanted: &'a Value) -> Result<(), Unsaid> {
        let (key, params) = (wanted["id"].to_string(), &wanted["params"]);
        let is_retry = params.get("inputResponses").is_some() || params.get("requestState").is_some();
        if let Some(id) = self.call_to_repeat(params).filter(|_| is_retry) {
            self.calls.insert(key, id);
            return self.ask_again(id, params);
        }
        let mut options = CallOptions::default();
        let token = params.pointer("/_meta/progressToken");
        options.progress = if token.is_some() { Wanted::Yes } else { Wanted::No };
        options.log_level = params["_meta"].get(meta_key::LOG_LEVEL).map(decode);
        options.meta = meta_of(params);
        let body = self.known(method, model::message(method, params, self.era()));
        let id = self.conn.request(self.now, body, options).map_err(|error| Unsaid::Refused(error.why))?;
        self.calls.insert(key, id);
        self.open.insert(id, params.clone());
        Ok(())
    }

    /// The call that these parameters repeat, with answers.
    fn call_to_repeat(&self, params: &Value) -> Option<OutboundId> {
        let own = |params: &Value| {
            let mut own = params.as_object().cloned().unwrap_or_default();
            ["inputResponses", "requestState", "_meta"].iter().for_each(|member| drop(own.remove(*member)));
            own
        };
        let mut open = self.open.iter().filter(|(id, _)| !self.ended.contains(id));
        open.find(|(_, first)| own(first) == own(params)).map(|(id, _)| *id)
    }

    fn ask_again(&mut self, id: OutboundId, params: &Value) -> Result<(), Unsaid> {
        let Some(questions) = self.questions.remove(&id) else {
            // Without a question there is nothing to wait for but the time.
            self.now = self.conn.poll_timeout().ok_or(Unsaid::Nobody)?;
            self.conn.handle_timeout(self.now);
            return Ok(());
        };
        let mut responses = BTreeMap::new();
        for (key, question) in &questions {
            if let Some(answer) = params["inputResponses"].get(key) {
                let method = question.method();
                let body = self.known(method, model::result(method, answer, Era::Modern));
                responses.insert(key.clone(), body);
            }
        }
        self.conn.supply_input(self.now, id, &responses).map_err(Unsaid::NotAnswered)
    }

    fn answer(&mut self, wanted: &Value) -> Result<(), Unsaid> {
        let error = wanted.get("error").map(|error| serde_json::from_value(error.clone()));
        let error: Option<ErrorObject> = error.transpose().map_err(|_| Unsaid::NoMessage)?;
        let key = wanted["id"].to_string();
        let asked = self.asked.get(&key).ok_or(Unsaid::Nobody)?;
        let (id, era) = (asked.id, asked.version.era());
        let method = self.session.result_of(&asked.request, self.ours.other()).to_string();
        let result = &wanted["result"];
        let sent = match (error, result["resultType"].as_str()) {
            (Some(error), _) => self.conn.reject(self.now, id, &error),
            (None, Some("input_required")) => {
                let input = self.input_required(result);
                self.conn.require_input(self.now, id, &input)
            }
            (None, kind) => {
                let kind = match kind {
                    Some("task") => ResultKind::Task,
                    None if result.pointer("/task/taskId").is_some() => ResultKind::Task,
                    None | Some("complete") => ResultKind::Complete,
                    Some(other) => ResultKind::Other(other.into()),
                };
                let body = self.known(&method, model::result(&method, result, era));
                self.conn.respond(self.now, id, kind, body, meta_of(result))
            }
        };
        if sent != Err(RespondError::NotInThisRevision) {
            self.asked.remove(&key);
        }
        sent.map_err(Unsaid::NotAnswered)
    }

    fn tell(&mut self, method: &str, wanted: &Value) -> Result<(), Unsaid> {
        let params = &wanted["params"];
        if let Some(change) = Change::of(&scan(&wanted.to_string())) {
            if params["_meta"].get(meta_key::SUBSCRIPTION_ID).is_some() {
                self.subscription(params).ok_or(Unsaid::Nobody)?;
            }
            self.conn.changed(self.now, &change);
            return Ok(());
        }
        match method {
            "notifications/cancelled" => {
                let call = self.calls.get(&params["requestId"].to_string()).ok_or(Unsaid::Nobody)?;
                self.given_up.insert(*call);
                self.conn.cancel(self.now, *call, params["reason"].as_str().unwrap_or_default());
                Ok(())
            }
            "notifications/progress" => {
                let progress: ProgressParams = decode(params);
                let token = Some(&params["progressToken"]);
                let asked = self.asked.values().find(|asked| asked.token.as_ref() == token).ok_or(Unsaid::Nobody)?;
                self.conn.progress(self.now, asked.id, progress.into()).map_err(Unsaid::NotAnswered)
            }
            "notifications/subscriptions/acknowledged" => {
                let granted: AcknowledgedParams = decode(params);
                let asked = self.subscription(params).ok_or(Unsaid::Nobody)?;
                self.conn.grant(self.now, asked, &granted.notifications).map_err(Unsaid::NotAnswered)
            }
            _ => {
                let about = self.subscription(params).or_else(|| self.logged_for(method));
                let scope = about.map_or(Scope::Connection, Scope::Within);
                let body = self.known(method, model::message(method, params, self.era()));
                self.conn.notify(self.now, body, scope, meta_of(params)).map_err(|error| Unsaid::Refused(error.why))
            }
        }
    }

    /// The subscription that a notification belongs to.
    fn subscription(&self, params: &Value) -> Option<InboundId> {
        let id = params["_meta"].get(meta_key::SUBSCRIPTION_ID)?;
        self.asked.get(&id.to_string()).map(|asked| asked.id)
    }

    /// The request that a log message belongs to: in the modern era one that asked for it. It does not say which.
    fn logged_for(&self, method: &str) -> Option<InboundId> {
        let mut asked =
            self.asked.values().filter(|asked| asked.version.era() == Era::Modern && asked.log_level.is_some());
        asked.next_back().filter(|_| method == "notifications/message").map(|asked| asked.id)
    }

    /// A question instead of an answer.
    fn input_required(&mut self, result: &Value) -> InputRequired {
        let requests: InputRequests = result.get("inputRequests").map(decode).unwrap_or_default();
        let mut input = InputRequired::default();
        for (key, request) in requests.0 {
            let request = json!(request);
            let method = request["method"].as_str().unwrap_or_default();
            let body = self.known(method, model::message(method, &request["params"], Era::Modern));
            input.requests.insert(key, body);
        }
        input.state = result["requestState"].as_str().map(String::from);
        input
    }

    /// What the model knows all members of.
    fn known(&mut self, method: &str, recoded: model::Recoded) -> Body {
        for member in recoded.unknown {
            self.report(method, What::Unknown(member));
        }
        recoded.body
    }

    fn era(&self) -> Era {
        self.session.revision.era()
    }
}

/// What our side hears.
impl Player<'_> {
    fn hear(&mut self, line: &Line) {
        let text = match &line.json {
            Some(json) => match self.changes(json) {
                Some(changes) => spell(&line.text, json, &changes),
                None if line.breaks.is_some() => line.text.clone(),
                // The answer to something that we did not ask.
                None => return,
            },
            None => line.text.clone(),
        };
        let noticed = self.played.mismatches.len();
        self.chunks.feed(&mut self.conn, self.now, &text);
        let told = self.told;
        match serde_json::from_str(&text) {
            Ok(Value::Array(messages)) => self.events(&messages),
            Ok(message) => {
                self.events(std::slice::from_ref(&message));
                self.check_told(&message, self.told - told);
            }
            Err(_) => self.events(&[]),
        }
        if line.breaks.is_some() && self.played.mismatches.len() == noticed {
            self.report("", What::Unnoticed);
        }
        self.collect();
    }

    /// A notification reaches our application, but for those which the core draws the conclusions of by itself.
    fn check_told(&mut self, message: &Value, told: usize) {
        let method = message["method"].as_str().filter(|_| message.get("id").is_none());
        let Some(method) =
            method.filter(|method| !["notifications/initialized", "notifications/cancelled"].contains(method))
        else {
            return;
        };
        if told != 1 && !self.is_closed {
            self.report(method, What::Unheard(message.clone()));
        }
    }

    /// Where in a message other ids have to stand: those that the peer would have got from us. `None` if it answers something
    /// that we did not ask.
    fn changes(&self, message: &Value) -> Option<Vec<(String, Value)>> {
        if let Value::Array(batch) = message {
            let changes = batch.iter().enumerate().filter_map(|(at, message)| Some((at, self.changes(message)?)));
            let changes = changes
                .flat_map(|(at, changes)| changes.into_iter().map(move |(place, id)| (format!("/{at}{place}"), id)));
            return Some(changes.collect());
        }
        let mut changes = Vec::new();
        let is_answer =
            message.get("method").is_none() && (message.get("result").is_some() || message.get("error").is_some());
        if is_answer && let Some(id) = message.get("id").filter(|id| !id.is_null()) {
            changes.push(("/id".to_string(), self.ids.get(&id.to_string())?.clone()));
        }
        let (ids, tokens, none) = (&self.ids, &self.tokens, &BTreeMap::new());
        // So a server ends a subscription; anybody else cancels what is their own.
        let cancelled = if self.ours == Side::Client && self.era() == Era::Modern { ids } else { none };
        for (place, ids) in [
            ("/params/progressToken", tokens),
            ("/params/_meta/io.modelcontextprotocol~1subscriptionId", ids),
            ("/result/_meta/io.modelcontextprotocol~1subscriptionId", ids),
            ("/params/requestId", cancelled),
        ] {
            let id = message.pointer(place).and_then(|id| ids.get(&id.to_string()));
            changes.extend(id.map(|id| (place.to_string(), id.clone())));
        }
        Some(changes)
    }

    /// Takes what our connection tells the application; `heard` is what it was told of last.
    fn events(&mut self, heard: &[Value]) {
        while let Some(event) = self.conn.poll_event() {
            assert!(!self.is_closed, "{}: something comes after the end", self.session.name);
            match event {
                Event::Request { id, message, meta } => {
                    let key = serde_json::to_string(&meta.wire_id).unwrap();
                    let asked = Asked {
                        id,
                        request: serde_json::from_str(message.text()).unwrap(),
                        version: meta.version,
                        token: meta.token.map(|token| json!(token)),
                        log_level: meta.log_level,
                    };
                    self.asked.insert(key, asked);
                }
                Event::Cancelled { id, .. } => {
                    self.asked.retain(|_, asked| asked.id != id);
                    self.conn.release(self.now, id);
                }
                Event::InputRequired { id, requests } => drop(self.questions.insert(id, requests)),
                Event::Response { id, result } => {
                    assert!(self.ended.insert(id), "{}: {id:?} has ended twice", self.session.name);
                    self.check_end(id, result, heard);
                }
                Event::Misbehaved { rule, detail } => self.report("", What::Fault(rule, detail)),
                Event::Stray { message } => self.report(message.method(), What::Stray(message.text().into())),
                Event::Notification { .. } | Event::Progress { .. } => self.told += 1,
                Event::Closed { .. } => self.is_closed = true,
                _ => {}
            }
        }
    }

    /// A call ends by what the peer said, and by all of it.
    fn check_end(&mut self, id: OutboundId, end: Result<(ResultKind, Message), RequestError>, heard: &[Value]) {
        let said = |member: &str, value: Value| heard.iter().any(|heard| heard.get(member) == Some(&value));
        let is_as_heard = match &end {
            Ok((_, message)) => said("result", message.result().unwrap().decode().unwrap()),
            Err(RequestError::Rpc(error)) => said("error", serde_json::to_value(error).unwrap()),
            // By us, or by a server that ends a subscription.
            Err(RequestError::Cancelled) => {
                self.given_up.contains(&id) || said("method", json!("notifications/cancelled"))
            }
            Err(RequestError::Closed(_)) => heard.is_empty(),
            Err(_) => false,
        };
        if !is_as_heard {
            self.report("", What::End(format!("{end:?}")));
        }
    }
}

fn scan(text: &str) -> Message {
    Message::scan(text.as_bytes(), &Limits::default())
}

/// The keys of a `_meta`; which of them are the user's is for the core to say.
fn meta_of(params: &Value) -> Option<Map<String, Value>> {
    params.get("_meta")?.as_object().cloned()
}

fn decode<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

/// The text of a line with other ids in it, else as it was written: the order of members and every escape stay.
fn spell(text: &str, json: &Value, changes: &[(String, Value)]) -> String {
    let (mut text, mut json) = (text.to_string(), json.clone());
    for (place, new) in changes {
        let member = json.pointer_mut(place).unwrap();
        let key = place.rsplit('/').next().unwrap().replace("~1", "/");
        let (old, new) = (format!("\"{key}\":{}", std::mem::replace(member, new.clone())), format!("\"{key}\":{new}"));
        let mut spellings =
            text.match_indices(&old).map(|(at, _)| format!("{}{new}{}", &text[..at], &text[at + old.len()..]));
        let is_it = |spelling: &String| serde_json::from_str::<Value>(spelling).is_ok_and(|it| it == json);
        text = spellings.find(is_it).unwrap_or_else(|| panic!("{text}: {old} is spelled in another way"));
    }
    text
}
