//! What is left of the buffers of many sessions once all that was under way has arrived.

use std::{
    sync::{Mutex, PoisonError},
    task::Poll,
};

use bytes::Bytes;
use smux_proto::{StreamId, ThreadBuffers, Version};

use crate::{BOTH, Both, config, held, measure, read, write};

const SESSIONS: usize = 32;
/// What each has under way.
const DATA: usize = 256 << 10;
/// What all sessions share: two regions that stay, and small buffers of the thread and the process.
const SHARED: usize = (2 << 20) + (256 << 10) + (1 << 20);
/// What each may keep: its places for segments.
const SESSION: usize = 8 << 10;

/// The shared buffers are the process's, so one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn pairs(version: Version) -> Vec<(Both, StreamId)> {
    let pair = |_| {
        let mut both = Both::new(config(version));
        both.client.set_buffer_source(ThreadBuffers::shared());
        both.server.set_buffer_source(ThreadBuffers::shared());
        let id = both.streams(1)[0];
        (both, id)
    };
    (0..SESSIONS).map(pair).collect()
}

#[test]
fn memory_of_a_rush_is_freed_when_all_has_arrived() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let data = vec![7; DATA];
    for version in BOTH {
        let mut pairs = pairs(version);
        let memory = measure(|| {
            for (both, id) in &mut pairs {
                write(&mut both.client, *id, &data);
            }
            for (both, id) in &mut pairs {
                both.carry();
                read(&mut both.server, *id, DATA);
                both.carry();
            }
        });
        assert!(memory.bytes_max > (SESSIONS * DATA) as u64);
        let held = held(&memory);
        assert!(held <= SHARED + SESSIONS * SESSION, "{version:?}: {held}");
    }
}

#[test]
fn bytes_that_the_application_keeps_hold_their_region_and_no_more() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let data = vec![7; DATA];
    for version in BOTH {
        let mut pairs = pairs(version);
        let mut kept: Vec<Bytes> = Vec::new();
        let memory = measure(|| {
            for (both, id) in &mut pairs {
                write(&mut both.client, *id, &data);
                both.carry();
            }
            for (both, id) in &mut pairs {
                let mut left = DATA;
                while left > 0 {
                    let mut stream = both.server.stream(*id).expect("open");
                    match stream.read_bytes(DATA) {
                        Poll::Ready(Ok(bytes)) => {
                            left -= bytes.len();
                            kept.push(bytes);
                        }
                        other => panic!("{left} bytes are missing: {other:?}"),
                    }
                }
                both.carry();
            }
            kept.truncate(1);
        });
        assert_eq!(kept[0], data[..kept[0].len()]);
        drop(kept);
        let held = held(&memory);
        assert!(
            held <= SHARED + SESSIONS * SESSION + (33 << 20),
            "{version:?}: {held}"
        );
    }
}
