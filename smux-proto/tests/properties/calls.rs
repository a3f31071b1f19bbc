//! Any order of calls is safe.

use std::{task::Poll, time::Duration};

use bytes::{Buf, Bytes};
use proptest::{collection::vec, prelude::*};
use smux_conformance::frame::Frame;
use smux_proto::{Session, StreamId, Transmit, TransportError, Version};

use crate::{any_frame, cases, id, small, version};

/// Largest payload of a frame. The receive budget is exceeded by less than this.
const MAX_FRAME: usize = 65_535;

/// One call of a session's API.
#[derive(Clone, Debug)]
enum Call {
    Input(Vec<u8>),
    Eof,
    TransportError,
    WriteError,
    FlushBegin,
    FlushEnd,
    /// At the time of `poll_timeout`.
    Timeout,
    /// This many milliseconds pass.
    Wait(u64),
    Open,
    Accept,
    StopAccepting,
    Drain(u64),
    Close,
    Abort,
    /// The output is asked for, and this many bytes of it are taken.
    Transmit(usize),
    Event,
    Stream(u32, StreamCall),
}

#[derive(Clone, Debug)]
enum StreamCall {
    Read(usize),
    ReadBytes(usize),
    Consume(usize),
    Write(usize),
    WriteBytes(usize),
    Sent,
    Finish,
    StopReading,
    Close,
}

fn call(version: Version) -> impl Strategy<Value = Call> {
    let stream_call = prop_oneof![
        (0..5_000_usize).prop_map(StreamCall::Read),
        (0..5_000_usize).prop_map(StreamCall::ReadBytes),
        (0..5_000_usize).prop_map(StreamCall::Consume),
        (0..100_000_usize).prop_map(StreamCall::Write),
        (0..100_000_usize).prop_map(StreamCall::WriteBytes),
        Just(StreamCall::Sent),
        Just(StreamCall::Finish),
        Just(StreamCall::StopReading),
        Just(StreamCall::Close),
    ];
    prop_oneof![
        60 => any_frame().prop_map(move |frame| Call::Input(frame.encode(version))),
        5 => (any_frame(), 0..20_usize).prop_map(move |(frame, len)| part(&frame, version, len)),
        1 => vec(any::<u8>(), 0..30).prop_map(Call::Input),
        1 => Just(Call::Eof),
        1 => Just(Call::TransportError),
        2 => Just(Call::WriteError),
        2 => Just(Call::FlushBegin),
        2 => Just(Call::FlushEnd),
        10 => Just(Call::Timeout),
        10 => (0..20_000_u64).prop_map(Call::Wait),
        10 => Just(Call::Open),
        20 => Just(Call::Accept),
        1 => Just(Call::StopAccepting),
        1 => (0..100_000_u64).prop_map(Call::Drain),
        1 => Just(Call::Close),
        1 => Just(Call::Abort),
        30 => (0..100_000_usize).prop_map(Call::Transmit),
        20 => Just(Call::Event),
        90 => (id(), stream_call).prop_map(|(id, call)| Call::Stream(id, call)),
    ]
}

/// The beginning of a frame: the next frame is read as the rest of it.
fn part(frame: &Frame, version: Version, len: usize) -> Call {
    Call::Input(frame.encode(version).into_iter().take(len).collect())
}

/// A session with the state that its user keeps.
struct User {
    session: Session,
    now: Duration,
    batch: Transmit,
    /// Every stream it ever had.
    ids: Vec<StreamId>,
}

impl User {
    fn accept(&mut self) -> bool {
        let accepted = match self.session.accept() {
            Poll::Ready(Ok(id)) => Some(id),
            Poll::Ready(Err(_)) | Poll::Pending => None,
        };
        self.ids.extend(accepted);
        accepted.is_some()
    }

    fn perform(&mut self, call: Call) {
        let (session, now) = (&mut self.session, self.now);
        match call {
            Call::Input(bytes) => {
                let taken = session.handle_input(now, &bytes);
                let all = taken.map_or(true, |taken| taken == bytes.len());
                assert!(all || !session.wants_input());
            }
            Call::Eof => session.handle_eof(now),
            Call::TransportError => session.handle_transport_error(TransportError::new("broken")),
            Call::WriteError => session.handle_write_error(now, TransportError::new("broken")),
            Call::FlushBegin => session.handle_flush_begin(now),
            Call::FlushEnd => session.handle_flush_end(now),
            Call::Timeout => self.timeout(),
            Call::Wait(millis) => self.now += Duration::from_millis(millis),
            Call::Open => {
                if let Poll::Ready(Ok(id)) = session.open() {
                    self.ids.push(id);
                }
            }
            Call::Accept => {
                self.accept();
            }
            Call::StopAccepting => session.stop_accepting(),
            Call::Drain(millis) => session.drain(now, Duration::from_millis(millis)),
            Call::Close => session.close(now),
            Call::Abort => session.abort(),
            Call::Transmit(count) => {
                let some = session.poll_transmit(now, &mut self.batch);
                assert_eq!(some, self.batch.has_remaining());
                self.batch.advance(count.min(self.batch.remaining()));
            }
            Call::Event => drop(session.poll_event()),
            Call::Stream(id, call) => stream_call(session, StreamId::new(id), call),
        }
    }

    /// Calling `handle_timeout` at the time it is due must make progress.
    fn timeout(&mut self) {
        let Some(due) = self.session.poll_timeout() else {
            return;
        };
        self.session.handle_timeout(due);
        let next = self.session.poll_timeout();
        assert!(
            next.is_none_or(|next| next > due),
            "due at {due:?}, and then at {next:?}"
        );
        self.now = self.now.max(due);
    }

    fn check(&self) {
        let (session, stats) = (&self.session, self.session.stats());
        let budget = session.config().max_receive_buffer();
        assert!(stats.receive_buffered < budget + MAX_FRAME, "{stats:?}");
        assert!(stats.windows_granted <= budget, "{stats:?}");
        assert!(stats.send_queued <= session.config().max_session_send_queue());
        assert!(session.stream_count() <= 8 + session.config().max_outbound_streams());
        assert_eq!(session.is_closed(), session.close_reason().is_some());
        assert!(!session.is_terminated() || session.is_closed());
        if session.is_terminated() {
            assert_eq!(
                (session.wants_transmit(), session.poll_timeout()),
                (false, None)
            );
        }
    }
}

fn stream_call(session: &mut Session, id: StreamId, call: StreamCall) {
    let Some(mut stream) = session.stream(id) else {
        return;
    };
    match call {
        StreamCall::Read(len) => drop(stream.read(&mut vec![0; len])),
        StreamCall::ReadBytes(max) => drop(stream.read_bytes(max)),
        StreamCall::Consume(count) => {
            let shown = stream.peek().map_ok(Bytes::copy_from_slice);
            assert_eq!(stream.peek_bytes(), shown);
            stream.consume(count);
        }
        StreamCall::Write(len) => drop(stream.write(&vec![1; len])),
        StreamCall::WriteBytes(len) => drop(stream.write_bytes(&mut vec![2; len].into())),
        StreamCall::Sent => drop(stream.poll_sent()),
        StreamCall::Finish => stream.finish(),
        StreamCall::StopReading => stream.stop_reading(),
        StreamCall::Close => stream.close(),
    }
}

proptest! {
    #![proptest_config(cases(250))]

    #[test]
    fn any_order_of_calls_is_safe(
        (version, calls) in version().prop_flat_map(|version| (Just(version), vec(call(version), 1..250))),
        detect in any::<bool>(),
        client in any::<bool>(),
    ) {
        let config = small(version).to_builder().detect_version(detect).max_outbound_streams(3);
        let make = if client { Session::client } else { Session::server };
        let mut user = User {
            session: make(config.build().expect("valid"), 1, Duration::ZERO),
            now: Duration::ZERO,
            batch: Transmit::new(),
            ids: Vec::new(),
        };
        for call in calls {
            user.perform(call);
            user.check();
        }
        let events = std::iter::from_fn(|| user.session.poll_event()).take(1_000).count();
        prop_assert!(events < 100, "{} events", events);
        close_everything(&mut user);
    }
}

/// However the session ended, it holds nothing any more.
fn close_everything(user: &mut User) {
    user.session.abort();
    while user.accept() {}
    for id in &user.ids {
        if let Some(stream) = user.session.stream(*id) {
            stream.close();
        }
    }
    user.check();
    assert_eq!(user.session.stream_count(), 0);
    let stats = user.session.stats();
    assert_eq!(
        (
            stats.receive_buffered,
            stats.send_queued,
            stats.windows_granted
        ),
        (0, 0, 0)
    );
}
