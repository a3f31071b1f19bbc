//! A session ends while somebody waits for each thing that can be waited for.

use std::{boxed::Box, future::poll_fn, pin::Pin, sync::Arc, time::Duration, vec::Vec};

use shuttle::future::{block_on, spawn};

use super::{Movers, Running, explore, start, wire};
use crate::{
    CloseReason, Config, OpenError, Side, StreamError,
    poll::{Clock, Pumps, SessionHandle, StreamHandle, Transport},
};

type Waiter = Pin<Box<dyn Future<Output = CloseReason> + Send>>;

/// Each waits for something that happens only when the session ends. The peer is silent and does not read.
fn waiters(session: &SessionHandle, streams: &[Arc<StreamHandle>; 3]) -> [Waiter; 7] {
    let [shared, flushed, stopped] = streams.clone();
    let (read, written) = (Arc::clone(&shared), shared);
    let [accepting, opening, closing] = [(); 3].map(|()| session.clone());
    [
        Box::pin(async move {
            let mut data = Vec::new();
            reason(poll_fn(|cx| read.poll_read_buf(cx, &mut data)).await)
        }),
        Box::pin(async move { reason(write_forever(&written).await) }),
        Box::pin(async move { reason(flush_forever(&flushed).await) }),
        Box::pin(async move { reason(poll_fn(|cx| stopped.poll_stopped(cx)).await) }),
        Box::pin(async move { accepting.accept().await.expect_err("nothing arrives") }),
        Box::pin(async move {
            match opening.open().await {
                Err(OpenError::Closed(reason)) => reason,
                other => panic!("no room for {other:?}"),
            }
        }),
        Box::pin(async move { closing.closed().await }),
    ]
}

async fn write_forever(stream: &StreamHandle) -> Result<(), StreamError> {
    loop {
        poll_fn(|cx| stream.poll_write(cx, &[0; 10])).await?;
    }
}

async fn flush_forever(stream: &StreamHandle) -> Result<(), StreamError> {
    loop {
        poll_fn(|cx| stream.poll_write(cx, &[0; 10])).await?;
        poll_fn(|cx| stream.poll_flush(cx)).await?;
    }
}

fn reason<T>(result: Result<T, StreamError>) -> CloseReason {
    match result {
        Err(StreamError::Closed(reason)) => reason,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("nothing arrives"),
    }
}

/// Ends a session by `end` in the midst of it all. Whoever waits hears the same, which is returned.
async fn ended_by<F: Future<Output = Running>>(
    movers: Movers,
    end: impl FnOnce(SessionHandle, Running, wire::Wire) -> F,
) -> CloseReason {
    let (wire, peer) = wire::pair(16);
    let config = Config::builder()
        .max_outbound_streams(3)
        .max_stream_send_queue(24)
        .build()
        .expect("valid");
    let (session, running) = start(movers, Side::Client, config, wire);
    let open = async || Arc::new(session.open().await.expect("there is room"));
    let streams = [open().await, open().await, open().await];
    let waiting = waiters(&session, &streams).map(spawn);
    let running = end(session, running, peer).await;
    let mut reasons = Vec::new();
    for waiter in waiting {
        reasons.push(waiter.await.expect("ends without panic"));
    }
    // Not before: a place that becomes free wakes who waits to open.
    drop(streams);
    running.ended().await;
    assert!(
        reasons.iter().all(|reason| *reason == reasons[0]),
        "{reasons:?}"
    );
    reasons.swap_remove(0)
}

#[test]
fn a_close_that_runs_out_of_time_is_heard_by_everybody() {
    explore(|movers| {
        let reason = block_on(ended_by(movers, async |session, running, _peer| {
            assert_eq!(session.close().await, CloseReason::Local);
            running
        }));
        assert_eq!(reason, CloseReason::Local);
    });
}

#[test]
fn an_abort_is_heard_by_everybody() {
    explore(|movers| {
        let reason = block_on(ended_by(movers, async |session, running, _peer| {
            session.abort();
            running
        }));
        assert_eq!(reason, CloseReason::Aborted);
    });
}

#[test]
fn a_peer_that_goes_is_noticed_by_everybody() {
    explore(|movers| {
        block_on(ended_by(movers, async |_session, running, peer| {
            drop(peer);
            running
        }));
    });
}

/// Writers hear of it at once, who waits for input when the limit is over.
#[test]
fn a_failed_write_is_heard_by_everybody() {
    explore(|movers| {
        let reason = block_on(ended_by(movers, async |_session, running, peer| {
            peer.fail_writers();
            running
        }));
        assert!(matches!(reason, CloseReason::Transport(_)), "{reason:?}");
    });
}

#[test]
fn a_dropped_mover_is_noticed_by_everybody() {
    explore(|movers| {
        let reason = block_on(ended_by(movers, async |_session, running, _peer| {
            running.stop_one().await
        }));
        assert_eq!(reason, CloseReason::Aborted);
    });
}

/// A thread that is blocked in its transport's read sees no end. Nothing else waits for it.
#[test]
fn a_flush_does_not_wait_for_a_reader_that_never_returns() {
    explore(|_| {
        block_on(async {
            let (mut wire, peer) = wire::pair(16);
            let clock = Clock::new(|| Duration::ZERO);
            let (session, pumps) = Pumps::new(Side::Client, Config::default(), clock);
            let Pumps {
                read,
                mut write,
                mut timer,
            } = pumps;
            let mut output = wire.output.clone();
            let writes = spawn(async move { poll_fn(|cx| write.poll(cx, &mut output)).await });
            let times = spawn(async move {
                poll_fn(|cx| timer.poll(cx, |cx, until| wire.poll_sleep(cx, until))).await
            });
            let stream = session.open().await.expect("the session goes on");
            let flushes = spawn(async move { reason(flush_forever(&stream).await) });
            session.abort();
            assert_eq!(flushes.await.expect("no panic"), CloseReason::Aborted);
            assert_eq!(times.await.expect("no panic"), CloseReason::Aborted);
            writes.await.expect("no panic");
            drop((read, peer));
        });
    });
}
