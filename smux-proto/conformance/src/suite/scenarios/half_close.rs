//! The two directions of a stream end one after the other, and nothing is lost over it.

use std::io::{self, Read, Write};

use smux_proto::{CloseReason, StreamError};

use crate::{
    frame::{counting, fin, psh, syn},
    suite::{
        case::{
            Case, built, expect_eof, failure, read_all, read_exactly, read_pattern_to_end, reason,
            stream_error, write_pattern,
        },
        host::{Host, HostSession, HostStream},
    },
};

/// After our end the peer reads what we wrote and then the end, and can still write; we can still
/// read, and not write.
pub fn half_close<H: Host>(case: &Case<H>) {
    let (ours, theirs) = case.pair();
    let (mut stream, mut accepted) = case.stream(&ours, &theirs);
    stream.write_all(b"request").expect("written");
    stream.finish().expect("finished");
    assert_eq!(read_all(&mut accepted), b"request");
    expect_eof(&mut accepted);
    accepted
        .write_all(b"reply")
        .expect("the other direction is open");
    assert_eq!(read_exactly(&mut stream, 5), b"reply");
    let error = failure(stream.write(b"more"));
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(stream_error(Err::<(), _>(error)), StreamError::Finished);
    drop(accepted);
    expect_eof(&mut stream);
}

/// Finishing twice is the same as once.
pub fn half_close_twice<H: Host>(case: &Case<H>) {
    let (ours, mut peer) = case.peer(case.plain());
    let id = case.our_id(0);
    let mut stream = ours.open().expect("opened");
    stream.write_all(b"data").expect("written");
    stream.finish().expect("finished");
    stream.finish().expect("a second time");
    peer.expect([syn(id), psh(id, "data"), fin(id)]);
    peer.expect_nothing(&ours);
}

/// Both ends write and finish, and then read all of it: data and ends that cross.
pub fn half_close_both_ways<H: Host>(case: &Case<H>) {
    const LENGTH: u64 = 100_000;
    let (ours, theirs) = case.pair();
    let (stream, accepted) = case.stream(&ours, &theirs);
    let talk = |mut stream: <H::Session as HostSession>::Stream, seed| {
        write_pattern(&mut stream, seed, LENGTH, 30_000);
        stream.finish().expect("finished");
        read_pattern_to_end(&mut stream, 1 - seed, LENGTH, 65_536);
    };
    case.both(|| talk(stream, 0), || talk(accepted, 1));
}

/// A stream that was half-closed and is then dropped delivers all its data; the peer sees the end
/// once.
pub fn half_close_then_close<H: Host>(case: &Case<H>) {
    let (ours, theirs) = case.pair();
    let (mut stream, mut accepted) = case.stream(&ours, &theirs);
    stream.write_all(b"all of it").expect("written");
    stream.finish().expect("finished");
    drop(stream);
    assert_eq!(read_all(&mut accepted), b"all of it");
    expect_eof(&mut accepted);
}

/// Both sessions forget a stream once both directions have ended and both ends have dropped it.
pub fn ended_streams_are_forgotten<H: Host>(case: &Case<H>) {
    let (ours, theirs) = case.pair();
    for _ in 0..3 {
        let (mut stream, mut accepted) = case.stream(&ours, &theirs);
        assert_eq!((ours.stream_count(), theirs.stream_count()), (1, 1));
        stream.finish().expect("finished");
        accepted.finish().expect("finished");
        expect_eof(&mut stream);
        expect_eof(&mut accepted);
        drop((stream, accepted));
        case.until("the stream is forgotten", || {
            ours.stream_count() + theirs.stream_count() == 0
        });
    }
}

/// Dropping a stream sends all written data, and the end.
pub fn drop_sends_data_and_end<H: Host>(case: &Case<H>) {
    const LENGTH: u64 = 100_000;
    let (ours, theirs) = case.pair();
    let (mut stream, mut accepted) = case.stream(&ours, &theirs);
    write_pattern(&mut stream, 5, LENGTH, 50_000);
    drop(stream);
    read_pattern_to_end(&mut accepted, 5, LENGTH, 4096);
}

/// The end follows all data, on the wire too. Dropping adds a second FIN only if the peer may still
/// send.
pub fn end_follows_data<H: Host>(case: &Case<H>) {
    let (ours, mut peer) = case.peer(case.plain());
    let id = case.our_id(0);
    let data = counting(100_000);
    let mut stream = ours.open().expect("opened");
    stream.write_all(&data).expect("written");
    drop(stream);
    peer.expect([syn(id)]);
    peer.expect_data(id, &data);
    peer.expect([fin(id), fin(id)]);

    let (first, second) = (peer.fresh_id(), peer.fresh_id());
    peer.send([syn(first), fin(first), syn(second)]);
    drop(ours.accept().expect("accepted"));
    peer.expect([fin(first)]);
    drop(ours.accept().expect("accepted"));
    peer.expect([fin(second), fin(second)]);
    peer.expect_nothing(&ours);
}

/// A writer learns that the peer has dropped the stream: writing fails from then on, and does not
/// wait for a window that will not open.
pub fn peer_close_stops_the_writer<H: Host>(case: &Case<H>) {
    let (ours, theirs) = case.pair();
    let (mut stream, accepted) = case.stream(&ours, &theirs);
    drop(accepted);
    let error = loop {
        if let Err(error) = stream.write(&[0; 10_000]) {
            break error;
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(stream_error(Err::<(), _>(error)), StreamError::Stopped);
    assert_eq!(stream_error(stream.write(b"again")), StreamError::Stopped);
    expect_eof(&mut stream);
    case.round_trip(&ours, &theirs);
}

/// A write that is blocked when the peer drops the stream gets an error.
pub fn peer_close_wakes_a_blocked_writer<H: Host>(case: &Case<H>) {
    let (ours, mut peer) = case.peer(case.plain());
    let id = peer.fresh_id();
    peer.send([syn(id)]);
    let mut stream = ours.accept().expect("accepted");
    case.both(
        || {
            // More than any window and queue: the peer never reads on this stream.
            let error = failure(stream.write_all(&vec![0; 32 << 20]));
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
            assert_eq!(stream_error(stream.write(b"more")), StreamError::Stopped);
        },
        || {
            assert_eq!(
                peer.receive().map(|frame| frame.id),
                Some(id),
                "the first data"
            );
            peer.send([fin(id), fin(id)]);
        },
    );
}

/// A peer that only finishes does not stop the writer.
pub fn peer_end_does_not_stop_the_writer<H: Host>(case: &Case<H>) {
    const LENGTH: u64 = 1 << 20;
    let (ours, theirs) = case.pair();
    let (mut stream, mut accepted) = case.stream(&ours, &theirs);
    accepted.finish().expect("finished");
    expect_eof(&mut stream);
    case.both(
        || {
            write_pattern(&mut stream, 4, LENGTH, 100_000);
            stream.finish().expect("finished");
        },
        || read_pattern_to_end(&mut accepted, 4, LENGTH, 65_536),
    );
}

/// What has arrived stays readable after the peer has closed the stream.
pub fn unread_data_survives_the_end<H: Host>(case: &Case<H>) {
    let (ours, theirs) = case.pair();
    let (mut stream, mut accepted) = case.stream(&ours, &theirs);
    stream.write_all(b"kept").expect("written");
    drop(stream);
    case.until("both ends of the stream have come", || {
        theirs.stats().frames_received.fin == 2
    });
    assert_eq!(read_all(&mut accepted), b"kept");
}

/// What has arrived stays readable when both directions have ended, in either order.
pub fn unread_data_survives_both_ends<H: Host>(case: &Case<H>) {
    let (ours, theirs) = case.pair();
    for we_are_first in [true, false] {
        let (mut stream, mut accepted) = case.stream(&ours, &theirs);
        let fins = ours.stats().frames_received.fin;
        accepted.write_all(b"all the data").expect("written");
        if we_are_first {
            stream.finish().expect("finished");
        }
        accepted.finish().expect("finished");
        case.until("the end has come", || {
            ours.stats().frames_received.fin > fins
        });
        stream.finish().expect("finished");
        assert_eq!(read_all(&mut stream), b"all the data");
    }
}

/// Arrived data stays readable after the session was closed, here or by the peer. Then reading
/// returns the end if that had arrived, else the reason.
pub fn unread_data_survives_session_close<H: Host>(case: &Case<H>) {
    let (ours, theirs) = case.pair();
    let (mut ended, mut with_end) = case.stream(&ours, &theirs);
    let (mut open, mut cut_off) = case.stream(&ours, &theirs);
    open.write_all(b"cut off").expect("written");
    open.flush().expect("flushed");
    ended.write_all(b"whole").expect("written");
    ended.finish().expect("finished");
    case.until("all has arrived", || {
        theirs.stats().frames_received.fin == 1 && theirs.stats().payload_received == 12
    });
    assert_eq!(ours.close(), CloseReason::Local);
    assert_eq!(theirs.closed(), CloseReason::PeerClosed);
    assert_eq!(read_exactly(&mut cut_off, 7), b"cut off");
    assert_eq!(reason(cut_off.read(&mut [0; 16])), CloseReason::PeerClosed);
    assert_eq!(read_all(&mut with_end), b"whole");
    expect_eof(&mut with_end);
}

/// The same when the session is closed by the side that has not read.
pub fn unread_data_survives_own_session_close<H: Host>(case: &Case<H>) {
    let (ours, theirs) = case.pair();
    let (mut stream, mut accepted) = case.stream(&ours, &theirs);
    stream.write_all(b"arrived").expect("written");
    case.until("it has arrived", || theirs.stats().payload_received == 7);
    assert_eq!(theirs.close(), CloseReason::Local);
    assert_eq!(read_exactly(&mut accepted, 7), b"arrived");
    assert_eq!(reason(accepted.read(&mut [0; 16])), CloseReason::Local);
}

/// Dropping a stream frees the room that its unread data took in the receive buffer.
pub fn dropped_streams_free_the_buffer<H: Host>(case: &Case<H>) {
    let theirs = built(
        case.config()
            .max_stream_buffer(20_000)
            .max_receive_buffer(20_000),
    );
    let ours = built(case.config().initial_send_window(4_000));
    let (ours, theirs) = case.pair_with(ours, theirs);
    for _ in 0..10 {
        let (mut stream, accepted) = case.stream(&ours, &theirs);
        stream.write_all(&[0; 4_000]).expect("written");
        let arrived = || theirs.stats().receive_buffered == 4_000;
        case.until("all of it lies there", arrived);
        drop(accepted);
        assert_eq!(theirs.stats().receive_buffered, 0);
    }
}

/// The halves of a stream: dropping the writing one is the end of our data, dropping both closes.
pub fn split_in_halves<H: Host>(case: &Case<H>) {
    let (ours, theirs) = case.pair();
    let (stream, mut accepted) = case.stream(&ours, &theirs);
    let (mut reader, mut writer) = stream.into_halves();
    writer.write_all(b"by the half").expect("written");
    drop(writer);
    assert_eq!(read_all(&mut accepted), b"by the half");
    accepted.write_all(b"to the other").expect("written");
    assert_eq!(read_exactly(&mut reader, 12), b"to the other");
    drop(reader);
    drop(accepted);
    case.until("the stream is forgotten", || {
        ours.stream_count() + theirs.stream_count() == 0
    });
}

/// A session that is told to avoid half-close keeps its FIN back until the peer's has come, or
/// until the stream is closed.
pub fn without_half_close<H: Host>(case: &Case<H>) {
    let (ours, mut peer) = case.peer(built(case.config().half_close(false)));
    let id = case.our_id(0);
    let mut stream = ours.open().expect("opened");
    stream.write_all(b"request").expect("written");
    stream.finish().expect("finished");
    assert_eq!(stream_error(stream.write(b"more")), StreamError::Finished);
    peer.expect([syn(id), psh(id, "request")]);
    peer.expect_nothing(&ours);
    peer.send([psh(id, "reply"), fin(id)]);
    peer.expect([fin(id)]);
    assert_eq!(read_all(&mut stream), b"reply");
    drop(stream);
    peer.expect_nothing(&ours);

    let mut stream = ours.open().expect("opened");
    stream.write_all(b"dropped").expect("written");
    drop(stream);
    let id = case.our_id(1);
    peer.expect([syn(id), psh(id, "dropped"), fin(id)]);
    peer.expect_nothing(&ours);
}

/// A stream whose reading half is dropped costs nothing of the receive buffer, whatever the peer
/// goes on sending.
pub fn dropped_reading_half_costs_nothing<H: Host>(case: &Case<H>) {
    let config = built(
        case.config()
            .max_stream_buffer(50_000)
            .max_receive_buffer(50_000),
    );
    let (ours, mut peer) = case.peer(config);
    let (id, other) = (peer.fresh_id(), peer.fresh_id());
    peer.send([syn(id), psh(id, vec![0; 10_000])]);
    let (reader, mut writer) = ours.accept().expect("accepted").into_halves();
    drop(reader);
    for _ in 0..20 {
        peer.send([psh(id, vec![0; 30_000])]);
    }
    peer.send([syn(other), psh(other, "served")]);
    let mut served = ours.accept().expect("accepted");
    assert_eq!(read_exactly(&mut served, 6), b"served");
    assert_eq!(ours.stats().receive_stalls, 0);
    assert_eq!(ours.stats().payload_discarded, 610_000);
    writer.write_all(b"goes on").expect("written");
    peer.expect([psh(id, "goes on")]);
    drop(writer);
    peer.expect([fin(id), fin(id)]);
}
