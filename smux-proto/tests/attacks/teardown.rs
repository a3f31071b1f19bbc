//! Attacks 44 to 48: ends of streams, transports and sessions.

use std::{panic, task::Poll, thread};

use smux_conformance::{
    frame::{counting, fin, psh, syn},
    harness::Harness,
};
use smux_proto::{CloseReason, Event, OpenError, StreamError, StreamId, TransportError, Version};

use crate::{BOTH, config, ids, measure, server, server_with_stream, stats, wire};

/// Go to 1.5.57 discards unread data once both FINs have passed.
#[test]
fn attack_44_both_sides_finish_while_data_is_unread() {
    for version in BOTH {
        for ours_first in [true, false] {
            let (mut harness, id) = server_with_stream(config(version));
            if ours_first {
                harness.finish(id);
                harness.expect_only([fin(3)]);
            }
            harness.peer_sends([psh(3, counting(10_000)), fin(3)]);
            if !ours_first {
                harness.finish(id);
                harness.expect_only([fin(3)]);
            }
            assert_eq!(harness.read(id), counting(10_000));
            assert_eq!(harness.read_end(id), Poll::Ready(Ok(0)));
            harness.close(id);
            harness.expect_nothing();
            assert_eq!(harness.session.stream_count(), 0);
        }
    }
}

/// A way for the transport to end, and why the session then ended.
type End = (fn(&mut Harness), CloseReason);

fn ends() -> [End; 2] {
    let reset = TransportError::new("connection reset");
    [
        (|harness| harness.peer_ends(), CloseReason::PeerClosed),
        (
            |harness| {
                harness
                    .session
                    .handle_transport_error(TransportError::new("connection reset"))
            },
            CloseReason::Transport(reset),
        ),
    ]
}

/// A stream ends cleanly if its FIN arrived; otherwise reading returns the reason as an error.
#[test]
fn attack_45_the_transport_ends_behind_data() {
    for version in BOTH {
        for (end, reason) in ends() {
            let mut harness = server(config(version));
            harness.peer_sends([syn(3), psh(3, "whole"), fin(3), syn(5), psh(5, "cut")]);
            end(&mut harness);
            let [whole, cut] = [(); 2].map(|()| harness.accept());
            assert_eq!(harness.read(whole), b"whole");
            assert_eq!(harness.read_end(whole), Poll::Ready(Ok(0)));
            assert_eq!(harness.read(cut), b"cut");
            let closed = Poll::Ready(Err(StreamError::Closed(reason.clone())));
            assert_eq!(harness.read_end(cut), closed);
            assert_eq!(harness.session.accept(), Poll::Ready(Err(reason)));
        }
    }
}

/// A session is plain data: it can be dropped in any state, on any thread, in a panic.
#[test]
fn attack_46_a_session_is_dropped_anywhere() {
    let busy = || {
        let (mut harness, id) = server_with_stream(config(Version::V2));
        harness.peer_sends([psh(3, counting(10_000)), syn(5), psh(5, "x")]);
        harness.set_transport_room(5);
        harness.write(id, &counting(100_000));
        harness.pump();
        harness.session
    };
    let session = busy();
    thread::scope(|scope| {
        let dropped = scope.spawn(move || drop(session));
        dropped.join().expect("no panic in drop");
    });
    let session = busy();
    let result = panic::catch_unwind(panic::AssertUnwindSafe(move || {
        let _held = session;
        panic::resume_unwind(Box::new("the application's own"));
    }));
    assert_eq!(
        result.expect_err("it panicked").downcast_ref(),
        Some(&"the application's own")
    );
}

/// One event announces the end. Every call that waited then returns the reason, however often it
/// is repeated.
#[test]
fn attack_47_the_session_ends_while_calls_wait() {
    for version in BOTH {
        let limits = config(version)
            .max_outbound_streams(1)
            .max_stream_send_queue(10);
        let (mut harness, id) = server_with_stream(limits);
        harness.set_transport_room(0);
        let own = harness.open();
        harness.pump();
        harness.write(own, &counting(10));
        assert_eq!(harness.session.open(), Poll::Pending);
        assert_eq!(harness.session.accept(), Poll::Pending);
        assert_eq!(harness.read_end(id), Poll::Pending);
        assert_eq!(harness.try_write(own, b"x"), Poll::Pending);
        assert_eq!(
            harness.session.stream(own).expect("open").poll_sent(),
            Poll::Pending
        );
        harness.events();
        harness.session.abort();
        assert_eq!(harness.events().last(), Some(&Event::Closed));
        assert_eq!(harness.events(), []);
        for _ in 0..2 {
            let reason = CloseReason::Aborted;
            let closed = StreamError::Closed(reason.clone());
            assert_eq!(
                harness.session.open(),
                Poll::Ready(Err(OpenError::Closed(reason.clone())))
            );
            assert_eq!(harness.session.accept(), Poll::Ready(Err(reason)));
            assert_eq!(harness.read_end(id), Poll::Ready(Err(closed.clone())));
            assert_eq!(
                harness.try_write(own, b"x"),
                Poll::Ready(Err(closed.clone()))
            );
            let sent = harness.session.stream(own).expect("open").poll_sent();
            assert_eq!(sent, Poll::Ready(Err(closed)));
        }
    }
}

#[test]
fn attack_48_a_hundred_thousand_streams_are_dropped_at_once() {
    const STREAMS: usize = 100_000;
    for version in BOTH {
        let limits = config(version)
            .accept_backlog(STREAMS)
            .max_inbound_streams(STREAMS);
        let mut harness = server(limits.max_receive_buffer(64 << 20));
        let flood = wire(version, ids(STREAMS).map(syn));
        assert_eq!(harness.peer_sends_bytes(&flood), Ok(flood.len()));
        let streams: Vec<StreamId> = (0..STREAMS).map(|_| harness.accept()).collect();
        harness.events();
        harness.discard_output();
        let dropping = measure(|| streams.iter().for_each(|&id| harness.close(id)));
        assert!(
            dropping.bytes_max <= 16 * STREAMS as u64,
            "8 bytes each, grown by doubling: {dropping:?}"
        );
        assert_eq!(
            harness.session.stream_count(),
            STREAMS,
            "until their FINs have left"
        );
        let mut fins = [0_u8; STREAMS];
        for frame in harness.take_frames() {
            assert_eq!(frame, fin(frame.id));
            fins[(frame.id as usize - 3) / 2] += 1;
        }
        assert!(
            fins.iter().all(|&count| count == 2),
            "two FINs for every stream"
        );
        assert_eq!(
            (
                harness.session.stream_count(),
                stats(&harness).windows_granted
            ),
            (0, 0)
        );
    }
}
