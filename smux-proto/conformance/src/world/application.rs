//! The applications: every call of the API, checked against the [`Model`](crate::model::Model).

use std::{task::Poll, time::Duration};

use smux_proto::{Event, Side, StreamError, StreamId, StreamMut};

use super::{Ending, SessionWaits, World};
use crate::model::Waits;

/// A way to read; returns the bytes.
type Read = fn(&mut StreamMut<'_>, usize) -> Poll<Result<Vec<u8>, StreamError>>;

impl World {
    pub(super) fn open(&mut self, side: Side) {
        match self.session(side).open() {
            Poll::Ready(Ok(id)) => self.model.note_open(side, id),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.waits[side as usize].open = true,
        }
    }

    pub(super) fn accept(&mut self, side: Side) -> bool {
        match self.session(side).accept() {
            Poll::Ready(Ok(id)) => {
                self.model.note_accept(side, id);
                return true;
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.waits[side as usize].accept = true,
        }
        false
    }

    pub(super) fn on_stream(
        &mut self,
        side: Side,
        stream: u8,
        act: impl FnOnce(&mut Self, StreamId),
    ) {
        let held = self.model.held(side);
        if let Some(&id) = held.get(usize::from(stream) % held.len().max(1)) {
            act(self, id);
        }
    }

    pub(super) fn stream(&mut self, side: Side, id: StreamId) -> StreamMut<'_> {
        self.session(side)
            .stream(id)
            .expect("the application holds it")
    }

    pub(super) fn write(
        &mut self,
        side: Side,
        id: StreamId,
        length: u16,
        write: impl FnOnce(&mut StreamMut<'_>, Vec<u8>) -> Poll<Result<usize, StreamError>>,
    ) {
        let data = self.model.next(side, id, length.into());
        let result = write(&mut self.stream(side, id), data);
        let finished = self.model.view(side, id).finished;
        match result {
            Poll::Ready(Ok(count)) => {
                assert!(count <= usize::from(length));
                assert!(
                    !finished || count == 0,
                    "{side:?} writes to stream {id} after its end"
                );
                self.model.view(side, id).written += count as u64;
            }
            Poll::Ready(Err(error)) => self.expect_error(side, id, &error, finished),
            Poll::Pending => self.model.view(side, id).waits.write = true,
        }
    }

    /// Reads once; whether anything came.
    pub(super) fn read(&mut self, side: Side, id: StreamId, length: u16, read: Read) -> bool {
        if length == 0 {
            return false;
        }
        let deaf = self.model.view(side, id).deaf;
        match read(&mut self.stream(side, id), length.into()) {
            result if deaf => assert_eq!(result, Poll::Ready(Ok(Vec::new()))),
            Poll::Ready(Ok(data)) if data.is_empty() => self.model.note_end(side, id),
            Poll::Ready(Ok(data)) => {
                self.model.note_read(side, id, &data);
                return true;
            }
            Poll::Ready(Err(error)) => self.expect_error(side, id, &error, false),
            Poll::Pending => self.model.view(side, id).waits.read = true,
        }
        false
    }

    pub(super) fn flush(&mut self, side: Side, id: StreamId) {
        match self.stream(side, id).poll_sent() {
            Poll::Ready(Ok(mark)) => assert!(mark <= self.session(side).stats().bytes_emitted),
            Poll::Ready(Err(error)) => self.expect_error(side, id, &error, false),
            Poll::Pending => self.model.view(side, id).waits.sent = true,
        }
    }

    pub(super) fn finish_stream(&mut self, side: Side, id: StreamId) {
        let open = !self.session(side).is_closed();
        self.stream(side, id).finish();
        self.model.view(side, id).finished |= open;
    }

    pub(super) fn stop_reading(&mut self, side: Side, id: StreamId) {
        self.stream(side, id).stop_reading();
        self.model.view(side, id).deaf = true;
    }

    pub(super) fn close(&mut self, side: Side, id: StreamId) {
        let open = !self.session(side).is_closed();
        self.stream(side, id).close();
        let view = self.model.view(side, id);
        (view.held, view.closed, view.waits) = (false, true, Waits::default());
        view.finished |= open;
    }

    pub(super) fn end(&mut self, side: Side, how: Ending) {
        let now = self.pair.now;
        let session = self.session(side);
        match how {
            Ending::StopAccepting => session.stop_accepting(),
            Ending::Drain => session.drain(now, Duration::from_secs(60)),
            Ending::Close => session.close(now),
            Ending::Abort => session.abort(),
        }
    }

    /// Takes the events and ends the waits for them.
    pub(super) fn look(&mut self, side: Side) {
        while let Some(event) = self.session(side).poll_event() {
            let waits = &mut self.waits[side as usize];
            match event {
                Event::Openable => waits.open = false,
                Event::Acceptable => waits.accept = false,
                Event::Readable(id) | Event::Finished(id) => {
                    self.model.view(side, id).waits.read = false
                }
                Event::Writable(id) => {
                    let waits = &mut self.model.view(side, id).waits;
                    (waits.write, waits.sent) = (false, false);
                }
                Event::Closed => {
                    *waits = SessionWaits::default();
                    for id in self.model.ids() {
                        self.model.view(side, id).waits = Waits::default();
                    }
                }
                _ => {}
            }
        }
        self.check_waits(side);
    }
}

pub(super) fn read(
    stream: &mut StreamMut<'_>,
    length: usize,
) -> Poll<Result<Vec<u8>, StreamError>> {
    let mut buffer = vec![0; length];
    stream
        .read(&mut buffer)
        .map_ok(|count| buffer[..count].to_vec())
}

pub(super) fn read_bytes(
    stream: &mut StreamMut<'_>,
    length: usize,
) -> Poll<Result<Vec<u8>, StreamError>> {
    stream.read_bytes(length).map_ok(Vec::from)
}

pub(super) fn consume(
    stream: &mut StreamMut<'_>,
    length: usize,
) -> Poll<Result<Vec<u8>, StreamError>> {
    let shown = stream
        .peek()
        .map_ok(|shown| shown[..shown.len().min(length)].to_vec());
    if let Poll::Ready(Ok(shown)) = &shown {
        stream.consume(shown.len());
    }
    shown
}
