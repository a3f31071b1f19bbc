//! The datagrams of kcptun's `--crypt none`: KCP behind a header of 16 random bytes and a checksum.
//!
//! Plain KCP is what kcptun calls `null`, but releases before 2022, Debian's among them, do not know that name and encrypt
//! with AES if they are given it. `tokio_kcp` owns its socket and can only speak plain KCP, so a relay stands
//! between it and the network: it adds the header on the way out, and checks and removes it on the way in. Between the relay and
//! `tokio_kcp` is a loopback socket for each peer.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::AbortHandle;

use crate::kcp::{bind, loopback};

/// Bytes in front of the KCP packet.
pub(crate) const HEADER: usize = NONCE + 4;
const NONCE: usize = 16;
/// Larger ones than the MTU allows are cut off, so that their checksum is wrong.
const MAX_PACKET: usize = 2048;
/// Peers at the same time, each of which costs a socket: anybody can send datagrams from any address.
const MAX_LINKS: usize = 1024;
/// A link whose KCP side is silent for so long is given up. Sessions send keep-alives, KCP acknowledges what arrives.
const IDLE: Duration = Duration::from_secs(120);
/// A socket that fails again and again should not keep a thread busy.
const PAUSE: Duration = Duration::from_millis(100);

/// Its tasks end with it.
pub(crate) struct Relay {
    links: Arc<Links>,
    task: AbortHandle,
}

type Links = Mutex<HashMap<SocketAddr, Link>>;

/// The way from one peer to its KCP connection and back.
#[derive(Clone)]
struct Link {
    plain: Arc<UdpSocket>,
    task: AbortHandle,
}

impl Relay {
    /// Between `outside`, which reaches `server`, and the KCP connection at `kcp`. To that one, the server is at the
    /// address that is returned.
    pub(crate) async fn to_server(
        outside: UdpSocket,
        server: SocketAddr,
        kcp: SocketAddr,
    ) -> io::Result<(Self, SocketAddr)> {
        let outside = Arc::new(outside);
        let link = Link::new(&outside, server, kcp).await?;
        let address = link.plain.local_addr()?;
        let links = Arc::new(Mutex::new(HashMap::from([(server, link)])));
        Ok((Self::start(outside, links, None), address))
    }

    /// Between `outside`, which peers write to, and the KCP listener at `kcp`.
    pub(crate) fn to_listener(outside: UdpSocket, kcp: SocketAddr) -> Self {
        Self::start(Arc::new(outside), Arc::default(), Some(kcp))
    }

    fn start(outside: Arc<UdpSocket>, links: Arc<Links>, listener: Option<SocketAddr>) -> Self {
        let task = tokio::spawn(inward(outside, Arc::clone(&links), listener)).abort_handle();
        Self { links, task }
    }

    /// Whose datagrams reach the KCP side from `address`.
    pub(crate) fn peer_behind(&self, address: SocketAddr) -> Option<SocketAddr> {
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let mut links = links.iter();
        links.find_map(|(peer, link)| (link.plain.local_addr().ok()? == address).then_some(*peer))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        for link in links.values() {
            link.task.abort();
        }
    }
}

impl Link {
    async fn new(outside: &Arc<UdpSocket>, peer: SocketAddr, kcp: SocketAddr) -> io::Result<Self> {
        let plain = Arc::new(bind(loopback()).await?);
        plain.connect(kcp).await?;
        let task = tokio::spawn(outward(Arc::clone(&plain), Arc::clone(outside), peer));
        Ok(Self {
            plain,
            task: task.abort_handle(),
        })
    }
}

/// From the network to KCP. What has no valid header is dropped.
async fn inward(outside: Arc<UdpSocket>, links: Arc<Links>, listener: Option<SocketAddr>) {
    let mut datagram = vec![0; HEADER + MAX_PACKET];
    loop {
        // A datagram that cannot be received or delivered is a lost one: KCP is made for that.
        let Ok((length, peer)) = outside.recv_from(&mut datagram).await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let Some(packet) = unwrap(&datagram[..length]) else {
            continue;
        };
        let link = match (living(&links, peer), listener) {
            (Some(link), _) => link,
            (None, Some(kcp)) if has_room(&links) => match Link::new(&outside, peer, kcp).await {
                Ok(link) => {
                    let mut links = links.lock().unwrap_or_else(PoisonError::into_inner);
                    links.insert(peer, link.clone());
                    link
                }
                Err(error) => {
                    tracing::warn!(%peer, %error, "no socket for this peer");
                    continue;
                }
            },
            (None, _) => continue,
        };
        let _ = link.plain.send(packet).await;
    }
}

fn living(links: &Links, peer: SocketAddr) -> Option<Link> {
    let links = links.lock().unwrap_or_else(PoisonError::into_inner);
    let link = links.get(&peer)?;
    (!link.task.is_finished()).then(|| link.clone())
}

fn has_room(links: &Links) -> bool {
    let mut links = links.lock().unwrap_or_else(PoisonError::into_inner);
    links.retain(|_, link| !link.task.is_finished());
    links.len() < MAX_LINKS
}

/// From KCP to the network.
async fn outward(plain: Arc<UdpSocket>, outside: Arc<UdpSocket>, peer: SocketAddr) {
    let mut datagram = vec![0; HEADER + MAX_PACKET];
    // It fails when the socket of the KCP side is gone.
    while let Ok(Ok(length)) = tokio::time::timeout(IDLE, plain.recv(&mut datagram[HEADER..])).await
    {
        let datagram = &mut datagram[..HEADER + length];
        wrap(datagram);
        let _ = outside.send_to(datagram, peer).await;
    }
}

/// Fills in the header of a datagram: the nonce, then the CRC-32 of what follows, little-endian.
fn wrap(datagram: &mut [u8]) {
    fastrand::fill(&mut datagram[..NONCE]);
    let checksum = crc32fast::hash(&datagram[HEADER..]);
    datagram[NONCE..HEADER].copy_from_slice(&checksum.to_le_bytes());
}

/// The packet behind a valid header.
fn unwrap(datagram: &[u8]) -> Option<&[u8]> {
    let (header, packet) = datagram.split_at_checked(HEADER)?;
    (header[NONCE..] == crc32fast::hash(packet).to_le_bytes()).then_some(packet)
}
