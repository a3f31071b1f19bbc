//! The conformance suite on the poll layer, in virtual time: a missed wake-up fails at once.

mod host;

use host::PollHost;

smux_conformance::suite!(poll, PollHost::default());
smux_conformance::memory_suites!(in_memory, PollHost::default());
