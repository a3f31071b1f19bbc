//! The conformance suite on the poll layer, in virtual time: a missed wake-up fails at once.

mod engine;
mod host;

use engine::EngineHost;
use host::PollHost;

smux_conformance::suite!(poll, PollHost::default());
smux_conformance::memory_suites!(in_memory, PollHost::default());
smux_conformance::suite!(completion, EngineHost::default());
smux_conformance::memory_suites!(completion_in_memory, EngineHost::default());
