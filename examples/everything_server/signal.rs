//! When the process is asked to end: SIGTERM, or Ctrl-C at the keyboard.

use std::io;
use std::thread;

use futures_lite::AsyncReadExt;

/// Ready once the process is asked to end. The handlers of signals are tokio's, in a thread of their own, so that this is the same on
/// every runtime.
pub(crate) fn asked_to_end() -> io::Result<impl Future<Output = ()> + Send> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (writer, mut reader) = mcp::memory::pipe(1);
    let signals = {
        let _entered = runtime.enter();
        signals()?
    };
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(signals);
        // Dropping it is the end of what the other side reads.
        drop(writer);
    })?;
    Ok(async move {
        // Nothing is ever written.
        let _ = reader.read(&mut [0]).await;
    })
}

#[cfg(unix)]
fn signals() -> io::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};

    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        futures_lite::future::or(term.recv(), interrupt.recv()).await;
    })
}

#[cfg(not(unix))]
fn signals() -> io::Result<impl Future<Output = ()> + Send> {
    Ok(async { drop(tokio::signal::ctrl_c().await) })
}
