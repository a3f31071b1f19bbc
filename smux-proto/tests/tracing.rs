//! What a subscriber sees of a session and its streams.

use std::{
    io,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use smux_conformance::{
    frame::{Frame, fin, nop, psh, syn, upd},
    harness::Harness,
};
use smux_proto::{Config, ConfigBuilder, StreamId, TransportError, Version};
use tracing_subscriber::{
    EnvFilter,
    fmt::{MakeWriter, format::FmtSpan},
    layer::SubscriberExt,
};

/// Lines as a log file would have them.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// The lines that this filter lets through while `act` runs.
fn log(filter: &str, act: impl FnOnce()) -> Vec<String> {
    let log = Log::default();
    let subscriber = tracing_subscriber::registry()
        .with(EnvFilter::new(filter))
        .with(
            tracing_subscriber::fmt::layer()
                .without_time()
                .with_ansi(false)
                .with_span_events(FmtSpan::CLOSE)
                .with_writer(log.clone()),
        );
    tracing::subscriber::with_default(subscriber, act);
    let bytes = std::mem::take(&mut *log.0.lock().expect("no panic"));
    let text = String::from_utf8(bytes).expect("text");
    text.lines().map(|line| line.trim().to_owned()).collect()
}

fn config(version: Version) -> ConfigBuilder {
    Config::builder().version(version).keep_alive_disabled()
}

fn build(config: ConfigBuilder) -> Config {
    config.build().expect("valid")
}

#[test]
fn a_stream_is_logged_from_its_opening_to_its_end() {
    let lines = log("smux=trace", || {
        let mut harness = Harness::client(build(config(Version::V2).initial_send_window(10)));
        let id = harness.open();
        harness.write(id, b"0123456789");
        assert_eq!(harness.try_write(id, b"x"), Poll::Pending);
        harness.pump();
        harness.peer_sends([psh(3, "unread"), fin(3), fin(3)]);
        harness.close(id);
        harness.pump();
        harness.close_session();
    });
    let expected = [
        "INFO session{side=Client version=2}: smux: session began",
        "DEBUG session{side=Client version=2}:stream{id=3}: smux: stream opened stream=3",
        "TRACE session{side=Client version=2}:stream{id=3}: smux: write waits stream=3 cause=peer_window",
        "TRACE session{side=Client version=2}:stream{id=3}: smux: peer finished the stream stream=3",
        "TRACE session{side=Client version=2}:stream{id=3}: smux: peer stopped reading the stream stream=3",
        "DEBUG session{side=Client version=2}:stream{id=3}: smux: stream closed stream=3 unread=6 unsent=0",
        "DEBUG session{side=Client version=2}:stream{id=3}: smux: close",
        "INFO session{side=Client version=2}: smux: session ended reason=session closed duration=0ns received=30 sent=34 streams=0",
        "ERROR session{side=Client version=2}: smux: close",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_server_logs_accepted_and_refused_streams_with_the_cause() {
    let lines = log("smux=debug", || {
        let detecting = config(Version::V1).detect_version(true).accept_backlog(1);
        let mut harness = Harness::server(build(detecting)).speaking(Version::V2);
        harness.peer_sends([syn(3), syn(5)]);
        harness.accept();
        harness.session.drain(harness.now(), Duration::MAX);
        harness.peer_sends([syn(7)]);
        harness.session.stop_accepting();
        harness
            .session
            .handle_transport_error(TransportError::new("cable cut"));
    });
    let expected = [
        "INFO session{side=Server}: smux: session began",
        "DEBUG session{side=Server version=2}: smux: stream refused stream=5 because=\"accept_backlog\"",
        "DEBUG session{side=Server version=2}:stream{id=3}: smux: stream accepted stream=3",
        "DEBUG session{side=Server version=2}: smux: session is draining streams=1",
        "DEBUG session{side=Server version=2}: smux: stream refused stream=7 because=\"draining or closed\"",
        "WARN session{side=Server version=2}: smux: session failed reason=transport failed: cable cut duration=0ns received=24 sent=0 streams=1",
    ];
    assert_eq!(lines[..expected.len()], expected);
}

/// A server with a stream that was evicted because the peer had overrun its window.
fn overrun() -> Harness {
    let small = config(Version::V2)
        .max_receive_buffer(300_000)
        .max_stream_buffer(1_000);
    let mut harness = Harness::server(build(small));
    harness.peer_sends([syn(3), psh(3, "secret")]);
    harness.accept();
    for _ in 0..6 {
        harness.peer_sends([psh(3, [b's'; 60_000])]);
    }
    assert_eq!(harness.session.stats().streams_evicted, 1);
    harness
}

/// A peer could fill the log with warnings.
#[test]
fn an_overrun_window_is_logged_below_warning_level() {
    let lines = log("smux=debug", || drop(overrun()));
    let ended = "DEBUG session{side=Server version=2}:stream{id=3}: smux: stream evicted: it held too much of a full receive buffer stream=3";
    assert!(lines.iter().any(|line| line == ended), "{lines:?}");
}

/// A service's usual filter shows only faults, and never stream data.
#[test]
fn warnings_name_the_fault_and_contain_no_data() {
    let lines = log("smux=warn", || {
        let mut harness = overrun();
        harness.peer_breaks(&Frame {
            payload: vec![0; 7],
            ..upd(3, 0, 0)
        });
    });
    let expected = [
        "WARN session{side=Server version=2}: smux: session failed reason=peer sent UPD with length 7 duration=0ns received=360070 sent=0 streams=1",
        "ERROR session{side=Server version=2}: smux: close",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_read_pause_is_logged_once() {
    let lines = log("smux=debug", || {
        let small = config(Version::V1)
            .max_receive_buffer(10)
            .max_stream_buffer(10);
        let mut harness = Harness::server(build(small));
        harness.peer_sends([syn(3), psh(3, [0; 12])]);
        assert_eq!(harness.peer_sends_bytes(&[1]), Ok(0));
    });
    let pause = "DEBUG session{side=Server version=1}: smux: reading paused: the receive buffer is full buffered=12";
    assert_eq!(lines[1], pause);
    assert_eq!(lines.len(), 3, "{lines:?}");
}

const SECOND: Duration = Duration::from_secs(1);

/// What is logged for operators, without the session's span.
fn stalls(act: impl FnOnce()) -> Vec<String> {
    let mut lines = log("smux=info", act);
    lines.retain(|line| line.contains("stall"));
    for line in &mut lines {
        let (level, rest) = line.split_once(' ').expect("a level");
        let (_, message) = rest.split_once(": smux: ").expect("the target");
        *line = format!("{level} {message}");
    }
    lines
}

#[test]
fn a_sessions_end_tells_the_reason_the_duration_and_the_bytes() {
    let lines = log("smux=info", || {
        let mut harness = Harness::client(build(config(Version::V1)));
        harness.peer_sends([nop()]);
        harness.advance(90 * SECOND);
        let id = harness.open();
        harness.write(id, b"four");
        harness.pump();
        harness.advance(Duration::from_micros(1_234_567));
        harness.peer_ends();
    });
    let expected = [
        "INFO session{side=Client version=1}: smux: session began",
        "INFO session{side=Client version=1}: smux: session ended reason=session closed by the peer duration=91.234s received=8 sent=20 streams=1",
    ];
    assert_eq!(lines[..2], expected);
}

/// A client of version 2 on each of whose streams a write waits for the peer's window.
fn without_window(streams: usize) -> (Harness, Vec<StreamId>) {
    let mut harness = Harness::client(build(config(Version::V2).initial_send_window(10)));
    let ids: Vec<_> = (0..streams).map(|_| harness.open()).collect();
    for &id in &ids {
        block(&mut harness, id);
    }
    (harness, ids)
}

/// Uses up a window of 10 bytes.
fn block(harness: &mut Harness, id: StreamId) {
    harness.write(id, b"0123456789");
    assert_eq!(harness.try_write(id, b"x"), Poll::Pending);
    harness.pump();
}

#[test]
fn a_stall_that_lasts_is_logged_once_and_so_is_its_end() {
    let lines = stalls(|| {
        let (mut harness, _) = without_window(1);
        harness.advance(60 * SECOND);
        harness.peer_sends([upd(3, 10, 10)]);
        harness.advance(60 * SECOND);
    });
    let expected = [
        "WARN stall lasts cause=window stream=3 waited=5s more=0",
        "INFO stall ended cause=window stream=3 waited=61s",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn stalls_that_end_in_time_are_not_logged() {
    let lines = stalls(|| {
        let (mut harness, ids) = without_window(1);
        for round in 1..100 {
            harness.advance(Duration::from_millis(4_900));
            harness.peer_sends([upd(3, 10 * round, 10)]);
            block(&mut harness, ids[0]);
        }
    });
    assert_eq!(lines, [""; 0]);
}

/// Many streams of a session wait when one peer stops reading.
#[test]
fn a_session_warns_of_stalls_at_most_every_ten_seconds() {
    let lines = stalls(|| {
        let (mut harness, _) = without_window(1_000);
        harness.advance(8 * SECOND);
        let late = harness.open();
        block(&mut harness, late);
        harness.advance(600 * SECOND);
    });
    let expected = [
        "WARN stall lasts cause=window stream=3 waited=5s more=999",
        "WARN stall lasts cause=window stream=2003 waited=7s more=0",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_stall_ends_with_its_stream_and_with_its_session() {
    type End = (&'static str, fn(&mut Harness, StreamId));
    let ends: [End; 5] = [
        ("close", Harness::close),
        ("stopped", |harness, _| harness.peer_sends([fin(3), fin(3)])),
        ("session closed", |harness, _| harness.close_session()),
        ("transport gone", |harness, _| harness.peer_ends()),
        ("aborted", |harness, _| harness.session.abort()),
    ];
    for (name, end) in ends {
        let lines = stalls(|| {
            let (mut harness, ids) = without_window(1);
            harness.advance(6 * SECOND);
            end(&mut harness, ids[0]);
            harness.advance(6 * SECOND);
        });
        assert_eq!(lines.len(), 2, "{name}: {lines:?}");
        assert!(
            lines[1].starts_with("INFO stall ended"),
            "{name}: {lines:?}"
        );
    }
}

#[test]
fn a_transport_that_takes_nothing_is_a_stalled_link() {
    let lines = stalls(|| {
        let mut harness = Harness::client(build(config(Version::V2)));
        let id = harness.open();
        harness.set_transport_room(4);
        harness.write(id, b"waits in the transport");
        harness.advance(2 * SECOND);
        harness.set_transport_room(4); // it has moved
        harness.advance(10 * SECOND);
        harness.set_transport_room(None);
        harness.advance(10 * SECOND);
    });
    let expected = [
        "WARN stall lasts cause=link waited=5s more=0",
        "INFO stall ended cause=link waited=11s",
    ];
    assert_eq!(lines, expected);
}

/// Its peer has not read what has not left.
#[test]
fn a_stalled_link_is_told_before_the_windows_that_it_holds_up() {
    let lines = stalls(|| {
        let (mut harness, _) = without_window(1);
        harness.advance(SECOND);
        let id = harness.open();
        harness.set_transport_room(0);
        block(&mut harness, id);
        harness.advance(60 * SECOND);
    });
    let expected = ["WARN stall lasts cause=link waited=5s more=2"];
    assert_eq!(lines, expected);
}

/// In version 2 a stream's window is full, in version 1 the session's buffer.
#[test]
fn unread_data_that_holds_up_the_peer_is_a_stalled_reader() {
    for version in [Version::V1, Version::V2] {
        let lines = stalls(|| {
            let sizes = config(version)
                .max_receive_buffer(1 << 20)
                .max_stream_buffer(1 << 20);
            let mut harness = Harness::server(build(sizes));
            harness.peer_sends([syn(3), psh(3, "a little"), syn(5)]);
            harness.accept();
            let id = harness.accept();
            let full = match version {
                Version::V1 => vec![65_535; 17],
                Version::V2 => vec![65_535, 65_535, 65_535, 65_535, 4],
            };
            for size in full {
                harness.peer_sends([psh(5, vec![0; size])]);
            }
            harness.advance(10 * SECOND);
            harness.read(id);
            harness.advance(10 * SECOND);
        });
        let expected = [
            "WARN stall lasts cause=reader stream=5 waited=5s more=0",
            "INFO stall ended cause=reader stream=5 waited=10s",
        ];
        assert_eq!(lines, expected, "{version:?}");
    }
}

/// As of an embedder whose sessions share memory.
#[test]
fn a_lowered_limit_that_pauses_reading_is_a_stall_of_the_budget() {
    for version in [Version::V1, Version::V2] {
        let lines = stalls(|| {
            let mut harness = Harness::server(build(config(version)));
            harness.peer_sends([syn(3), psh(3, [0; 1_000])]);
            harness.accept();
            harness.session.set_receive_limits(500, 500);
            harness.advance(10 * SECOND);
        });
        let expected = "WARN stall lasts cause=budget stream=3 waited=5s more=0";
        assert!(
            lines.iter().any(|line| line == expected),
            "{version:?}: {lines:?}"
        );
    }
}

/// Data that an application leaves for later holds up no one.
#[test]
fn unread_data_within_the_window_is_no_stall() {
    let lines = stalls(|| {
        let mut harness = Harness::server(build(config(Version::V2)));
        harness.peer_sends([syn(3), psh(3, [0; 60_000])]);
        harness.accept();
        harness.advance(600 * SECOND);
    });
    assert_eq!(lines, [""; 0]);
}

/// The watch has no deadline of its own then.
#[test]
fn an_idle_session_is_not_woken_to_look_at_stalls() {
    let lines = log("smux=info", || {
        let mut harness = Harness::server(build(config(Version::V2)));
        harness.peer_sends([syn(3), psh(3, "read at once")]);
        let id = harness.accept();
        harness.read(id);
        harness.pump();
        assert_eq!(harness.session.poll_timeout(), None);
    });
    assert_eq!(lines.len(), 2, "{lines:?}");
}
