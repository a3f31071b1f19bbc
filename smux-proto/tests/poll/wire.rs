//! A transport made of two buffers, and a waker that counts.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use smux_proto::{
    CloseReason, Command, Config, Header, Side, StreamId, Version,
    poll::{Clock, Driver, SessionHandle, Transport, TransportRead, TransportWrite, connect},
};

/// Counts how often it is woken.
#[derive(Default)]
pub(crate) struct Count(AtomicUsize);

impl Count {
    pub(crate) fn waker() -> (Arc<Self>, Waker) {
        let count = Arc::new(Self::default());
        (Arc::clone(&count), Waker::from(Arc::clone(&count)))
    }

    pub(crate) fn take(&self) -> usize {
        self.0.swap(0, SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// The test's side of a transport.
#[derive(Default)]
pub(crate) struct Ends {
    pub(crate) input: VecDeque<u8>,
    pub(crate) output: Vec<u8>,
    pub(crate) reads: usize,
    /// The room that the first reads ask for; later ones want all there is.
    pub(crate) rooms: Vec<usize>,
    /// The input ends with what is there.
    pub(crate) input_ends: bool,
    /// By how many bytes a read overstates what it read.
    pub(crate) overstates: usize,
    /// From where on a read fills its buffer with `!` first, whatever it reads then.
    pub(crate) scribbles: Option<usize>,
    pub(crate) takes_output: bool,
    pub(crate) endless_input: Option<[u8; 8]>,
    pub(crate) flush_hangs: bool,
    pub(crate) closed: bool,
    pub(crate) read_error: Option<io::Error>,
    pub(crate) write_error: Option<io::Error>,
    pub(crate) flush_error: Option<io::Error>,
    pub(crate) flushes: usize,
    /// Bytes that writes take before they block, if there is a limit.
    pub(crate) room: Option<usize>,
    /// The version of the peer's frames.
    version: Option<Version>,
    /// The time.
    pub(crate) now: Duration,
    /// How long the driver sleeps.
    pub(crate) sleeps_until: Option<Duration>,
    /// How often the driver has changed that.
    pub(crate) sleeps: usize,
}

#[derive(Clone, Default)]
pub(crate) struct Wire(Arc<Mutex<Ends>>);

impl Wire {
    pub(crate) fn ends<R>(&self, act: impl FnOnce(&mut Ends) -> R) -> R {
        act(&mut self.0.lock().expect("no test panics in here"))
    }

    pub(crate) fn receive(&self, command: Command, id: u32, payload: &[u8]) {
        let header = Header {
            version: self.ends(|ends| ends.version).unwrap_or(Version::V1),
            command,
            length: u16::try_from(payload.len()).expect("one frame"),
            stream_id: StreamId::new(id),
        };
        self.ends(|ends| {
            ends.input.extend(header.encode());
            ends.input.extend(payload);
        });
    }
}

impl TransportRead for Wire {
    fn poll_read(&mut self, _: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.ends(|ends| {
            ends.reads += 1;
            if let Some(from) = ends.scribbles {
                buf[from..].fill(b'!');
            }
            if let Some(error) = ends.read_error.take() {
                return Poll::Ready(Err(error));
            }
            if let Some(frame) = ends.endless_input {
                buf.chunks_exact_mut(8)
                    .for_each(|chunk| chunk.copy_from_slice(&frame));
                return Poll::Ready(Ok(buf.len() / 8 * 8));
            }
            let count = buf.len().min(ends.input.len());
            if count == 0 && ends.input_ends {
                return Poll::Ready(Ok(0));
            }
            if count == 0 {
                return Poll::Pending;
            }
            buf.iter_mut()
                .zip(ends.input.drain(..count))
                .for_each(|(to, from)| *to = from);
            Poll::Ready(Ok(count + ends.overstates))
        })
    }

    fn wanted_room(&self) -> usize {
        self.ends(|ends| ends.rooms.get(ends.reads).copied().unwrap_or(usize::MAX))
    }
}

impl TransportWrite for Wire {
    fn poll_write(&mut self, _: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.ends(|ends| {
            if let Some(error) = ends.write_error.take() {
                return Poll::Ready(Err(error));
            }
            if !ends.takes_output {
                return Poll::Pending;
            }
            let data = bufs.iter().flat_map(|buf| buf.iter());
            let before = ends.output.len();
            ends.output
                .extend(data.take(ends.room.unwrap_or(usize::MAX)));
            let count = ends.output.len() - before;
            if let Some(room) = &mut ends.room {
                *room -= count;
            }
            match count {
                0 => Poll::Pending,
                _ => Poll::Ready(Ok(count)),
            }
        })
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ends(|ends| match ends.flush_error.take() {
            Some(error) => Poll::Ready(Err(error)),
            None if ends.flush_hangs => Poll::Pending,
            None => {
                ends.flushes += 1;
                Poll::Ready(Ok(()))
            }
        })
    }

    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ends(|ends| ends.closed = true);
        Poll::Ready(Ok(()))
    }
}

impl Transport for Wire {
    /// Wakes no task: the test that sets the time runs the driver.
    fn poll_sleep(&mut self, _: &mut Context<'_>, until: Duration) -> Poll<()> {
        self.ends(|ends| {
            if ends.sleeps_until.replace(until) != Some(until) {
                ends.sleeps += 1;
            }
            match ends.now >= until {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
    }
}

/// A server, its driver, and the test's side of its transport.
pub(crate) fn server(config: Config) -> (SessionHandle, Driver<Wire>, Wire) {
    let wire = Wire::default();
    wire.ends(|ends| {
        ends.takes_output = true;
        ends.version = Some(config.version());
    });
    let time = wire.clone();
    let clock = Clock::new(move || time.ends(|ends| ends.now));
    let (session, driver) = connect(Side::Server, config, clock, wire.clone());
    (session, driver, wire)
}

pub(crate) fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("has to wait"),
    }
}

pub(crate) fn run(driver: &mut Driver<Wire>, waker: &Waker) -> Poll<CloseReason> {
    Pin::new(driver).poll(&mut Context::from_waker(waker))
}
