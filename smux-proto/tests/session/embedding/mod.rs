//! The connection that the guide shows, over transports that buffer.

use std::{
    cell::RefCell,
    io::{self, ErrorKind, Read, Write},
    rc::Rc,
    task::Poll,
    time::Duration,
};

use bytes::Buf;
use smux_proto::{CloseReason, Config, Session, Transmit, TransportError};

include!("connection.rs");

#[test]
fn the_guide_shows_this_connection() {
    let guide = include_str!("../../../docs/embedding.md");
    assert!(guide.contains(include_str!("connection.rs")));
}

/// One direction of a connection in memory.
#[derive(Default)]
struct Direction {
    bytes: Vec<u8>,
    ended: bool,
}

/// A transport that, as TLS does, keeps what is written until it is flushed, and whose flush has to
/// wait for its socket every other time.
#[derive(Default)]
struct Buffering {
    to_peer: Rc<RefCell<Direction>>,
    from_peer: Rc<RefCell<Direction>>,
    held: Vec<u8>,
    has_waited: bool,
}

impl Read for Buffering {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut from = self.from_peer.borrow_mut();
        let count = from.bytes.len().min(buffer.len());
        if count == 0 && !from.ended {
            return Err(ErrorKind::WouldBlock.into());
        }
        buffer[..count].copy_from_slice(&from.bytes[..count]);
        from.bytes.drain(..count);
        Ok(count)
    }
}

impl Write for Buffering {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.held.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.has_waited = !self.has_waited && !self.held.is_empty();
        if self.has_waited {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.to_peer.borrow_mut().bytes.append(&mut self.held);
        Ok(())
    }
}

impl Shut for Buffering {
    fn shut(&mut self) -> io::Result<()> {
        assert!(self.held.is_empty(), "shut before everything was flushed");
        self.to_peer.borrow_mut().ended = true;
        Ok(())
    }
}

impl Drop for Buffering {
    fn drop(&mut self) {
        self.to_peer.borrow_mut().ended = true;
    }
}

fn over(session: Session, transport: Buffering) -> Connection<Buffering> {
    Connection {
        session,
        transport: Some(transport),
        unread: Vec::new(),
        batch: Transmit::new(),
        shut: false,
    }
}

#[test]
fn a_flush_that_would_block_is_tried_again() {
    let (near, mut far) = (Buffering::default(), Buffering::default());
    far.to_peer = near.from_peer.clone();
    far.from_peer = near.to_peer.clone();
    let now = Duration::ZERO;
    let mut client = over(Session::client(Config::v2(), 1, now), near);
    let mut server = over(Session::server(Config::v2(), 2, now), far);
    let Poll::Ready(Ok(id)) = client.session.open() else {
        panic!("the session is open")
    };
    let mut stream = client.session.stream(id).expect("just opened");
    assert_eq!(stream.write(b"hello"), Poll::Ready(Ok(5)));
    stream.close();
    client.session.close(now);
    let mut text = Vec::new();
    for _ in 0..20 {
        client.round(now, |_| ());
        server.round(now, |session| {
            let _ = session.accept();
            if let Some(mut stream) = session.stream(id) {
                let _ = stream.read_buf(&mut text);
            }
        });
    }
    assert_eq!(text, b"hello");
    assert_eq!(client.session.close_reason(), Some(&CloseReason::Local));
    assert_eq!(
        server.session.close_reason(),
        Some(&CloseReason::PeerClosed)
    );
    assert!(client.transport.is_none() && server.transport.is_none());
}
