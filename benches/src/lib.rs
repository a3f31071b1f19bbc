//! What the benches of the core alone share: two sessions in memory, and the paths through them.

use std::{hint::black_box, task::Poll, time::Duration};

use bytes::Buf;
use smux_proto::{Config, Event, Session, StreamId, ThreadBuffers, Transmit, Version};

const NOW: Duration = Duration::ZERO;
/// Messages sent at a time before anything is measured.
const FIRST: usize = 4;
/// Messages are read into a buffer of this size.
const READ: usize = 64 << 10;

/// A client and a server with open streams, and messages of one size.
pub struct Pair {
    client: Session,
    server: Session,
    batch: Transmit,
    streams: Vec<StreamId>,
    next: usize,
    message: Vec<u8>,
    buf: Vec<u8>,
}

impl Pair {
    /// `streams` are open, and idle.
    pub fn new(version: Version, streams: usize, message: usize) -> Self {
        let preset = if version == Version::V1 {
            Config::default()
        } else {
            Config::v2()
        };
        let config = preset
            .to_builder()
            .max_inbound_streams(streams + 1)
            .max_outbound_streams(streams + 1)
            // So that windows stay large with many streams: small ones cost an update for every few
            // messages.
            .max_receive_buffer(i32::MAX as usize)
            .build()
            .expect("valid limits");
        let mut pair = Self {
            client: with_buffers(Session::client(config.clone(), 1, NOW)),
            server: with_buffers(Session::server(config, 2, NOW)),
            batch: Transmit::new(),
            streams: Vec::with_capacity(streams),
            next: 0,
            message: vec![0x5a; message],
            buf: vec![0; READ],
        };
        for _ in 0..streams {
            let id = pair.open();
            pair.streams.push(id);
        }
        // The first message of a stream costs more, and is not what is measured.
        for _ in 0..streams.div_ceil(FIRST) {
            pair.through(FIRST);
        }
        pair
    }

    /// Opens a stream and accepts it.
    fn open(&mut self) -> StreamId {
        let Poll::Ready(Ok(id)) = self.client.open() else {
            panic!("cannot open")
        };
        carry(&mut self.client, &mut self.server, &mut self.batch);
        assert_eq!(self.server.accept(), Poll::Ready(Ok(id)));
        id
    }

    /// Queues `count` messages; the streams take turns.
    fn write(&mut self, count: usize) {
        for _ in 0..count {
            let id = self.streams[self.next];
            self.next = (self.next + 1) % self.streams.len();
            let mut stream = self.client.stream(id).expect("open");
            let written = stream.write(&self.message);
            assert_eq!(
                written,
                Poll::Ready(Ok(self.message.len())),
                "more than fits the queues"
            );
        }
    }

    /// Reads whatever has arrived.
    fn read(&mut self) {
        while let Some(event) = self.server.poll_event() {
            let Event::Readable(id) = event else { continue };
            let mut stream = self.server.stream(id).expect("open");
            while stream.read(&mut self.buf).is_ready() {}
        }
    }

    /// `count` messages from the application to the bytes that would be written. Nothing reads
    /// them, so this is for version 1, which has no windows.
    pub fn frames_out(&mut self, count: usize) {
        self.write(count);
        while self.client.poll_transmit(NOW, &mut self.batch) {
            self.batch.advance(self.batch.remaining());
        }
    }

    /// The bytes of `count` messages, for [`frames_in`](Self::frames_in).
    pub fn wire(&mut self, count: usize) -> Vec<u8> {
        let mut wire = Vec::new();
        self.write(count);
        while self.client.poll_transmit(NOW, &mut self.batch) {
            while self.batch.has_remaining() {
                wire.extend_from_slice(self.batch.chunk());
                self.batch.advance(self.batch.chunk().len());
            }
        }
        wire
    }

    /// Bytes that arrive, to the application. Can be repeated with the same bytes in version 1.
    pub fn frames_in(&mut self, wire: &[u8]) {
        let taken = self.server.handle_input(NOW, wire);
        assert_eq!(taken, Ok(wire.len()));
        self.read();
    }

    /// `count` messages from application to application, and the window updates back.
    pub fn through(&mut self, count: usize) {
        self.write(count);
        carry(&mut self.client, &mut self.server, &mut self.batch);
        self.read();
        carry(&mut self.server, &mut self.client, &mut self.batch);
        while self.client.poll_event().is_some() {}
    }

    /// As [`through`](Self::through), but the application looks at what has arrived where it lies:
    /// one copy less.
    pub fn through_in_place(&mut self, count: usize) {
        self.write(count);
        carry(&mut self.client, &mut self.server, &mut self.batch);
        while let Some(event) = self.server.poll_event() {
            let Event::Readable(id) = event else { continue };
            let mut stream = self.server.stream(id).expect("open");
            while let Poll::Ready(Ok(bytes)) = stream.peek() {
                let count = black_box(bytes).len();
                stream.consume(count);
            }
        }
        carry(&mut self.server, &mut self.client, &mut self.batch);
        while self.client.poll_event().is_some() {}
    }

    /// Opens `count` streams and closes them, each on both sides.
    pub fn open_close(&mut self, count: usize) {
        for _ in 0..count {
            let Poll::Ready(Ok(id)) = self.client.open() else {
                panic!("cannot open")
            };
            self.client.stream(id).expect("open").close();
            carry(&mut self.client, &mut self.server, &mut self.batch);
            assert_eq!(self.server.accept(), Poll::Ready(Ok(id)));
            self.server.stream(id).expect("open").close();
            carry(&mut self.server, &mut self.client, &mut self.batch);
        }
        while self.server.poll_event().is_some() {}
        while self.client.poll_event().is_some() {}
    }
}

fn with_buffers(mut session: Session) -> Session {
    session.set_buffer_source(ThreadBuffers::shared());
    session
}

fn carry(from: &mut Session, to: &mut Session, batch: &mut Transmit) {
    while from.poll_transmit(NOW, batch) {
        while batch.has_remaining() {
            let taken = to
                .handle_input(NOW, batch.chunk())
                .expect("a well-behaved peer");
            assert!(taken > 0, "the receive buffer is full");
            batch.advance(taken);
        }
    }
}
