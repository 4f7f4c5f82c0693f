//! Requests that become tasks: when a result may say so, and whose progress goes on after it.
//!
//! Specification: basic/utilities/tasks (2025-11-25), where the token of a request lives until its task ends; the extension
//! `io.modelcontextprotocol/tasks` (2026-07-28), whose tasks report by other means.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::calls::TaskCall;
use super::event::{OutboundId, Peer, PeerCapabilities, ResultKind, Wanted};
use super::{Connection, Side};
use crate::jsonrpc::{Body, Fault, Message};
use crate::model::{Capability, CreateTaskResult, ProtocolVersion, Task, TasksCapability, TasksRule};

impl Connection {
    /// Whether a request of `peer` may be answered with a task.
    pub(super) fn may_be_task(&self, message: &Message, version: ProtocolVersion, peer: Option<&Peer>) -> bool {
        match version.rules().tasks {
            TasksRule::None => false,
            TasksRule::Core => {
                self.own_tasks().is_some_and(|tasks| tasks.supports(message.method()))
                    && message.text().contains(TASK)
                    && message.params().decode::<Asks>().is_ok_and(|params| params.task.is_some())
            }
            // Specification of the extension: only a client that has declared it with this request, and only tools/call.
            TasksRule::Extension => {
                let declared = peer.map(|peer| &peer.capabilities);
                let theirs = matches!(declared, Some(PeerCapabilities::Client(offered)) if offered.offers(EXTENSION));
                let ours = matches!(&self.side, Side::Server(config) if config.capabilities.offers(EXTENSION));
                message.method() == "tools/call" && theirs && ours
            }
        }
    }

    fn own_tasks(&self) -> Option<&TasksCapability> {
        match &self.side {
            Side::Client(config) => config.capabilities.tasks.as_ref(),
            Side::Server(config) => config.capabilities.tasks.as_ref(),
        }
    }

    /// Whether a request of ours may ask to become a task of 2025-11-25. Its result tells whether it did.
    pub(super) fn may_ask_task(&self, body: &Body) -> bool {
        let has_tasks = self.version().is_some_and(|version| version.rules().tasks == TasksRule::Core);
        has_tasks && TASK_REQUESTS.contains(&body.method()) && body.contains(TASK)
    }

    /// What the result of a call that may have become a task is.
    pub(super) fn task_result_kind(&mut self, id: OutboundId, message: &Message) -> ResultKind {
        let created = message.result().and_then(|result| result.decode::<CreateTaskResult>().ok());
        let (Some(created), Some(call)) = (created, self.calls.get_mut(id)) else { return ResultKind::Complete };
        if call.wants_progress == Wanted::Yes && !created.task.status.is_terminal() {
            let (wire, last_progress) = (call.wire, call.last_progress);
            self.calls.keep_task(wire, TaskCall { call: id, task: created.task.task_id, last_progress });
        }
        ResultKind::Task
    }

    /// What the result type `task` of the modern era means as the answer to this call.
    pub(super) fn extension_task_kind(&self, id: OutboundId) -> Result<ResultKind, Fault> {
        let declared = matches!(&self.side, Side::Client(config) if config.capabilities.offers(EXTENSION));
        let is_tool = self.calls.open.get(&id).is_some_and(|call| call.may_become_task);
        if declared && is_tool { Ok(ResultKind::Task) } else { Err(Fault::BadResultMember("resultType")) }
    }

    /// Forgets the task of a call if `notifications/tasks/status` says that it has ended: it reports no more.
    pub(super) fn note_task_status(&mut self, message: &Message) {
        if self.calls.tasks.is_empty() {
            return;
        }
        if let Ok(task) = message.params().decode::<Task>()
            && task.status.is_terminal()
        {
            self.calls.tasks.retain(|_, kept| kept.task != task.task_id);
        }
    }
}

/// Which requests may ask to become a task in 2025-11-25.
pub(super) const TASK_REQUESTS: [&str; 3] = ["tools/call", "sampling/createMessage", "elicitation/create"];
const TASK: &str = "\"task\":";
const EXTENSION: Capability = Capability::TasksExtension;

#[derive(Deserialize)]
struct Asks {
    task: Option<IgnoredAny>,
}
