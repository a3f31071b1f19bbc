//! What hyper-util's client knows of a connection.

use hyper_util::client::legacy::connect::{Connected, Connection};

use super::StreamInfo;
use crate::Stream;

#[cfg_attr(docsrs, doc(cfg(feature = "hyper-util")))]
impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new().extra(StreamInfo::from(self))
    }
}
