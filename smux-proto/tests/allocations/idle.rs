//! What idle, ended and refused streams cost.

use std::{task::Poll, time::Duration};

use smux_conformance::frame::{counting, fin, psh, syn, upd};
use smux_proto::{Session, Transmit, Version};

use crate::{
    BOTH, Both, START, accept, carry, close, config, discard_output, held, input, many_streams,
    measure, open, server, wire, write,
};

/// What the documentation promises for an idle stream, on each side.
const IDLE_STREAM: usize = 200;

#[test]
fn an_idle_stream_costs_at_most_200_bytes_on_each_side() {
    for version in BOTH {
        for count in [1_000, 8_200, 10_000, 65_600, 100_000] {
            let config = many_streams(version).build().expect("valid");
            let mut batch = Transmit::new();
            let mut client = Session::client(config.clone(), 1, START);
            let mut server = Session::server(config, 2, START);
            let mut syns = Vec::new();
            let opening = measure(|| {
                for _ in 0..count {
                    open(&mut client);
                }
                // This memory belongs to the transport, not to the session.
                let mut taken = Vec::with_capacity(16 * count);
                while client.poll_transmit(START, &mut batch) {
                    taken.extend_from_slice(bytes::Buf::chunk(&batch));
                    let count = bytes::Buf::remaining(&batch);
                    bytes::Buf::advance(&mut batch, count);
                }
                while client.poll_event().is_some() {}
                syns = taken;
            });
            let opened = held(&opening) - syns.capacity();
            let accepting = measure(|| {
                input(&mut server, &syns);
                for _ in 0..count {
                    accept(&mut server);
                }
                discard_output(&mut server, &mut batch);
            });
            // A batch that is in use, and the first few kilobytes of every session.
            let fixed = 160 << 10;
            for (side, bytes) in [("opened", opened), ("accepted", held(&accepting))] {
                let each = bytes.saturating_sub(fixed) / count;
                assert!(
                    each <= IDLE_STREAM,
                    "{version:?}, {count} streams {side}: {each} bytes each"
                );
            }
        }
    }
}

/// Opens and closes streams, this many at a time.
fn open_and_close(both: &mut Both, rounds: usize, at_once: usize) {
    for _ in 0..rounds {
        let mut first = None;
        for _ in 0..at_once {
            let id = open(&mut both.client);
            first.get_or_insert(id);
            close(&mut both.client, id);
        }
        both.carry();
        for _ in 0..at_once {
            let id = accept(&mut both.server);
            close(&mut both.server, id);
        }
        both.carry();
        assert_eq!(
            (both.client.stream_count(), both.server.stream_count()),
            (0, 0)
        );
    }
}

#[test]
fn a_million_opens_and_closes_do_not_grow_memory() {
    let mut both = Both::new(config(Version::V2));
    open_and_close(&mut both, 10, 100);
    let memory = measure(|| open_and_close(&mut both, 10_000, 100));
    assert_eq!(held(&memory), 0, "{memory:?}");
}

/// Even a hundred thousand streams at once, once the session has been idle for a keep-alive
/// interval.
#[test]
fn memory_of_a_peak_of_streams_is_freed_once_the_session_idles() {
    for version in BOTH {
        let interval = Duration::from_secs(10);
        let mut session = server(
            many_streams(version)
                .keep_alive_interval(interval)
                .keep_alive_timeout(interval * 9),
        );
        let mut batch = Transmit::new();
        let syns = wire(version, (3..).step_by(2).take(100_000).map(syn));
        let memory = measure(|| {
            input(&mut session, &syns);
            let ids: Vec<_> = (0..100_000).map(|_| accept(&mut session)).collect();
            discard_output(&mut session, &mut batch);
            for id in ids {
                close(&mut session, id);
            }
            discard_output(&mut session, &mut batch);
            assert_eq!(session.stream_count(), 0);
            session.handle_timeout(interval);
            batch = Transmit::new();
        });
        assert!(
            held(&memory) <= 64 << 10,
            "{version:?}: {} bytes are left",
            held(&memory)
        );
    }
}

#[test]
fn frames_for_missing_streams_leave_no_state() {
    for version in BOTH {
        let ids = || (3..).step_by(2).take(100_000);
        let frames = |id| {
            let update = (version == Version::V2).then(|| upd(id, 5, 5));
            [psh(id, counting(20)), fin(id)].into_iter().chain(update)
        };
        let unknown = wire(version, ids().flat_map(frames));
        let mut session = server(many_streams(version));
        let memory = measure(|| input(&mut session, &unknown));
        assert_eq!(
            (memory.count_total, session.stream_count()),
            (0, 0),
            "unknown"
        );

        let mut batch = Transmit::new();
        input(&mut session, &wire(version, ids().map(syn)));
        while let Poll::Ready(Ok(id)) = session.accept() {
            close(&mut session, id);
        }
        discard_output(&mut session, &mut batch);
        let memory = measure(|| input(&mut session, &unknown));
        assert_eq!((memory.count_total, session.stream_count()), (0, 0), "dead");
    }
}

#[test]
fn refused_streams_leave_no_state() {
    for version in BOTH {
        let mut session = server(many_streams(version).max_inbound_streams(0));
        let mut batch = Transmit::new();
        let mut refuse = |from: u32, count: usize| {
            for id in (from..).step_by(2).take(count) {
                input(
                    &mut session,
                    &wire(version, [syn(id), psh(id, "x"), fin(id)]),
                );
                discard_output(&mut session, &mut batch);
            }
            assert_eq!(session.stream_count(), 0);
        };
        refuse(3, 100);
        let memory = measure(|| refuse(1_003, 100_000));
        assert_eq!(held(&memory), 0, "{memory:?}");
    }
}

/// What an idle session costs: a server has one for each of its users.
const IDLE_SESSION: usize = 2 << 10;

/// At once, not only after a keep-alive.
#[test]
fn an_idle_session_holds_at_most_2_kib() {
    for version in BOTH {
        let mut both = None;
        let fresh = measure(|| {
            let config = config(version).build().expect("valid");
            let client = Session::client(config.clone(), 1, START);
            both = Some((client, Session::server(config, 2, START)));
        });
        let (mut client, mut server) = both.expect("made");
        assert_eq!(held(&fresh), 0, "{version:?}");
        let mut batches = [Transmit::new(), Transmit::new()];
        let memory = measure(|| {
            let id = open(&mut client);
            let mut data = vec![7; 65_536];
            for _ in 0..64 {
                write(&mut client, id, &data);
                carry(&mut client, &mut server, &mut batches[0]);
                let _ = server.accept();
                crate::read(&mut server, id, data.len());
                write(&mut server, id, &data);
                carry(&mut server, &mut client, &mut batches[1]);
                crate::read(&mut client, id, data.len());
            }
            // Both come to rest with their last batch.
            carry(&mut client, &mut server, &mut batches[0]);
            for session in [&mut client, &mut server] {
                while session.poll_event().is_some() {}
            }
            data = Vec::new();
            batches = [Transmit::new(), Transmit::new()];
            drop(data);
        });
        assert!(
            held(&memory) <= 2 * IDLE_SESSION,
            "{version:?}: {} bytes of two sessions",
            held(&memory)
        );
    }
}
