//! Our counterpart of the Go peer's serving mode: answers the request on each stream.

use std::{
    collections::{HashMap, HashSet},
    io::{self, Read, Write},
    sync::{Condvar, Mutex, PoisonError},
    thread,
    time::Duration,
};

use crate::{
    go::request::{Op, Receipt, Request},
    pattern::Pattern,
    suite::host::{HostSession, HostStream},
};

/// The size of the Go peer's writes.
const PIECE: u64 = 128 << 10;

#[derive(Default)]
pub(super) struct Acceptor {
    board: Mutex<Board>,
    changed: Condvar,
}

/// Messages between the streams of one session, by seed.
#[derive(Default)]
struct Board {
    released: HashSet<u32>,
    receipts: HashMap<u32, Receipt>,
    ended: bool,
}

impl Acceptor {
    /// Answers all streams until the session ends. Returns the requests that were cut short by the
    /// end of their stream or of the session.
    ///
    /// # Panics
    ///
    /// If a byte differs from its pattern.
    pub(super) fn serve<S: HostSession>(session: &S) -> Vec<String> {
        let acceptor = Self::default();
        let cut_short = Mutex::new(Vec::new());
        thread::scope(|scope| {
            while let Ok(mut stream) = session.accept() {
                let (acceptor, cut_short) = (&acceptor, &cut_short);
                scope.spawn(move || {
                    let mut raw = [0; Request::LEN];
                    if stream.read_exact(&mut raw).is_err() {
                        return; // opened and closed without a word
                    }
                    let request = Request::decode(raw).expect("a request");
                    if let Err(error) = acceptor.perform(request, stream) {
                        let mut cut_short =
                            cut_short.lock().unwrap_or_else(PoisonError::into_inner);
                        cut_short.push(format!("{request:?}: {error}"));
                    }
                });
            }
            acceptor.update(|board| board.ended = true);
        });
        cut_short
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn perform(&self, request: Request, mut stream: impl HostStream) -> io::Result<()> {
        let Request { op, length, seed } = request;
        let pattern = Pattern { seed };
        match op {
            Op::Echo => echo(&mut stream),
            Op::Idle => {
                // The opener asks for a pause.
                self.wait(Duration::from_millis(length), |_| None::<()>);
                echo(&mut stream)
            }
            Op::Drain => drain(pattern, length, &mut stream),
            Op::Pour => write(pattern, length, &mut stream),
            Op::ReplyAtEof => reply_at_eof(pattern, length, &mut stream),
            Op::ReplyHeld => {
                reply_at_eof(pattern, length, &mut stream)?;
                self.until_released(seed)
            }
            Op::FinFirst | Op::ReadLast => {
                write(pattern, length, &mut stream)?;
                stream.finish()?;
                read(pattern, u64::MAX, &mut stream, |receipt| {
                    self.update(|board| board.receipts.insert(seed, receipt));
                })?;
                Ok(())
            }
            Op::CloseInWrite => Err(io::Error::other("our writes never follow a FIN")),
            Op::PourTogether => Err(io::Error::other("a stream of ours has one writer")),
            Op::Hold => {
                self.until_released(seed)?;
                drain(pattern, length, &mut stream)
            }
            Op::Abandon => read(pattern, length, &mut stream, |_| ()).map(drop),
            Op::Release => {
                self.update(|board| board.released.insert(seed));
                answer(&mut stream, Receipt::default())
            }
            Op::Report => {
                let receipt = self.wait(Duration::MAX, |board| {
                    let receipt = board.receipts.get(&seed)?;
                    (receipt.count >= length).then_some(*receipt)
                });
                answer(&mut stream, receipt.ok_or_else(session_ended)?)
            }
        }
    }

    fn until_released(&self, seed: u32) -> io::Result<()> {
        let released = self.wait(Duration::MAX, |board| board.released.get(&seed).copied());
        released.map(drop).ok_or_else(session_ended)
    }

    fn update<R>(&self, change: impl FnOnce(&mut Board) -> R) {
        change(&mut self.board.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// Waits for something on the board; `None` if the session ends or the time passes before.
    fn wait<R>(&self, limit: Duration, look: impl Fn(&Board) -> Option<R>) -> Option<R> {
        let board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let goes_on = |board: &mut Board| look(board).is_none() && !board.ended;
        let waited = self.changed.wait_timeout_while(board, limit, goes_on);
        look(&waited.unwrap_or_else(PoisonError::into_inner).0)
    }
}

fn session_ended() -> io::Error {
    io::Error::other("the session ended")
}

/// Does nothing after the end of the stream, which may be all that the opener still waits for.
fn echo(stream: &mut impl HostStream) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count])?,
        }
    }
}

fn drain(pattern: Pattern, length: u64, stream: &mut impl HostStream) -> io::Result<()> {
    let receipt = read(pattern, length, stream, |_| ())?;
    answer(stream, receipt)
}

fn reply_at_eof(pattern: Pattern, length: u64, stream: &mut impl HostStream) -> io::Result<()> {
    let receipt = read(pattern, u64::MAX, stream, |_| ())?;
    stream.write_all(&receipt.encode())?;
    write(pattern, length, stream)
}

/// Ends an exchange that the opener closes first.
fn answer(stream: &mut impl HostStream, receipt: Receipt) -> io::Result<()> {
    stream.write_all(&receipt.encode())?;
    match stream.read(&mut [0])? {
        0 => Ok(()),
        _ => panic!("more than was announced"),
    }
}

fn write(pattern: Pattern, length: u64, stream: &mut impl Write) -> io::Result<()> {
    let mut written = 0;
    while written < length {
        let count = PIECE.min(length - written);
        let mut piece = vec![0; usize::try_from(count).expect("a piece is small")];
        pattern.fill(written, &mut piece);
        stream.write_all(&piece)?;
        written += count;
    }
    Ok(())
}

/// Reads up to `length` bytes, or to the end of the stream; `progress` sees what has come.
fn read(
    pattern: Pattern,
    length: u64,
    stream: &mut impl Read,
    progress: impl Fn(Receipt),
) -> io::Result<Receipt> {
    let mut receipt = Receipt::default();
    let mut buffer = vec![0; 128 << 10];
    while receipt.count < length {
        let room = (length - receipt.count).min(PIECE);
        let room = usize::try_from(room).expect("a piece is small");
        let count = stream.read(&mut buffer[..room])?;
        if count == 0 {
            break;
        }
        let checked = pattern.check(receipt.count, &buffer[..count]);
        checked.unwrap_or_else(|mismatch| panic!("{mismatch}"));
        receipt.add(&buffer[..count]);
        progress(receipt);
    }
    Ok(receipt)
}
