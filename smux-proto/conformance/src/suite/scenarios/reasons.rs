//! Every end of a session wakes all waiting calls, which return the same reason.

use std::{
    io::{Read, Write},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use smux_proto::{CloseReason, Config, ConfigBuilder, ProtocolError};

use crate::{
    frame::syn,
    suite::{
        case::{Case, built, reason},
        host::{Host, HostSession, HostStream},
        peer::Peer,
        time::Task,
    },
};

/// A waiting thread in each call: open, accept, read, write, flush, finish, closed.
const WAITERS: usize = 7;

/// Closed by another handle.
pub fn waiters_hear_of_a_close<H: Host>(case: &Case<H>) {
    let config = built(limited(case).close_timeout(Duration::from_millis(50)));
    all_calls_return(case, config, |ours, _| {
        ours.close();
    });
}

/// Aborted by another handle.
pub fn waiters_hear_of_an_abort<H: Host>(case: &Case<H>) {
    all_calls_return(case, built(limited(case)), |ours, _| ours.abort());
}

/// The peer ends the connection.
pub fn waiters_hear_of_the_connections_end<H: Host>(case: &Case<H>) {
    all_calls_return(case, built(limited(case)), |_, peer| peer.finish());
}

/// The peer breaks the protocol.
pub fn waiters_hear_of_a_protocol_error<H: Host>(case: &Case<H>) {
    let heard = all_calls_return(case, built(limited(case)), |_, peer| {
        let bad = [case.version as u8, 9, 0, 0, 0, 0, 0, 0];
        peer.send_bytes(&bad).expect("the session reads");
    });
    let expected = CloseReason::Protocol(ProtocolError::UnknownCommand(9));
    assert_eq!(heard, expected);
}

/// The peer is silent, and reads nothing.
pub fn waiters_hear_of_a_timeout<H: Host>(case: &Case<H>) {
    let config = limited(case)
        .keep_alive_interval(Duration::from_millis(50))
        .keep_alive_timeout(Duration::from_millis(200))
        .keep_alive_required(true);
    let heard = all_calls_return(case, built(config), |_, _| {});
    assert!(
        matches!(
            heard,
            CloseReason::KeepAliveTimeout | CloseReason::WriteTimeout
        ),
        "{heard:?}"
    );
}

/// Two streams may be open at a time, so the third `open` waits.
fn limited<H: Host>(case: &Case<H>) -> ConfigBuilder {
    case.config().max_outbound_streams(2)
}

/// Blocks one thread in each call, lets `end` end the session, and compares the reasons.
fn all_calls_return<H: Host>(
    case: &Case<H>,
    config: Config,
    end: impl FnOnce(&H::Session, &mut Peer) + Send,
) -> CloseReason {
    let (ours, mut peer) = case.narrow_peer(config);
    let (mut reader, mut writer) = (ours.open().expect("opened"), ours.open().expect("opened"));
    let accepted = [(); 2].map(|()| {
        let id = peer.fresh_id();
        peer.send([syn(id)]);
        ours.accept().expect("accepted")
    });
    let [mut flusher, mut finisher] = accepted;
    for stream in [&mut flusher, &mut finisher] {
        // More than the connection holds, less than the queues and the window.
        stream.write_all(&[0; 100_000]).expect("written");
    }
    let (heard, started) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
    let hears = |reason: CloseReason| heard.lock().expect("no panic under the lock").push(reason);
    let start = || started.fetch_add(1, Ordering::Relaxed);
    let tasks: [Task<'_>; WAITERS + 1] = [
        Box::new(|| {
            start();
            hears(reason(ours.open()));
        }),
        Box::new(|| {
            start();
            hears(reason(ours.accept()));
        }),
        Box::new(|| {
            start();
            hears(reason(reader.read(&mut [0; 16])));
        }),
        Box::new(|| {
            start();
            hears(reason(writer.write_all(&vec![0; 64 << 20])));
        }),
        Box::new(|| {
            start();
            hears(reason(flusher.flush()));
        }),
        Box::new(|| {
            start();
            hears(reason(finisher.finish()));
        }),
        Box::new(|| {
            start();
            hears(ours.closed());
        }),
        Box::new(|| {
            case.until("all have begun to wait", || {
                started.load(Ordering::Relaxed) == WAITERS
            });
            end(&ours, &mut peer);
        }),
    ];
    case.all(tasks);
    let heard = heard.into_inner().expect("no panic under the lock");
    let reason = ours.close_reason().expect("the session has ended");
    assert_eq!(
        heard,
        vec![reason.clone(); WAITERS],
        "(right: the session's reason)"
    );
    reason
}
