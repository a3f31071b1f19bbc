//! KCP as kcptun speaks it: in stream mode, with its parameters.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UdpSocket;
use tokio::time::Sleep;
use tokio_kcp::{KcpConfig, KcpListener, KcpNoDelayConfig, KcpStream};

use crate::cli::{KcpArgs, KcpCrypt, KcpMode};
use crate::kcp_none::Relay;

/// What the kernel is asked to hold per socket; it gives what the system's limits allow. KCP's windows come in bursts.
const SOCKET_BUFFER: usize = 4 << 20;
/// How often closing looks whether the peer has acknowledged everything: `tokio_kcp` does not tell.
const CLOSE_POLL: Duration = Duration::from_millis(5);

pub(crate) async fn connect(args: &KcpArgs, server: SocketAddr) -> io::Result<Stream> {
    let config = config(args);
    let outside = bind(any(server)).await?;
    if args.crypt == KcpCrypt::Null {
        let kcp = KcpStream::connect_with_socket(&config, outside, server).await?;
        return Ok(Stream::new(kcp, None));
    }
    let inside = bind(loopback()).await?;
    let (relay, address) = Relay::to_server(outside, server, inside.local_addr()?).await?;
    let kcp = KcpStream::connect_with_socket(&config, inside, address).await?;
    Ok(Stream::new(kcp, Some(relay)))
}

/// Accepted streams end with it: it owns their socket.
pub(crate) struct Listener {
    kcp: KcpListener,
    address: SocketAddr,
    relay: Option<Relay>,
}

impl Listener {
    pub(crate) async fn bind(args: &KcpArgs, address: &str) -> io::Result<Self> {
        let config = config(args);
        let outside = bind(address).await?;
        let address = outside.local_addr()?;
        let (inside, relay) = match args.crypt {
            KcpCrypt::Null => (outside, None),
            KcpCrypt::None => {
                let inside = bind(loopback()).await?;
                let relay = Relay::to_listener(outside, inside.local_addr()?);
                (inside, Some(relay))
            }
        };
        let kcp = KcpListener::from_socket(config, inside).await?;
        Ok(Self {
            kcp,
            address,
            relay,
        })
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.address
    }

    pub(crate) async fn accept(&mut self) -> io::Result<(Stream, SocketAddr)> {
        let (kcp, peer) = self.kcp.accept().await?;
        let peer = self
            .relay
            .as_ref()
            .and_then(|relay| relay.peer_behind(peer))
            .unwrap_or(peer);
        Ok((Stream::new(kcp, None), peer))
    }
}

/// A KCP connection that does not forget at its end what the peer has not acknowledged.
///
/// KCP has no end of its own: the peer notices the lack of keep-alives.
pub(crate) struct Stream {
    kcp: KcpStream,
    /// Until when closing waits before it looks again.
    closing: Option<Pin<Box<Sleep>>>,
    closed: bool,
    reader: Option<Waker>,
    /// Runs as long as the stream does.
    _relay: Option<Relay>,
}

impl Stream {
    fn new(kcp: KcpStream, relay: Option<Relay>) -> Self {
        Self {
            kcp,
            closing: None,
            closed: false,
            reader: None,
            _relay: relay,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.closed {
            // The peer cannot say that it has closed too, so there is nothing to wait for.
            return Poll::Ready(Ok(()));
        }
        let read = Pin::new(&mut self.kcp).poll_read(cx, buf);
        if read.is_pending() {
            self.reader = Some(cx.waker().clone());
        }
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.kcp).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.kcp).poll_flush(cx)
    }

    /// Ready when the peer has acknowledged everything. A dropped `KcpStream` sends nothing again.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        while !self.kcp.session().kcp_socket().lock().can_close() {
            let sleep = self
                .closing
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(CLOSE_POLL)));
            ready!(sleep.as_mut().poll(cx));
            self.closing = None;
        }
        self.closed = true;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(()))
    }
}

fn config(args: &KcpArgs) -> KcpConfig {
    // In kcptun's modes; congestion control is off in all of them.
    let (nodelay, interval) = match args.mode {
        KcpMode::Normal => (false, 40),
        KcpMode::Fast => (false, 30),
        KcpMode::Fast2 => (true, 20),
        KcpMode::Fast3 => (true, 10),
    };
    let frame = match args.crypt {
        KcpCrypt::Null => 0,
        KcpCrypt::None => crate::kcp_none::HEADER,
    };
    KcpConfig {
        mtu: usize::from(args.mtu) - frame,
        nodelay: KcpNoDelayConfig {
            nodelay,
            interval,
            resend: 2,
            nc: true,
        },
        wnd_size: (args.send_window, args.receive_window),
        stream: true,
        ..KcpConfig::default()
    }
}

pub(crate) async fn bind(address: impl tokio::net::ToSocketAddrs) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address).await?;
    let buffers = SockRef::from(&socket);
    buffers.set_recv_buffer_size(SOCKET_BUFFER)?;
    buffers.set_send_buffer_size(SOCKET_BUFFER)?;
    Ok(socket)
}

/// Any port of any address from which `peer` can be reached.
fn any(peer: SocketAddr) -> SocketAddr {
    match peer {
        SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
    }
}

pub(crate) fn loopback() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}
