//! The counters of a session as metrics: moves data for a moment and prints what Prometheus would
//! scrape.
//!
//! The facade is the crate `metrics`, so the exporter can be any; here it is
//! `metrics-exporter-prometheus`.
//!
//! ```sh
//! cargo run -p smux-tokio --example metrics
//! ```

use std::time::Duration;

use anyhow::{Result, ensure};
use metrics::{counter, gauge};
use metrics_exporter_prometheus::PrometheusBuilder;
use smux_tokio::{Config, FrameCounts, Session, Stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
    time,
};

const STREAMS: usize = 8;
const BYTES: usize = 4 << 20;
/// How long the server lets each stream wait before it reads, so that there are stalls to see.
const PAUSE: Duration = Duration::from_millis(200);
/// How often the counters are copied. A scrape sees nothing newer.
const INTERVAL: Duration = Duration::from_millis(50);

#[tokio::main]
async fn main() -> Result<()> {
    let exporter = PrometheusBuilder::new().install_recorder()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = Session::connect(listener.local_addr()?, Config::v2()).await?;
    let server = Session::server_tcp(listener.accept().await?.0, Config::v2())?;

    let sessions = [("client", client.clone()), ("server", server.clone())];
    let exporting = tokio::spawn(export_often(sessions.clone()));
    let (sent, read) = tokio::try_join!(send(&client), receive(&server))?;
    ensure!(sent == read, "{sent} bytes were sent and {read} read");
    exporting.abort();

    export(&sessions);
    println!("{}", exporter.render());
    client.close().await;
    Ok(())
}

/// A session and what to call it. With many sessions, add their counters up instead.
type Named = (&'static str, Session);

async fn export_often(sessions: [Named; 2]) {
    let mut ticks = time::interval(INTERVAL);
    loop {
        ticks.tick().await;
        export(&sessions);
    }
}

fn export(sessions: &[Named]) {
    let open = sessions.iter().filter(|(_, session)| !session.is_closed());
    gauge!("smux_sessions").set(open.count() as f64);
    for (name, session) in sessions {
        export_session(name, session);
    }
}

/// Copies the counters of a session. They never decrease, so they can be set as they are.
fn export_session(session: &'static str, from: &Session) {
    let stats = from.stats();
    gauge!("smux_streams", "session" => session).set(from.stream_count() as f64);
    gauge!("smux_receive_buffered_bytes", "session" => session).set(stats.receive_buffered as f64);
    gauge!("smux_send_queued_bytes", "session" => session).set(stats.send_queued as f64);

    for (event, count) in [
        ("opened", stats.streams_opened),
        ("accepted", stats.streams_accepted),
        ("refused", stats.streams_refused),
    ] {
        counter!("smux_streams_total", "session" => session, "event" => event).absolute(count);
    }
    for (direction, bytes, payload, frames) in [
        (
            "received",
            stats.bytes_received,
            stats.payload_received,
            stats.frames_received,
        ),
        (
            "sent",
            stats.bytes_emitted,
            stats.payload_sent,
            stats.frames_sent,
        ),
    ] {
        let labels = [("session", session), ("direction", direction)];
        counter!("smux_bytes_total", &labels).absolute(bytes);
        counter!("smux_payload_bytes_total", &labels).absolute(payload);
        export_frames(labels, frames);
    }
    for (cause, count, time) in [
        ("peer_window", stats.window_stalls, stats.window_stall_time),
        (
            "stream_queue",
            stats.stream_queue_stalls,
            stats.stream_queue_stall_time,
        ),
        (
            "session_queue",
            stats.session_queue_stalls,
            stats.session_queue_stall_time,
        ),
        (
            "receive_buffer",
            stats.receive_stalls,
            stats.receive_stall_time,
        ),
    ] {
        let labels = [("session", session), ("cause", cause)];
        counter!("smux_stalls_total", &labels).absolute(count);
        seconds("smux_stall_seconds", &labels, time);
    }
    seconds(
        "smux_transport_seconds",
        &[("session", session)],
        stats.transport_time,
    );
}

fn export_frames([session, direction]: [(&'static str, &'static str); 2], frames: FrameCounts) {
    for (command, count) in [
        ("syn", frames.syn),
        ("fin", frames.fin),
        ("psh", frames.psh),
        ("nop", frames.nop),
        ("upd", frames.upd),
    ] {
        let labels = [session, direction, ("command", command)];
        counter!("smux_frames_total", &labels).absolute(count);
    }
}

/// A counter in all but its type: those of `metrics` are whole numbers.
fn seconds(name: &'static str, labels: &[(&'static str, &'static str)], time: Duration) {
    gauge!(name, labels).set(time.as_secs_f64());
}

/// Sends data on several streams and returns the number of bytes sent.
async fn send(client: &Session) -> Result<usize> {
    let mut senders = JoinSet::new();
    for _ in 0..STREAMS {
        let mut stream = client.open().await?;
        senders.spawn(async move {
            stream.write_all(&vec![7; BYTES]).await?;
            stream.shutdown().await
        });
    }
    while let Some(sent) = senders.join_next().await {
        sent??;
    }
    Ok(STREAMS * BYTES)
}

async fn receive(server: &Session) -> Result<usize> {
    let mut readers = JoinSet::new();
    for _ in 0..STREAMS {
        readers.spawn(read_late(server.accept().await?));
    }
    let mut bytes = 0;
    while let Some(read) = readers.join_next().await {
        bytes += read??;
    }
    Ok(bytes)
}

async fn read_late(mut stream: Stream) -> Result<usize> {
    time::sleep(PAUSE).await;
    Ok(stream.read_to_end(&mut Vec::new()).await?)
}
