//! Waiting for some time, on whichever runtime the program was told to run.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use mcp::runtime::Runtime;

type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A runtime's timer, its type forgotten: handlers reach it as the server's state.
#[derive(Clone)]
pub(crate) struct Pause(Arc<dyn Fn(Duration) -> Sleep + Send + Sync>);

impl Pause {
    pub(crate) fn on(runtime: impl Runtime) -> Self {
        Self(Arc::new(move |duration| Box::pin(runtime.sleep_until(runtime.now() + duration))))
    }

    /// Waits for so long.
    pub(crate) async fn wait(&self, duration: Duration) {
        (self.0)(duration).await;
    }
}
