//! Listeners and pools under the real `axum`, `hyper-util` and `tonic`.

#[path = "../../examples/grpc/codec.rs"]
mod codec;
#[path = "../common/mod.rs"]
mod common;
#[path = "../../examples/grpc/server.rs"]
mod echo;

mod grpc;
mod http;

use smux_tokio::{Connect, Pool, PoolEvent, Session, WeakSession};
use tokio::sync::watch;

/// A pool of one session, which a test can lose.
struct Losable {
    pool: Pool,
    session: watch::Receiver<Option<WeakSession>>,
}

impl Losable {
    fn new(connector: impl Connect) -> Self {
        let (current, session) = watch::channel(None);
        let pool = Pool::builder()
            .on_event(move |event| {
                if let PoolEvent::Connected { session } = event {
                    current.send_replace(Some(session.downgrade()));
                }
            })
            .start(connector);
        Self { pool, session }
    }

    fn lose(&mut self) {
        self.session().abort();
    }

    fn session(&mut self) -> Session {
        let current = self.session.borrow_and_update();
        let session = current.as_ref().and_then(WeakSession::upgrade);
        session.expect("connected")
    }

    /// Waits until another session has taken the place of the one that was lost.
    async fn replaced(&mut self) {
        self.session.changed().await.expect("the pool is there");
    }
}
