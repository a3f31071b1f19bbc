//! The steps of the Go recordings, repeated on our sessions.

use std::{task::Poll, time::Duration};

use smux_conformance::{frame::counting, harness::Harness, trace::Direction};
use smux_proto::{Config, StreamError};

use crate::{Line, Replay};

/// Does what the trace's scenario does.
pub(crate) fn perform(replay: &mut Replay<'_>) {
    match &*replay.trace.scenario {
        "client_open_three" => open_three(replay),
        "client_open_write5_close" | "server_open_write5_close" => {
            open_write_close(replay, b"hello")
        }
        "client_write_100000" => open_write_close(replay, &counting(100_000)),
        "client_write_65536_frame65535" => open_write_close(replay, &counting(65_536)),
        "empty_write" => open_write_close(replay, b""),
        "session_close_without_stream_close" => session_close(replay),
        "keepalive_nop" => replay.harness.advance(Duration::from_millis(175)),
        "closewrite_then_close_two_fins" => finish_then_close(replay),
        "closewrite_then_peer_reply" => finish_then_reply(replay),
        "closewrite_data_and_fin_together_loses_data" => finish_then_reply_and_fin(replay),
        "peer_fin_then_write" => peer_fin_then_write(replay),
        "unread_data_then_local_close" => close_unread(replay),
        "close_during_multi_frame_write" => close_during_write(replay),
        "timed_out_write_is_still_sent" => buffers_overwritten(replay),
        "shaper_order_v2" => order(replay),
        "upd_first_read_and_thresholds" => updates(replay),
        "upd_small_reads" => updates_of_small_reads(replay),
        "v2_err_consumed" => acknowledged_too_much(replay),
        "v2_initial_window_and_updates" => window_play(replay),
        other => panic!("there is no replay of scenario {other}"),
    }
}

fn open_three(replay: &mut Replay<'_>) {
    assert_eq!([(); 3].map(|()| replay.harness.open().get()), [3, 5, 7]);
}

fn open_write_close(replay: &mut Replay<'_>, mut data: &[u8]) {
    let id = replay.harness.open();
    replay.write_some(id, &mut data);
    assert!(data.is_empty(), "{} bytes not taken", data.len());
    replay.harness.close(id);
    assert_eq!(
        replay.harness.session.stream(id).map(|stream| stream.id()),
        None
    );
}

fn session_close(replay: &mut Replay<'_>) {
    let id = replay.harness.open();
    replay.harness.write(id, b"hello");
    replay.harness.close_session();
    replay.note();
    assert!(replay.harness.session.wants_shutdown());
}

fn finish_then_close(replay: &mut Replay<'_>) {
    let id = replay.harness.open();
    replay.harness.finish(id);
    replay.note();
    assert_eq!(replay.harness.session.stream_count(), 1);
    replay.harness.close(id);
    replay.note();
    assert_eq!(replay.harness.session.stream_count(), 0);
}

fn finish_then_reply(replay: &mut Replay<'_>) {
    let id = replay.harness.open();
    replay.harness.write(id, b"request");
    replay.harness.finish(id);
    replay.feed(1);
    assert_eq!(replay.harness.read(id), b"reply");
    replay.feed(1);
    assert_eq!(replay.harness.read_end(id), Poll::Ready(Ok(0)));
    replay.harness.close(id);
}

/// The five bytes arrive, which readers of releases up to 1.5.57 lose.
fn finish_then_reply_and_fin(replay: &mut Replay<'_>) {
    let id = replay.harness.open();
    replay.harness.finish(id);
    replay.feed(2);
    assert_eq!(replay.harness.read(id), b"reply");
    assert_eq!(replay.harness.read_end(id), Poll::Ready(Ok(0)));
}

fn peer_fin_then_write(replay: &mut Replay<'_>) {
    replay.feed(3);
    let id = replay.harness.accept();
    assert_eq!(replay.harness.read(id), b"req");
    assert_eq!(replay.harness.read_end(id), Poll::Ready(Ok(0)));
    replay.note();
    replay.harness.write(id, b"response");
    replay.harness.close(id);
    replay.note();
    assert_eq!(replay.harness.session.stream_count(), 0);
}

fn close_unread(replay: &mut Replay<'_>) {
    replay.feed(2);
    let id = replay.harness.accept();
    replay.harness.close(id);
    replay.feed(3);
    assert_eq!(replay.harness.accept(), id);
}

fn close_during_write(replay: &mut Replay<'_>) {
    replay.feed(1);
    let id = replay.harness.accept();
    replay.harness.set_transport_room(0);
    replay.harness.write(id, b"aaaabbbbccccdddd");
    replay.note();
    replay.harness.close(id);
    replay.harness.set_transport_room(None);
}

fn buffers_overwritten(replay: &mut Replay<'_>) {
    replay.feed(1);
    let id = replay.harness.accept();
    replay.harness.set_transport_room(0);
    for (before, after) in [(b"AAAA", b"yyyy"), (b"BBBB", b"zzzz")] {
        let mut buffer = *before;
        replay.harness.write(id, &buffer);
        replay.note();
        buffer.copy_from_slice(after);
    }
    replay.harness.set_transport_room(None);
}

fn order(replay: &mut Replay<'_>) {
    replay.feed(4);
    let [three, five, seven] = [(); 3].map(|()| replay.harness.accept());
    replay.harness.set_transport_room(0);
    for (id, data) in [
        (three, b"0"),
        (three, b"a"),
        (three, b"b"),
        (three, b"c"),
        (five, b"m"),
        (seven, b"x"),
    ] {
        replay.harness.write(id, data);
        replay.note();
    }
    replay.harness.finish(three);
    assert_eq!(replay.harness.read(five), b"data");
    assert_eq!(replay.harness.open().get(), 2);
    replay.harness.set_transport_room(None);
}

fn updates(replay: &mut Replay<'_>) {
    replay.feed(1);
    let id = replay.harness.accept();
    for _ in 0..12 {
        replay.feed(1);
        assert_eq!(replay.harness.read(id), counting(10_000));
    }
}

fn updates_of_small_reads(replay: &mut Replay<'_>) {
    replay.feed(2);
    let id = replay.harness.accept();
    for piece in counting(30).chunks(3) {
        assert_eq!(replay.harness.read_exact(id, 3), piece);
        replay.note();
    }
}

fn acknowledged_too_much(replay: &mut Replay<'_>) {
    let id = replay.harness.open();
    replay.feed(1);
    let refused = replay.harness.try_write(id, &[0; 5]);
    assert_eq!(refused, Poll::Ready(Err(StreamError::AcknowledgedTooMuch)));
    replay.feed(1);
    replay.harness.write(id, &[0; 5]);
}

fn window_play(replay: &mut Replay<'_>) {
    let id = replay.harness.open();
    let data = counting(400_000);
    let mut rest = &*data;
    for left in [137_856, 137_856, 137_856, 137_855, 72_319, 72_319, 0] {
        replay.write_some(id, &mut rest);
        assert_eq!(rest.len(), left, "bytes that the window does not allow yet");
        replay.feed(usize::from(left > 0));
    }
    replay.harness.close(id);
}

/// Both ends are ours here; the frames are noted in the order in which they travel.
pub(crate) fn echo_small(config: Config) -> Vec<Line> {
    let (mut client, mut server) = (Harness::client(config.clone()), Harness::server(config));
    let mut log = Vec::new();
    let mut travel = |from: &mut Harness, to: &mut Harness, direction| {
        let frames = from.take_frames();
        to.peer_sends(frames.clone());
        log.extend(frames.into_iter().map(|frame| (direction, frame)));
    };
    let id = client.open();
    travel(&mut client, &mut server, Direction::ClientToServer);
    assert_eq!(server.accept(), id);
    client.write(id, b"ping!");
    travel(&mut client, &mut server, Direction::ClientToServer);
    assert_eq!(server.read(id), b"ping!");
    server.write(id, b"ping!");
    travel(&mut server, &mut client, Direction::ServerToClient);
    assert_eq!(client.read(id), b"ping!");
    travel(&mut client, &mut server, Direction::ClientToServer);
    client.close(id);
    travel(&mut client, &mut server, Direction::ClientToServer);
    assert_eq!(server.read_end(id), Poll::Ready(Ok(0)));
    server.close(id);
    travel(&mut server, &mut client, Direction::ServerToClient);
    assert_eq!(
        (client.session.stream_count(), server.session.stream_count()),
        (0, 0)
    );
    log
}
