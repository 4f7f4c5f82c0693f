//! What is done once in a request and then remembered, however often its handler runs.

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::{Error, Result};

/// Results by their keys.
#[derive(Default)]
pub(super) struct Kept(Mutex<BTreeMap<String, Slot>>);

enum Slot {
    /// It is being found out; these want to know as well.
    Running(Vec<Waker>),
    Done(Box<RawValue>),
}

impl Kept {
    /// What was kept before.
    pub(super) fn of(done: BTreeMap<String, Box<RawValue>>) -> Self {
        Self(Mutex::new(done.into_iter().map(|(key, result)| (key, Slot::Done(result))).collect()))
    }

    /// What is done by now.
    pub(super) fn done(&self) -> BTreeMap<String, Box<RawValue>> {
        let slots = self.slots();
        let done = slots.iter().filter_map(|(key, slot)| match slot {
            Slot::Done(result) => Some((key.clone(), result.clone())),
            Slot::Running(_) => None,
        });
        done.collect()
    }

    /// The result of this key: runs `future` only if there is none yet. An error is not kept.
    ///
    /// What is given is always read back from what is kept, so that it is the same in every run.
    pub(super) async fn once<T, E>(&self, key: &str, future: impl Future<Output = Result<T, E>>) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned,
        E: From<Error>,
    {
        let wrong = |error| Error::Result { what: format!("once {key:?}"), error };
        let result = match self.claim(key).await {
            Claim::Done(result) => result,
            Claim::Ours(running) => {
                let value = future.await?;
                running.done(serde_json::value::to_raw_value(&value).map_err(wrong)?)
            }
        };
        serde_json::from_str(result.get()).map_err(|error| wrong(error).into())
    }

    /// Waits while somebody else is at it.
    async fn claim<'a>(&'a self, key: &'a str) -> Claim<'a> {
        poll_fn(|cx| {
            let waker = cx.waker().clone();
            let mut slots = self.slots();
            match slots.get_mut(key) {
                Some(Slot::Done(result)) => Poll::Ready(Claim::Done(result.clone())),
                Some(Slot::Running(waiting)) => {
                    if !waiting.iter().any(|known| known.will_wake(&waker)) {
                        waiting.push(waker);
                    }
                    Poll::Pending
                }
                None => {
                    slots.insert(key.to_owned(), Slot::Running(Vec::new()));
                    Poll::Ready(Claim::Ours(Running { kept: self, key }))
                }
            }
        })
        .await
    }

    /// Ends what is running, with a result or without, and wakes those who wait for it.
    fn end(&self, key: &str, result: Option<Box<RawValue>>) {
        let ended = {
            let mut slots = self.slots();
            match result {
                Some(result) => slots.insert(key.to_owned(), Slot::Done(result)),
                None => slots.remove(key),
            }
        };
        if let Some(Slot::Running(waiting)) = ended {
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<String, Slot>> {
        // Nothing can panic while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.done().keys()).finish()
    }
}

enum Claim<'a> {
    Done(Box<RawValue>),
    Ours(Running<'a>),
}

/// The right to find a result out. Given back on drop, so that the next one tries.
struct Running<'a> {
    kept: &'a Kept,
    key: &'a str,
}

impl Running<'_> {
    fn done(self, result: Box<RawValue>) -> Box<RawValue> {
        self.kept.end(self.key, Some(result.clone()));
        std::mem::forget(self);
        result
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.kept.end(self.key, None);
    }
}
