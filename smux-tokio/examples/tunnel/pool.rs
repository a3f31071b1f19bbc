//! The client's sessions.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Chain, Result};
use smux_tokio::{Pool, PoolEvent, Session};

use crate::cli::ClientArgs;
use crate::statistics::Statistics;
use crate::transport::Connector;

/// The first pause before connecting again.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

pub(crate) fn start(args: &ClientArgs, statistics: &Statistics) -> Result<Pool> {
    // The server has nothing to open.
    let config = args.link.config(Some(args.smux_version), 0)?;
    let connector = Arc::new(Connector::new(args)?);
    let (server, limit) = (args.server.clone(), args.connect_timeout);
    let connect = move || {
        let (connector, server) = (Arc::clone(&connector), server.clone());
        let config = config.clone();
        async move { connector.connect(&server, config, limit).await }
    };
    let (server, watch) = (args.server.clone(), statistics.watcher());
    let pool = Pool::builder()
        .sessions(args.sessions.into())
        .max_opened(args.session_connections)
        .pauses(FIRST_PAUSE, args.max_backoff)
        // The connector has its own, and says what it may be.
        .connect_timeout(Duration::MAX)
        .on_event(move |event| {
            if let PoolEvent::Connected { session } = event {
                watch(session);
            }
            log(event, &server);
        })
        .start(connect);
    statistics.count_pool(&pool);
    Ok(pool)
}

fn log(event: &PoolEvent<'_>, server: &str) {
    let number = |session: &Session| session.id();
    match event {
        PoolEvent::Connected { session } => {
            // With the feature, the session says so itself.
            if cfg!(not(feature = "tracing")) {
                tracing::info!(server, session = %number(session), "session began");
            }
        }
        PoolEvent::ConnectFailed { error, pause } => {
            let error = describe(*error);
            tracing::warn!(server, error, ?pause, "cannot reach the server");
        }
        PoolEvent::Lost { session, reason } => {
            tracing::warn!(session = %number(session), %reason, "session lost");
        }
        PoolEvent::Replaced { session } => {
            let session = number(session);
            tracing::info!(%session, "session has carried all that it may: replaced");
        }
        _ => {}
    }
}

/// An error and what caused it.
fn describe(error: &(dyn Error + 'static)) -> String {
    let causes: Vec<_> = Chain::new(error).map(ToString::to_string).collect();
    causes.join(": ")
}
