//! What was done and what came of it, line by line, for a person to read.

use std::fmt::Debug;
use std::pin::pin;
use std::time::Duration;

use futures_lite::future::or;

use crate::connect::Outcome;
use crate::pause::Pause;

/// What one step may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Prints as it goes, and counts.
pub(crate) struct Transcript {
    pause: Pause,
    passed: u32,
    failed: Vec<String>,
}

impl Transcript {
    pub(crate) fn new(pause: Pause) -> Self {
        Self { pause, passed: 0, failed: Vec::new() }
    }

    pub(crate) fn remark(&self, text: &str) {
        println!("{text}");
    }

    /// Takes a step and tells what came of it.
    pub(crate) async fn step(&mut self, name: &str, step: impl Future<Output = Outcome<String>>) {
        let too_long = async {
            self.pause.wait(PATIENCE).await;
            Err(format!("not done in {PATIENCE:?}").into())
        };
        match or(pin!(step), pin!(too_long)).await {
            Ok(detail) => {
                println!("  ok      {name}: {detail}");
                self.passed += 1;
            }
            Err(error) => {
                println!("  FAILED  {name}: {error}");
                self.failed.push(name.to_owned());
            }
        }
    }

    /// The last line; an error if a step has failed.
    pub(crate) fn end(self) -> Outcome {
        println!("{} steps ok, {} failed", self.passed, self.failed.len());
        if self.failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", self.failed.join(", ")).into()) }
    }
}

/// An error that says what was found in the place of what.
pub(crate) fn same<T: PartialEq + Debug>(found: T, wanted: T) -> Outcome {
    if found == wanted { Ok(()) } else { Err(format!("found {found:?}, wanted {wanted:?}").into()) }
}

/// An error unless it is so.
pub(crate) fn check(is_so: bool, what: &str) -> Outcome {
    if is_so { Ok(()) } else { Err(what.to_owned().into()) }
}
