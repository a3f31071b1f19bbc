//! Connections for an adapter to run over.

use std::net::{Ipv4Addr, TcpListener, TcpStream};

pub use super::memory::{Behaviour, Memory};

/// One end of a connection, for an adapter to make its transport of.
#[derive(Debug)]
pub enum Connection {
    /// A blocking socket with `TCP_NODELAY`.
    Tcp(TcpStream),
    /// A blocking socket.
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixStream),
    /// In memory; implements `futures_io` and, blocking, [`std::io`]'s traits.
    Memory(Memory),
}

impl Connection {
    /// Both ends of a connection over the loopback interface.
    pub fn tcp_pair() -> (Self, Self) {
        let (near, far) = tcp_pair();
        (Self::Tcp(near), Self::Tcp(far))
    }

    /// Both ends of a Unix socket.
    #[cfg(unix)]
    pub fn unix_pair() -> (Self, Self) {
        let (near, far) = std::os::unix::net::UnixStream::pair().expect("a pair of sockets");
        (Self::Unix(near), Self::Unix(far))
    }

    /// Both ends of a connection in memory; each direction has its behaviour, first that of what
    /// the first end writes.
    pub fn memory_pair(there: Behaviour, back: Behaviour) -> (Self, Self) {
        let (near, far) = Memory::pair(there, back);
        (Self::Memory(near), Self::Memory(far))
    }
}

/// Both ends of a TCP connection over the loopback interface.
pub fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let near = TcpStream::connect(address).expect("the listener is bound");
    let (far, _) = listener.accept().expect("the other end connects");
    for socket in [&near, &far] {
        socket.set_nodelay(true).expect("a TCP socket");
    }
    (near, far)
}
