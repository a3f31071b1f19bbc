//! A pool as the connector of a client.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use hyper_util::rt::TokioIo;
use tower_service::Service;

use crate::{Pool, PoolClosed, Stream};

/// Opens a stream for whatever target, such as a `Uri`: the connector of `tonic`'s `Endpoint` and,
/// with feature `hyper-util`, of hyper-util's client.
///
/// Each call waits while there is no session; a client that has lost its connection with a session
/// calls again, and gets a stream of the next one.
#[cfg_attr(docsrs, doc(cfg(feature = "tower")))]
impl<T> Service<T> for Pool {
    type Response = TokioIo<Stream>;
    type Error = PoolClosed;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Stream>, PoolClosed>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), PoolClosed>> {
        if self.is_closed() {
            return Poll::Ready(Err(PoolClosed));
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: T) -> Self::Future {
        let pool = self.clone();
        Box::pin(async move { pool.open().await.map(TokioIo::new) })
    }
}
