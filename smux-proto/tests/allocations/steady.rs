//! Once buffers are warm, frames cost no allocation.

use std::task::Poll;

use crate::{BOTH, Both, close, config, measure, open, read, write};

/// Repeats `round` until everything is warm; then it must not allocate any more.
fn assert_free(what: &str, rounds: usize, mut round: impl FnMut()) {
    (0..rounds).for_each(|_| round());
    let memory = measure(|| (0..rounds).for_each(|_| round()));
    assert_eq!(memory.count_total, 0, "{what}: {memory:?}");
    assert_eq!(memory.bytes_current, 0, "{what}: {memory:?}");
}

#[test]
fn bulk_in_one_direction_allocates_nothing() {
    let data = vec![7; 65_536];
    for version in BOTH {
        for frame in [1_000, 32_768, 65_535] {
            let mut both = Both::new(config(version).max_frame_size(frame));
            let id = both.streams(1)[0];
            assert_free("bulk", 200, || {
                write(&mut both.client, id, &data);
                both.carry();
                read(&mut both.server, id, data.len());
                both.carry();
            });
        }
    }
}

#[test]
fn small_messages_on_a_thousand_streams_allocate_nothing() {
    for version in BOTH {
        let mut both = Both::new(config(version).max_receive_buffer(64 << 20));
        let ids = both.streams(1_000);
        assert_free("messages", 20, || {
            for &id in &ids {
                write(&mut both.client, id, &[7; 64]);
            }
            both.carry();
            for &id in &ids {
                read(&mut both.server, id, 64);
            }
            both.carry();
        });
    }
}

#[test]
fn round_trips_allocate_nothing() {
    for version in BOTH {
        let mut both = Both::new(config(version));
        let id = both.streams(1)[0];
        assert_free("round trips", 2_000, || {
            write(&mut both.client, id, &[7; 64]);
            both.carry();
            read(&mut both.server, id, 64);
            write(&mut both.server, id, &[8; 64]);
            both.carry();
            read(&mut both.client, id, 64);
        });
    }
}

/// To lend a buffer costs its count of references, not another buffer.
#[test]
fn lent_buffers_are_used_again() {
    const ROUNDS: u64 = 200;
    for version in BOTH {
        let mut both = Both::new(config(version));
        let id = both.streams(1)[0];
        let mut round = || {
            write(&mut both.client, id, &[7; 30_000]);
            both.carry();
            let mut stream = both.server.stream(id).expect("open");
            while stream.unread() > 0 {
                let Poll::Ready(Ok(lent)) = stream.peek_bytes() else {
                    panic!("there is something to read");
                };
                let count = lent.len().div_ceil(2);
                drop(lent);
                stream.consume(count);
            }
            both.carry();
        };
        (0..ROUNDS).for_each(|_| round());
        let memory = measure(|| (0..ROUNDS).for_each(|_| round()));
        assert!(memory.bytes_total < 1_000 * ROUNDS, "{memory:?}");
        assert_eq!(memory.bytes_current, 0, "{memory:?}");
    }
}

/// A reader lags behind and reads pieces that match no frame.
#[test]
fn reading_in_odd_pieces_allocates_nothing() {
    for version in BOTH {
        let mut both = Both::new(config(version));
        let id = both.streams(1)[0];
        assert_free("odd pieces", 500, || {
            write(&mut both.client, id, &[7; 30_011]);
            both.carry();
            let mut buffer = [0; 997];
            for _ in 0..30_011 / 997 {
                let result = both.server.stream(id).expect("open").read(&mut buffer);
                assert_eq!(result, Poll::Ready(Ok(997)));
            }
            read(&mut both.server, id, 30_011 % 997);
            both.carry();
        });
    }
}

/// A stream from its SYN to its last FIN, with a message each way, while few are open at a time.
#[test]
fn a_stream_opened_used_and_closed_allocates_nothing() {
    for version in BOTH {
        for at_once in [1, 10] {
            let mut both = Both::new(config(version));
            assert_free("streams", 500, || {
                let mut ids = [None; 10];
                for id in ids.iter_mut().take(at_once) {
                    let opened = open(&mut both.client);
                    write(&mut both.client, opened, b"request");
                    *id = Some(opened);
                }
                both.carry();
                for id in ids.into_iter().flatten() {
                    assert_eq!(both.server.accept(), Poll::Ready(Ok(id)));
                    read(&mut both.server, id, 7);
                    write(&mut both.server, id, b"answer");
                    close(&mut both.server, id);
                }
                both.carry();
                for id in ids.into_iter().flatten() {
                    read(&mut both.client, id, 6);
                    close(&mut both.client, id);
                }
                both.carry();
                assert_eq!(
                    (both.client.stream_count(), both.server.stream_count()),
                    (0, 0)
                );
            });
        }
    }
}
