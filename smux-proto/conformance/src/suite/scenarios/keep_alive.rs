//! Dead peers are noticed, live ones are left alone.

use std::{
    io::{self, Read, Write},
    time::Duration,
};

use smux_proto::{CloseReason, Config, Version};

use crate::{
    frame::{nop, psh, syn},
    suite::{
        case::{Case, built, failure, read_exactly, reason},
        host::{Host, HostSession},
        memory::Behaviour,
    },
};

const INTERVAL: Duration = Duration::from_millis(50);
/// Long enough that a busy machine does not stall a thread for it.
const TIMEOUT: Duration = Duration::from_millis(800);

fn with_keep_alive<H: Host>(case: &Case<H>) -> Config {
    built(
        case.config()
            .keep_alive_interval(INTERVAL)
            .keep_alive_timeout(TIMEOUT),
    )
}

/// A peer that stops sending keep-alives is declared dead, and waiting calls return that reason.
/// Until then it gets keep-alives.
pub fn silent_peer_is_declared_dead<H: Host>(case: &Case<H>) {
    let (ours, mut peer) = case.peer(with_keep_alive(case));
    let id = peer.fresh_id();
    peer.send([nop(), syn(id)]);
    let mut stream = ours.accept().expect("accepted");
    let error = failure(stream.read(&mut [0; 16]));
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(reason(Err::<(), _>(error)), CloseReason::KeepAliveTimeout);
    assert_eq!(ours.closed(), CloseReason::KeepAliveTimeout);
    peer.expect_end();
    assert!(peer.nops() >= 2, "{} keep-alives", peer.nops());
}

/// A connection that takes nothing is declared dead too.
pub fn stuck_connection_is_declared_dead<H: Host>(case: &Case<H>) {
    let (ours, theirs) = case.pair_over(
        with_keep_alive(case),
        case.plain(),
        Behaviour::STUCK,
        Behaviour::FAST,
    );
    let mut stream = ours.open().expect("opened");
    stream.write_all(b"never arrives").expect("it is queued");
    let why = reason(stream.flush());
    assert!(
        matches!(
            why,
            CloseReason::WriteTimeout | CloseReason::KeepAliveTimeout
        ),
        "{why:?}"
    );
    assert_eq!(ours.closed(), why);
    assert_ne!(theirs.closed(), CloseReason::Local);
}

/// Two idle sessions keep each other alive.
pub fn idle_sessions_stay_alive<H: Host>(case: &Case<H>) {
    let (ours, theirs) = case.pair_with(with_keep_alive(case), with_keep_alive(case));
    let (mut stream, mut accepted) = case.stream(&ours, &theirs);
    case.elapse(9 * TIMEOUT / 4);
    assert_eq!((ours.close_reason(), theirs.close_reason()), (None, None));
    assert!(ours.stats().frames_received.nop >= 2);
    assert!(theirs.stats().frames_received.nop >= 2);
    stream.write_all(b"good morning").expect("written");
    assert_eq!(read_exactly(&mut accepted, 12), b"good morning");
}

/// A peer whose keep-alive is switched off lives as long as it says something; here it answers each
/// keep-alive.
pub fn any_frame_is_a_sign_of_life<H: Host>(case: &Case<H>) {
    let (ours, mut peer) = case.peer(with_keep_alive(case));
    for _ in 0..12 {
        peer.await_nop();
        let id = peer.fresh_id();
        // Of a stream that does not exist: it has no effect but to show life.
        peer.send([psh(id, "alive")]);
    }
    assert_eq!(ours.close_reason(), None);
    peer.expect_nothing(&ours);
}

/// Without keep-alive a session sends nothing and waits for ever.
pub fn keep_alive_switched_off<H: Host>(case: &Case<H>) {
    let (ours, mut peer) = case.peer(case.plain());
    case.elapse(4 * INTERVAL);
    assert_eq!(ours.close_reason(), None);
    peer.expect_nothing(&ours);
    assert_eq!(peer.nops(), 0);
}

/// A session does not mistake the slowness of its own application for a dead peer.
pub fn slow_reader_is_not_killed<H: Host>(case: &Case<H>) {
    let config = with_keep_alive(case)
        .to_builder()
        .max_stream_buffer(1000)
        .max_receive_buffer(1000);
    let (ours, theirs) = case.pair_with(with_keep_alive(case), built(config));
    let (mut stream, mut accepted) = case.stream(&ours, &theirs);
    // With windows a stream that is not read has a quarter of the receive buffer.
    let full = match case.version {
        Version::V1 => 1000,
        Version::V2 => 250,
    };
    case.both(
        // More than the receive buffer takes, less than the connection holds.
        || stream.write_all(&[7; 20_000]).expect("written"),
        || {
            case.until("as much has arrived as may", || {
                theirs.stats().receive_buffered >= full
            });
            case.elapse(9 * TIMEOUT / 4);
            assert_eq!((ours.close_reason(), theirs.close_reason()), (None, None));
            assert_eq!(read_exactly(&mut accepted, 20_000), [7; 20_000]);
        },
    );
    case.round_trip(&ours, &theirs);
}
