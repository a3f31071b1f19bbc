//! A stream in two parts, for two owners.

use std::{error::Error, fmt, sync::Arc};

use super::stream_handle::StreamHandle;

/// The reading part of a stream. Dropping it alone discards what has arrived and what still arrives, as
/// [`StreamHandle::stop_reading`]; the writing part can go on. The peer learns of it when both are dropped and the stream closes.
#[derive(Debug)]
pub struct ReadHandle {
    stream: Arc<StreamHandle>,
    stop_on_drop: bool,
}

/// The writing part of a stream. Dropping it alone finishes this side's data with FIN, as
/// [`StreamHandle::finish`]; the reading part can go on. When both are dropped, the stream closes.
#[derive(Debug)]
pub struct WriteHandle {
    stream: Arc<StreamHandle>,
    finish_on_drop: bool,
}

impl StreamHandle {
    /// Two parts for two owners. See [`WriteHandle`] for what dropping one does.
    pub fn into_split(self) -> (ReadHandle, WriteHandle) {
        let stream = Arc::new(self);
        let write = WriteHandle {
            stream: Arc::clone(&stream),
            finish_on_drop: true,
        };
        let read = ReadHandle {
            stream,
            stop_on_drop: true,
        };
        (read, write)
    }
}

impl ReadHandle {
    /// The stream. Use what reads.
    pub fn stream(&self) -> &StreamHandle {
        &self.stream
    }

    /// Joins the two parts of one stream.
    ///
    /// # Errors
    /// Gives the parts back if they belong to different streams.
    pub fn reunite(mut self, mut write: WriteHandle) -> Result<StreamHandle, ReuniteError> {
        if !Arc::ptr_eq(&self.stream, &write.stream) {
            return Err(ReuniteError(self, write));
        }
        (self.stop_on_drop, write.finish_on_drop) = (false, false);
        let stream = Arc::clone(&self.stream);
        drop((self, write));
        // There are two parts, and both are gone.
        Arc::try_unwrap(stream).map_err(|_| unreachable!("a third part of a stream"))
    }
}

impl Drop for ReadHandle {
    fn drop(&mut self) {
        if self.stop_on_drop {
            self.stream.stop_reading();
        }
    }
}

impl WriteHandle {
    /// The stream. Use what writes.
    pub fn stream(&self) -> &StreamHandle {
        &self.stream
    }
}

impl Drop for WriteHandle {
    fn drop(&mut self) {
        if self.finish_on_drop {
            self.stream.finish();
        }
    }
}

/// Two parts of different streams cannot be joined. It holds both.
#[derive(Debug)]
pub struct ReuniteError(pub ReadHandle, pub WriteHandle);

impl fmt::Display for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the two halves belong to different streams")
    }
}

impl Error for ReuniteError {}
