//! The tasks of a listener: one accepts connections, and each session has its own.

use std::{error::Error, future::Future, io, sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::{sleep, timeout},
};

use super::{accept::Accept, event::ListenerEvent};
use crate::{
    Session, Stream,
    phase::{self, Phase, ended},
    race::{Either, race},
};

/// After an error of `accept`, which is most often the lack of file descriptors: some may be free
/// again then.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub(super) type OnEvent = Box<dyn Fn(&ListenerEvent<'_>) + Send + Sync>;

pub(super) struct Options {
    pub(super) max_sessions: usize,
    pub(super) handshake_timeout: Duration,
    pub(super) on_event: OnEvent,
}

/// Accepts connections until the listener ends.
pub(super) struct Server<F> {
    pub(super) options: Options,
    /// Makes a session of a connection.
    pub(super) start: F,
    pub(super) streams: mpsc::Sender<Stream>,
    pub(super) places: Arc<Semaphore>,
}

impl<F> Server<F> {
    pub(super) async fn run<A, R, E>(self, mut listener: A, mut phase: watch::Receiver<Phase>)
    where
        A: Accept,
        F: Fn(A::Connection) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Session, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>> + 'static,
    {
        let server = Arc::new(self);
        loop {
            match race(ended(&mut phase), listener.accept()).await {
                Either::First(()) => return,
                Either::Second(Ok(connection)) => {
                    let Ok(place) = Arc::clone(&server.places).try_acquire_owned() else {
                        server.tell(&ListenerEvent::Refused);
                        continue;
                    };
                    let starting = (server.start)(connection);
                    let serving = Arc::clone(&server).serve(starting, phase.clone(), place);
                    tokio::spawn(serving);
                }
                Either::Second(Err(error)) => {
                    server.tell(&ListenerEvent::AcceptFailed { error: &error });
                    let _ = race(ended(&mut phase), sleep(ACCEPT_PAUSE)).await;
                }
            }
        }
    }

    /// Makes a session, and hands its streams over until it ends.
    async fn serve<R, E>(
        self: Arc<Self>,
        starting: R,
        mut phase: watch::Receiver<Phase>,
        _place: OwnedSemaphorePermit,
    ) where
        R: Future<Output = Result<Session, E>>,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let starting = async { starting.await.map_err(Into::into) };
        let starting = timeout(self.options.handshake_timeout, starting);
        let error: Box<dyn Error + Send + Sync> = match race(ended(&mut phase), starting).await {
            Either::First(()) => return,
            Either::Second(Ok(Ok(session))) => return self.forward(session, phase).await,
            Either::Second(Ok(Err(error))) => error,
            Either::Second(Err(_elapsed)) => io::Error::from(io::ErrorKind::TimedOut).into(),
        };
        self.tell(&ListenerEvent::HandshakeFailed { error: &*error });
    }

    async fn forward(&self, session: Session, mut phase: watch::Receiver<Phase>) {
        self.tell(&ListenerEvent::Started { session: &session });
        // One stream of each session waits at most, so that they take turns.
        let forwarded = async {
            loop {
                match session.accept().await {
                    // An error means that the listener is dropped, which ends this too.
                    Ok(stream) => drop(self.streams.send(stream).await),
                    Err(reason) => return reason,
                }
            }
        };
        if let Either::Second(reason) = race(ended(&mut phase), forwarded).await {
            let (session, reason) = (&session, &reason);
            self.tell(&ListenerEvent::Ended { session, reason });
        }
        // Also of a session that has ended: its transport may still have to go.
        phase::wind_up(session, Duration::MAX, phase).await;
    }

    fn tell(&self, event: &ListenerEvent<'_>) {
        (self.options.on_event)(event);
    }
}
