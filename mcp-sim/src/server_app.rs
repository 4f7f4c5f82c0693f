//! A server's application: handlers that do what the arguments of a request tell them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use mcp_proto::model::{LogParams, LoggingLevel, Progress, SubscriptionFilter};
use mcp_proto::{
    Body, CallOptions, Change, Deadlines, Era, ErrorObject, Event, InboundId, InputRequired, Message, OutboundId,
    ProtocolVersion, RequestMeta, Scope, Why,
};
use serde_json::{Value, json};

use crate::node::Hand;
use crate::oracle;
use crate::seen::Deed;
use crate::stage::Job;
use crate::workload::Plan;

/// A server's application.
#[derive(Default)]
pub(crate) struct ServerApp {
    work: BTreeMap<InboundId, Work>,
    /// Which work goes on when a question of ours is answered.
    questions: BTreeMap<OutboundId, Option<InboundId>>,
    /// Work that found no room.
    blocked: VecDeque<InboundId>,
    over: bool,
}

/// A handler at work.
struct Work {
    tag: String,
    plan: Plan,
    version: ProtocolVersion,
    /// How many of its steps are done.
    done: u64,
    is_listen: bool,
}

/// How long a handler waits for the client's answer.
const A_PERSONS_TIME: Duration = Duration::from_secs(600);

impl ServerApp {
    pub(crate) fn waiting(&self) -> usize {
        self.blocked.len()
    }

    pub(crate) fn in_work(&self) -> usize {
        self.work.len()
    }

    pub(crate) fn change(&mut self, hand: &mut Hand<'_>, times: u32) {
        for _ in 0..times {
            let change = match hand.stage.prng.below(5) {
                0 => Change::Tools,
                1 => Change::Prompts,
                2 => Change::Resources,
                3 => Change::Resource("sim://2".into()),
                _ => Change::Resource("sim://1".into()),
            };
            hand.change(&change);
        }
    }

    pub(crate) fn log(&mut self, hand: &mut Hand<'_>) {
        log(hand, Scope::Connection);
    }

    /// Asks something that belongs to no request.
    pub(crate) fn ask(&mut self, hand: &mut Hand<'_>) {
        let method = if hand.stage.prng.percent(50) { "ping" } else { "roots/list" };
        let Ok(body) = Body::empty(method) else { return };
        match hand.request(body, CallOptions::default()) {
            Ok(id) => {
                hand.did(&Deed::Asked(id, None));
                self.questions.insert(id, None);
            }
            Err(error) => hand.did(&Deed::Refused(error.why, "a question")),
        }
    }

    /// Handlers that said nothing say something now.
    pub(crate) fn wake_silent(&mut self, hand: &mut Hand<'_>) {
        for (id, work) in &self.work {
            if work.plan == Plan::Silent {
                hand.later(Duration::ZERO, Job::Work(*id));
            }
        }
    }

    pub(crate) fn on_event(&mut self, hand: &mut Hand<'_>, event: Event) {
        match event {
            Event::Request { id, message, meta } => self.begin(hand, id, &message, &meta),
            Event::Cancelled { id, .. } => {
                self.blocked.retain(|blocked| *blocked != id);
                if self.work.remove(&id).is_some_and(|work| !work.is_listen) {
                    let delay = hand.stage.prng.pick(&[0, 5, 500]);
                    hand.later(Duration::from_millis(delay), Job::Release(id));
                }
            }
            Event::Response { id, result } => {
                if let Some(Some(within)) = self.questions.remove(&id) {
                    match result {
                        Ok(_) => self.go_on(hand, within),
                        // Whoever does not answer is not asked again.
                        Err(_) => self.finish(hand, within),
                    }
                }
            }
            Event::Writable => {
                for id in std::mem::take(&mut self.blocked) {
                    self.step(hand, id);
                }
            }
            Event::Closed { .. } => {
                self.over = true;
                self.work.clear();
                self.blocked.clear();
            }
            _ => {}
        }
    }

    pub(crate) fn perform(&mut self, hand: &mut Hand<'_>, job: Job) {
        match job {
            Job::Work(id) => self.step(hand, id),
            Job::Release(id) => hand.release(id),
            _ => {}
        }
    }

    fn begin(&mut self, hand: &mut Hand<'_>, id: InboundId, message: &Message, meta: &RequestMeta) {
        let params: Value = message.params().decode().unwrap_or_default();
        let planned = Plan::read(&params["arguments"]);
        let is_listen = message.method() == "subscriptions/listen";
        let (tag, plan) = planned.unwrap_or_else(|| (String::new(), Plan::Echo));
        // What was answered before travels with the request.
        let done =
            params["requestState"].as_str().and_then(|state| state.rsplit_once('#')?.1.parse().ok()).unwrap_or(0);
        let delay = match plan {
            Plan::Slow(millis) => Some(millis),
            Plan::Silent if !hand.stage.healed => None,
            Plan::Silent => Some(10),
            _ => Some(hand.stage.prng.pick(&[0, 0, 1])),
        };
        self.work.insert(id, Work { tag, plan, version: meta.version, done, is_listen });
        match delay {
            Some(0) => self.step(hand, id),
            Some(millis) => hand.later(Duration::from_millis(millis), Job::Work(id)),
            None => {}
        }
    }

    fn go_on(&mut self, hand: &mut Hand<'_>, id: InboundId) {
        if let Some(work) = self.work.get_mut(&id) {
            work.done += 1;
            self.step(hand, id);
        }
    }

    fn step(&mut self, hand: &mut Hand<'_>, id: InboundId) {
        // Whoever has a lot to say waits until there is room, as the driver of `mcp` does.
        if hand.conn.is_output_full() && self.work.contains_key(&id) {
            if !self.blocked.contains(&id) {
                self.blocked.push_back(id);
            }
            return;
        }
        let Some(work) = self.work.get_mut(&id) else { return };
        let modern = work.version.era() == Era::Modern;
        match work.plan {
            _ if work.is_listen => {
                let all = SubscriptionFilter::default()
                    .with_tools_list_changed(true)
                    .with_prompts_list_changed(true)
                    .with_resources_list_changed(true)
                    .with_resource_subscriptions(vec!["sim://1".into(), "sim://2".into()]);
                // It stays open until it is cancelled.
                hand.grant(id, &all);
            }
            Plan::Progress(times, millis) if work.done < times => {
                work.done += 1;
                let progress = Progress::new(work.done as f64).with_total(times as f64).with_message(work.tag.clone());
                hand.report(id, progress);
                if millis == 0 {
                    self.step(hand, id);
                } else {
                    hand.later(Duration::from_millis(millis), Job::Work(id));
                }
            }
            Plan::Log(times) if work.done < times => {
                work.done += 1;
                log(hand, Scope::Within(id));
                self.step(hand, id);
            }
            Plan::HoldBack(times) | Plan::Ask(times) if modern && work.done < times => {
                let mut input = InputRequired::default();
                if work.plan == Plan::Ask(times) {
                    let (key, question) = (format!("q{}", work.done), question("elicitation/create", &work.tag));
                    input.requests.extend(question.map(|question| (key, question)));
                    let roots = Body::empty("roots/list").ok().filter(|_| work.done % 2 == 1);
                    input.requests.extend(roots.map(|question| ("roots".to_owned(), question)));
                }
                input.state = Some(format!("{} \u{2028}\"\\#{}", work.tag, work.done + 1));
                let sent = hand.require(id, &input);
                if sent == Err(mcp_proto::RespondError::NotInThisRevision) {
                    // This method knows no questions.
                    return self.finish(hand, id);
                }
                self.work.remove(&id);
            }
            Plan::Ask(times) if !modern && work.done < times => self.ask_within(hand, id),
            _ => self.finish(hand, id),
        }
    }

    fn ask_within(&mut self, hand: &mut Hand<'_>, id: InboundId) {
        let Some(work) = self.work.get(&id) else { return };
        for method in ["elicitation/create", "roots/list"] {
            let Some(body) = question(method, &work.tag) else { continue };
            let mut options = CallOptions::default();
            options.within = Some(id);
            options.deadlines = Deadlines::Call { idle: A_PERSONS_TIME, cap: A_PERSONS_TIME };
            match hand.request(body, options) {
                Ok(asked) => {
                    hand.did(&Deed::Asked(asked, Some(id)));
                    self.questions.insert(asked, Some(id));
                    return;
                }
                Err(error) if error.why == Why::NotInThisRevision || error.why == Why::PeerLacks => {}
                Err(error) if error.why == Why::Full => return self.blocked.push_back(id),
                Err(error) => {
                    hand.did(&Deed::Refused(error.why, "a question"));
                    break;
                }
            }
        }
        // Nobody can be asked.
        self.finish(hand, id);
    }

    fn finish(&mut self, hand: &mut Hand<'_>, id: InboundId) {
        let Some(work) = self.work.remove(&id) else { return };
        match work.plan {
            Plan::Fail => hand.reject(id, &ErrorObject::internal("the handler panicked")),
            plan => {
                let _ = hand.respond(id, &oracle::result(&work.tag, plan));
            }
        }
    }
}

fn log(hand: &mut Hand<'_>, scope: Scope) {
    let level = LoggingLevel::ALL[hand.stage.prng.below(LoggingLevel::ALL.len() as u64) as usize];
    if let Ok(body) = Body::log(&LogParams::new(level, json!("said"))) {
        // What finds no room is dropped.
        let _ = hand.notify(body, scope);
    }
}

fn question(method: &str, tag: &str) -> Option<Body> {
    let params = match method {
        "elicitation/create" => json!({
            "message": tag,
            "requestedSchema": { "type": "object", "properties": { "text": { "type": "string" } } },
        }),
        _ => json!({}),
    };
    Body::new(method, &params).ok()
}
