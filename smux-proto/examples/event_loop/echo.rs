//! The server: sends back what arrives on every stream.

use std::{collections::HashMap, task::Poll};

use bytes::Bytes;
use smux_proto::{Event, Session, StreamId};

use crate::connection::Application;

/// Bytes taken from a stream at a time.
const PIECE: usize = 64 * 1024;

/// For each stream, what was read and could not be written back yet. As long as there is some,
/// nothing more is read: then the stream's window fills up, and its sender waits.
#[derive(Default)]
pub(crate) struct Echo(HashMap<StreamId, Bytes>);

impl Application for Echo {
    fn run(&mut self, session: &mut Session) -> usize {
        while let Some(event) = session.poll_event() {
            match event {
                Event::Acceptable => self.accept(session),
                Event::Readable(id)
                | Event::Finished(id)
                | Event::Writable(id)
                | Event::Stopped(id) => self.echo(session, id),
                // The connection ends with its session, and this with its connection.
                Event::Closed => {}
                _ => {}
            }
        }
        0
    }
}

impl Echo {
    fn accept(&mut self, session: &mut Session) {
        while let Poll::Ready(Ok(id)) = session.accept() {
            self.0.insert(id, Bytes::new());
            // Events come only after a call that was pending: begin with one.
            self.echo(session, id);
        }
    }

    fn echo(&mut self, session: &mut Session, id: StreamId) {
        let (Some(unwritten), Some(mut stream)) = (self.0.get_mut(&id), session.stream(id)) else {
            return;
        };
        loop {
            if unwritten.is_empty() {
                match stream.read_bytes(PIECE) {
                    Poll::Ready(Ok(bytes)) if !bytes.is_empty() => *unwritten = bytes,
                    Poll::Pending => return,
                    // Its end, or an error.
                    Poll::Ready(_) => break,
                }
            }
            match stream.write_bytes(unwritten) {
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => return,
                Poll::Ready(Err(_)) => break,
            }
        }
        // What was written is still sent.
        stream.close();
        self.0.remove(&id);
    }
}
