//! What a subscriber sees of a session and its streams.

use std::{
    io,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use smux_conformance::{
    frame::{Frame, fin, psh, syn, upd},
    harness::Harness,
};
use smux_proto::{Config, ConfigBuilder, TransportError, Version};
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
        "DEBUG session{side=Client version=2}:stream{id=3}: smux: stream opened stream=3",
        "TRACE session{side=Client version=2}:stream{id=3}: smux: write waits stream=3 cause=peer_window",
        "TRACE session{side=Client version=2}:stream{id=3}: smux: peer finished the stream stream=3",
        "TRACE session{side=Client version=2}:stream{id=3}: smux: peer stopped reading the stream stream=3",
        "DEBUG session{side=Client version=2}:stream{id=3}: smux: stream closed stream=3 unread=6 unsent=0",
        "DEBUG session{side=Client version=2}:stream{id=3}: smux: close",
        "DEBUG session{side=Client version=2}: smux: session ended reason=session closed streams=0",
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
        "DEBUG session{side=Server version=2}: smux: stream refused stream=5 because=\"accept_backlog\"",
        "DEBUG session{side=Server version=2}:stream{id=3}: smux: stream accepted stream=3",
        "DEBUG session{side=Server version=2}: smux: session is draining streams=1",
        "DEBUG session{side=Server version=2}: smux: stream refused stream=7 because=\"draining or closed\"",
        "WARN session{side=Server version=2}: smux: session failed reason=transport failed: cable cut streams=1",
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
        "WARN session{side=Server version=2}: smux: session failed reason=peer sent UPD with length 7 streams=1",
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
    assert_eq!(lines[0], pause);
    assert_eq!(lines.len(), 2, "{lines:?}");
}
