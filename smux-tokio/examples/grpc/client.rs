//! Calls whose answers are compared.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use http::uri::PathAndQuery;
use tonic::{Request, client::Grpc, transport::Channel};

use crate::{
    codec::Raw,
    server::{BOTH_WAYS, OVER, UNARY},
};

/// Messages have up to this many bytes, of a length and content that a number decides.
const MESSAGE: usize = 4_096;

/// Makes a unary call and returns the time it took. The outer error is a wrong answer, the inner
/// one says that there was none.
pub(crate) async fn unary(
    channel: Channel,
    number: u64,
    over: &str,
) -> Result<Result<Duration, tonic::Status>> {
    let mut grpc = Grpc::new(channel);
    let message = message(number);
    let start = Instant::now();
    if let Err(error) = grpc.ready().await {
        return Ok(Err(tonic::Status::unavailable(error.to_string())));
    }
    let path = PathAndQuery::from_static(UNARY);
    match grpc.unary(Request::new(message.clone()), path, Raw).await {
        Ok(response) => {
            let time = start.elapsed();
            let is_over = response.metadata().get(OVER).is_some_and(|is| is == over);
            ensure!(is_over, "call {number} did not come over {over}");
            let is_same = response.into_inner() == message;
            ensure!(is_same, "call {number}: the answer is not what was sent");
            Ok(Ok(time))
        }
        Err(status) => Ok(Err(status)),
    }
}

/// Sends messages and compares what comes back, both at the same time.
pub(crate) async fn both_ways(channel: Channel, messages: u64) -> Result<()> {
    let mut grpc = Grpc::new(channel);
    grpc.ready().await?;
    let sent = tokio_stream::iter((0..messages).map(message));
    let path = PathAndQuery::from_static(BOTH_WAYS);
    let response = grpc.streaming(Request::new(sent), path, Raw).await?;
    let mut answers = response.into_inner();
    let mut count = 0;
    while let Some(answer) = answers.message().await? {
        ensure!(answer == message(count), "message {count} is another one");
        count += 1;
    }
    ensure!(count == messages, "{count} of {messages} came back");
    Ok(())
}

fn message(number: u64) -> Bytes {
    let mut random = fastrand::Rng::with_seed(number);
    let mut message = vec![0; random.usize(..=MESSAGE)];
    random.fill(&mut message);
    message.into()
}
