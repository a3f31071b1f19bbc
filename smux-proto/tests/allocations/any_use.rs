//! A session holds at most twice the bytes that it accounts for, plus a constant for each stream,
//! whatever the peer and the application do.

use bytes::{Buf, Bytes};
use proptest::{collection::vec, prelude::*, sample::select};
use smux_conformance::frame::{counting, fin, psh, syn, upd};
use smux_proto::{ConfigBuilder, Session, StreamId, Transmit, Version};

use crate::{START, accept, input, many_streams, measure, server, wire};

const STREAMS: usize = 100;
/// For each stream: its state, its entries in tables and queues, and two of the smallest segments
/// in each direction.
const STREAM: usize = 704;
/// For each session: lists that hardly grow.
const SESSION: usize = 8 << 10;
/// The batch, which no longer counts as queued: 4 KiB and a frame, in half-full buffers.
const BATCH: usize = 192 << 10;

/// Something that is done to every stream, or to one.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The peer sends a frame, which arrives in pieces of this size.
    Arrive(usize, usize),
    /// The application reads so many bytes, in pieces.
    Read(usize, usize),
    /// The application takes this many bytes without copying them.
    Take(usize),
    Consume(usize),
    /// The same after it was lent.
    Lend(usize),
    Write(usize),
    /// A copy, then shared bytes, several times.
    WriteBoth(usize, usize, usize),
    /// The transport takes so many bytes.
    Leave(usize),
    PeerFinishes,
    Finish,
}

fn size() -> impl Strategy<Value = usize> {
    let edges = [
        1, 2, 4, 63, 64, 65, 127, 128, 129, 1_000, 4_097, 8_192, 32_767, 32_768, 32_769, 65_535,
    ];
    prop_oneof![4 => select(edges.to_vec()), 1 => 1..65_536_usize]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (size(), size()).prop_map(|(size, piece)| Step::Arrive(size, piece.max(size / 16))),
        6 => (size(), size()).prop_map(|(size, piece)| Step::Read(size, piece.max(size / 16))),
        2 => size().prop_map(Step::Take),
        2 => size().prop_map(Step::Consume),
        2 => size().prop_map(Step::Lend),
        4 => size().prop_map(Step::Write),
        3 => (size(), size(), 1..8_usize).prop_map(|(copy, shared, times)| Step::WriteBoth(copy, shared, times)),
        3 => (size(), 1..40_usize).prop_map(|(size, times)| Step::Leave(size * times)),
        1 => Just(Step::PeerFinishes),
        1 => Just(Step::Finish),
    ]
}

static SHARED: [u8; 65_536] = [7; 65_536];

struct World {
    session: Session,
    version: Version,
    ids: Vec<StreamId>,
    batch: Transmit,
    held: i64,
}

impl World {
    fn new(version: Version) -> Self {
        let mut world = None;
        let memory = measure(|| {
            let mut session = server(roomy(version));
            let syns = (3..).step_by(2).take(STREAMS).map(syn);
            input(&mut session, &wire(version, syns));
            let ids: Vec<_> = (0..STREAMS).map(|_| accept(&mut session)).collect();
            if version == Version::V2 {
                let updates = ids.iter().map(|id| upd(id.get(), 0, i32::MAX as u32));
                input(&mut session, &wire(version, updates));
            }
            world = Some(Self {
                session,
                version,
                ids,
                batch: Transmit::new(),
                held: 0,
            });
        });
        let mut world = world.expect("it was made");
        world.batch.set_batch_size(4 << 10);
        world.held = memory.bytes_current;
        world
    }

    /// Does it, and counts what it allocates and frees.
    fn count(&mut self, act: impl FnOnce(&mut Session, &mut Transmit)) {
        let memory = measure(|| {
            act(&mut self.session, &mut self.batch);
            while self.session.poll_event().is_some() {}
        });
        self.held += memory.bytes_current;
    }

    fn step(&mut self, step: Step, id: StreamId) {
        let version = self.version;
        match step {
            Step::Arrive(size, piece) => {
                let frame = psh(id.get(), counting(size)).encode(version);
                for piece in frame.chunks(piece) {
                    self.count(|session, _| {
                        let _ = session.handle_input(START, piece);
                    });
                }
            }
            Step::Read(size, piece) => {
                let mut buffer = vec![0; piece];
                let mut left = size;
                while left > 0 {
                    let count = left.min(piece);
                    self.count(|session, _| {
                        let mut stream = session.stream(id).expect("open");
                        let _ = stream.read(&mut buffer[..count]);
                    });
                    left -= count;
                }
            }
            Step::Take(size) => self.count(|session, _| {
                drop(session.stream(id).expect("open").read_bytes(size));
            }),
            Step::Consume(size) => self.count(|session, _| {
                session.stream(id).expect("open").consume(size);
            }),
            Step::Lend(size) => self.count(|session, _| {
                let mut stream = session.stream(id).expect("open");
                drop(stream.peek_bytes());
                stream.consume(size);
            }),
            Step::Write(size) => self.count(|session, _| {
                let _ = session
                    .stream(id)
                    .expect("open")
                    .write(&SHARED[..size.min(65_535)]);
            }),
            Step::WriteBoth(copy, shared, times) => self.count(|session, _| {
                let mut stream = session.stream(id).expect("open");
                for _ in 0..times {
                    let _ = stream.write(&SHARED[..copy]);
                    let _ = stream.write_bytes(&mut Bytes::from_static(&SHARED[..shared]));
                }
            }),
            Step::Leave(size) => self.count(|session, batch| {
                let mut left = size;
                while left > 0 && session.poll_transmit(START, batch) {
                    let count = batch.remaining().min(left);
                    batch.advance(count);
                    left -= count;
                }
                let _ = session.poll_transmit(START, batch);
            }),
            Step::PeerFinishes => self.count(|session, _| {
                let _ = session.handle_input(START, &fin(id.get()).encode(version));
            }),
            Step::Finish => self.count(|session, _| session.stream(id).expect("open").finish()),
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let stats = self.session.stats();
        let accounted = stats.receive_buffered + stats.send_queued;
        let bound = 2 * accounted + STREAM * STREAMS + SESSION + BATCH;
        let held = usize::try_from(self.held).unwrap_or(0);
        prop_assert!(
            held <= bound,
            "{held} bytes are held, {bound} allowed: {accounted} accounted for"
        );
        Ok(())
    }
}

/// Limits so wide that they rarely stop a step.
fn roomy(version: Version) -> ConfigBuilder {
    many_streams(version)
        .max_stream_send_queue(1 << 20)
        .max_session_send_queue(64 << 20)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 32,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn memory_is_at_most_twice_what_is_accounted_for(
        version in select(vec![Version::V1, Version::V2]),
        steps in vec((step(), prop::option::weighted(0.2, 0..STREAMS)), 1..40),
    ) {
        let mut world = World::new(version);
        for (step, only) in steps {
            let ids = match only {
                Some(index) => vec![world.ids[index]],
                None => world.ids.clone(),
            };
            for id in ids {
                world.step(step, id);
            }
            world.check()?;
        }
    }
}
