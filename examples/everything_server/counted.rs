//! What stands around every request: an interceptor that counts them, and a tool that tells.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use mcp::{Context, Incoming, Interceptor, Json, Next, Outcome, Server, Tool};

/// How many requests of each method have come by. Only methods that this server has do, so it stays small.
#[derive(Clone, Default)]
struct Counts(Arc<Mutex<BTreeMap<String, u32>>>);

impl Interceptor for Counts {
    async fn request(&self, request: Incoming, next: Next) -> Outcome {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(request.method().to_owned()).or_default() += 1;
        next.run(request).await
    }
}

pub(crate) fn offer(server: Server) -> Server {
    let counts = Counts::default();
    server.state(counts.clone()).intercept(counts).tool(Tool::new(
        "test_request_counts",
        "How many requests of each method have come by",
        async |ctx: Context| Json(ctx.state::<Counts>().0.lock().unwrap_or_else(PoisonError::into_inner).clone()),
    ))
}
