//! Blocking handles on a session of the bare core and on its streams.

use std::{
    io::{self, BufRead, Read, Write},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use smux_proto::{
    CloseReason, Priority, SessionStats, StreamError, StreamId, StreamMut, StreamStats,
};

use super::end::Wait;
use crate::suite::host::{HostSession, HostStream};

/// A handle on a session.
#[derive(Debug)]
pub struct CoreSession<W: Wait> {
    end: Arc<W>,
}

impl<W: Wait> CoreSession<W> {
    pub(super) fn new(end: &Arc<W>) -> Self {
        end.act(|end| end.sessions += 1);
        Self {
            end: Arc::clone(end),
        }
    }

    fn stream(&self, id: StreamId) -> CoreStream<W> {
        self.end.act(|end| end.streams += 1);
        CoreStream {
            end: Arc::clone(&self.end),
            id,
            half: Half::Both,
            parts: Arc::new(()),
            lent: Bytes::new(),
        }
    }
}

impl<W: Wait> Clone for CoreSession<W> {
    fn clone(&self) -> Self {
        Self::new(&self.end)
    }
}

impl<W: Wait> Drop for CoreSession<W> {
    fn drop(&mut self) {
        self.end.act(|end| {
            end.sessions -= 1;
            end.close_if_unused();
        });
    }
}

impl<W: Wait> HostSession for CoreSession<W> {
    type Stream = CoreStream<W>;

    fn open(&self) -> io::Result<CoreStream<W>> {
        let id = self.end.block(|end| end.session.open())?;
        Ok(self.stream(id))
    }

    fn accept(&self) -> io::Result<CoreStream<W>> {
        let id = self.end.block(|end| end.session.accept())?;
        Ok(self.stream(id))
    }

    fn close(&self) -> CloseReason {
        self.end.act(|end| end.session.close(end.now));
        self.closed()
    }

    fn drain(&self, limit: Duration) -> CloseReason {
        self.end.act(|end| end.session.drain(end.now, limit));
        self.closed()
    }

    fn abort(&self) {
        self.end.act(|end| end.session.abort());
    }

    fn closed(&self) -> CloseReason {
        self.end.block(|end| end.poll_over())
    }

    fn is_closed(&self) -> bool {
        self.end.act(|end| end.session.is_closed())
    }

    fn close_reason(&self) -> Option<CloseReason> {
        self.end.act(|end| end.session.close_reason().cloned())
    }

    fn stream_count(&self) -> usize {
        self.end.act(|end| end.session.stream_count())
    }

    fn streams(&self) -> Vec<(StreamId, StreamStats)> {
        self.end.act(|end| end.session.streams().collect())
    }

    fn stats(&self) -> SessionStats {
        self.end.act(|end| {
            end.session.advance_time(end.now);
            end.session.stats()
        })
    }
}

/// A stream, or a half of one.
#[derive(Debug)]
pub struct CoreStream<W: Wait> {
    end: Arc<W>,
    id: StreamId,
    half: Half,
    /// Counts the parts of a stream that was split.
    parts: Arc<()>,
    /// What `fill_buf` has lent.
    lent: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    Both,
    Read,
    Write,
}

impl<W: Wait> CoreStream<W> {
    fn part(&self, half: Half) -> Self {
        Self {
            end: Arc::clone(&self.end),
            id: self.id,
            half,
            parts: Arc::clone(&self.parts),
            lent: Bytes::new(),
        }
    }

    fn block<R>(
        &self,
        mut attempt: impl FnMut(&mut StreamMut<'_>) -> Poll<Result<R, StreamError>>,
    ) -> io::Result<R> {
        let result = self.end.block(|end| {
            let stream = end.session.stream(self.id);
            attempt(&mut stream.expect("the session keeps a stream until it is closed"))
        });
        Ok(result?)
    }
}

impl<W: Wait> Read for CoreStream<W> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.block(|stream| stream.read(buf))
    }
}

impl<W: Wait> BufRead for CoreStream<W> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.lent = self.block(|stream| stream.peek_bytes())?;
        Ok(&self.lent)
    }

    fn consume(&mut self, count: usize) {
        self.lent = Bytes::new();
        self.end.act(|end| {
            let stream = end.session.stream(self.id);
            let mut stream = stream.expect("the session keeps a stream until it is closed");
            stream.consume(count);
        });
    }
}

impl<W: Wait> Write for CoreStream<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.block(|stream| stream.write(data))
    }

    fn flush(&mut self) -> io::Result<()> {
        let mark = self.block(|stream| stream.poll_sent())?;
        Ok(self.end.block(|end| end.poll_flushed(mark))?)
    }
}

impl<W: Wait> HostStream for CoreStream<W> {
    fn id(&self) -> StreamId {
        self.id
    }

    fn set_priority(&self, priority: Priority) {
        self.end.act(|end| {
            let stream = end.session.stream(self.id);
            let mut stream = stream.expect("the session keeps a stream until it is closed");
            stream.set_priority(priority);
        });
    }

    fn finish(&mut self) -> io::Result<()> {
        self.block(|stream| {
            stream.finish();
            Poll::Ready(Ok(()))
        })?;
        self.flush()
    }

    fn into_halves(self) -> (Box<dyn BufRead + Send>, Box<dyn Write + Send>) {
        (
            Box::new(self.part(Half::Read)),
            Box::new(self.part(Half::Write)),
        )
    }
}

impl<W: Wait> Drop for CoreStream<W> {
    fn drop(&mut self) {
        self.end.act(|end| {
            let Some(mut stream) = end.session.stream(self.id) else {
                return;
            };
            if Arc::strong_count(&self.parts) == 1 {
                stream.close();
                end.streams -= 1;
                end.close_if_unused();
            } else {
                match self.half {
                    Half::Read => stream.stop_reading(),
                    Half::Write => stream.finish(),
                    Half::Both => {}
                }
            }
        });
    }
}
