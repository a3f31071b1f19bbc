//! What a session allocates and holds, by a counting allocator.
//!
//! | file | asks |
//! |---|---|
//! | `steady` | what a frame, a message, a stream costs once buffers are warm |
//! | `idle` | what idle, ended and refused streams cost |
//! | `any_use` | whether all memory in use is accounted for after any calls |
//! | `rush` | what is left of the buffers of a rush |
//! | `bounds` | the most that a session holds, for its data and by its configuration |

mod any_use;
mod bounds;
mod idle;
mod rush;
mod steady;

use std::{
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use allocation_counter::{AllocationInfo, measure};
use bytes::Buf;
use smux_conformance::frame::Frame;
use smux_proto::{
    Buffer, BufferPool, BufferSource, Config, ConfigBuilder, Session, StreamId, Transmit, Version,
};

const BOTH: [Version; 2] = [Version::V1, Version::V2];
const START: Duration = Duration::ZERO;

fn config(version: Version) -> ConfigBuilder {
    Config::builder().version(version).keep_alive_disabled()
}

/// Many streams, as many as wanted at a time.
fn many_streams(version: Version) -> ConfigBuilder {
    let streams = config(version)
        .max_inbound_streams(1 << 20)
        .max_outbound_streams(1 << 20);
    streams
        .accept_backlog(1 << 20)
        .max_receive_buffer(1 << 30)
        .max_glitches(u32::MAX)
}

fn server(config: ConfigBuilder) -> Session {
    Session::server(config.build().expect("valid"), 1, START)
}

/// Unused buffers of several sessions.
struct Pool(Mutex<BufferPool>);

impl BufferSource for Pool {
    fn get(&self, size: usize) -> Buffer {
        let buffer = self.0.lock().unwrap().get(size).expect("up to 64 KiB");
        buffer.into()
    }

    fn put(&self, buffer: Buffer) {
        let buffer = buffer.into_vec().expect("a vector, as all that are lent");
        self.0.lock().unwrap().put(buffer).expect("a lent buffer");
    }
}

/// Two sessions, with unused buffers in common, and a connection that carries everything at once.
struct Both {
    client: Session,
    server: Session,
    batch: Transmit,
    /// The batch of the other direction.
    answers: Transmit,
}

impl Both {
    fn new(config: ConfigBuilder) -> Self {
        let config = config.build().expect("valid");
        let mut client = Session::client(config.clone(), 1, START);
        let mut server = Session::server(config, 2, START);
        let source: Arc<dyn BufferSource> = Arc::new(Pool(Mutex::new(BufferPool::new(1 << 20))));
        client.set_buffer_source(Arc::clone(&source));
        server.set_buffer_source(source);
        Self {
            client,
            server,
            batch: Transmit::new(),
            answers: Transmit::new(),
        }
    }

    /// Carries everything, and takes the events.
    fn carry(&mut self) {
        carry(&mut self.client, &mut self.server, &mut self.batch);
        carry(&mut self.server, &mut self.client, &mut self.answers);
        for session in [&mut self.client, &mut self.server] {
            while session.poll_event().is_some() {}
        }
    }

    /// These many streams, opened by the client and accepted by the server.
    fn streams(&mut self, count: usize) -> Vec<StreamId> {
        let ids = (0..count).map(|_| open(&mut self.client)).collect();
        self.carry();
        for _ in 0..count {
            assert!(matches!(self.server.accept(), Poll::Ready(Ok(_))));
        }
        self.carry();
        ids
    }
}

fn carry(from: &mut Session, to: &mut Session, batch: &mut Transmit) {
    while from.poll_transmit(START, batch) {
        let taken = to
            .handle_input(START, batch.chunk())
            .expect("an honest peer");
        assert!(taken > 0, "the receive buffer is full");
        batch.advance(taken);
    }
}

fn open(session: &mut Session) -> StreamId {
    match session.open() {
        Poll::Ready(Ok(id)) => id,
        other => panic!("{other:?}"),
    }
}

fn accept(session: &mut Session) -> StreamId {
    match session.accept() {
        Poll::Ready(Ok(id)) => id,
        other => panic!("{other:?}"),
    }
}

fn write(session: &mut Session, id: StreamId, data: &[u8]) {
    let result = session.stream(id).expect("open").write(data);
    assert_eq!(result, Poll::Ready(Ok(data.len())));
}

/// Reads exactly this many bytes.
fn read(session: &mut Session, id: StreamId, count: usize) {
    let mut buffer = [0; 65_536];
    let mut left = count;
    while left > 0 {
        match session
            .stream(id)
            .expect("open")
            .read(&mut buffer[..left.min(65_536)])
        {
            Poll::Ready(Ok(count @ 1..)) => left -= count,
            other => panic!("{left} bytes are missing: {other:?}"),
        }
    }
}

fn close(session: &mut Session, id: StreamId) {
    session.stream(id).expect("open").close();
}

/// These frames as they come from the transport.
fn wire(version: Version, frames: impl IntoIterator<Item = Frame>) -> Vec<u8> {
    frames
        .into_iter()
        .flat_map(|frame| frame.encode(version))
        .collect()
}

fn input(session: &mut Session, bytes: &[u8]) {
    assert_eq!(session.handle_input(START, bytes), Ok(bytes.len()));
}

/// The output goes nowhere.
fn discard_output(session: &mut Session, batch: &mut Transmit) {
    while session.poll_transmit(START, batch) {
        batch.advance(batch.remaining());
    }
    while session.poll_event().is_some() {}
}

/// Bytes that are held afterwards and were not before.
fn held(memory: &AllocationInfo) -> usize {
    usize::try_from(memory.bytes_current).unwrap_or(0)
}
