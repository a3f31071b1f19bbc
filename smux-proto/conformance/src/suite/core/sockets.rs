//! A session over a TCP socket, with one thread for reading and one for writing.

use std::{
    fmt,
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::Poll,
    thread,
    time::{Duration, Instant},
};

use bytes::Buf;
use smux_proto::{Config, Side, Transmit};

use super::{
    end::{End, Wait},
    handle::CoreSession,
};
use crate::suite::{connection::Connection, host::Adapter};

/// The bare core over TCP, for live peers.
#[derive(Clone, Copy, Debug, Default)]
pub struct CoreOverTcp;

impl Adapter for CoreOverTcp {
    type Session = CoreSession<SocketEnd>;

    /// # Panics
    ///
    /// If the connection is not TCP.
    fn connect(
        &self,
        side: Side,
        config: Config,
        connection: Connection,
    ) -> CoreSession<SocketEnd> {
        let Connection::Tcp(tcp) = connection else {
            panic!("the bare core runs over TCP sockets only");
        };
        let end = Arc::new(SocketEnd {
            epoch: Instant::now(),
            end: Mutex::new(End::new(side, config, Duration::ZERO)),
            changed: Condvar::new(),
        });
        let session = CoreSession::new(&end);
        let tcp = Arc::new(tcp);
        let (reader, writer) = (Arc::clone(&end), end);
        let input = Arc::clone(&tcp);
        thread::spawn(move || reader.read_from(&input));
        thread::spawn(move || writer.write_to(&tcp));
        session
    }
}

/// An end whose callers wait for each other's threads.
pub struct SocketEnd {
    epoch: Instant,
    end: Mutex<End>,
    /// Signals that a waiter may go on, after any call or byte.
    changed: Condvar,
}

impl fmt::Debug for SocketEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketEnd").finish_non_exhaustive()
    }
}

impl Wait for SocketEnd {
    fn act<R>(&self, act: impl FnOnce(&mut End) -> R) -> R {
        let result = act(&mut self.lock());
        self.changed.notify_all();
        result
    }

    fn block<R>(&self, mut attempt: impl FnMut(&mut End) -> Poll<R>) -> R {
        let mut end = self.lock();
        loop {
            if let Poll::Ready(result) = attempt(&mut end) {
                self.changed.notify_all();
                return result;
            }
            end = self
                .changed
                .wait(end)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl SocketEnd {
    fn lock(&self) -> MutexGuard<'_, End> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        end.now = self.epoch.elapsed();
        end
    }

    fn read_from(&self, mut tcp: &TcpStream) {
        let mut buffer = vec![0; 65_536];
        loop {
            match tcp.read(&mut buffer) {
                Ok(0) => return self.act(|end| end.session.handle_eof(end.now)),
                Ok(count) => self.hand_over(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return self.act(|end| end.session.handle_transport_error(error.into()));
                }
            }
        }
    }

    /// Hands the session all of `data`, and waits whenever it takes no more.
    fn hand_over(&self, mut data: &[u8]) {
        self.block(|end| {
            let taken = end.session.handle_input(end.now, data);
            // After an error the rest is of no interest, and the session has its close reason.
            let taken = taken.unwrap_or(data.len());
            data = &data[taken..];
            if taken > 0 {
                self.changed.notify_all();
            }
            match data.is_empty() || end.session.is_terminated() {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        });
    }

    /// Writes and keeps the deadlines until the session has ended; then closes the socket, which
    /// ends the reader too.
    fn write_to(&self, mut tcp: &TcpStream) {
        let mut batch = Transmit::new();
        let mut shut = false;
        let mut end = self.lock();
        while !end.session.is_terminated() {
            let now = end.now;
            if end.fire() {
                self.changed.notify_all();
            } else if end.session.poll_transmit(now, &mut batch) {
                drop(end);
                let written = tcp.write(batch.chunk());
                end = self.lock();
                match written {
                    Ok(count) => batch.advance(count),
                    Err(error) => end.fail_write(error),
                }
                self.changed.notify_all();
            } else if !end.write_failed && end.flushed < end.session.stats().bytes_emitted {
                end.flushed = end.session.stats().bytes_emitted;
                self.changed.notify_all();
            } else if end.session.wants_shutdown() && !shut {
                shut = true;
                // An error means that the connection is gone, which the reader sees.
                let _ = tcp.shutdown(Shutdown::Write);
            } else {
                end = self.wait_for_work(end);
            }
        }
        end.is_over = true;
        drop(end);
        let _ = tcp.shutdown(Shutdown::Both);
        self.changed.notify_all();
    }

    fn wait_for_work<'a>(&'a self, end: MutexGuard<'a, End>) -> MutexGuard<'a, End> {
        let due = end.session.poll_timeout();
        let limit = due.map_or(Duration::MAX, |due| due.saturating_sub(end.now));
        let idle = |end: &mut End| {
            let session = &end.session;
            !session.is_terminated() && !session.wants_transmit() && session.poll_timeout() == due
        };
        let waited = self.changed.wait_timeout_while(end, limit, idle);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        self.lock()
    }
}
