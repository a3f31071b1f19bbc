//! The streams of all sessions of a listener, in paused time.

mod common;

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use smux_tokio::{Accept, Config, Listener, ListenerBuilder, ListenerEvent, Session, Stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    net::TcpListener,
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

use crate::common::{within, within_a_day};

const SECOND: Duration = Duration::from_secs(1);

/// Connections that come from a test; an error each time that it sends one.
struct Arrivals(mpsc::UnboundedReceiver<io::Result<DuplexStream>>);

impl Accept for Arrivals {
    type Connection = DuplexStream;

    async fn accept(&mut self) -> io::Result<DuplexStream> {
        match self.0.recv().await {
            Some(arrival) => arrival,
            None => std::future::pending().await,
        }
    }
}

/// A listener, and how to reach it.
struct Place {
    listener: Option<Listener>,
    arrivals: mpsc::UnboundedSender<io::Result<DuplexStream>>,
    events: Arc<Mutex<Vec<String>>>,
}

impl Place {
    fn new(builder: ListenerBuilder) -> Self {
        Self::with_handshakes(builder, Duration::ZERO)
    }

    /// Handshakes take this long.
    fn with_handshakes(builder: ListenerBuilder, time: Duration) -> Self {
        let (arrivals, accepted) = mpsc::unbounded_channel();
        let events = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&events);
        let listener = builder
            .on_event(move |event| {
                let name = match event {
                    ListenerEvent::AcceptFailed { .. } => "accept failed",
                    ListenerEvent::Refused => "refused",
                    ListenerEvent::HandshakeFailed { .. } => "handshake failed",
                    ListenerEvent::Started { .. } => "started",
                    ListenerEvent::Ended { .. } => "ended",
                    other => panic!("unknown: {other:?}"),
                };
                told.lock().expect("no panic").push(name.to_owned());
            })
            .start(Arrivals(accepted), move |io| async move {
                sleep(time).await;
                Ok::<_, io::Error>(Session::server(io, Config::v2()))
            });
        Self {
            listener: Some(listener),
            arrivals,
            events,
        }
    }

    fn connect(&self) -> Session {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let _ = self.arrivals.send(Ok(far));
        Session::client(near, Config::v2())
    }

    async fn accept(&mut self) -> Stream {
        let listener = self.listener.as_mut().expect("not dropped");
        within_a_day(listener.accept()).await.expect("not closed")
    }

    fn count(&self, event: &str) -> usize {
        let events = self.events.lock().expect("no panic");
        events.iter().filter(|known| *known == event).count()
    }
}

/// Opens a stream and says which one it is.
async fn open(session: &Session, number: u8) -> Stream {
    let mut stream = session.open().await.expect("not closed");
    stream.write_all(&[number]).await.expect("not closed");
    stream
}

async fn number(stream: &mut Stream) -> u8 {
    within_a_day(stream.read_u8()).await.expect("not closed")
}

#[tokio::test(start_paused = true)]
async fn streams_of_all_sessions_are_accepted() {
    let mut place = Place::new(Listener::builder());
    let mut opened = Vec::new();
    let mut sessions = Vec::new();
    for number in 0..20 {
        let session = place.connect();
        opened.push(open(&session, number).await);
        sessions.push(session);
    }
    let mut numbers = Vec::new();
    for _ in 0..20 {
        let mut stream = place.accept().await;
        numbers.push(number(&mut stream).await);
    }
    numbers.sort_unstable();
    assert!(numbers.iter().copied().eq(0..20));
}

#[tokio::test(start_paused = true)]
async fn sessions_take_turns() {
    let mut place = Place::new(Listener::builder());
    let greedy = place.connect();
    let mut opened = Vec::new();
    for _ in 0..1_000 {
        opened.push(open(&greedy, 1).await);
    }
    let mut first = place.accept().await;
    assert_eq!(number(&mut first).await, 1);
    let modest = place.connect();
    opened.push(open(&modest, 2).await);
    sleep(SECOND).await;
    let mut waited = 0;
    loop {
        let mut stream = place.accept().await;
        if number(&mut stream).await == 2 {
            break;
        }
        waited += 1;
    }
    assert!(waited <= 3, "{waited} of the other session were before it");
}

#[tokio::test(start_paused = true)]
async fn sessions_beyond_the_limit_are_turned_away() {
    let mut place = Place::new(Listener::builder().max_sessions(2));
    let (first, second) = (place.connect(), place.connect());
    let _opened = (open(&first, 1).await, open(&second, 2).await);
    let _accepted = (place.accept().await, place.accept().await);
    let third = place.connect();
    within_a_day(third.closed()).await;
    assert_eq!(place.count("refused"), 1);
    first.close().await;
    let fourth = place.connect();
    let _stream = open(&fourth, 4).await;
    assert_eq!(number(&mut place.accept().await).await, 4);
    assert_eq!(place.count("ended"), 1);
}

/// Handshakes that take time hold up no others, and those that take too much are given up.
#[tokio::test(start_paused = true)]
async fn handshakes_run_beside_each_other_and_have_a_limit() {
    let builder = || Listener::builder().handshake_timeout(SECOND * 10);
    let mut place = Place::with_handshakes(builder(), SECOND * 9);
    let start = Instant::now();
    let sessions: Vec<_> = (0..10).map(|_| place.connect()).collect();
    let mut streams = Vec::new();
    for session in &sessions {
        streams.push(open(session, 0).await);
    }
    for _ in 0..10 {
        streams.push(place.accept().await);
    }
    assert!(start.elapsed() < SECOND * 10);
    let place = Place::with_handshakes(builder().max_sessions(1), SECOND * 11);
    let session = place.connect();
    within_a_day(session.closed()).await;
    assert_eq!(place.count("handshake failed"), 1);
    let handle = place.listener.as_ref().expect("not dropped").handle();
    assert_eq!(handle.session_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn accepting_goes_on_after_errors() {
    let mut place = Place::new(Listener::builder());
    for _ in 0..10 {
        let _ = place.arrivals.send(Err(io::ErrorKind::OutOfMemory.into()));
    }
    let start = Instant::now();
    let session = place.connect();
    let _stream = open(&session, 7).await;
    assert_eq!(number(&mut place.accept().await).await, 7);
    assert_eq!(place.count("accept failed"), 10);
    assert!(start.elapsed() >= SECOND, "it pauses after each");
}

#[tokio::test(start_paused = true)]
async fn dropping_a_listener_leaves_open_streams() {
    let mut place = Place::new(Listener::builder());
    let (session, idle) = (place.connect(), place.connect());
    let mut near = open(&session, 1).await;
    let mut far = place.accept().await;
    let handle = place.listener.as_ref().expect("not dropped").handle();
    place.listener = None;
    let refused = place.connect();
    within_a_day(refused.closed()).await;
    within_a_day(idle.closed()).await;
    let mut refused = open(&session, 2).await;
    let read = within_a_day(refused.read_u8()).await;
    assert!(read.is_err(), "no stream is accepted any more");
    assert!(timeout(SECOND * 100, handle.ended()).await.is_err());
    far.write_all(b"the last answer").await.expect("not lost");
    drop(far);
    let mut answer = Vec::new();
    near.shutdown().await.expect("not lost");
    within_a_day(near.read_to_end(&mut answer))
        .await
        .expect("not lost");
    assert_eq!(answer, b"the last answer");
    within_a_day(handle.ended()).await;
    assert_eq!(handle.session_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn draining_waits_for_streams_up_to_its_limit() {
    for is_in_time in [true, false] {
        let mut place = Place::new(Listener::builder());
        let session = place.connect();
        let near = open(&session, 1).await;
        let far = place.accept().await;
        let handle = place.listener.as_ref().expect("not dropped").handle();
        let start = Instant::now();
        handle.start_drain(SECOND * 100);
        sleep(SECOND * 50).await;
        assert_eq!(handle.session_count(), 1);
        let kept = (!is_in_time).then_some((near, far));
        within_a_day(handle.ended()).await;
        assert_eq!(start.elapsed() < SECOND * 60, is_in_time);
        let listener = place.listener.as_mut().expect("not dropped");
        assert!(within_a_day(listener.accept()).await.is_none());
        drop(kept);
    }
}

#[tokio::test(start_paused = true)]
async fn closing_ends_sessions_and_handshakes() {
    let mut place = Place::with_handshakes(Listener::builder(), SECOND);
    let session = place.connect();
    let mut near = open(&session, 1).await;
    let _far = place.accept().await;
    let shaking = place.connect();
    let handle = place.listener.as_ref().expect("not dropped").handle();
    within_a_day(handle.close()).await;
    assert!(within_a_day(near.read_u8()).await.is_err());
    within_a_day(session.closed()).await;
    within_a_day(shaking.closed()).await;
    let listener = place.listener.as_mut().expect("not dropped");
    assert!(within_a_day(listener.accept()).await.is_none());
}

#[tokio::test]
async fn streams_over_tcp_know_their_addresses() {
    let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = tcp.local_addr().expect("bound");
    let mut listener = Listener::tcp(tcp, Config::v2());
    assert_eq!(listener.local_addr(), Some(address));
    let session = within(Session::connect(address, Config::v2()))
        .await
        .expect("it listens");
    let _stream = open(&session, 1).await;
    let stream = within(listener.accept()).await.expect("not closed");
    assert_eq!(stream.peer_addr(), session.local_addr());
    assert_eq!(stream.local_addr(), Some(address));
}

/// It would accept nothing any more, and say nothing of it.
#[tokio::test(start_paused = true)]
async fn a_panic_of_the_event_function_closes_the_listener() {
    let (arrivals, accepted) = mpsc::unbounded_channel();
    let mut listener = Listener::builder()
        .on_event(|event| {
            if let ListenerEvent::AcceptFailed { .. } = event {
                panic!("an owner that panics");
            }
        })
        .start(Arrivals(accepted), |io| async {
            Ok::<_, io::Error>(Session::server(io, Config::v2()))
        });
    let (near, far) = tokio::io::duplex(64 * 1024);
    arrivals.send(Ok(far)).expect("it accepts");
    let client = Session::client(near, Config::v2());
    let _stream = open(&client, 1).await;
    within_a_day(listener.accept()).await.expect("not closed");
    let error = io::Error::from(io::ErrorKind::NotFound);
    arrivals.send(Err(error)).expect("it accepts");
    assert!(within_a_day(listener.accept()).await.is_none());
    within_a_day(client.closed()).await;
}
