//! [`HostSession`](super::host::HostSession) and [`HostStream`](super::host::HostStream) for
//! adapters whose methods have the usual names.

use std::io;

use futures_executor::block_on;

/// Parks the thread until the future is ready, which is polled only if it was woken.
pub fn park<F: Future>(_: &(), future: F) -> F::Output {
    block_on(future)
}

/// For calls that block by themselves.
pub fn at_once<R>(_: &(), result: R) -> R {
    result
}

/// The error of any call as [`io::Error`], with the typed one inside.
pub fn into_io<R, E: Into<io::Error>>(result: Result<R, E>) -> io::Result<R> {
    result.map_err(E::into)
}

/// Defines `Hosted`, which turns an adapter's sessions, streams and halves into those of a
/// [host](crate::suite::host). Each holds the value that `wait` needs to wait for a call.
///
/// ```text
/// smux_conformance::host! {
///     sessions: my_adapter::Session,
///     streams: my_adapter::Stream,
///     readers: AsyncReadExt, // the trait with `read`
///     lenders: AsyncBufReadExt, // … with `fill_buf` and `consume`
///     writers: AsyncWriteExt, // … with `write` and `flush`
///     wait: park,
///     with: (),
///     finish: |stream| stream.shutdown(),
///     split: |stream| stream.into_split(),
/// }
/// ```
#[macro_export]
macro_rules! host {
    (
        sessions: $Session:ty,
        streams: $Stream:ty,
        readers: $Reader:path,
        lenders: $Lender:path,
        writers: $Writer:path,
        wait: $wait:path,
        with: $With:ty,
        finish: |$finished:ident| $finish:expr,
        split: |$whole:ident| $split:expr $(,)?
    ) => {
        #[derive(Clone)]
        pub(crate) struct Hosted<T>(pub(crate) T, pub(crate) $With);

        impl $crate::suite::host::HostSession for Hosted<$Session> {
            type Stream = Hosted<$Stream>;

            fn open(&self) -> ::std::io::Result<Self::Stream> {
                Ok(Hosted($wait(&self.1, self.0.open())?, self.1.clone()))
            }

            fn accept(&self) -> ::std::io::Result<Self::Stream> {
                Ok(Hosted($wait(&self.1, self.0.accept())?, self.1.clone()))
            }

            fn close(&self) -> $crate::CloseReason {
                $wait(&self.1, self.0.close())
            }

            fn drain(&self, limit: ::std::time::Duration) -> $crate::CloseReason {
                $wait(&self.1, self.0.drain(limit))
            }

            fn abort(&self) {
                self.0.abort();
            }

            fn closed(&self) -> $crate::CloseReason {
                $wait(&self.1, self.0.closed())
            }

            fn is_closed(&self) -> bool {
                self.0.is_closed()
            }

            fn close_reason(&self) -> Option<$crate::CloseReason> {
                self.0.close_reason()
            }

            fn stream_count(&self) -> usize {
                self.0.stream_count()
            }

            fn streams(&self) -> Vec<($crate::StreamId, $crate::StreamStats)> {
                self.0.streams()
            }

            fn stats(&self) -> $crate::SessionStats {
                self.0.stats()
            }
        }

        impl $crate::suite::host::HostStream for Hosted<$Stream> {
            fn id(&self) -> $crate::StreamId {
                self.0.id()
            }

            fn set_priority(&self, priority: $crate::Priority) {
                self.0.set_priority(priority);
            }

            fn finish(&mut self) -> ::std::io::Result<()> {
                let $finished = &mut self.0;
                $crate::suite::host_impl::into_io($wait(&self.1, $finish))
            }

            fn into_halves(
                self,
            ) -> (
                Box<dyn ::std::io::BufRead + Send>,
                Box<dyn ::std::io::Write + Send>,
            ) {
                let Hosted($whole, with) = self;
                let (read, write) = $split;
                (
                    Box::new(Hosted(read, with.clone())),
                    Box::new(Hosted(write, with)),
                )
            }
        }

        impl<T: $Reader + Unpin> ::std::io::Read for Hosted<T> {
            fn read(&mut self, buf: &mut [u8]) -> ::std::io::Result<usize> {
                $crate::suite::host_impl::into_io($wait(&self.1, self.0.read(buf)))
            }
        }

        impl<T: $Reader + $Lender + Unpin> ::std::io::BufRead for Hosted<T> {
            fn fill_buf(&mut self) -> ::std::io::Result<&[u8]> {
                $crate::suite::host_impl::into_io($wait(&self.1, self.0.fill_buf()))
            }

            fn consume(&mut self, count: usize) {
                self.0.consume(count);
            }
        }

        impl<T: $Writer + Unpin> ::std::io::Write for Hosted<T> {
            fn write(&mut self, data: &[u8]) -> ::std::io::Result<usize> {
                $crate::suite::host_impl::into_io($wait(&self.1, self.0.write(data)))
            }

            fn flush(&mut self) -> ::std::io::Result<()> {
                $crate::suite::host_impl::into_io($wait(&self.1, self.0.flush()))
            }
        }
    };
}
