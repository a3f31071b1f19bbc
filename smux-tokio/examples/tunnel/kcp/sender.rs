//! Datagrams on their way out. KCP sends its windows in bursts, for which a socket can be too small.

use std::collections::VecDeque;
use std::future::pending;
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::UdpSocket;

use super::datagram;
use crate::cli::KcpCrypt;

/// Datagrams that may wait for the socket. Further ones are lost, and KCP sends them again.
const MOST: usize = 4096;

/// Sends to one peer.
pub(super) struct Sender {
    socket: Arc<UdpSocket>,
    /// `None` if the socket is connected.
    peer: Option<SocketAddr>,
    waiting: Mutex<VecDeque<Vec<u8>>>,
}

impl Sender {
    pub(super) fn new(socket: Arc<UdpSocket>, peer: Option<SocketAddr>) -> Arc<Self> {
        Arc::new(Self {
            socket,
            peer,
            waiting: Mutex::default(),
        })
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting().is_empty()
    }

    /// Ready when what had to wait is sent. Cancel-safe.
    pub(super) async fn send_waiting(&self) {
        if !self.has_waiting() {
            return pending().await;
        }
        while self.has_waiting() {
            if self.socket.writable().await.is_err() {
                return pending().await;
            }
            let mut waiting = self.waiting();
            while waiting.front().is_some_and(|first| self.is_sent(first)) {
                waiting.pop_front();
            }
        }
    }

    fn send(&self, datagram: &mut Vec<u8>) {
        let mut waiting = self.waiting();
        if waiting.is_empty() && self.is_sent(datagram) {
            return;
        }
        if waiting.len() < MOST {
            waiting.push_back(std::mem::take(datagram));
        }
    }

    /// Whether it need not wait. A datagram that cannot be sent is a lost one.
    fn is_sent(&self, datagram: &[u8]) -> bool {
        let sent = match self.peer {
            Some(peer) => self.socket.try_send_to(datagram, peer),
            None => self.socket.try_send(datagram),
        };
        !sent.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Vec<u8>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What KCP writes its packets to.
pub(super) struct Output {
    sender: Arc<Sender>,
    crypt: KcpCrypt,
    datagram: Vec<u8>,
}

impl Output {
    pub(super) fn new(sender: Arc<Sender>, crypt: KcpCrypt) -> Self {
        Self {
            sender,
            crypt,
            datagram: Vec::new(),
        }
    }
}

impl Write for Output {
    fn write(&mut self, packet: &[u8]) -> io::Result<usize> {
        datagram::wrap(self.crypt, packet, &mut self.datagram);
        self.sender.send(&mut self.datagram);
        Ok(packet.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
