//! The scenarios.

mod closing;
mod data;
mod flow;
mod half_close;
mod hostile;
mod keep_alive;
mod limits;
mod reasons;
mod transports;

pub use self::{
    closing::*, data::*, flow::*, half_close::*, hostile::*, keep_alive::*, limits::*, reasons::*,
    transports::*,
};
