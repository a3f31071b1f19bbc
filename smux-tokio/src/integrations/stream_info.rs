//! What a handler can know of its connection.

use std::net::SocketAddr;

use crate::{Stream, StreamId};

/// The stream that a request came over, for its handler.
///
/// * `axum`: `ConnectInfo<StreamInfo>`, with
///   `into_make_service_with_connect_info::<StreamInfo>()`.
/// * `tonic`: `request.extensions().get::<StreamInfo>()`.
/// * `hyper-util`'s client: in the extensions of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct StreamInfo {
    /// The stream's number, unique within its session.
    pub id: StreamId,
    /// The address of the session's transport here, if known.
    pub local_addr: Option<SocketAddr>,
    /// The address of the session's transport at the peer, if known.
    pub peer_addr: Option<SocketAddr>,
}

impl From<&Stream> for StreamInfo {
    fn from(stream: &Stream) -> Self {
        Self {
            id: stream.id(),
            local_addr: stream.local_addr(),
            peer_addr: stream.peer_addr(),
        }
    }
}
