//! The two ends of a peer, in one process, over loopback TCP.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
};

use anyhow::{Context, Result};
use futures::channel::oneshot;
use socket2::{Domain, Socket, Type};

use crate::{
    mux::{Mux, Options},
    runtime::Runtime,
};

const BACKLOG: i32 = 4096;
const SMALL_BUFFER: usize = 64 << 10;

/// One end, and where its tasks run.
pub(crate) struct End<M: Mux> {
    pub(crate) mux: Arc<M>,
    pub(crate) runtime: M::Runtime,
}

impl<M: Mux> Clone for End<M> {
    fn clone(&self) -> Self {
        Self {
            mux: Arc::clone(&self.mux),
            runtime: self.runtime.clone(),
        }
    }
}

impl<M: Mux> End<M> {
    pub(crate) fn new(mux: M, runtime: M::Runtime) -> Self {
        Self {
            mux: Arc::new(mux),
            runtime,
        }
    }

    /// Runs `task` on this end. It runs on if the result is not awaited.
    pub(crate) fn spawn<T, F>(
        &self,
        task: F,
    ) -> impl Future<Output = Result<T>> + Send + use<T, F, M>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        spawn(&self.runtime, task)
    }
}

/// A connected pair.
pub(crate) struct Ends<M: Mux> {
    pub(crate) client: End<M>,
    pub(crate) server: End<M>,
}

impl<M: Mux> Ends<M> {
    /// Makes a listener, and connects the client to where `route` leads to it.
    pub(crate) async fn connect(
        (ours, theirs): (M::Runtime, M::Runtime),
        options: Options,
        route: impl FnOnce(SocketAddr) -> Result<SocketAddr>,
    ) -> Result<Self> {
        let listener = listen(options)?;
        let address = route(listener.local_addr()?)?;
        let runtime = theirs.clone();
        let server = spawn(&theirs, async move {
            M::server(&runtime, listener, options).await
        });
        let runtime = ours.clone();
        let client = spawn(
            &ours,
            async move { M::client(&runtime, address, options).await },
        );
        let (client, server) = (
            client.await.context("client")?,
            server.await.context("server")?,
        );
        Ok(Self {
            client: End::new(client, ours),
            server: End::new(server, theirs),
        })
    }
}

/// std's own listener queues 128 connections; what comes beyond waits a second before it tries
/// again.
pub(crate) fn listen(options: Options) -> Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    if options.receive_buffer.is_some() {
        // Otherwise the kernel's buffer is the one that is measured.
        socket.set_recv_buffer_size(SMALL_BUFFER)?;
    }
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn spawn<R: Runtime, T, F>(
    runtime: &R,
    task: F,
) -> impl Future<Output = Result<T>> + Send + use<R, T, F>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let (send, receive) = oneshot::channel();
    runtime.spawn(async move {
        // The receiver may be gone.
        let _ = send.send(task.await);
    });
    async { receive.await.context("a task panicked")? }
}
