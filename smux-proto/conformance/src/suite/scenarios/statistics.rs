//! What a session tells of itself and of its streams.

use std::{io::Write, time::Duration};

use smux_proto::{Priority, StreamState, StreamStats, Version, WindowLimit};

use crate::{
    frame::{counting, psh, syn},
    suite::{
        case::{Case, built, read_exactly},
        host::{Host, HostSession, HostStream},
        peer::Peer,
    },
};

fn stats_of<S: HostSession>(session: &S, stream: &S::Stream) -> StreamStats {
    let streams = session.streams();
    let found = streams.iter().find(|(id, _)| *id == stream.id());
    found.expect("the stream is listed").1
}

/// A session lists the streams that the application holds, each as it is.
pub fn streams_are_listed<H: Host>(case: &Case<H>) {
    let (ours, theirs) = case.pair();
    assert_eq!(ours.streams(), []);
    let (mut finished, reader) = case.stream(&ours, &theirs);
    let (important, idle) = case.stream(&ours, &theirs);
    finished.write_all(&[7; 1000]).expect("written");
    finished.finish().expect("finished");
    let priority = Priority::HIGH.with_weight(7);
    important.set_priority(priority);

    let mut ids = ours.streams().iter().map(|(id, _)| *id).collect::<Vec<_>>();
    ids.sort_unstable();
    assert_eq!(ids, [finished.id(), important.id()]);
    let stats = stats_of(&ours, &finished);
    assert_eq!(stats.state, StreamState::Finished);
    assert_eq!((stats.bytes_written, stats.bytes_sent), (1000, 1000));
    assert_eq!((stats.unsent, stats.priority), (0, Priority::NORMAL));
    assert_eq!(stats_of(&ours, &important).priority, priority);
    assert_eq!(stats_of(&theirs, &idle).priority, Priority::NORMAL);

    case.until("the end has come", || {
        stats_of(&theirs, &reader).state == StreamState::PeerFinished
    });
    let stats = stats_of(&theirs, &reader);
    assert_eq!((stats.unread, stats.bytes_read), (1000, 0));
    let stats = stats_of(&theirs, &idle);
    assert_eq!(stats.state, StreamState::Open);
    assert_eq!(stats.receive_window > 0, case.version == Version::V2);
    assert_eq!(stats.send_window > 0, case.version == Version::V2);

    drop(important);
    assert_eq!(ours.streams().len(), 1);
    drop(finished);
    assert_eq!(ours.streams(), []);
}

/// Long enough to be seen in the statistics.
const WHILE: Duration = Duration::from_millis(20);
const WINDOW: usize = 65_536;

/// A stream on which the peer has sent so much.
fn filled<S: HostSession>(session: &S, peer: &mut Peer, bytes: usize) -> S::Stream {
    let id = peer.fresh_id();
    peer.send([syn(id)]);
    for piece in counting(bytes).chunks(WINDOW / 2) {
        peer.send([psh(id, piece)]);
    }
    session.accept().expect("accepted")
}

/// Version 2: the statistics tell how many streams starve and for how long.
pub fn starving_shows_in_the_statistics<H: Host>(case: &Case<H>) {
    let config = case.config().max_stream_buffer(WINDOW);
    let (ours, mut peer) = case.peer(built(config.max_receive_buffer(2 * WINDOW)));
    let mut full = [0; 2].map(|_| filled(&ours, &mut peer, WINDOW));
    case.until("the buffer is full", || {
        ours.stats().receive_buffered == 2 * WINDOW
    });
    for stream in &mut full {
        read_exactly(stream, 1);
    }
    let id = peer.fresh_id();
    peer.send([syn(id)]);
    let waiting = ours.accept().expect("accepted");
    case.until("it starves", || ours.stats().starved_streams == 1);
    assert_eq!(stats_of(&ours, &waiting).window_limit, WindowLimit::Starved);
    assert_eq!(stats_of(&ours, &waiting).receive_window, 0);
    case.elapse(WHILE);
    let time = ours.stats().starvation_time;
    assert!(time >= WHILE, "{time:?}");

    for stream in &mut full {
        read_exactly(stream, WINDOW - 1);
    }
    case.until("it has a window", || ours.stats().starved_streams == 0);
    assert_eq!(ours.stats().starvations, 1);
    assert!(stats_of(&ours, &waiting).receive_window > 0);
}

/// Version 2: the statistics tell the round trip once the peer had to wait for a window update.
pub fn round_trip_shows_in_the_statistics<H: Host>(case: &Case<H>) {
    // What a peer may send before the first update.
    const FIRST: usize = 262_144;
    let (ours, mut peer) = case.peer(case.plain());
    let mut stream = filled(&ours, &mut peer, FIRST);
    let id = stream.id().get();
    case.until("all is there", || ours.stats().receive_buffered == FIRST);
    read_exactly(&mut stream, FIRST);
    peer.await_window(id, 1);
    assert_eq!(ours.stats().round_trip, None);
    case.elapse(WHILE);
    peer.send([psh(id, [7])]);
    read_exactly(&mut stream, 1);
    let round_trip = ours.stats().round_trip.expect("the peer had to wait");
    assert!(round_trip >= WHILE, "{round_trip:?}");
}
