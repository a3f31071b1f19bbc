//! We open streams and ask a Go peer for something on each.

use std::{
    io::{self, Read, Write},
    thread,
    time::{Duration, Instant},
};

use smux_proto::{ConfigBuilder, SlowReaderPolicy, StreamError, Version};

use super::Live;
use crate::{
    go::{
        KeepAlive, Mode, Options,
        request::{GREETING, GREETING_LEN, Op, Receipt, Request, TOGETHER_PIECE},
    },
    pattern::Pattern,
    suite::{
        case::{
            expect_eof, failure, read_all, read_exactly, read_pattern, read_pattern_to_end,
            stream_error, write_pattern,
        },
        host::{Adapter, HostSession, HostStream},
        time::{RealTime, Time},
    },
};

const PIECE: usize = 128 << 10;

/// Opens a stream and asks.
fn ask<S: HostSession>(session: &S, op: Op, length: u64, seed: u32) -> S::Stream {
    let mut stream = session.open().expect("opened");
    let request = Request { op, length, seed };
    stream.write_all(&request.encode()).expect("written");
    stream
}

/// Writes a pattern and reads it back at the same time, then ends; not before, since a FIN stops
/// the writing of some releases.
fn exchange(stream: impl HostStream, seed: u32, length: u64) {
    let (mut reader, mut writer) = stream.into_halves();
    thread::scope(|scope| {
        scope.spawn(|| write_pattern(&mut writer, seed, length, PIECE));
        read_pattern(&mut reader, seed, 0, length, PIECE);
    });
}

fn echo_once<S: HostSession>(session: &S, seed: u32, length: u64) {
    let mut stream = ask(session, Op::Echo, length, seed);
    write_pattern(&mut stream, seed, length, PIECE);
    read_pattern(&mut stream, seed, 0, length, PIECE);
}

/// So many bytes to the peer, then as many from it.
fn up_and_down<S: HostSession>(session: &S, length: u64) {
    let mut up = ask(session, Op::Drain, length, 1);
    write_pattern(&mut up, 1, length, PIECE);
    expect_receipt(&mut up, 1, length);
    drop(up);
    let mut down = ask(session, Op::Pour, length, 2);
    read_pattern_to_end(&mut down, 2, length, PIECE);
}

fn expect_receipt(stream: &mut (impl Read + ?Sized), seed: u32, length: u64) {
    let come = read_exactly(stream, Receipt::LEN);
    let come = Receipt::decode(come.try_into().expect("as long as asked for"));
    assert_eq!(come, Receipt::of(Pattern { seed }, length));
}

fn release<S: HostSession>(session: &S, seed: u32) {
    let mut stream = ask(session, Op::Release, 0, seed);
    expect_receipt(&mut stream, seed, 0);
}

/// A few echoes, one after the other.
pub fn echo<A: Adapter>(live: &Live<'_, A>) {
    let (session, peer) = live.connect(Mode::Serve, &live.options(), live.config());
    for seed in 0..5 {
        echo_once(&session, seed, 10_000);
    }
    live.end_well(&session, peer);
}

/// Many bytes to the peer, and as many from it: 64 MiB at full size.
pub fn megabytes_each_way<A: Adapter>(live: &Live<'_, A>) {
    let length = live.scaled(2 << 20, 64 << 20);
    let (session, peer) = live.connect(Mode::Serve, &live.options(), live.config());
    up_and_down(&session, length);
    exchange(ask(&session, Op::Echo, length, 3), 3, length);
    live.end_well(&session, peer);
}

/// A hundred streams at the same time.
pub fn concurrent<A: Adapter>(live: &Live<'_, A>) {
    let length = live.scaled(5000, 64 << 10);
    let (session, peer) = live.connect(Mode::Serve, &live.options(), live.config());
    let streams: Vec<_> = (0..100)
        .map(|seed| (seed, ask(&session, Op::Echo, length, seed)))
        .collect();
    thread::scope(|scope| {
        for (seed, mut stream) in streams {
            scope.spawn(move || {
                write_pattern(&mut stream, seed, length, PIECE);
                read_pattern(&mut stream, seed, 0, length, PIECE);
            });
        }
    });
    live.end_well(&session, peer);
}

/// Many streams of 64 bytes each: ten thousand at full size.
pub fn many_short<A: Adapter>(live: &Live<'_, A>) {
    let (session, peer) = live.connect(Mode::Serve, &live.options(), live.config());
    for seed in 0..live.scaled(150, 10_000) {
        echo_once(&session, seed, 64);
    }
    live.end_well(&session, peer);
}

/// Frames of the default size and of the largest that there is, in both directions.
pub fn full_frames<A: Adapter>(live: &Live<'_, A>) {
    for size in [32_768, 65_535] {
        let length = 4 * u64::from(size);
        let options = Options {
            max_frame_size: size,
            ..live.options()
        };
        let config = live.config().max_frame_size(usize::from(size));
        let (session, peer) = live.connect(Mode::Serve, &options, config);
        up_and_down(&session, length);
        live.end_well(&session, peer);
    }
}

/// An acceptor that sends data before it reads the request.
pub fn greeting<A: Adapter>(live: &Live<'_, A>) {
    let options = Options {
        speak_first: true,
        ..live.options()
    };
    let (session, peer) = live.connect(Mode::Serve, &options, live.config());
    for seed in 0..5 {
        let mut stream = session.open().expect("opened");
        read_pattern(&mut stream, GREETING.seed, 0, GREETING_LEN as u64, PIECE);
        let request = Request {
            op: Op::Echo,
            length: 100,
            seed,
        };
        stream.write_all(&request.encode()).expect("written");
        write_pattern(&mut stream, seed, 100, PIECE);
        read_pattern(&mut stream, seed, 0, 100, PIECE);
    }
    live.end_well(&session, peer);
}

const INTERVAL: Duration = Duration::from_millis(100);
const TIMEOUT: Duration = Duration::from_millis(600);
const SILENCE: u64 = 1500;

/// Nothing moves for more than two timeouts, but for keep-alives.
pub fn idle<A: Adapter>(live: &Live<'_, A>) {
    let options = Options {
        keep_alive: KeepAlive::On {
            interval: INTERVAL,
            timeout: TIMEOUT,
        },
        ..live.options()
    };
    let config = live
        .config()
        .keep_alive_interval(INTERVAL)
        .keep_alive_timeout(TIMEOUT);
    be_silent(live, &options, config);
}

/// The same with a peer that sends no keep-alives, without any setting on our side.
pub fn no_keep_alive<A: Adapter>(live: &Live<'_, A>) {
    let options = Options {
        keep_alive: KeepAlive::Off,
        ..live.options()
    };
    let config = live
        .config()
        .keep_alive_interval(INTERVAL)
        .keep_alive_timeout(TIMEOUT);
    be_silent(live, &options, config);
}

fn be_silent<A: Adapter>(live: &Live<'_, A>, options: &Options, config: ConfigBuilder) {
    let (session, peer) = live.connect(Mode::Serve, options, config);
    let mut stream = ask(&session, Op::Idle, SILENCE, 1);
    write_pattern(&mut stream, 1, 1000, PIECE);
    read_pattern(&mut stream, 1, 0, 1000, PIECE);
    drop(stream);
    live.end_well(&session, peer);
}

/// We end our direction first, and the peer answers after that. Releases 1.5.28 to 1.5.53 cannot;
/// in version 2 older ones can only within the window.
pub fn our_fin_first<A: Adapter>(live: &Live<'_, A>) {
    if live.release.stops_writing_after_fin() {
        return;
    }
    const LENGTH: u64 = 100_000;
    let (session, peer) = live.connect(Mode::Serve, &live.options(), live.config());
    for seed in 0..3 {
        let mut stream = ask(&session, Op::ReplyAtEof, LENGTH, seed);
        write_pattern(&mut stream, seed, LENGTH, PIECE);
        stream.finish().expect("finished");
        expect_receipt(&mut stream, seed, LENGTH);
        read_pattern_to_end(&mut stream, seed, LENGTH, PIECE);
    }
    live.end_well(&session, peer);
}

/// The peer ends its direction first, which only releases with half-close can. We read all of it,
/// then write, and finish once the peer has read: before the newest release, our FIN after its
/// `CloseWrite` discards unread data. See [`peer_reads_last`] for the newest.
pub fn fin_first<A: Adapter>(live: &Live<'_, A>) {
    if !live.release.has_close_write() {
        return;
    }
    const LENGTH: u64 = 100_000;
    let (session, peer) = live.connect(Mode::Serve, &live.options(), live.config());
    for seed in 0..3 {
        let mut stream = ask(&session, Op::FinFirst, LENGTH, seed);
        read_pattern_to_end(&mut stream, seed, LENGTH, PIECE);
        write_pattern(&mut stream, seed, LENGTH, PIECE);
        let mut report = ask(&session, Op::Report, LENGTH, seed);
        expect_receipt(&mut report, seed, LENGTH);
        stream.finish().expect("finished");
    }
    live.end_well(&session, peer);
}

/// The peer ends its direction first, and reads only once ours has ended too. The newest release
/// still reads all of it.
pub fn peer_reads_last<A: Adapter>(live: &Live<'_, A>) {
    if !live.release.keeps_unread_data() {
        return;
    }
    // As it reads only the request before our end, the rest must fit its window of 64 KiB.
    const LENGTH: u64 = 50_000;
    let (session, peer) = live.connect(Mode::Serve, &live.options(), live.config());
    for seed in 0..3 {
        let mut stream = ask(&session, Op::ReadLast, LENGTH, seed);
        write_pattern(&mut stream, seed, LENGTH, PIECE);
        stream.finish().expect("finished");
        read_pattern_to_end(&mut stream, seed, LENGTH, PIECE);
        let mut report = ask(&session, Op::Report, LENGTH, seed);
        expect_receipt(&mut report, seed, LENGTH);
    }
    live.end_well(&session, peer);
}

/// The peer closes streams while it writes to them: frames after the FIN are ignored and do not
/// end the session. At full size there are more of them than `max_glitches`.
pub fn close_in_write<A: Adapter>(live: &Live<'_, A>) {
    const FRAME: u16 = 16;
    const FRAMES: u64 = 4096;
    const LENGTH: u64 = FRAMES * FRAME as u64;
    let options = Options {
        max_frame_size: FRAME,
        ..live.options()
    };
    let (session, peer) = live.connect(Mode::Serve, &options, live.config());
    let streams = live.scaled(4, 24);
    let mut before_fin = 0;
    for seed in 0..streams {
        let mut stream = ask(&session, Op::CloseInWrite, LENGTH, seed);
        let begun = 10 * u64::from(FRAME);
        read_pattern(&mut stream, seed, 0, begun, PIECE);
        stream.write_all(&[0]).expect("written");
        let rest = read_all(&mut stream);
        Pattern { seed }.check(begun, &rest).expect("the pattern");
        before_fin += begun + rest.len() as u64;
        let mut report = ask(&session, Op::Report, LENGTH, seed);
        expect_receipt(&mut report, seed, LENGTH);
    }
    let behind = session.stats().ignored.after_fin;
    let all = u64::from(streams) * FRAMES;
    assert_eq!(before_fin / u64::from(FRAME) + behind, all);
    assert!(
        behind > all / 4,
        "only {behind} of {all} frames behind a FIN"
    );
    echo_once(&session, streams, 10_000);
    live.end_well(&session, peer);
}

/// With half-close avoided, finishing before the answer does no harm with any release.
pub fn without_half_close<A: Adapter>(live: &Live<'_, A>) {
    const LENGTH: u64 = 100_000;
    let (session, peer) = live.connect(
        Mode::Serve,
        &live.options(),
        live.config().half_close(false),
    );
    for seed in 0..3 {
        let mut stream = ask(&session, Op::Drain, LENGTH, seed);
        write_pattern(&mut stream, seed, LENGTH, PIECE);
        stream.finish().expect("finished");
        expect_receipt(&mut stream, seed, LENGTH);
        drop(stream);
        let mut stream = ask(&session, Op::Pour, LENGTH, seed);
        stream.finish().expect("finished");
        read_pattern_to_end(&mut stream, seed, LENGTH, PIECE);
    }
    live.end_well(&session, peer);
}

/// In version 2, a stream that the peer does not read stops only its own writer. In version 1 the
/// data must fit the peer's buffer.
pub fn hold<A: Adapter>(live: &Live<'_, A>) {
    const LENGTH: u64 = 1 << 20;
    let (session, peer) = live.connect(Mode::Serve, &live.options(), live.config());
    let mut held = ask(&session, Op::Hold, LENGTH, 1);
    thread::scope(|scope| {
        scope.spawn(|| {
            write_pattern(&mut held, 1, LENGTH, PIECE);
            expect_receipt(&mut held, 1, LENGTH);
        });
        for seed in 2..5 {
            echo_once(&session, seed, 10_000);
        }
        release(&session, 1);
    });
    drop(held);
    live.end_well(&session, peer);
}

/// A stream that we do not read leaves the others alone.
pub fn unread<A: Adapter>(live: &Live<'_, A>) {
    const LENGTH: u64 = 1 << 20;
    let (session, peer) = live.connect(Mode::Serve, &live.options(), live.config());
    let mut unread = ask(&session, Op::Pour, LENGTH, 1);
    for seed in 2..5 {
        echo_once(&session, seed, 10_000);
    }
    read_pattern_to_end(&mut unread, 1, LENGTH, PIECE);
    drop(unread);
    live.end_well(&session, peer);
}

/// In version 1, a stream that we do not read fills the receive buffer and stops all others, until
/// it is evicted: then those go on, and lose nothing.
pub fn evict<A: Adapter>(live: &Live<'_, A>) {
    const BUFFER: usize = 1 << 20;
    const SHARE: usize = BUFFER / 4;
    const GRACE: Duration = Duration::from_millis(300);
    const OTHERS: u32 = 99;
    if live.version != Version::V1 {
        return;
    }
    // Less than a share, so that none of the others is ever slow.
    let length = live.scaled(20_000, 200_000);
    let config = live.config().max_receive_buffer(BUFFER);
    let config = config.slow_readers(SlowReaderPolicy::Evict {
        share: SHARE,
        grace: GRACE,
    });
    let (session, peer) = live.connect(Mode::Serve, &live.options(), config);
    let begun = Instant::now();
    let mut unread = ask(&session, Op::Pour, 4 * BUFFER as u64, 0);
    RealTime.until("the session stalls", &mut || {
        session.stats().receive_stalls > 0
    });
    let others: Vec<_> = (1..=OTHERS)
        .map(|seed| (seed, ask(&session, Op::Pour, length, seed)))
        .collect();
    thread::scope(|scope| {
        for (seed, mut stream) in others {
            scope.spawn(move || read_pattern_to_end(&mut stream, seed, length, PIECE));
        }
    });
    assert!(begun.elapsed() >= GRACE, "{:?}", begun.elapsed());
    assert_eq!(session.stats().streams_evicted, 1);
    expect_eviction(&mut unread, 0, BUFFER);
    drop(unread);
    echo_once(&session, OTHERS + 1, 10_000);
    let outcome = live.end(&session, peer);
    assert!(outcome.finished > u64::from(OTHERS), "{outcome:?}");
}

/// What had arrived, at least so much, then an error that says why it ends.
fn expect_eviction(stream: &mut impl Read, seed: u32, least: usize) {
    let mut come = Vec::new();
    let error = stream_error(stream.read_to_end(&mut come));
    assert_eq!(error, StreamError::Evicted);
    let come = &come[..];
    assert!(come.len() >= least, "{} bytes", come.len());
    Pattern { seed }.check(0, come).expect("the pattern");
}

/// Four writers of the peer on one stream at the same time: each write comes whole and in its
/// order, but for those that failed there.
pub fn writers_on_one_stream<A: Adapter>(live: &Live<'_, A>) {
    let length = live.scaled(2 << 20, 32 << 20);
    let (session, peer) = live.connect(Mode::Serve, &live.options(), live.config());
    let mut stream = ask(&session, Op::PourTogether, length, 1);
    let mut writers: [Writer; 4] = Default::default();
    let mut buffer = vec![0; PIECE];
    loop {
        let count = stream.read(&mut buffer).expect("data or the end");
        if count == 0 {
            break;
        }
        for byte in &buffer[..count] {
            writers[usize::from(byte >> 6)].sent(byte & 63);
        }
    }
    for Writer { whole, failed, .. } in writers {
        assert!(whole >= length / TOGETHER_PIECE, "{whole} whole writes");
        let may_fail = live.version == Version::V2;
        assert!(failed == 0 || may_fail, "{failed} times not whole");
    }
    drop(stream);
    live.end_well(&session, peer);
}

/// What has come of a writer.
#[derive(Default)]
struct Writer {
    /// Writes that came whole,
    whole: u64,
    /// and times that one came in part or not at all.
    failed: u64,
    /// The write that comes now, modulo 64, and how much of it came.
    number: u8,
    count: u64,
}

impl Writer {
    fn sent(&mut self, number: u8) {
        if number != self.number {
            let follows = number == (self.number + 1) & 63;
            self.failed += u64::from(!follows || self.count < TOGETHER_PIECE);
            (self.number, self.count) = (number, 0);
        }
        self.count += 1;
        assert!(self.count <= TOGETHER_PIECE, "more than was written");
        self.whole += u64::from(self.count == TOGETHER_PIECE);
    }
}

/// Four writers of the peer at the same time, each on a stream of its own.
pub fn writers_on_four_streams<A: Adapter>(live: &Live<'_, A>) {
    let length = live.scaled(2 << 20, 32 << 20);
    let (session, peer) = live.connect(Mode::Serve, &live.options(), live.config());
    let streams: Vec<_> = (0..4)
        .map(|seed| (seed, ask(&session, Op::Pour, length, seed)))
        .collect();
    thread::scope(|scope| {
        for (seed, mut stream) in streams {
            scope.spawn(move || read_pattern_to_end(&mut stream, seed, length, PIECE));
        }
    });
    live.end_well(&session, peer);
}

/// A peer that closes a stream while we write to it. Where it says so with two FINs, or where
/// half-close is avoided and one is enough, our writer learns it.
pub fn peer_abandons<A: Adapter>(live: &Live<'_, A>) {
    let config = live.config().half_close(live.release.has_close_write());
    let (session, peer) = live.connect(Mode::Serve, &live.options(), config);
    let mut stream = ask(&session, Op::Abandon, 10_000, 1);
    write_pattern(&mut stream, 1, 10_000, PIECE);
    let error = failure(io::copy(&mut io::repeat(7), &mut stream));
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    expect_eof(&mut stream);
    drop(stream);
    echo_once(&session, 2, 10_000);
    live.end_well(&session, peer);
}

/// We drop a stream while the peer writes to it. It may never learn that, but other streams work.
pub fn we_abandon<A: Adapter>(live: &Live<'_, A>) {
    const LENGTH: u64 = 4 << 20;
    let (session, peer) = live.connect(Mode::Serve, &live.options(), live.config());
    let mut stream = ask(&session, Op::Pour, LENGTH, 1);
    read_pattern(&mut stream, 1, 0, 100_000, PIECE);
    drop(stream);
    for seed in 2..5 {
        echo_once(&session, seed, 10_000);
    }
    let outcome = live.end(&session, peer);
    assert!(outcome.finished >= 3, "the other streams: {outcome:?}");
}
