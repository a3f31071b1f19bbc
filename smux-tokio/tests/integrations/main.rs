//! Listeners and pools under the real `axum`, `hyper-util` and `tonic`.

#[path = "../../examples/grpc/codec.rs"]
mod codec;
#[path = "../common/mod.rs"]
mod common;
#[path = "../../examples/grpc/server.rs"]
mod echo;

mod grpc;
mod http;

use std::sync::{Arc, Mutex, PoisonError};

use smux_tokio::{Connect, Pool, PoolEvent, WeakSession};

/// A pool of one session, which a test can lose.
struct Losable {
    pool: Pool,
    session: Arc<Mutex<Option<WeakSession>>>,
}

impl Losable {
    fn new(connector: impl Connect) -> Self {
        let session = Arc::new(Mutex::new(None));
        let current = Arc::clone(&session);
        let pool = Pool::builder()
            .on_event(move |event| {
                if let PoolEvent::Connected { session } = event {
                    let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
                    *current = Some(session.downgrade());
                }
            })
            .start(connector);
        Self { pool, session }
    }

    fn lose(&self) {
        let current = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let session = current.as_ref().and_then(WeakSession::upgrade);
        session.expect("connected").abort();
    }
}
