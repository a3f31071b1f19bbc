//! Which data leaves first.

use std::{collections::HashMap, io::Write};

use smux_proto::{Priority, Version};

use crate::{
    frame::{Kind, counting, syn, upd},
    suite::{
        case::{Case, built},
        host::{Host, HostSession, HostStream},
        peer::Peer,
    },
};

/// The batch that is being written when a priority is set, and a frame.
const UNDER_WAY: usize = 128 << 10;

/// What has come on each stream.
#[derive(Default)]
struct Come(HashMap<u32, Vec<u8>>);

impl Come {
    fn receive(&mut self, peer: &mut Peer) {
        let frame = peer.receive().expect("the connection is open");
        assert_eq!(frame.kind, Kind::Psh);
        self.0.entry(frame.id).or_default().extend(frame.payload);
    }

    fn count(&self, id: u32) -> usize {
        self.0.get(&id).map_or(0, Vec::len)
    }

    fn all(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }
}

/// Levels that are set while data is queued hold from the next batch on: what is high leaves before
/// all other data, what is low behind it. Nothing is lost.
pub fn higher_level_overtakes_bulk<H: Host>(case: &Case<H>) {
    let data = counting(200_000);
    let (ours, mut peer) = case.narrow_peer(case.plain());
    let [low, normal, high] = [0, 1, 2].map(|n| case.our_id(n));
    let mut streams: Vec<_> = (0..3).map(|_| ours.open().expect("opened")).collect();
    for stream in &mut streams {
        peer.expect([syn(stream.id().get())]);
    }
    for stream in &mut streams {
        stream.write_all(&data).expect("it is queued");
    }
    streams[0].set_priority(Priority::LOW);
    streams[2].set_priority(Priority::HIGH);
    let mut come = Come::default();
    while come.count(high) < data.len() {
        come.receive(&mut peer);
    }
    let before = come.all() - data.len();
    assert!(before <= UNDER_WAY, "{before} bytes before what is high");
    while come.count(normal) < data.len() {
        come.receive(&mut peer);
    }
    let before = come.count(low);
    assert!(before <= UNDER_WAY, "{before} bytes of what is low");
    while come.count(low) < data.len() {
        come.receive(&mut peer);
    }
    assert!(come.0.values().all(|bytes| *bytes == data));
}

/// Streams of one level share the connection in proportion to their weights, also if these are set
/// while data is queued.
pub fn weights_share_in_proportion<H: Host>(case: &Case<H>) {
    const LENGTH: usize = 450_000;
    const WINDOW: u32 = 1 << 20;
    let (ours, mut peer) = case.narrow_peer(built(case.config().max_frame_size(4096)));
    let data = counting(LENGTH);
    let mut streams: Vec<_> = (0..2).map(|_| ours.open().expect("opened")).collect();
    for stream in &mut streams {
        peer.expect([syn(stream.id().get())]);
        if case.version == Version::V2 {
            peer.send([upd(stream.id().get(), 0, WINDOW)]);
        }
        stream.write_all(&data).expect("it is queued");
    }
    streams[1].set_priority(Priority::NORMAL.with_weight(3 * Priority::NORMAL.weight()));
    let [light, heavy] = [0, 1].map(|n| case.our_id(n));
    let mut come = Come::default();
    while come.all() < UNDER_WAY {
        come.receive(&mut peer);
    }
    let begun = [light, heavy].map(|id| come.count(id));
    while come.count(heavy) < LENGTH {
        come.receive(&mut peer);
    }
    let [light, heavy] = [come.count(light) - begun[0], come.count(heavy) - begun[1]];
    let ratio = heavy as f64 / light as f64;
    assert!((2.7..3.3).contains(&ratio), "{heavy} bytes beside {light}");
}
