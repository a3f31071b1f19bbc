//! A stream in the simplest way that says what it should do, and what may be done to it.

use std::{collections::VecDeque, time::Duration};

use proptest::{prelude::*, sample::select};
use smux_proto::Side;

pub(crate) const SIDES: [Side; 2] = [Side::Client, Side::Server];

/// Something that an application does, or the world. Streams are named by a number, modulo those there are.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Open(Side),
    Write(Side, usize, usize),
    Read(Side, usize, usize),
    /// Asks whether everything has left.
    Sent(Side, usize),
    Finish(Side, usize),
    StopReading(Side, usize),
    Close(Side, usize),
    Step(usize),
    Advance(Duration),
    Drive,
}

pub(crate) fn ops() -> impl Strategy<Value = Op> {
    let side = || select(SIDES.to_vec());
    let stream = || 0..100_usize;
    prop_oneof![
        3 => side().prop_map(Op::Open),
        10 => (side(), stream(), 0..3_000_usize).prop_map(|(side, stream, len)| Op::Write(side, stream, len)),
        10 => (side(), stream(), 0..3_000_usize).prop_map(|(side, stream, max)| Op::Read(side, stream, max)),
        2 => (side(), stream()).prop_map(|(side, stream)| Op::Finish(side, stream)),
        1 => (side(), stream()).prop_map(|(side, stream)| Op::StopReading(side, stream)),
        2 => (side(), stream()).prop_map(|(side, stream)| Op::Close(side, stream)),
        3 => (side(), stream()).prop_map(|(side, stream)| Op::Sent(side, stream)),
        10 => (1..50_usize).prop_map(Op::Step),
        3 => (0..15_000_u64).prop_map(|millis| Op::Advance(Duration::from_millis(millis))),
        3 => Just(Op::Drive),
    ]
}

/// One direction of a stream: a queue of bytes.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    pub(crate) bytes: VecDeque<u8>,
    pub(crate) finished: bool,
    /// The reader reads no more: what is written goes nowhere, and who writes may wait.
    pub(crate) deaf: bool,
    /// The reader has closed: what is written goes nowhere.
    pub(crate) unread: bool,
}

/// A stream: both directions, and which sides have it.
#[derive(Debug, Default)]
pub(crate) struct Model {
    from_client: Flow,
    from_server: Flow,
    at_client: bool,
    at_server: bool,
}

impl Model {
    pub(crate) fn from(&mut self, side: Side) -> &mut Flow {
        match side {
            Side::Client => &mut self.from_client,
            Side::Server => &mut self.from_server,
        }
    }

    pub(crate) fn at(&mut self, side: Side) -> &mut bool {
        match side {
            Side::Client => &mut self.at_client,
            Side::Server => &mut self.at_server,
        }
    }
}

pub(crate) fn other(side: Side) -> Side {
    match side {
        Side::Client => Side::Server,
        Side::Server => Side::Client,
    }
}
