//! Two sessions beside their model.

use std::{
    collections::{BTreeMap, HashSet},
    task::Poll,
};

use smux_conformance::{pair::Pair, pipe::Link};
use smux_proto::{Config, Event, Side, StreamError, StreamId};

use crate::model::{Model, Op, SIDES, other};

/// Two sessions beside their model.
pub(crate) struct World {
    pair: Pair,
    streams: BTreeMap<StreamId, Model>,
    /// What the next byte written is: all bytes of a run differ from their neighbours.
    next_byte: u8,
    half_close: bool,
    /// Calls that were pending, and no event has come since.
    waiting: HashSet<(Side, StreamId, Wait)>,
}

/// A call that can be pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Wait {
    Read,
    Write,
    Sent,
}

impl World {
    pub(crate) fn new(config: Config, [upstream, downstream]: [Link; 2], seed: u64) -> Self {
        Self {
            half_close: config.half_close(),
            pair: Pair::with(config.clone(), config, upstream, downstream, seed),
            streams: BTreeMap::new(),
            next_byte: 0,
            waiting: HashSet::new(),
        }
    }

    pub(crate) fn perform(&mut self, op: Op) {
        match op {
            Op::Open(side) => self.open(side),
            Op::Write(side, stream, len) => {
                self.on_stream(side, stream, |world, id| _ = world.write(side, id, len))
            }
            Op::Read(side, stream, max) => {
                self.on_stream(side, stream, |world, id| _ = world.read(side, id, max))
            }
            Op::Sent(side, stream) => {
                self.on_stream(side, stream, |world, id| _ = world.sent(side, id))
            }
            Op::Finish(side, stream) => {
                self.on_stream(side, stream, |world, id| world.finish_stream(side, id))
            }
            Op::StopReading(side, stream) => {
                self.on_stream(side, stream, |world, id| world.stop_reading(side, id))
            }
            Op::Close(side, stream) => {
                self.on_stream(side, stream, |world, id| world.close(side, id))
            }
            Op::Step(count) => {
                for _ in 0..count {
                    self.pair.step();
                }
            }
            Op::Advance(time) => self.pair.advance(time),
            Op::Drive => self.drive(),
        }
        self.accept();
        self.wake();
    }

    /// Until nothing moves any more. Then no call may have become possible without an event.
    fn drive(&mut self) {
        self.pair.drive();
        self.wake();
        if !self.pair.is_quiet() {
            return;
        }
        for (side, id, wait) in self.waiting.clone() {
            let pending = match wait {
                Wait::Read => self.read(side, id, 1).is_pending(),
                Wait::Write => self.write(side, id, 1).is_pending(),
                Wait::Sent => self.sent(side, id).is_pending(),
            };
            assert!(
                pending,
                "{side:?}: nobody was told that {wait:?} on {id} can go on"
            );
        }
    }

    /// Takes the events, and with them the calls that they wake off the list.
    fn wake(&mut self) {
        for side in SIDES {
            for event in self.pair.end(side).events.split_off(0) {
                let (id, woken) = match event {
                    Event::Readable(id) | Event::Finished(id) => (id, [Wait::Read; 2]),
                    Event::Writable(id) | Event::Stopped(id) => (id, [Wait::Write, Wait::Sent]),
                    _ => continue,
                };
                for wait in woken {
                    self.waiting.remove(&(side, id, wait));
                }
            }
        }
    }

    fn note_wait(&mut self, side: Side, id: StreamId, wait: Wait, pending: bool) {
        if pending {
            self.waiting.insert((side, id, wait));
        } else {
            self.waiting.remove(&(side, id, wait));
        }
    }

    /// What must hold between any two operations.
    pub(crate) fn check(&mut self) {
        for side in SIDES {
            let session = &mut self.pair.end(side).session;
            let held = self
                .streams
                .keys()
                .filter_map(|&id| session.stream(id).map(|stream| stream.unread()));
            let held: usize = held.sum();
            let queued: usize = self
                .streams
                .keys()
                .filter_map(|&id| session.stream(id).map(|stream| stream.unsent()))
                .sum();
            let stats = session.stats();
            assert_eq!(
                stats.receive_buffered, held,
                "{side:?}: the budget in use is what streams hold"
            );
            assert!(stats.send_queued >= queued);
            assert!(
                stats.windows_granted <= session.config().max_receive_buffer(),
                "{side:?}"
            );
            assert!(
                !session.is_closed(),
                "{side:?}: {:?}",
                session.close_reason()
            );
        }
    }

    /// Reads everything, closes everything; then nothing may be left.
    pub(crate) fn finish(&mut self) {
        for round in 0.. {
            assert!(
                round < 1_000,
                "streams do not come to their end: {:#?}",
                self.streams
            );
            self.drive();
            self.accept();
            for side in SIDES {
                for id in self.held_by(side) {
                    self.finish_stream(side, id);
                }
            }
            let ended = SIDES.map(|side| self.read_to_end(side));
            self.check();
            // Without half-close both wait for the other's FIN until one closes.
            if ended == [true; 2] || (!self.half_close && self.pair.is_quiet()) {
                break;
            }
        }
        for side in SIDES {
            for id in self.held_by(side) {
                self.close(side, id);
            }
        }
        self.pair.drive();
        assert!(self.pair.is_quiet());
        for side in SIDES {
            let session = &self.pair.end(side).session;
            assert_eq!(session.streams(), 0, "{side:?}");
            let stats = session.stats();
            assert_eq!(
                (
                    stats.receive_buffered,
                    stats.send_queued,
                    stats.windows_granted
                ),
                (0, 0, 0),
                "{side:?}"
            );
        }
    }

    fn held_by(&mut self, side: Side) -> Vec<StreamId> {
        self.streams
            .iter_mut()
            .filter_map(|(id, model)| model.at(side).then_some(*id))
            .collect()
    }

    fn on_stream(&mut self, side: Side, stream: usize, action: impl FnOnce(&mut Self, StreamId)) {
        let held = self.held_by(side);
        if let Some(&id) = held.get(stream % held.len().max(1)) {
            action(self, id);
        }
    }

    fn open(&mut self, side: Side) {
        if let Poll::Ready(result) = self.pair.end(side).session.open() {
            let id = result.expect("the session is open");
            let clash = self.streams.insert(id, Model::default());
            assert!(clash.is_none(), "{id} was used before");
            *self.model(id).at(side) = true;
        }
    }

    fn accept(&mut self) {
        for side in SIDES {
            while let Some(id) = self.pair.accept(side) {
                let model = self.streams.get_mut(&id).expect("somebody opened it");
                assert!(
                    !std::mem::replace(model.at(side), true),
                    "{id} was accepted twice"
                );
            }
        }
    }

    fn model(&mut self, id: StreamId) -> &mut Model {
        self.streams.get_mut(&id).expect("the stream was opened")
    }

    fn write(&mut self, side: Side, id: StreamId, len: usize) -> Poll<()> {
        let first = self.next_byte;
        let data: Vec<u8> = (0..len).map(|n| first.wrapping_add(modulo(n))).collect();
        let result = self
            .pair
            .end(side)
            .session
            .stream(id)
            .expect("held")
            .write(&data);
        self.note_wait(side, id, Wait::Write, result.is_pending());
        let ended = !self.half_close && self.model(id).from(other(side)).finished;
        let flow = self.model(id).from(side);
        match &result {
            Poll::Pending => assert!(len > 0),
            &Poll::Ready(Ok(count)) => {
                assert!(!flow.finished || len == 0, "{id}: written after the end");
                assert!(count <= len && (count > 0 || len == 0));
                flow.bytes.extend(&data[..count]);
                self.next_byte = first.wrapping_add(modulo(count));
            }
            Poll::Ready(Err(StreamError::Finished)) => assert!(flow.finished),
            Poll::Ready(Err(StreamError::Stopped)) => {
                assert!(
                    flow.unread || ended,
                    "{id}: stopped and the reader is there"
                );
            }
            Poll::Ready(Err(error)) => panic!("{id}: {error}"),
        }
        result.map(|_| ())
    }

    fn sent(&mut self, side: Side, id: StreamId) -> Poll<()> {
        let mut stream = self.pair.end(side).session.stream(id).expect("held");
        let result = stream.poll_sent();
        assert!(
            result.is_ready() || stream.unsent() > 0 || !self.pair.is_quiet(),
            "{id}: nothing is left to send"
        );
        self.note_wait(side, id, Wait::Sent, result.is_pending());
        result.map(|_| ())
    }

    /// Reads once; `Ready(true)` at the end of the stream.
    fn read(&mut self, side: Side, id: StreamId, max: usize) -> Poll<bool> {
        let mut buffer = vec![0; max];
        let result = self
            .pair
            .end(side)
            .session
            .stream(id)
            .expect("held")
            .read(&mut buffer);
        self.note_wait(side, id, Wait::Read, result.is_pending());
        // Without half-close our own FIN stops the peer, and what it had not sent by then is dropped.
        let dropped = !self.half_close && self.model(id).from(side).finished;
        let flow = self.model(id).from(other(side));
        result.map(|result| match result.expect("the session is open") {
            0 if max == 0 => false,
            count if flow.deaf => {
                assert_eq!(count, 0, "{id}: read on a stream that reads no more");
                true
            }
            0 => {
                assert!(
                    flow.finished && (flow.bytes.is_empty() || dropped),
                    "{id} ended too early"
                );
                true
            }
            count => {
                let expected: Vec<u8> = flow.bytes.drain(..count.min(flow.bytes.len())).collect();
                assert_eq!(
                    &buffer[..count],
                    expected,
                    "{id}: what is read is what was written"
                );
                false
            }
        })
    }

    fn read_to_end(&mut self, side: Side) -> bool {
        let mut ended = true;
        for id in self.held_by(side) {
            ended &= loop {
                let before = self
                    .pair
                    .end(side)
                    .session
                    .stream(id)
                    .expect("held")
                    .unread();
                if self.read(side, id, 3_000) == Poll::Ready(true) {
                    break true;
                }
                if before == 0 {
                    break false;
                }
            };
        }
        ended
    }

    fn finish_stream(&mut self, side: Side, id: StreamId) {
        self.pair
            .end(side)
            .session
            .stream(id)
            .expect("held")
            .finish();
        self.model(id).from(side).finished = true;
        // That writing is an error from now on is this application's own doing.
        self.waiting.remove(&(side, id, Wait::Write));
    }

    fn stop_reading(&mut self, side: Side, id: StreamId) {
        let stream = self.pair.end(side).session.stream(id);
        stream.expect("held").stop_reading();
        self.model(id).from(other(side)).deaf = true;
    }

    fn close(&mut self, side: Side, id: StreamId) {
        self.pair
            .end(side)
            .session
            .stream(id)
            .expect("held")
            .close();
        let model = self.model(id);
        *model.at(side) = false;
        model.from(side).finished = true;
        model.from(other(side)).unread = true;
        self.waiting
            .retain(|&(at, stream, _)| (at, stream) != (side, id));
    }
}

fn modulo(count: usize) -> u8 {
    u8::try_from(count % 251).expect("less than 251")
}
