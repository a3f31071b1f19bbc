//! A long link: a relay that delays what it passes on, and passes on no more than a given rate.
//!
//! All connections share the rate, each direction on its own. Timers tick in milliseconds, so up to
//! one is added to each direction's delay.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError, mpsc as std_mpsc},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpSocket,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, sleep_until},
};

/// What a link does to what passes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    /// Added to a round trip, half in each direction.
    pub(crate) round_trip: Duration,
    /// Bytes a second in each direction.
    pub(crate) rate: u32,
    /// Bytes of each connection that wait in front of it; as many as the system likes if `None`.
    pub(crate) queue: Option<u32>,
}

/// Bytes that are passed on at a time: the most, and for how long they take the link otherwise.
const CHUNK: usize = 16 << 10;
const CHUNK_TIME: Duration = Duration::from_millis(1);
/// What may leave ahead of its time, so that the ticks of the timer do not cost throughput.
const BURST: Duration = Duration::from_millis(2);
/// What the link catches up on when the relay was late.
const CATCH_UP: Duration = Duration::from_millis(10);
/// Of the relay's own sockets. Larger ones would add to the link's own buffer.
const SOCKET_BUFFER: u32 = 128 << 10;

/// Told of what is passed on towards the target, and when.
pub(crate) struct Meter(pub(crate) std_mpsc::Sender<(std::time::Instant, usize)>);

/// Starts a relay to `target`, which runs until the process ends. Returns its address.
pub(crate) fn start(link: Link, target: SocketAddr, meter: Option<Meter>) -> Result<SocketAddr> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (tell, told) = std_mpsc::channel();
    thread::spawn(move || {
        runtime.block_on(async {
            let listener = listen(link)?;
            tell.send(listener.local_addr()?)?;
            relay(link, &listener, target, meter).await
        })
    });
    told.recv().context("the relay did not start")
}

/// Connections that wait to be accepted: a workload without a multiplexer opens many at once.
const BACKLOG: u32 = 4096;

fn listen(link: Link) -> io::Result<TcpListener> {
    let socket = socket(link)?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    socket.listen(BACKLOG)
}

/// What is accepted inherits these buffers.
fn socket(link: Link) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_send_buffer_size(SOCKET_BUFFER)?;
    if let Some(bytes) = link.queue {
        socket.set_recv_buffer_size(bytes)?;
    }
    Ok(socket)
}

async fn relay(
    link: Link,
    listener: &TcpListener,
    target: SocketAddr,
    meter: Option<Meter>,
) -> Result<()> {
    let there = Arc::new(Pacer::new(link, meter));
    let back = Arc::new(Pacer::new(link, None));
    loop {
        let (near, _) = listener.accept().await?;
        let far = socket(link)?.connect(target).await?;
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        let (near_read, near_write) = near.into_split();
        let (far_read, far_write) = far.into_split();
        tokio::spawn(pass(near_read, far_write, Arc::clone(&there)));
        tokio::spawn(pass(far_read, near_write, Arc::clone(&back)));
    }
}

/// One direction of the link, which all connections share.
struct Pacer {
    rate: u32,
    chunk: usize,
    delay: Duration,
    /// When the next byte may leave.
    free: Mutex<Instant>,
    /// Bytes that may be on their way.
    room: Arc<Semaphore>,
    meter: Option<Meter>,
}

impl Pacer {
    fn new(link: Link, meter: Option<Meter>) -> Self {
        let delay = link.round_trip / 2;
        // What arrives while the first byte is on its way, in milliseconds to stay with integers.
        let room = (delay + CATCH_UP).as_millis() * u128::from(link.rate) / 1000;
        let chunk = usize::try_from((CHUNK_TIME * link.rate).as_secs()).unwrap_or(CHUNK);
        Self {
            rate: link.rate,
            chunk: CHUNK.min(chunk).max(1),
            delay,
            free: Mutex::new(Instant::now()),
            room: Arc::new(Semaphore::new(
                usize::try_from(room).unwrap_or(Semaphore::MAX_PERMITS),
            )),
            meter,
        }
    }

    /// Takes the link for `bytes`; returns when the last of them has left.
    fn book(&self, bytes: usize) -> Instant {
        let now = Instant::now();
        if let Some(Meter(meter)) = &self.meter {
            // The measurement may be over.
            let _ = meter.send((now.into_std(), bytes));
        }
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = now.checked_sub(CATCH_UP).unwrap_or(now);
        *free =
            (*free).max(earliest) + Duration::from_secs_f64(bytes as f64 / f64::from(self.rate));
        (*free).max(now)
    }
}

/// Moves one direction of a connection. What is on its way waits in a queue.
async fn pass(mut from: OwnedReadHalf, to: OwnedWriteHalf, pacer: Arc<Pacer>) -> Result<()> {
    let (queue, arriving) = mpsc::unbounded_channel();
    tokio::spawn(deliver(arriving, to));
    loop {
        let mut data = vec![0; pacer.chunk];
        let n = from.read(&mut data).await?;
        if n == 0 {
            return Ok(());
        }
        data.truncate(n);
        let room = Arc::clone(&pacer.room)
            .acquire_many_owned(u32::try_from(n)?)
            .await?;
        let left = pacer.book(n);
        queue.send(Packet {
            due: left + pacer.delay,
            data,
            _room: room,
        })?;
        if left > Instant::now() + BURST {
            // The link's rate.
            sleep_until(left - BURST).await;
        }
    }
}

struct Packet {
    due: Instant,
    data: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

async fn deliver(
    mut arriving: mpsc::UnboundedReceiver<Packet>,
    mut to: OwnedWriteHalf,
) -> io::Result<()> {
    while let Some(packet) = arriving.recv().await {
        // The link's delay.
        sleep_until(packet.due).await;
        to.write_all(&packet.data).await?;
    }
    to.shutdown().await
}
