//! Waits for one of two futures.

use std::{future::poll_fn, pin::pin, task::Poll};

/// What was ready first.
pub(crate) enum Either<A, B> {
    First(A),
    Second(B),
}

/// Polls both until one is ready, and drops the other. The first wins if both are.
pub(crate) async fn race<A: Future, B: Future>(
    first: A,
    second: B,
) -> Either<A::Output, B::Output> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    poll_fn(|cx| {
        if let Poll::Ready(output) = first.as_mut().poll(cx) {
            return Poll::Ready(Either::First(output));
        }
        second.as_mut().poll(cx).map(Either::Second)
    })
    .await
}
