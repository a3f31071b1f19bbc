//! Two sessions whose bytes are recorded as a capture, in virtual time.

use std::{task::Poll, time::Duration};

use bytes::Buf;
use smux_proto::{Config, Session, StreamId, Transmit};

use crate::{capture::End, hex};

pub(crate) struct Recorded {
    client: Session,
    server: Session,
    now: Duration,
    pub(crate) chunks: Vec<(Duration, End, Vec<u8>)>,
}

impl Recorded {
    /// A client and a server of version 2.
    pub(crate) fn new() -> Self {
        let now = Duration::ZERO;
        Self {
            client: Session::client(Config::v2(), 1, now),
            server: Session::server(Config::v2(), 2, now),
            now,
            chunks: Vec::new(),
        }
    }

    /// Opens a stream of the client and accepts it.
    pub(crate) fn open_and_accept(&mut self) -> StreamId {
        let Poll::Ready(Ok(id)) = self.client.open() else {
            panic!("no stream to open");
        };
        self.exchange();
        assert_eq!(self.server.accept(), Poll::Ready(Ok(id)));
        id
    }

    /// Writes as much of these bytes as the session takes.
    pub(crate) fn client_writes(&mut self, id: StreamId, bytes: usize) {
        let mut stream = self.client.stream(id).expect("open");
        let _ = stream.write(&vec![b'x'; bytes]);
    }

    pub(crate) fn finish(&mut self, id: StreamId) {
        self.client.stream(id).expect("open").finish();
    }

    /// Reads what there is.
    pub(crate) fn server_reads(&mut self, id: StreamId) {
        let mut stream = self.server.stream(id).expect("open");
        let mut buf = [0; 4096];
        while let Poll::Ready(Ok(1..)) = stream.read(&mut buf) {}
        if stream.peer_finished() {
            stream.finish();
        }
    }

    pub(crate) fn pass(&mut self, seconds: f64) {
        self.now += Duration::from_secs_f64(seconds);
    }

    /// Carries what both have to send until neither has more. Each chunk takes a millisecond.
    pub(crate) fn exchange(&mut self) {
        loop {
            let before = self.chunks.len();
            self.carry(End::A);
            self.carry(End::B);
            if self.chunks.len() == before {
                return;
            }
        }
    }

    fn carry(&mut self, from: End) {
        let (sender, receiver) = match from {
            End::A => (&mut self.client, &mut self.server),
            End::B => (&mut self.server, &mut self.client),
        };
        let mut batch = Transmit::new();
        while sender.poll_transmit(self.now, &mut batch) {
            self.now += Duration::from_millis(1);
            let bytes = batch.chunk().to_vec();
            let taken = receiver.handle_input(self.now, &bytes).expect("frames");
            assert_eq!(taken, bytes.len(), "the receive buffer is full");
            batch.advance(taken);
            self.chunks.push((self.now, from, bytes));
        }
    }

    /// The capture in the format with times and sources.
    pub(crate) fn lines(&self) -> String {
        let line = |(time, from, bytes): &(Duration, End, Vec<u8>)| {
            format!("{:.6} {} {}\n", time.as_secs_f64(), from.name(), hex(bytes))
        };
        self.chunks.iter().map(line).collect()
    }

    pub(crate) fn bytes_of_the_client(&self) -> Vec<u8> {
        let chunks = self.chunks.iter();
        let sent = chunks.filter(|(_, from, _)| *from == End::A);
        sent.flat_map(|(.., bytes)| bytes.iter().copied()).collect()
    }
}
