//! The conformance suite on the bare core: in virtual time, and over TCP with live Go peers.

use smux_conformance::suite::core::{CoreHost, CoreOverTcp};

smux_conformance::suite!(core, CoreHost::new());
smux_conformance::memory_suites!(in_memory, CoreHost::new());
smux_conformance::go_suite!(go, CoreOverTcp, All);
