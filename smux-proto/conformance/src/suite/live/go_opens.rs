//! A Go peer opens streams and verifies what we answer on each.

use std::time::Duration;

use super::{super::case::scaled_limit, LIMIT, Live, acceptor::Acceptor};
use crate::{
    go::{KeepAlive, Mode, Options},
    suite::host::{Adapter, HostSession},
};

/// Runs the peer in this mode, and expects that it finds no fault.
fn drive<A: Adapter>(live: &Live<'_, A>, mode: Mode, streams: u32, bytes: u64) {
    let options = Options {
        streams,
        bytes,
        ..live.options()
    };
    drive_with(live, mode, &options);
}

fn drive_with<A: Adapter>(live: &Live<'_, A>, mode: Mode, options: &Options) {
    if !mode.works_with(live.release) {
        return;
    }
    let mut config = live.config();
    if let KeepAlive::On { interval, timeout } = options.keep_alive {
        config = config
            .keep_alive_interval(interval)
            .keep_alive_timeout(timeout);
    }
    let (session, peer) = live.connect(mode, options, config);
    let cut_short = Acceptor::serve(&session);
    let outcome = peer.wait(scaled_limit(LIMIT)).expect("the peer is content");
    assert_eq!(outcome.finished, outcome.streams);
    session.closed();
    if mode != Mode::Abandon {
        assert!(cut_short.is_empty(), "cut short here: {cut_short:#?}");
    }
}

/// One stream after the other.
pub fn echo<A: Adapter>(live: &Live<'_, A>) {
    drive(live, Mode::Echo, 5, 100_000);
}

/// A hundred streams at the same time.
pub fn concurrent<A: Adapter>(live: &Live<'_, A>) {
    drive(live, Mode::Concurrent, 100, live.scaled(5000, 64 << 10));
}

/// Many streams of 64 bytes each: ten thousand at full size.
pub fn many_short<A: Adapter>(live: &Live<'_, A>) {
    drive(live, Mode::ManyShort, live.scaled(300, 10_000), 64);
}

/// Many bytes from the peer: 64 MiB at full size.
pub fn bulk_up<A: Adapter>(live: &Live<'_, A>) {
    drive(live, Mode::BulkUp, 2, live.scaled(1 << 20, 32 << 20));
}

/// Many bytes to the peer: 64 MiB at full size.
pub fn bulk_down<A: Adapter>(live: &Live<'_, A>) {
    drive(live, Mode::BulkDown, 2, live.scaled(1 << 20, 32 << 20));
}

/// A silence of more than two timeouts between two echoes.
pub fn idle<A: Adapter>(live: &Live<'_, A>) {
    let options = Options {
        keep_alive: KeepAlive::On {
            interval: Duration::from_millis(100),
            timeout: Duration::from_millis(600),
        },
        idle: Duration::from_millis(1500),
        ..live.options()
    };
    drive_with(live, Mode::Idle, &options);
}

/// The peer ends its direction first; we lose nothing of what it sent, and our answer arrives
/// whole.
pub fn half_close_go_first<A: Adapter>(live: &Live<'_, A>) {
    drive(live, Mode::HalfCloseGoFirst, 5, 100_000);
}

/// The peer reads nothing until both directions have ended, and then has all of it.
pub fn half_close_read_last<A: Adapter>(live: &Live<'_, A>) {
    drive(live, Mode::HalfCloseReadLast, 5, 100_000);
}

/// We end our direction first; the peer goes on writing.
pub fn half_close_peer_first<A: Adapter>(live: &Live<'_, A>) {
    drive(live, Mode::HalfClosePeerFirst, 5, 50_000);
}

/// The peer fills streams that we do not read, and uses others beside.
pub fn hold<A: Adapter>(live: &Live<'_, A>) {
    drive(live, Mode::Hold, 2, 1 << 20);
}

/// The peer leaves unread what we send, and uses other streams beside.
pub fn unread<A: Adapter>(live: &Live<'_, A>) {
    drive(live, Mode::Unread, 2, 1 << 20);
}

/// The peer closes streams in the middle of what we send, and uses others afterwards.
pub fn abandon<A: Adapter>(live: &Live<'_, A>) {
    drive(live, Mode::Abandon, 3, 1 << 20);
}
