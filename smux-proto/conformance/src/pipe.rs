//! One direction of a connection in virtual time: it delays, cuts, fills up and dies.

use std::{collections::VecDeque, time::Duration};

use fastrand::Rng;
use smux_proto::TransportError;

/// How one direction of the connection behaves.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// The most bytes that may be written and not read yet.
    pub capacity: usize,
    /// How long a byte takes.
    pub delay: Duration,
    /// Bytes a second that leave; `None`: any number.
    pub rate: Option<u32>,
    /// Each write and each read moves a random number of bytes from 1 to this.
    pub max_cut: usize,
    /// After this many bytes the direction dies.
    pub death: Option<(u64, Death)>,
}

impl Default for Link {
    /// A fast connection: 1 MiB, no delay, nothing cut below 64 KiB.
    fn default() -> Self {
        Self {
            capacity: 1 << 20,
            delay: Duration::ZERO,
            rate: None,
            max_cut: usize::MAX,
            death: None,
        }
    }
}

impl Link {
    /// How long these bytes take to leave.
    fn time_for(&self, bytes: usize) -> Duration {
        self.rate.map_or(Duration::ZERO, |rate| {
            Duration::from_secs_f64(bytes as f64 / f64::from(rate))
        })
    }
}

/// What the reader sees where a direction dies. Writes fail from there on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// The end of the transport.
    Eof,
    /// An error.
    Reset,
}

/// One direction of the connection.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) link: Link,
    /// Pieces as written, with the time at which they can be read.
    pieces: VecDeque<(Duration, VecDeque<u8>)>,
    /// Bytes in `pieces`.
    pub(crate) held: usize,
    /// When the last byte written leaves.
    busy_until: Duration,
    written: u64,
    /// Set by the writer's shutdown and by death.
    pub(crate) end: Option<Death>,
    pub(crate) reader_gone: bool,
}

impl Pipe {
    pub(crate) fn new(link: Link) -> Self {
        Self {
            link,
            pieces: VecDeque::new(),
            held: 0,
            busy_until: Duration::ZERO,
            written: 0,
            end: None,
            reader_gone: false,
        }
    }

    /// Takes some bytes, at random how many; 0 if it is full.
    pub(crate) fn write(
        &mut self,
        now: Duration,
        data: &[u8],
        rng: &mut Rng,
    ) -> Result<usize, TransportError> {
        if self.end.is_some() || self.reader_gone {
            return Err(TransportError::new("broken pipe"));
        }
        let room = self.link.capacity.saturating_sub(self.held);
        let mut count = data.len().min(cut(self.link.max_cut, rng)).min(room);
        if let Some((at, death)) = self.link.death {
            count = count.min(usize::try_from(at - self.written).unwrap_or(usize::MAX));
            if count as u64 == at - self.written {
                self.end = Some(death);
            }
        }
        if count > 0 {
            self.busy_until = self.busy_until.max(now) + self.link.time_for(count);
            self.pieces.push_back((
                self.busy_until + self.link.delay,
                data[..count].iter().copied().collect(),
            ));
            self.held += count;
            self.written += count as u64;
        }
        Ok(count)
    }

    /// The next bytes that have arrived, at random how many; empty if there are none.
    pub(crate) fn peek(&mut self, now: Duration, rng: &mut Rng) -> &[u8] {
        match self.pieces.front_mut() {
            Some((arrival, piece)) if *arrival <= now => {
                let piece = piece.make_contiguous();
                &piece[..piece.len().min(cut(self.link.max_cut, rng))]
            }
            _ => &[],
        }
    }

    pub(crate) fn consume(&mut self, count: usize) {
        let Some((_, piece)) = self.pieces.front_mut() else {
            return;
        };
        piece.drain(..count);
        self.held -= count;
        if piece.is_empty() {
            self.pieces.pop_front();
        }
    }

    pub(crate) fn next_arrival(&self) -> Option<Duration> {
        self.pieces.front().map(|(arrival, _)| *arrival)
    }
}

fn cut(max: usize, rng: &mut Rng) -> usize {
    rng.usize(1..=max.clamp(1, 65_536))
}
