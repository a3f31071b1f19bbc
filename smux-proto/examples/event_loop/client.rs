//! The client: sends data on some streams and checks what comes back.

use std::{
    collections::HashMap,
    ops::Range,
    rc::Rc,
    task::{Poll, ready},
};

use smux_proto::{Event, Session, StreamError, StreamId, StreamMut};

use crate::connection::Application;

/// Bytes read at a time.
const PIECE: usize = 8 * 1024;

pub(crate) struct Client {
    /// What streams send, some more than one takes.
    data: Rc<[u8]>,
    opened: usize,
    /// Streams whose data came back as it was sent, and that the loop was not told of.
    verified: usize,
    transfers: HashMap<StreamId, Transfer>,
}

impl Application for Client {
    fn run(&mut self, session: &mut Session) -> usize {
        self.open(session);
        while let Some(event) = session.poll_event() {
            match event {
                Event::Openable => self.open(session),
                Event::Readable(id)
                | Event::Finished(id)
                | Event::Writable(id)
                | Event::Stopped(id) => self.advance(session, id),
                _ => {}
            }
        }
        std::mem::take(&mut self.verified)
    }
}

impl Client {
    pub(crate) const STREAMS: usize = 10;

    /// Data for all clients, of which each stream sends this much.
    pub(crate) fn data(bytes: usize) -> Rc<[u8]> {
        let mut data = vec![0; bytes + Self::STREAMS];
        fastrand::fill(&mut data);
        data.into()
    }

    pub(crate) fn new(data: &Rc<[u8]>) -> Self {
        Self {
            data: Rc::clone(data),
            opened: 0,
            verified: 0,
            transfers: HashMap::new(),
        }
    }

    fn open(&mut self, session: &mut Session) {
        while self.opened < Self::STREAMS
            && let Poll::Ready(Ok(id)) = session.open()
        {
            self.transfers.insert(
                id,
                Transfer::new(self.opened, self.data.len() - Self::STREAMS),
            );
            self.opened += 1;
            self.advance(session, id);
        }
    }

    fn advance(&mut self, session: &mut Session, id: StreamId) {
        let (Some(transfer), Some(mut stream)) = (self.transfers.get_mut(&id), session.stream(id))
        else {
            return;
        };
        let Poll::Ready(result) = transfer.advance(&self.data, &mut stream) else {
            return;
        };
        stream.close();
        self.transfers.remove(&id);
        self.verified += usize::from(result == Ok(true));
    }
}

/// Each stream sends another part of the data, so that streams which were mixed up would be
/// noticed.
struct Transfer {
    data: Range<usize>,
    sent: usize,
    received: usize,
}

impl Transfer {
    fn new(number: usize, bytes: usize) -> Self {
        Self {
            data: number..number + bytes,
            sent: 0,
            received: 0,
        }
    }

    /// Ready at the end: true if all came back as it was sent.
    fn advance(
        &mut self,
        data: &[u8],
        stream: &mut StreamMut<'_>,
    ) -> Poll<Result<bool, StreamError>> {
        let data = &data[self.data.clone()];
        // Neither direction waits for the other. If both wait, this is called again after the event
        // of either.
        if let Poll::Ready(Err(error)) = self.send(data, stream) {
            return Poll::Ready(Err(error));
        }
        self.receive(data, stream)
    }

    fn send(&mut self, data: &[u8], stream: &mut StreamMut<'_>) -> Poll<Result<(), StreamError>> {
        while self.sent < data.len() {
            self.sent += ready!(stream.write(&data[self.sent..]))?;
        }
        stream.finish();
        Poll::Ready(Ok(()))
    }

    fn receive(
        &mut self,
        data: &[u8],
        stream: &mut StreamMut<'_>,
    ) -> Poll<Result<bool, StreamError>> {
        let mut piece = [0; PIECE];
        loop {
            let count = ready!(stream.read(&mut piece))?;
            if count == 0 {
                return Poll::Ready(Ok(self.received == data.len()));
            }
            if !data[self.received..].starts_with(&piece[..count]) {
                return Poll::Ready(Ok(false));
            }
            self.received += count;
        }
    }
}
