//! The shares of one session that constantly writing tasks get.

mod common;

use common::within;
use smux_tokio::{Config, Session, Stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    task::JoinSet,
};

const STREAMS: usize = 10;
/// The transport's capacity. The first bytes, up to this many, were written before all tasks had
/// begun.
const IN_FLIGHT: usize = 16 << 20;
/// Bytes counted after those.
const TOTAL: u64 = 64 << 20;

/// A task that writes little at a time uses up its runtime budget long before its stream's turn is
/// over, and is then held back until no other task can run. Meanwhile the driver must not go on.
#[tokio::test]
async fn small_writes_get_as_many_bytes_as_large_ones() {
    // Windows that cannot grow: here the sender alone decides on the shares.
    let v2 = Config::v2().to_builder().max_stream_buffer(262_144);
    for config in [Config::default(), v2.build().expect("valid")] {
        let bytes = within(shares(config)).await;
        let sum: u64 = bytes.iter().sum();
        for share in bytes {
            let fair = sum / STREAMS as u64;
            assert!(share.abs_diff(fair) < fair / 10, "{share} of {sum} bytes");
        }
    }
}

/// Bytes that arrive on one stream of large writes and on others of small ones, until they are
/// enough in all.
async fn shares(config: Config) -> [u64; STREAMS] {
    // The transport takes whatever it is given, as a socket's large buffer does.
    let (a, b) = duplex(IN_FLIGHT);
    let client = Session::client(a, config.clone());
    let server = Session::server(b, config);
    let mut writers = JoinSet::new();
    let mut readers = JoinSet::new();
    let (counts, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        streams.push(common::stream(&client, &server).await);
    }
    for (index, (ours, theirs)) in streams.into_iter().enumerate() {
        writers.spawn(write_for_ever(
            ours,
            if index == 0 { 64 << 10 } else { 512 },
        ));
        let counts = counts.clone();
        readers.spawn(read_all(theirs, move |count| {
            // The test may have seen enough.
            let _ = counts.send((index, count));
        }));
    }
    let mut before = 0;
    while before < IN_FLIGHT {
        let (_, count) = arrivals.recv().await.expect("readers read");
        before += count;
    }
    let mut shares = [0; STREAMS];
    while shares.iter().sum::<u64>() < TOTAL {
        let (index, count) = arrivals.recv().await.expect("readers read");
        shares[index] += count as u64;
    }
    shares
}

async fn write_for_ever(mut stream: Stream, size: usize) {
    let data = vec![0; size];
    while stream.write_all(&data).await.is_ok() {}
}

async fn read_all(mut stream: Stream, arrived: impl Fn(usize)) {
    let mut buf = vec![0; 64 << 10];
    while let Ok(count @ 1..) = stream.read(&mut buf).await {
        arrived(count);
    }
}
