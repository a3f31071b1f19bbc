//! A link between the ends that can be cut.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Forwards what comes to `address`. Dropped, it resets everything.
pub(crate) struct Link {
    pub(crate) address: SocketAddr,
    silent: Arc<AtomicBool>,
    reset: watch::Sender<()>,
    _task: JoinSet<()>,
}

impl Link {
    pub(crate) async fn tcp(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        Self::new(address, |silent, reset| {
            forward_tcp(listener, server, silent, reset)
        })
    }

    pub(crate) async fn udp(server: SocketAddr) -> Self {
        let outside = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let address = outside.local_addr().expect("bound");
        Self::new(address, |silent, reset| {
            forward_udp(Arc::new(outside), server, silent, reset)
        })
    }

    fn new<F>(
        address: SocketAddr,
        start: impl FnOnce(Arc<AtomicBool>, watch::Receiver<()>) -> F,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let silent = Arc::<AtomicBool>::default();
        let (reset, resets) = watch::channel(());
        let mut task = JoinSet::new();
        task.spawn(start(Arc::clone(&silent), resets));
        Self {
            address,
            silent,
            reset,
            _task: task,
        }
    }

    /// From now on nothing passes, and neither side is told.
    pub(crate) fn cut(&self) {
        self.silent.store(true, Relaxed);
    }

    /// Forgets the connections that were cut; new ones pass again.
    pub(crate) fn heal(&self) {
        self.silent.store(false, Relaxed);
        self.reset();
    }

    /// Ends all connections.
    pub(crate) fn reset(&self) {
        self.reset.send_replace(());
    }
}

async fn forward_tcp(
    listener: TcpListener,
    server: SocketAddr,
    silent: Arc<AtomicBool>,
    mut reset: watch::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (near, _) = accepted.expect("it listens");
                let silent = Arc::clone(&silent);
                connections.spawn(async move {
                    let Ok(far) = TcpStream::connect(server).await else { return };
                    for tcp in [&near, &far] {
                        tcp.set_nodelay(true).expect("connected");
                        tcp.set_zero_linger().expect("connected");
                    }
                    let (near_read, near_write) = near.into_split();
                    let (far_read, far_write) = far.into_split();
                    tokio::join!(
                        pass(near_read, far_write, &silent),
                        pass(far_read, near_write, &silent),
                    );
                });
            }
            Some(_) = connections.join_next() => {}
            Ok(()) = reset.changed() => connections.shutdown().await,
        }
    }
}

async fn pass(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    silent: &AtomicBool,
) {
    let mut block = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut block).await {
        if !silent.load(Relaxed) && to.write_all(&block[..length]).await.is_err() {
            break;
        }
    }
    if silent.load(Relaxed) {
        std::future::pending::<()>().await;
    }
}

async fn forward_udp(
    outside: Arc<UdpSocket>,
    server: SocketAddr,
    silent: Arc<AtomicBool>,
    mut reset: watch::Receiver<()>,
) {
    let mut peers = HashMap::<SocketAddr, Arc<UdpSocket>>::new();
    let mut answers = JoinSet::new();
    let mut datagram = vec![0; 2048];
    loop {
        let (length, peer) = tokio::select! {
            received = outside.recv_from(&mut datagram) => match received {
                Ok(received) => received,
                // A peer that is gone.
                Err(_) => continue,
            },
            Ok(()) = reset.changed() => {
                answers.shutdown().await;
                peers.clear();
                continue;
            }
        };
        if silent.load(Relaxed) {
            continue;
        }
        let inside = match peers.get(&peer) {
            Some(inside) => Arc::clone(inside),
            None => {
                let inside = Arc::new(UdpSocket::bind("127.0.0.1:0").await.expect("a port"));
                inside.connect(server).await.expect("an address");
                peers.insert(peer, Arc::clone(&inside));
                let answers_of = (
                    Arc::clone(&inside),
                    Arc::clone(&outside),
                    Arc::clone(&silent),
                );
                answers.spawn(async move {
                    let (inside, outside, silent) = answers_of;
                    let mut datagram = vec![0; 2048];
                    while let Ok(length) = inside.recv(&mut datagram).await {
                        if !silent.load(Relaxed) {
                            let _ = outside.send_to(&datagram[..length], peer).await;
                        }
                    }
                });
                inside
            }
        };
        let _ = inside.send(&datagram[..length]).await;
    }
}
