//! Faults that are planted on purpose, each of which a check has to see.

/// A planted fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    SecondHead,
    AnswersById,
    SharedState,
    NeverExpires,
    AnyPrincipal,
    NoComments,
    LosesOneOnResume,
    RepeatsOneOnResume,
    StrictInitialized,
    Delays,
    WaitsForTheSlow,
    Broadcasts,
    RunsOn,
    DisconnectCancels,
    NoLimits,
    EndlessResponse,
    LostAnswer,
    CrossedQuestions,
    BusyTimer,
}

/// Every mutant: what it does, what it is about, and which check must turn red.
pub(crate) const MUTANTS: [(Mutant, &str, &str, &str); 19] = [
    (Mutant::SecondHead, "a response has two heads", "invariant 11", "one response each"),
    (Mutant::AnswersById, "an answer goes to whoever used its id last", "invariant 2, pain 1", "one stream"),
    (Mutant::Broadcasts, "what is said is said on every stream", "invariant 13", "one stream"),
    (Mutant::SharedState, "a handler answers somebody else's call", "invariant 13, pain 2", "own answers"),
    (Mutant::CrossedQuestions, "an answer is taken for that to another question", "invariant 13", "own words"),
    (Mutant::LostAnswer, "an answer is lost with a response that broke", "invariant 11, pain 7", "calls end"),
    (Mutant::StrictInitialized, "requests before `initialized` are refused", "pain 18", "own answers"),
    (Mutant::LosesOneOnResume, "a client that comes back misses an event", "invariant 11, pain 16", "nothing lost"),
    (Mutant::RepeatsOneOnResume, "a client that comes back is told an event twice", "pain 16", "nothing lost"),
    (Mutant::AnyPrincipal, "a session serves whoever knows its id", "invariant 13, pain 12", "principals"),
    (Mutant::RunsOn, "a modern client disconnects, and its call runs on", "invariant 11, pain 10", "disconnects"),
    (Mutant::DisconnectCancels, "a legacy client loses a response, and its call ends", "invariant 11", "disconnects"),
    (Mutant::NoComments, "no comments keep streams alive", "pain 15", "signs of life"),
    (Mutant::Delays, "answers are held back for 40 ms", "pain 21", "prompt"),
    (Mutant::WaitsForTheSlow, "a response that is read slowly holds up the others", "pain 23", "prompt"),
    (Mutant::NoLimits, "limits a thousand times as large", "invariant 9, pain 23", "limits"),
    (Mutant::NeverExpires, "sessions go only when they are deleted", "invariant 14, pain 3", "nothing left"),
    (Mutant::EndlessResponse, "a response goes on after its answer", "invariant 11", "one response each"),
    (Mutant::BusyTimer, "it is woken all the time", "invariant 12", "livelock"),
];
