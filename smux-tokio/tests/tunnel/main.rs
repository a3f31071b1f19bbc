//! The `tunnel` example: what it carries, what it refuses, and how it ends.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/tunnel/mod.rs"]
mod tunnel;
use tunnel::*;

mod arguments;
mod clients;
mod closing;
mod counters;
mod full;
mod gone;
mod kcptun;
mod no_half_close;
mod pumping;
mod reaching;
mod strangers;
mod tokens;
mod transports;
