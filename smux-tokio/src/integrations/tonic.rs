//! What tonic's server tells its handlers of a connection.

use tonic::transport::server::Connected;

use super::StreamInfo;
use crate::Stream;

#[cfg_attr(docsrs, doc(cfg(feature = "tonic")))]
impl Connected for Stream {
    type ConnectInfo = StreamInfo;

    fn connect_info(&self) -> StreamInfo {
        self.into()
    }
}
