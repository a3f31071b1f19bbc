//! A UDP socket and the conversations on it: one that a client has begun, or those of a server.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{ToSocketAddrs, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::conversation::{Conversation, End};
use super::datagram;
use super::sender::Sender;
use super::stream::Stream;
use crate::cli::KcpArgs;
use crate::throttle::Throttle;

/// What the kernel is asked to hold per socket; it gives what the system's limits allow. KCP's
/// windows come in bursts.
const SOCKET_BUFFER: usize = 4 << 20;
/// Larger datagrams than these are cut off, so that they are malformed.
const DATAGRAM: usize = 2048;
/// Conversations that wait to be accepted. What comes then comes again.
const BACKLOG: usize = 64;
/// A socket that fails again and again should not keep a thread busy.
const PAUSE: Duration = Duration::from_millis(100);

type Conversations = HashMap<(SocketAddr, u32), Arc<Conversation>>;

/// Begins a conversation. The other end knows of it when something is written.
pub(crate) async fn connect(args: &KcpArgs, server: SocketAddr) -> io::Result<Stream> {
    let socket = bind(any(server)).await?;
    socket.connect(server).await?;
    let endpoint = Endpoint::new(args, socket, Some(server));
    // A conversation 0 has a meaning in some implementations.
    let id = fastrand::u32(1..);
    let conversation = endpoint.begin(id, None)?;
    let receiver = tokio::spawn(Arc::clone(&endpoint).receive(None)).abort_handle();
    let entry = endpoint.enter(server, &conversation, Some(receiver));
    Ok(Stream::new(conversation, args.receive_window, entry))
}

/// Accepted streams receive nothing any more when it is dropped.
pub(crate) struct Listener {
    accepted: mpsc::Receiver<(Stream, SocketAddr)>,
    address: SocketAddr,
    receiver: AbortHandle,
}

impl Listener {
    pub(crate) async fn bind(args: &KcpArgs, address: &str) -> io::Result<Self> {
        let socket = bind(address).await?;
        let address = socket.local_addr()?;
        let (accept, accepted) = mpsc::channel(BACKLOG);
        let endpoint = Endpoint::new(args, socket, None);
        Ok(Self {
            accepted,
            address,
            receiver: tokio::spawn(endpoint.receive(Some(accept))).abort_handle(),
        })
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.address
    }

    pub(crate) async fn accept(&mut self) -> io::Result<(Stream, SocketAddr)> {
        let accepted = self.accepted.recv().await;
        accepted.ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.receiver.abort();
    }
}

struct Endpoint {
    args: KcpArgs,
    /// Of a client, whose socket is connected.
    server: Option<SocketAddr>,
    socket: Arc<UdpSocket>,
    conversations: Mutex<Conversations>,
    refused: Throttle,
}

impl Endpoint {
    fn new(args: &KcpArgs, socket: UdpSocket, server: Option<SocketAddr>) -> Arc<Self> {
        Arc::new(Self {
            args: args.clone(),
            server,
            socket: Arc::new(socket),
            conversations: Mutex::default(),
            refused: Throttle::new(),
        })
    }

    fn begin(&self, id: u32, peer: Option<SocketAddr>) -> io::Result<Arc<Conversation>> {
        let sender = Sender::new(Arc::clone(&self.socket), peer);
        Conversation::new(id, &self.args, sender)
    }

    /// What comes from `peer` for this conversation reaches it for as long as the entry lives.
    fn enter(
        self: &Arc<Self>,
        peer: SocketAddr,
        conversation: &Arc<Conversation>,
        receiver: Option<AbortHandle>,
    ) -> Entry {
        let key = (peer, conversation.id);
        let mut conversations = self.lock();
        conversations.insert(key, Arc::clone(conversation));
        Entry {
            endpoint: Arc::clone(self),
            key,
            receiver,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Conversations> {
        let conversations = self.conversations.lock();
        conversations.unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands datagrams to their conversations, and new conversations to `accept`.
    async fn receive(self: Arc<Self>, accept: Option<mpsc::Sender<(Stream, SocketAddr)>>) {
        let mut bytes = vec![0; DATAGRAM];
        loop {
            match self.socket.recv_from(&mut bytes).await {
                Ok((length, peer)) => {
                    // The same peer, but the system may name it with another scope.
                    let peer = self.server.unwrap_or(peer);
                    self.take(&bytes[..length], peer, accept.as_ref());
                }
                Err(error) => {
                    // A connected socket learns that its peer is not there. A server serves others.
                    if accept.is_none() {
                        self.tell_strangers(error.kind());
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn take(
        self: &Arc<Self>,
        datagram: &[u8],
        peer: SocketAddr,
        accept: Option<&mpsc::Sender<(Stream, SocketAddr)>>,
    ) {
        let packet = match datagram::unwrap(self.args.crypt, datagram) {
            Ok(packet) => packet,
            Err(why) => {
                if let Some(more) = self.refused.pass() {
                    tracing::warn!(%peer, %why, more, "a datagram was dropped");
                }
                return;
            }
        };
        let known = self.lock().get(&(peer, packet.conversation)).cloned();
        if let Some(conversation) = known {
            return conversation.input(packet);
        }
        let room = accept.and_then(|accept| accept.try_reserve().ok());
        if let (Some(room), true) = (room, packet.is_first) {
            let Ok(conversation) = self.begin(packet.conversation, Some(peer)) else {
                return;
            };
            let entry = self.enter(peer, &conversation, None);
            conversation.input(packet);
            let stream = Stream::new(conversation, self.args.receive_window, entry);
            room.send((stream, peer));
        }
    }

    /// Ends the conversation of a peer that has never been heard.
    fn tell_strangers(&self, kind: io::ErrorKind) {
        for conversation in self.lock().values() {
            conversation.end_if_unheard(End::Failed(kind));
        }
    }
}

/// A conversation's place at its endpoint.
pub(super) struct Entry {
    endpoint: Arc<Endpoint>,
    key: (SocketAddr, u32),
    /// Of a client: there is nothing else to receive.
    receiver: Option<AbortHandle>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(receiver) = &self.receiver {
            receiver.abort();
        }
        self.endpoint.lock().remove(&self.key);
    }
}

async fn bind(address: impl ToSocketAddrs) -> io::Result<UdpSocket> {
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
