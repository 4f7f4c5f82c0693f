//! What comes before the connection hears of a message: routers take answers that are theirs, interceptors see notifications.

use std::fmt::Write;

use mcp_proto::Message;
use mcp_proto::jsonrpc::Kind;

use super::driver::Parts;
use super::handling::contain_callback;

/// What is left of a message for the connection.
pub(crate) fn screen<R>(parts: &Parts<R>, message: Message) -> Option<Message> {
    if parts.service.routers().is_empty() && !parts.service.intercepts() {
        return Some(message);
    }
    let batch = message.batch(&parts.limits).map(|batch| screen_batch(parts, batch));
    match batch {
        Some(left) => left.map(|left| Message::scan(left.as_bytes(), &parts.limits)),
        None => screen_one(parts, message),
    }
}

/// Nothing may pass unseen in the company of others (batches: 2025-03-26). Whether there may be any is for the connection to
/// say.
fn screen_batch<R>(parts: &Parts<R>, batch: impl Iterator<Item = Message>) -> Option<String> {
    let (mut left, mut came) = (String::from("["), false);
    for message in batch {
        came = true;
        let Some(message) = screen_one(parts, message) else { continue };
        // Of something malformed and long only the beginning is kept, which may be no JSON; this is as malformed.
        let is_cut =
            message.kind() == Kind::Malformed && serde_json::from_str::<serde::de::IgnoredAny>(message.text()).is_err();
        let text = if is_cut { "0" } else { message.text() };
        let separator = if left.len() > 1 { "," } else { "" };
        let _ = write!(left, "{separator}{text}");
    }
    left.push(']');
    // An empty batch is for the connection to refuse, but not one that was emptied here.
    (!came || left.len() > 2).then_some(left)
}

fn screen_one<R>(parts: &Parts<R>, message: Message) -> Option<Message> {
    if message.kind() == Kind::Notification && parts.service.intercepts() {
        let method = message.method().to_owned();
        // Of one whose interceptor panicked nobody hears: it might have been one to keep back.
        return contain_callback(&method, None, || parts.service.arrived(message)).flatten();
    }
    if !parts.service.routers().take(&message) {
        return Some(message);
    }
    if let Some(id) = message.id() {
        parts.shared.with(|state| state.connection.release_id(id));
    }
    None
}
