use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Semaphore,
};

use crate::server::NUMBER;

/// Bodies have up to this many bytes, of a length and content that the request's number decides.
const BODY: usize = 4_096;

/// An HTTP connection on whatever carries bytes.
pub(crate) struct Connection(http1::SendRequest<Full<Bytes>>);

impl Connection {
    async fn new<T>(io: T) -> Result<Self>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::handshake(TokioIo::new(io)).await?;
        // What goes wrong here the requests see as well.
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    /// Sends a request and checks its answer. An error that is not about the answer says that there
    /// was none.
    pub(crate) async fn request(&mut self, number: u64) -> Result<Answer> {
        let body = body(number);
        let request = Request::post(format!("/echo/{number}"))
            .header(header::HOST, "loopback")
            .body(Full::new(body.clone()))?;
        let start = Instant::now();
        if self.0.ready().await.is_err() {
            return Ok(Answer::None);
        }
        let Ok(response) = self.0.send_request(request).await else {
            return Ok(Answer::None);
        };
        let status = response.status();
        ensure!(status == StatusCode::OK, "request {number}: {status}");
        let named = response.headers().get(NUMBER).cloned();
        let read = response.into_body().collect().await;
        let read = read.with_context(|| format!("request {number}: the answer broke off"))?;
        let time = start.elapsed();
        ensure!(
            named.is_some_and(|named| named == number.to_string()) && read.to_bytes() == body,
            "request {number}: the answer is not what was sent"
        );
        Ok(Answer::Checked(time))
    }
}

pub(crate) enum Answer {
    /// It is right, and took this long.
    Checked(Duration),
    /// The connection ended before an answer began.
    None,
}

fn body(number: u64) -> Bytes {
    let mut random = fastrand::Rng::with_seed(number);
    let mut body = vec![0; random.usize(..=BODY)];
    random.fill(&mut body);
    body.into()
}

/// Connections that are kept alive, for one request at a time each.
pub(crate) struct Pool {
    idle: Mutex<Vec<Connection>>,
    count: Semaphore,
}

impl Pool {
    /// As many connections, each over what `connect` returns.
    pub(crate) async fn fill<T>(count: u32, connect: impl AsyncFn() -> Result<T>) -> Result<Self>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut idle = Vec::new();
        for n in 1..=count {
            let io = connect().await;
            let io = io.with_context(|| format!("cannot connect for the {n}th time"))?;
            idle.push(Connection::new(io).await?);
        }
        Ok(Self {
            idle: Mutex::new(idle),
            count: Semaphore::new(count as usize),
        })
    }

    /// Makes a request when a connection is free. After the first without an answer none is made
    /// any more.
    pub(crate) async fn request(&self, number: u64) -> Result<Answer> {
        let Ok(_free) = self.count.acquire().await else {
            return Ok(Answer::None);
        };
        let taken = self.idle().pop();
        let mut connection = taken.context("a permit without a connection")?;
        let answer = connection.request(number).await?;
        match answer {
            Answer::Checked(_) => self.idle().push(connection),
            Answer::None => self.count.close(),
        }
        Ok(answer)
    }

    /// Never held while waiting for anything, so a lock of tokio's would only make tasks queue for
    /// it.
    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
