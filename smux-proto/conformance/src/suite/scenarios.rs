//! The scenarios.

mod closing;
mod data;
mod flow;
mod half_close;
mod hostile;
mod keep_alive;
mod lending;
mod limits;
mod priorities;
mod reasons;
mod statistics;
mod transports;

pub use self::{
    closing::*, data::*, flow::*, half_close::*, hostile::*, keep_alive::*, lending::*, limits::*,
    priorities::*, reasons::*, statistics::*, transports::*,
};
