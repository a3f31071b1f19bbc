//! A sender like Go's: several writers of a stream may each use the same credit.

use std::{collections::VecDeque, time::Duration};

use smux_proto::Version;

use super::End;
use crate::frame::{self, psh, syn};

const FRAME: u16 = 32_768;
const INITIAL: u64 = 262_144;

/// Version 2 of the reference, as far as sending goes.
///
/// A write takes the credit that it finds when it starts or is woken, and sends as much, frame by
/// frame. It does not see credit that other writers of the stream have taken but not used. An
/// update wakes one writer.
#[derive(Debug)]
pub struct GoLike {
    streams: Vec<Stream>,
    /// Streams and writers whose next frame waits to leave.
    frames: VecDeque<(usize, usize)>,
    payload: Vec<u8>,
}

#[derive(Debug)]
struct Stream {
    id: u32,
    opened: bool,
    written: u64,
    consumed: u64,
    window: u64,
    /// Bytes that each writer may send before it checks the credit again, and those left to write.
    writers: Vec<Writer>,
    /// Writers that wait for an update, and whether one arrived while none waited.
    waiting: VecDeque<usize>,
    notified: bool,
}

#[derive(Clone, Debug)]
struct Writer {
    write: u64,
    left: u64,
    credit: u64,
}

impl GoLike {
    /// Each stream has so many writers, and each of them writes pieces of this size for ever.
    pub fn new(streams: u32, writers: usize, write: u64) -> Self {
        let writer = Writer {
            write,
            left: write,
            credit: 0,
        };
        let mut end = Self {
            streams: (0..streams)
                .map(|n| Stream {
                    id: 3 + 2 * n,
                    opened: false,
                    written: 0,
                    consumed: 0,
                    window: INITIAL,
                    writers: vec![writer.clone(); writers],
                    waiting: VecDeque::new(),
                    notified: false,
                })
                .collect(),
            frames: VecDeque::new(),
            payload: vec![7; usize::from(FRAME)],
        };
        for writer in 0..writers {
            for stream in 0..end.streams.len() {
                end.start(stream, writer);
            }
        }
        end
    }

    /// A writer looks at the credit.
    fn start(&mut self, index: usize, number: usize) {
        let stream = &mut self.streams[index];
        loop {
            let in_flight = stream.written - stream.consumed;
            let credit = stream.window.saturating_sub(in_flight);
            if credit > 0 {
                let writer = &mut stream.writers[number];
                writer.credit = credit.min(writer.left);
                return self.frames.push_back((index, number));
            }
            if !std::mem::take(&mut stream.notified) {
                return stream.waiting.push_back(number);
            }
        }
    }

    fn hear(&mut self, id: u32, consumed: u64, window: u64) {
        let Some(index) = self.streams.iter().position(|stream| stream.id == id) else {
            return;
        };
        let stream = &mut self.streams[index];
        // On the wire modulo 2^32.
        let advance = consumed.wrapping_sub(stream.consumed) & u64::from(u32::MAX);
        stream.consumed += advance;
        stream.window = window;
        match stream.waiting.pop_front() {
            Some(number) => self.start(index, number),
            None => stream.notified = true,
        }
    }
}

impl End for GoLike {
    fn act(&mut self, _: Duration) {}

    fn output(&mut self, _: Duration, out: &mut Vec<u8>) {
        let Some((index, number)) = self.frames.pop_front() else {
            return;
        };
        let stream = &mut self.streams[index];
        if !std::mem::replace(&mut stream.opened, true) {
            out.extend(syn(stream.id).encode(Version::V2));
        }
        let writer = &mut stream.writers[number];
        let size = u16::try_from(writer.credit).map_or(FRAME, |credit| credit.min(FRAME));
        let frame = psh(stream.id, &self.payload[..usize::from(size)]);
        let size = u64::from(size);
        out.extend(frame.encode(Version::V2));
        stream.written += size;
        writer.credit -= size;
        writer.left -= size;
        if writer.credit > 0 {
            return self.frames.push_back((index, number));
        }
        if writer.left == 0 {
            writer.left = writer.write;
        }
        self.start(index, number);
    }

    fn input(&mut self, _: Duration, data: &[u8]) -> usize {
        for frame in frame::decode_all(data) {
            if let Some((consumed, window)) = frame.window_update() {
                self.hear(frame.id, consumed.into(), window.into());
            }
        }
        data.len()
    }

    fn next_act(&self, _: Duration) -> Option<Duration> {
        None
    }
}
