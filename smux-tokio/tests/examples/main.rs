//! The examples that serve, when there are no descriptors left.
//!
//! A test that uses up all descriptors would take them from others. So each runs in a process of its
//! own that has few.

#[path = "../../examples/quickstart/cli.rs"]
#[allow(dead_code, reason = "a part of the example is used here")]
mod cli;
#[path = "../../examples/quickstart/connect.rs"]
#[allow(dead_code, reason = "a part of the example is used here")]
mod connect;
#[path = "../../examples/echo.rs"]
#[allow(dead_code, reason = "the program itself is not used here")]
mod echo;
#[path = "../../examples/quickstart/listen.rs"]
mod listen;
#[path = "../../examples/quickstart/protocol.rs"]
mod protocol;
#[path = "../../examples/quickstart/report.rs"]
#[allow(dead_code, reason = "a part of the example is used here")]
mod report;
#[path = "../../examples/quickstart/work.rs"]
#[allow(dead_code, reason = "a part of the example is used here")]
mod work;

#[path = "../common/mod.rs"]
mod common;

#[cfg(unix)]
mod descriptors;
