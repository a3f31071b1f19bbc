//! Two sessions, an application at each end, and a connection that may be as bad as you like.
//!
//! A fuzzer, or the scheduler of the [simulation](crate::simulation), chooses [`Operation`]s. After
//! each, [`World::check`] tests what must always hold. [`World::finish`] lets everything end and
//! tests that nothing is left.

mod application;
mod expectations;

use std::time::Duration;

use arbitrary::Arbitrary;
use bytes::Bytes;
use smux_proto::{Config, Session, SessionStats, Side};

use application::{consume, read, read_bytes};

use crate::{
    model::Model,
    pair::{End, Pair},
    pipe::{Link, Pipe},
};

/// Both ends.
pub const SIDES: [Side; 2] = [Side::Client, Side::Server];
/// Timers after which the sessions count as never coming to rest.
const MAX_TIMERS: usize = 1_000_000;

/// Something that happens at one end. Streams are numbered among those that the application holds.
#[derive(Clone, Copy, Debug, Arbitrary)]
#[allow(missing_docs)] // the calls of the API, and what the world does
pub enum Operation {
    Open,
    Accept,
    Write {
        stream: u8,
        length: u16,
    },
    WriteBytes {
        stream: u8,
        length: u16,
    },
    Read {
        stream: u8,
        length: u16,
    },
    ReadBytes {
        stream: u8,
        length: u16,
    },
    Consume {
        stream: u8,
        length: u16,
    },
    Flush {
        stream: u8,
    },
    Finish {
        stream: u8,
    },
    StopReading {
        stream: u8,
    },
    Close {
        stream: u8,
    },
    /// The session's output enters the connection.
    Send,
    /// What has arrived reaches the session.
    Receive,
    /// The application takes its events.
    Look,
    /// Time passes, at both ends.
    Wait {
        millis: u16,
    },
    /// Only if `sure` is 0, so that random operations do not end everything at once.
    End {
        how: Ending,
        sure: u8,
    },
}

/// A way to come to an end.
#[derive(Clone, Copy, Debug, Arbitrary)]
#[allow(missing_docs)] // the calls of the API
pub enum Ending {
    StopAccepting,
    Drain,
    Close,
    Abort,
}

/// Calls of a session that were pending, and that no event has followed yet.
#[derive(Clone, Copy, Debug, Default)]
struct SessionWaits {
    open: bool,
    accept: bool,
}

/// See the [module](self).
#[derive(Debug)]
pub struct World {
    pair: Pair,
    model: Model,
    /// By side.
    waits: [SessionWaits; 2],
}

impl World {
    /// Both ends configured alike; first the client's direction of the connection. The seed decides
    /// how bytes are cut.
    pub fn new(config: &Config, [upstream, downstream]: [Link; 2], seed: u64) -> Self {
        Self {
            pair: Pair::with(config.clone(), config.clone(), upstream, downstream, seed),
            model: Model::default(),
            waits: [SessionWaits::default(); 2],
        }
    }

    /// What both sessions did so far.
    pub fn stats(&self) -> [SessionStats; 2] {
        [
            self.pair.client.session.stats(),
            self.pair.server.session.stats(),
        ]
    }

    /// Performs one operation, if it is possible now.
    pub fn perform(&mut self, side: Side, operation: Operation) {
        match operation {
            Operation::Open => self.open(side),
            Operation::Accept => {
                self.accept(side);
            }
            Operation::Write { stream, length } => self.on_stream(side, stream, |world, id| {
                world.write(side, id, length, |stream, data| stream.write(&data));
            }),
            Operation::WriteBytes { stream, length } => {
                self.on_stream(side, stream, |world, id| {
                    world.write(side, id, length, |stream, data| {
                        stream.write_bytes(&mut Bytes::from(data))
                    });
                })
            }
            Operation::Read { stream, length } => {
                self.on_stream(side, stream, |world, id| {
                    world.read(side, id, length, read);
                });
            }
            Operation::ReadBytes { stream, length } => {
                self.on_stream(side, stream, |world, id| {
                    world.read(side, id, length, read_bytes);
                });
            }
            Operation::Consume { stream, length } => {
                self.on_stream(side, stream, |world, id| {
                    world.read(side, id, length, consume);
                });
            }
            Operation::Flush { stream } => {
                self.on_stream(side, stream, |world, id| world.flush(side, id))
            }
            Operation::Finish { stream } => {
                self.on_stream(side, stream, |world, id| world.finish_stream(side, id))
            }
            Operation::StopReading { stream } => {
                self.on_stream(side, stream, |world, id| world.stop_reading(side, id))
            }
            Operation::Close { stream } => {
                self.on_stream(side, stream, |world, id| world.close(side, id))
            }
            Operation::Send => {
                self.send(side);
            }
            Operation::Receive => {
                self.receive(side);
            }
            Operation::Look => self.look(side),
            Operation::Wait { millis } => self.wait(Duration::from_millis(millis.into())),
            Operation::End { how, sure: 0 } => self.end(side, how),
            Operation::End { .. } => {}
        }
    }

    fn parts(
        &mut self,
        side: Side,
    ) -> (&mut End, &mut Pipe, &mut Pipe, &mut fastrand::Rng, Duration) {
        let Pair {
            client,
            server,
            upstream,
            downstream,
            now,
            rng,
        } = &mut self.pair;
        match side {
            Side::Client => (client, upstream, downstream, rng, *now),
            Side::Server => (server, downstream, upstream, rng, *now),
        }
    }

    fn send(&mut self, side: Side) -> bool {
        let (end, outgoing, incoming, rng, now) = self.parts(side);
        if end.dropped_transport() {
            return false;
        }
        end.change_batch_size(rng);
        end.transmit(now, outgoing, rng) | end.let_go(outgoing, incoming)
    }

    fn receive(&mut self, side: Side) -> bool {
        let (end, outgoing, incoming, rng, now) = self.parts(side);
        if end.dropped_transport() {
            return false;
        }
        end.receive(now, incoming, rng) | end.let_go(outgoing, incoming)
    }

    fn wait(&mut self, time: Duration) {
        let end = self.pair.now + time;
        for _ in 0..MAX_TIMERS {
            let due = SIDES.map(|side| self.session(side).poll_timeout());
            let Some(next) = due.into_iter().flatten().min().filter(|next| *next <= end) else {
                self.pair.now = end;
                return;
            };
            self.pair.now = self.pair.now.max(next);
            for side in SIDES {
                let (end, _, _, _, now) = self.parts(side);
                end.fire(now);
            }
        }
        panic!("timers do not come to rest");
    }

    fn session(&mut self, side: Side) -> &mut Session {
        &mut self.pair.end(side).session
    }
}
