//! The subscriber of `tracing` may use the session in all that it does.

use std::{
    cell::Cell,
    fmt::Debug,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Waker},
    time::Duration,
};

use smux_proto::{
    Command, Config, Version,
    poll::{Addresses, SessionHandle},
};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
    subscriber::{Interest, with_default},
};

use crate::{
    reentrancy::must_end,
    wire::{Count, now, run, server},
};

/// Notes what it is asked and told, and uses the session each time.
#[derive(Clone, Default)]
struct Meddler(Arc<Meddling>);

#[derive(Default)]
struct Meddling {
    session: Mutex<Option<SessionHandle>>,
    seen: Mutex<Vec<String>>,
    spans: AtomicU64,
}

thread_local! {
    /// What a use of the session causes is seen too, but causes no more.
    static MEDDLES: Cell<bool> = const { Cell::new(false) };
}

impl Meddler {
    fn see(&self, what: impl Into<String>) {
        let what = what.into();
        self.0.seen.lock().expect("no panic").push(what);
        let session = self.0.session.lock().expect("no panic").clone();
        if let Some(session) = session
            && !MEDDLES.replace(true)
        {
            let before = session.stats();
            if let Ok(Some(stream)) = session.try_open() {
                let mut cx = Context::from_waker(Waker::noop());
                let _ = stream.poll_write(&mut cx, b"meddled");
                let _ = stream.poll_read(&mut cx, &mut [0; 10]);
            }
            assert!(session.stats().bytes_emitted >= before.bytes_emitted);
            drop(session);
            MEDDLES.set(false);
        }
    }

    /// What was seen since the last call.
    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.seen.lock().expect("no panic"))
    }

    fn meddle_with(&self, session: Option<&SessionHandle>) {
        let session = session.cloned();
        let before = std::mem::replace(&mut *self.0.session.lock().expect("no panic"), session);
        drop(before);
    }
}

/// The text of an event.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl Subscriber for Meddler {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // Here tracing has a lock of its own: what tells something would deadlock in there.
        let session = self.0.session.lock().expect("no panic").clone();
        let _ = session.map(|session| session.stats());
        Interest::sometimes()
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        self.see("enabled");
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.see(format!("new {}", span.metadata().name()));
        Id::from_u64(self.0.spans.fetch_add(1, Relaxed) + 1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {
        self.see("record");
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        self.see(text.0);
    }

    fn enter(&self, _: &Id) {
        self.see("enter");
    }

    fn exit(&self, _: &Id) {
        self.see("exit");
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.see("clone");
        id.clone()
    }

    fn try_close(&self, _: Id) -> bool {
        self.see("close");
        true
    }
}

/// Goes through everything that a session tells.
fn whole_life(meddler: &Meddler, meddles: bool) {
    let config = Config::builder()
        .version(Version::V1)
        .detect_version(true)
        .accept_backlog(1)
        .max_receive_buffer(1000)
        .max_stream_buffer(1000)
        .max_stream_send_queue(1000)
        .build();
    let (session, mut driver, wire) = server(config.expect("valid"));
    meddler.meddle_with(meddles.then_some(&session));
    let peer = "127.0.0.1:1".parse().expect("an address");
    let session = session.with_addresses(Addresses::new(None, Some(peer)));
    let mut go_on = || {
        let _ = run(&mut driver, Waker::noop());
    };
    wire.receive(Command::Syn, 3, b"");
    wire.receive(Command::Syn, 5, b"");
    wire.receive(Command::Psh, 3, &[0; 1000]);
    go_on();
    let accepted = now(session.accept()).expect("accepted");
    let mut cx = Context::from_waker(Waker::noop());
    assert!(accepted.poll_read(&mut cx, &mut [0; 2000]).is_ready());
    go_on();
    wire.receive(Command::Fin, 3, b"");
    wire.receive(Command::Fin, 3, b"");
    go_on();
    drop(accepted);
    let opened = now(session.open()).expect("opened");
    while opened.poll_write(&mut cx, &[0; 300]).is_ready() {}
    drop(opened);
    session.start_drain(Duration::from_secs(1));
    meddler.meddle_with(None);
    go_on();
    session.abort();
}

#[test]
fn subscribers_run_without_the_lock() {
    must_end("the subscriber", || {
        let meddler = Meddler::default();
        with_default(meddler.clone(), || whole_life(&meddler, true));
        let seen = meddler.seen();
        for what in [
            "enabled",
            "new session",
            "new stream",
            "record",
            "close",
            "session began",
            "stream accepted",
            "stream opened",
            "stream refused",
            "reading paused: the receive buffer is full",
            "write waits",
            "peer finished the stream",
            "peer stopped reading the stream",
            "stream closed",
            "session is draining",
        ] {
            assert!(seen.iter().any(|seen| seen == what), "{what}: {seen:?}");
        }
    });
}

#[test]
fn events_are_told_in_the_order_in_which_they_happen() {
    let meddler = Meddler::default();
    with_default(meddler.clone(), || whole_life(&meddler, false));
    let mut seen = meddler.seen();
    seen.retain(|seen| seen != "enabled");
    let expected = [
        "new session",
        // The number, the address.
        "record",
        "record",
        "session began",
        // The version.
        "record",
        "stream refused",
        "reading paused: the receive buffer is full",
        "new stream",
        "stream accepted",
        "peer finished the stream",
        "peer stopped reading the stream",
        "stream closed",
        "new stream",
        "stream opened",
        "write waits",
        "stream closed",
        "session is draining",
        // Both streams are gone once their last frames have left.
        "close",
        "close",
        "session ended",
        "close",
    ];
    assert_eq!(seen, expected);
}

/// A subscriber that is being told something holds up no other thread.
#[test]
fn slow_subscribers_hold_up_no_other_call() {
    must_end("the subscriber", || {
        let (session, _driver, _wire) = server(Config::default());
        let meddler = Meddler::default();
        let in_the_way = Arc::clone(&meddler.0);
        let told = in_the_way.seen.lock().expect("no panic");
        std::thread::scope(|scope| {
            let opening = scope.spawn(|| with_default(meddler, || now(session.open())));
            while session.stream_count() == 0 {
                std::thread::yield_now();
            }
            assert_eq!(session.stats().streams_opened, 1);
            drop(told);
            assert!(opening.join().expect("no panic").is_ok());
        });
    });
}

/// Nothing else would wake it before the stall is over.
#[test]
fn a_write_that_waits_wakes_the_driver_to_look_at_stalls() {
    let meddler = Meddler::default();
    with_default(meddler.clone(), || {
        let config = Config::builder()
            .version(Version::V2)
            .initial_send_window(10)
            .keep_alive_disabled()
            .build();
        let (session, mut driver, wire) = server(config.expect("valid"));
        let stream = now(session.open()).expect("opened");
        let mut cx = Context::from_waker(Waker::noop());
        assert!(stream.poll_write(&mut cx, &[0; 10]).is_ready());
        let (woken, waker) = Count::waker();
        let _ = run(&mut driver, &waker);
        woken.take();
        assert!(stream.poll_write(&mut cx, &[0]).is_pending());
        assert_eq!(woken.take(), 1);
        for _ in 0..6 {
            wire.ends(|ends| ends.now += Duration::from_secs(1));
            let _ = run(&mut driver, &waker);
        }
        let waits = stream.stats().write_stall_time;
        assert_eq!(waits, Duration::from_secs(6));
    });
    let seen = meddler.seen();
    let told = seen.iter().filter(|seen| *seen == "stall lasts");
    assert_eq!(told.count(), 1, "{seen:?}");
}
