//! A budget that sessions share: what they hold together, who gets how much of it, and that no
//! session waits for ever.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Buf;
use proptest::prelude::*;
use smux_proto::{
    Command, Config, Session, SlowReaderPolicy, StreamError, StreamId, Transmit, Version,
    poll::{Driver, SessionHandle, SharedBudget, StreamHandle},
};

use crate::wire::{Count, Wire, run, server};

const FRAME: usize = 65_535;
const VERSIONS: [Version; 2] = [Version::V1, Version::V2];
/// Rounds that bytes are under way, in each direction.
const DELAY: usize = 2;
/// Bytes that a link moves in a round.
const LINK: usize = 64 << 10;
static PAYLOAD: [u8; LINK] = [7; LINK];
/// Bytes that a transport holds for the session: then the peer's writes block.
const TRANSPORT: usize = 128 << 10;

/// A session under a shared budget, its application, and a peer that sends on one stream. A driver
/// runs only if it was woken, or if its transport has news.
struct Pair {
    session: SessionHandle,
    driver: Driver<Wire>,
    wire: Wire,
    wakes: Arc<Count>,
    waker: Waker,
    stream: Option<StreamHandle>,
    peer: Session,
    id: StreamId,
    batch: Transmit,
    /// What is under way to the session, and to the peer.
    there: VecDeque<Vec<u8>>,
    back: VecDeque<Vec<u8>>,
    /// Bytes to be moved, those that the peer has still to write, and those that were read.
    work: usize,
    unsent: usize,
    read: usize,
    /// What the application reads in a round.
    rate: usize,
}

impl Pair {
    fn new(config: &Config, budget: &SharedBudget, work: usize, rate: usize) -> Self {
        let (session, driver, wire) = server(config.clone());
        let session = session.with_shared_budget(budget);
        let mut peer = Session::client(config.clone(), 0, Duration::ZERO);
        let Poll::Ready(Ok(id)) = peer.open() else {
            panic!("a client opens at once");
        };
        let (wakes, waker) = Count::waker();
        waker.wake_by_ref();
        Self {
            session,
            driver,
            wire,
            wakes,
            waker,
            stream: None,
            peer,
            id,
            batch: Transmit::new(),
            there: vec![Vec::new(); DELAY].into(),
            back: vec![Vec::new(); DELAY].into(),
            work,
            unsent: work,
            read: 0,
            rate,
        }
    }

    fn held(&self) -> usize {
        self.session.stats().receive_buffered
    }

    fn is_done(&self) -> bool {
        self.read == self.work
    }

    /// One round of virtual time.
    fn round(&mut self, time: Duration) {
        self.wire.ends(|ends| ends.now = time);
        self.peer_sends(time);
        self.arrive();
        self.run();
        self.read();
        self.run();
        self.answer(time);
    }

    /// The peer sends what its link takes in a round, while there is room in the transport.
    fn peer_sends(&mut self, time: Duration) {
        let under_way: usize = self.there.iter().map(Vec::len).sum();
        let waiting = self.wire.ends(|ends| ends.input.len());
        let room = (TRANSPORT + DELAY * LINK).saturating_sub(under_way + waiting);
        let room = room.min(LINK);
        while self.unsent > 0
            && let Some(mut stream) = self.peer.stream(self.id)
            && let Poll::Ready(written) = stream.write(&PAYLOAD[..self.unsent.min(LINK)])
        {
            self.unsent -= written.expect("no error");
        }
        let mut bytes = Vec::new();
        while bytes.len() < room && self.peer.poll_transmit(time, &mut self.batch) {
            let chunk = self.batch.chunk();
            let count = chunk.len().min(room - bytes.len());
            bytes.extend_from_slice(&chunk[..count]);
            self.batch.advance(count);
        }
        self.there.push_back(bytes);
    }

    fn arrive(&mut self) {
        let bytes = self.there.pop_front().unwrap_or_default();
        if !bytes.is_empty() {
            self.wire.ends(|ends| ends.input.extend(&bytes));
            self.waker.wake_by_ref();
        }
    }

    fn run(&mut self) {
        while self.wakes.take() > 0 {
            assert!(run(&mut self.driver, &self.waker).is_pending());
        }
        if self.stream.is_none() {
            self.stream = accept(&self.session);
        }
    }

    fn read(&mut self) {
        let Some(stream) = &self.stream else {
            return;
        };
        let mut cx = Context::from_waker(Waker::noop());
        let mut left = self.rate;
        while left > 0
            && let Poll::Ready(read) = stream.poll_read_bytes(&mut cx, left)
        {
            let bytes = read.expect("no error");
            assert!(bytes == PAYLOAD[..bytes.len()]);
            self.read += bytes.len();
            left -= bytes.len();
        }
    }

    fn answer(&mut self, time: Duration) {
        let output = self.wire.ends(|ends| std::mem::take(&mut ends.output));
        self.back.push_back(output);
        let output = self.back.pop_front().unwrap_or_default();
        let taken = self.peer.handle_input(time, &output);
        assert_eq!(taken, Ok(output.len()));
    }
}

fn accept(session: &SessionHandle) -> Option<StreamHandle> {
    let mut cx = Context::from_waker(Waker::noop());
    match pin!(session.accept()).poll(&mut cx) {
        Poll::Ready(stream) => Some(stream.expect("the session goes on")),
        Poll::Pending => None,
    }
}

/// A session whose application never reads, and whose peer floods many streams beyond their
/// windows.
struct Hostile {
    session: SessionHandle,
    driver: Driver<Wire>,
    wire: Wire,
    wakes: Arc<Count>,
    waker: Waker,
    next: u32,
}

impl Hostile {
    const STREAMS: u32 = 64;

    fn new(config: &Config, budget: &SharedBudget) -> Self {
        let (session, driver, wire) = server(config.clone());
        for n in 0..Self::STREAMS {
            wire.receive(Command::Syn, 3 + 2 * n, b"");
        }
        let (wakes, waker) = Count::waker();
        waker.wake_by_ref();
        Self {
            session: session.with_shared_budget(budget),
            driver,
            wire,
            wakes,
            waker,
            next: 0,
        }
    }

    fn round(&mut self) {
        while self.wire.ends(|ends| ends.input.len()) < 4 * TRANSPORT {
            let id = 3 + 2 * self.next;
            self.next = (self.next + 1) % Self::STREAMS;
            self.wire.receive(Command::Psh, id, &[1; 60_000]);
            self.waker.wake_by_ref();
        }
        while self.wakes.take() > 0 {
            assert!(run(&mut self.driver, &self.waker).is_pending());
        }
    }

    fn held(&self) -> usize {
        self.session.stats().receive_buffered
    }
}

/// The most that sessions hold under this budget.
fn most(budget: &SharedBudget) -> usize {
    budget.limit() + budget.sessions() * FRAME
}

/// How many rounds it takes sessions for their work, a hundred together with so many others.
fn rounds(version: Version, limit: usize, others: usize, are_hostile: bool) -> usize {
    let config = Config::builder().version(version).build().expect("valid");
    // Only the budget bounds it.
    let unbounded = config.to_builder().max_receive_buffer(64 << 20).build();
    let budget = SharedBudget::new(limit);
    let unbounded = unbounded.expect("valid");
    let mut hostile: Vec<_> = (0..others)
        .map(|_| Hostile::new(&unbounded, &budget))
        .collect();
    let mut pairs: Vec<_> = (others..100)
        .map(|_| Pair::new(&config, &budget, 384 << 10, 24 << 10))
        .collect();
    assert_eq!(budget.sessions(), 100);
    for round in 0..1_000 {
        let time = Duration::from_millis(5) * round;
        if are_hostile {
            hostile.iter_mut().for_each(Hostile::round);
        }
        pairs.iter_mut().for_each(|pair| pair.round(time));
        let held = hostile.iter().map(Hostile::held);
        let held = held.chain(pairs.iter().map(Pair::held)).sum::<usize>();
        assert!(held <= most(&budget), "round {round}: {held}");
        assert!(budget.held() <= limit);
        if pairs.iter().all(Pair::is_done) {
            if are_hostile {
                assert!(hostile.iter().all(|hostile| hostile.held() > 0));
            }
            return round as usize;
        }
    }
    panic!("{version:?}: the sessions do not get ahead");
}

#[track_caller]
fn assert_slow_none_down(version: Version, limit: usize, hostile: usize) {
    let alone = rounds(version, limit, hostile, false);
    let beside = rounds(version, limit, hostile, true);
    assert!(
        alone * 10 >= beside * 9,
        "{version:?}, {limit} bytes: {alone} rounds, {beside} beside {hostile} hostile sessions"
    );
}

#[test]
fn a_hostile_session_among_a_hundred_slows_none_down() {
    assert_slow_none_down(Version::V1, 8 << 20, 1);
    assert_slow_none_down(Version::V2, 16 << 20, 1);
}

/// They hold nearly all that is lent. Of the last quarter each session has its part.
#[test]
fn many_hostile_sessions_among_a_hundred_slow_none_down() {
    assert_slow_none_down(Version::V1, 32 << 20, 30);
    assert_slow_none_down(Version::V2, 64 << 20, 30);
}

/// It holds no more than half of what may be lent, which leaves as much for the others.
#[test]
fn a_hostile_session_alone_holds_part_of_the_budget() {
    for version in VERSIONS {
        let limit = 4 << 20;
        let config = Config::builder().version(version).build().expect("valid");
        let budget = SharedBudget::new(limit);
        let mut hostile = Hostile::new(&config, &budget);
        for _ in 0..40 {
            hostile.round();
        }
        let held = hostile.held();
        assert!(held > limit / 4, "{version:?}: {held}");
        assert!(held <= limit / 8 * 3 + FRAME, "{version:?}: {held}");
        drop(hostile);
        assert_eq!((budget.held(), budget.sessions()), (0, 0));
    }
}

/// Sessions in version 1 that wait for room: one stream of each is not read, and holds up another.
#[test]
fn sessions_that_wait_are_served_when_others_give_room_back() {
    let config = Config::builder().build().expect("valid");
    let budget = SharedBudget::new(1 << 20);
    let mut hostile: Vec<_> = (0..3).map(|_| Hostile::new(&config, &budget)).collect();
    for _ in 0..20 {
        hostile.iter_mut().for_each(Hostile::round);
    }
    let before: Vec<_> = hostile.iter().map(Hostile::held).collect();
    // What the first have leaves less to the last one.
    drop(hostile.drain(..2));
    // No input is new: only the budget wakes the driver.
    let hostile = &mut hostile[0];
    assert!(hostile.wakes.take() > 0);
    hostile.waker.wake_by_ref();
    hostile.round();
    assert!(hostile.held() > before[2], "{} {before:?}", hostile.held());
}

/// Its reader gets what has arrived, which counts until then; the others go on meanwhile.
#[test]
fn a_slow_reader_is_evicted_once_its_session_gets_no_more_of_a_shared_budget() {
    let grace = Duration::from_secs(1);
    let config = Config::builder()
        .slow_readers(SlowReaderPolicy::Evict {
            share: 64 << 10,
            grace,
        })
        .build()
        .expect("valid");
    let budget = SharedBudget::new(1 << 20);
    let (session, mut driver, wire) = server(config);
    let session = session.with_shared_budget(&budget);
    for id in [3, 5] {
        wire.receive(Command::Syn, id, b"");
    }
    for _ in 0..20 {
        wire.receive(Command::Psh, 3, &[3; 60_000]);
    }
    for _ in 0..3 {
        wire.receive(Command::Psh, 5, b"behind it");
    }
    let waker = Waker::noop();
    let mut cx = Context::from_waker(waker);
    let mut run_on = || {
        for _ in 0..40 {
            assert!(run(&mut driver, waker).is_pending());
        }
    };
    run_on();
    let [slow, other] = [(); 2].map(|()| accept(&session).expect("it is there"));
    assert!(other.poll_read_bytes(&mut cx, 64).is_pending());
    let held = budget.held();
    assert!(held > budget.limit() / 3, "{held}");

    wire.ends(|ends| ends.now = 2 * grace);
    run_on();
    for _ in 0..3 {
        run_on();
        let bytes = other.poll_read_bytes(&mut cx, 9);
        assert_eq!(bytes, Poll::Ready(Ok(b"behind it"[..].into())));
    }
    assert!(budget.held() >= held, "it has not been read");
    let mut read = 0;
    let end = loop {
        match slow.poll_read_bytes(&mut cx, 1 << 20) {
            Poll::Ready(Ok(bytes)) => read += bytes.len(),
            end => break end,
        }
    };
    assert_eq!(end, Poll::Ready(Err(StreamError::Evicted)));
    assert!(read >= held - FRAME, "{read} of {held}");
    assert_eq!((budget.held(), session.stats().streams_evicted), (0, 1));
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(24)
    })]

    /// Whatever the applications read meanwhile, no session waits for ever.
    #[test]
    fn all_data_arrives_however_it_is_read(
        v2: bool,
        limit in prop_oneof![1_usize..5_000, 5_000_usize..400_000],
        sessions in 2_usize..6,
        seed: u64,
    ) {
        let version = VERSIONS[usize::from(v2)];
        let config = Config::builder().version(version).build().expect("valid");
        let budget = SharedBudget::new(limit);
        let mut random = fastrand::Rng::with_seed(seed);
        let mut pairs: Vec<_> = (0..sessions)
            .map(|_| Pair::new(&config, &budget, 150_000, 0))
            .collect();
        for round in 0..2_000 {
            for pair in &mut pairs {
                pair.rate = match round {
                    0..40 if random.bool() => 0,
                    0..40 => random.usize(1..30_000),
                    _ => 30_000,
                };
                pair.round(Duration::from_millis(5) * round);
            }
            let held = pairs.iter().map(Pair::held).sum::<usize>();
            prop_assert!(held <= most(&budget), "{held} of {limit}");
            prop_assert!(budget.held() <= limit);
            if pairs.iter().all(Pair::is_done) {
                break;
            }
        }
        prop_assert!(pairs.iter().all(Pair::is_done), "a session waits for ever");
        prop_assert_eq!(budget.held(), 0);
        prop_assert_eq!(budget.sessions(), sessions);
        drop(pairs);
        prop_assert_eq!(budget.sessions(), 0);
    }
}
