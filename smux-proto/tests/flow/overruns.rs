//! Peers that send more than their window.

use std::task::Poll;

use smux_conformance::{
    frame::{counting, fin, psh, syn},
    script::Script,
};
use smux_proto::{StreamError, Version};

use crate::{INITIAL, buffered, build, config, data_frames, server};

/// Go overruns windows when several of its goroutines write to one stream.
#[test]
fn an_overrun_is_charged_and_counted_and_no_error() {
    let (mut peer, id) = server(config(Version::V2));
    peer.send(data_frames(3, 2 * INITIAL));
    assert_eq!(buffered(&peer), 2 * INITIAL);
    assert!(peer.session.stats().window_overruns > 0);
    assert_eq!(peer.session.stats().streams_retired, 0);
    assert_eq!(peer.read(id).len(), 2 * INITIAL);
    assert_eq!(buffered(&peer), 0);
}

#[test]
fn only_when_the_budget_is_used_up_the_worst_stream_is_given_up() {
    let mut peer = Script::server(build(config(Version::V2)));
    peer.send([syn(3), syn(5), syn(7)]);
    let [honest, worse, worst] = [(); 3].map(|()| peer.accept());
    peer.send(data_frames(3, 200_000));
    peer.send(data_frames(5, 400_000));
    let mut sent = 0;
    while peer.session.stats().streams_retired == 0 {
        assert!(sent <= 4_300_000, "nobody was given up after {sent} bytes");
        peer.send([psh(7, counting(32_768))]);
        sent += 32_768;
    }
    assert!(peer.session.wants_input(), "and the session goes on");
    assert_eq!(peer.read(honest).len(), 200_000);
    assert_eq!(peer.read(worse).len(), 400_000);
    assert_eq!(
        peer.try_write(worst, b"x"),
        Poll::Ready(Err(StreamError::Retired))
    );
    peer.read(worst);
    assert_eq!(peer.read_end(worst), Poll::Ready(Err(StreamError::Retired)));
    let to_worst: Vec<_> = peer
        .take_frames()
        .into_iter()
        .filter(|frame| frame.id == 7)
        .collect();
    assert_eq!(to_worst, [fin(7), fin(7)]);
    peer.send([psh(7, counting(60_000))]);
    assert_eq!(buffered(&peer), 0);
}
