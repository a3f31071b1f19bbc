//! The page that Prometheus scrapes: `/metrics` over HTTP, and nothing else.
//!
//! It has no access control, so it belongs on an address that only the scraper reaches.

use std::io;

use axum::{Router, http::header, routing::get};
use tokio::net::TcpListener;

use crate::exposition::{self, CONTENT_TYPE, Snapshot};

/// Answers each request with the `snapshot` of that moment.
pub(crate) async fn serve<F>(listener: TcpListener, snapshot: F) -> io::Result<()>
where
    F: Fn() -> Snapshot + Clone + Send + Sync + 'static,
{
    let page = get(move || async move {
        let text = exposition::text(&snapshot());
        ([(header::CONTENT_TYPE, CONTENT_TYPE)], text)
    });
    axum::serve(listener, Router::new().route("/metrics", page)).await
}
