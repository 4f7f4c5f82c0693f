//! Hearing of changes in the modern era; mirrors the specification's Subscriptions page (2026-07-28 and later).

use alloc::string::String;
use alloc::vec::Vec;

use super::wire::wire_struct;

wire_struct! {
    /// The changes that a client wants to hear of, or that a server will tell. Absent and false mean: not that one.
    #[derive(Default)]
    pub struct SubscriptionFilter {
        /// The list of tools.
        optional(with_tools_list_changed) tools_list_changed: bool = "toolsListChanged",
        /// The list of prompts.
        optional(with_prompts_list_changed) prompts_list_changed: bool = "promptsListChanged",
        /// The list of resources.
        optional(with_resources_list_changed) resources_list_changed: bool = "resourcesListChanged",
        /// The resources of these URIs.
        optional(with_resource_subscriptions) resource_subscriptions: Vec<String> = "resourceSubscriptions",
        /// The tasks of these ids (extension `io.modelcontextprotocol/tasks`).
        optional(with_task_ids) task_ids: Vec<String> = "taskIds",
    }
}

impl SubscriptionFilter {
    /// Whether nothing that this crate knows is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let nothing = |list: &Option<Vec<String>>| list.as_ref().is_none_or(Vec::is_empty);
        [self.tools_list_changed, self.prompts_list_changed, self.resources_list_changed]
            .iter()
            .all(|wanted| *wanted != Some(true))
            && nothing(&self.resource_subscriptions)
            && nothing(&self.task_ids)
    }

    /// What stands in both, of what this crate knows: a grant must not go beyond what was asked for.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let both = |one: Option<bool>, other: Option<bool>| (one == Some(true) && other == Some(true)).then_some(true);
        let shared = |one: &Option<Vec<String>>, other: &Option<Vec<String>>| {
            let (one, other) = (one.as_ref()?, other.as_ref()?);
            Some(one.iter().filter(|entry| other.contains(entry)).cloned().collect())
        };
        Self {
            tools_list_changed: both(self.tools_list_changed, other.tools_list_changed),
            prompts_list_changed: both(self.prompts_list_changed, other.prompts_list_changed),
            resources_list_changed: both(self.resources_list_changed, other.resources_list_changed),
            resource_subscriptions: shared(&self.resource_subscriptions, &other.resource_subscriptions),
            task_ids: shared(&self.task_ids, &other.task_ids),
            ..Self::new()
        }
    }
}

wire_struct! {
    /// The parameters of `subscriptions/listen`. Its result, when the server ends it, is an
    /// [`EmptyResult`](super::EmptyResult).
    pub struct ListenParams {
        /// What the client wants to hear of.
        required notifications: SubscriptionFilter = "notifications",
    }
}

wire_struct! {
    /// The parameters of `notifications/subscriptions/acknowledged`, the first message of every subscription.
    pub struct AcknowledgedParams {
        /// What the server will tell: of what was asked for, what it supports.
        required notifications: SubscriptionFilter = "notifications",
    }
}
