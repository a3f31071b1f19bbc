//! The counters of sessions in the text format of Prometheus.
//!
//! A page is made when it is asked for, so that no counter is copied in vain and none is old. Sums
//! over all sessions are counters that outlive each of them; what helps to find one slow session
//! has names of its own, `smux_session_…`, so that no query adds both up.

use std::fmt::{self, Display, Write};
use std::time::Duration;

use smux_tokio::{FrameCounts, Session, SessionStats, StallCause};

/// Of version 0.0.4 of the format.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What there is to tell.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    /// Sums over the sessions that there are and those that there were.
    pub totals: SessionStats,
    pub live: Vec<Live>,
}

/// A session that there is.
#[derive(Debug)]
pub(crate) struct Live {
    labels: String,
    streams: usize,
    stats: SessionStats,
    /// Streams on which a write waits now, by cause.
    waiting: [usize; CAUSES.len()],
    longest_wait: Duration,
    /// Of the stream that has most.
    largest_unread: usize,
}

const CAUSES: [StallCause; 3] = [
    StallCause::PeerWindow,
    StallCause::StreamQueue,
    StallCause::SessionQueue,
];

impl Live {
    /// `name` is what tells it from others.
    pub(crate) fn new(name: impl Display, session: &Session) -> Self {
        let peer = session.peer_addr().map(|peer| peer.to_string());
        let mut live = Self {
            labels: labels(&[("session", &name), ("peer", &peer.unwrap_or_default())]),
            streams: session.stream_count(),
            stats: session.stats(),
            waiting: [0; CAUSES.len()],
            longest_wait: Duration::ZERO,
            largest_unread: 0,
        };
        for (_, stream) in session.streams() {
            for (waiting, cause) in live.waiting.iter_mut().zip(CAUSES) {
                *waiting += usize::from(stream.write_stall == Some(cause));
            }
            live.longest_wait = live.longest_wait.max(stream.write_stall_time);
            live.largest_unread = live.largest_unread.max(stream.unread);
        }
        live
    }
}

/// The page.
pub(crate) fn text(snapshot: &Snapshot) -> String {
    let mut page = Page::default();
    page.totals(&snapshot.totals, snapshot.live.len());
    page.sessions(&snapshot.live);
    page.0
}

#[derive(Default)]
struct Page(String);

/// A sample's labels and value.
type Sample = (String, Value);

enum Value {
    Count(u64),
    Seconds(Duration),
}

impl Page {
    fn totals(&mut self, stats: &SessionStats, sessions: usize) {
        let one = |value| [(String::new(), value)];
        self.family(
            "smux_sessions",
            "Sessions that there are.",
            one(sessions.into()),
        );
        let streams = [
            ("opened", stats.streams_opened),
            ("accepted", stats.streams_accepted),
            ("refused", stats.streams_refused),
            ("evicted", stats.streams_evicted),
        ];
        self.family(
            "smux_streams_total",
            "Streams by what happened to them.",
            streams.map(|(event, count)| (labels(&[("event", &event)]), count.into())),
        );
        self.family(
            "smux_bytes_total",
            "Bytes of the transport, headers included.",
            directions(stats.bytes_received, stats.bytes_emitted),
        );
        self.family(
            "smux_payload_bytes_total",
            "Bytes of stream data.",
            directions(stats.payload_received, stats.payload_sent),
        );
        let frames = frames("received", stats.frames_received);
        self.family(
            "smux_frames_total",
            "Frames by command.",
            frames.chain(self::frames("sent", stats.frames_sent)),
        );
        let stalls = stalls(stats);
        self.family(
            "smux_stalls_total",
            "Times that data had to wait.",
            stalls.map(|(cause, count, _)| (labels(&[("cause", &cause)]), count.into())),
        );
        self.family(
            "smux_stall_seconds_total",
            "How long data had to wait on some stream.",
            stalls.map(|(cause, _, time)| (labels(&[("cause", &cause)]), time.into())),
        );
        self.family(
            "smux_transport_seconds_total",
            "How long transports had bytes to write.",
            one(stats.transport_time.into()),
        );
        self.family(
            "smux_window_overruns_total",
            "Frames by which peers went beyond their windows.",
            one(stats.window_overruns.into()),
        );
    }

    fn sessions(&mut self, live: &[Live]) {
        let each = |value: fn(&Live) -> Value| {
            live.iter()
                .map(move |live| (live.labels.clone(), value(live)))
        };
        self.family(
            "smux_session_streams",
            "Streams of a session.",
            each(|live| live.streams.into()),
        );
        self.family(
            "smux_session_bytes_total",
            "Bytes of a session's transport, headers included.",
            live.iter().flat_map(|live| {
                let both = directions(live.stats.bytes_received, live.stats.bytes_emitted);
                both.map(|sample| live.labelled(sample))
            }),
        );
        self.family(
            "smux_session_receive_buffered_bytes",
            "Bytes that have arrived and are not read.",
            each(|live| live.stats.receive_buffered.into()),
        );
        self.family(
            "smux_session_largest_unread_bytes",
            "Those of the stream that has most.",
            each(|live| live.largest_unread.into()),
        );
        self.family(
            "smux_session_send_queued_bytes",
            "Bytes that are written and not handed to the transport.",
            each(|live| live.stats.send_queued.into()),
        );
        self.family(
            "smux_session_waiting_writes",
            "Streams on which a write waits now.",
            live.iter().flat_map(|live| {
                let waiting = CAUSES.iter().zip(live.waiting);
                waiting.map(|(cause, count)| {
                    live.labelled((labels(&[("cause", cause)]), count.into()))
                })
            }),
        );
        self.family(
            "smux_session_longest_wait_seconds",
            "How long the longest of these writes has waited.",
            each(|live| live.longest_wait.into()),
        );
        self.family(
            "smux_session_stall_seconds_total",
            "How long data had to wait on some stream of a session.",
            live.iter().flat_map(|live| {
                stalls(&live.stats).map(|(cause, _, time)| {
                    live.labelled((labels(&[("cause", &cause)]), time.into()))
                })
            }),
        );
        self.family(
            "smux_session_transport_seconds_total",
            "How long a session's transport had bytes to write.",
            each(|live| live.stats.transport_time.into()),
        );
        self.family(
            "smux_session_starved_streams",
            "Streams without a window, since unread data of others fills the receive buffer.",
            each(|live| live.stats.starved_streams.into()),
        );
    }

    /// The samples of a name, which must stand together.
    fn family(&mut self, name: &str, help: &str, samples: impl IntoIterator<Item = Sample>) {
        let kind = match name.ends_with("_total") {
            true => "counter",
            false => "gauge",
        };
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
        for (labels, value) in samples {
            match labels.is_empty() {
                true => self.line(format_args!("{name} {value}")),
                false => self.line(format_args!("{name}{{{labels}}} {value}")),
            }
        }
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        // A `String` takes everything.
        let _ = writeln!(self.0, "{line}");
    }
}

impl Live {
    fn labelled(&self, (labels, value): Sample) -> Sample {
        (format!("{},{labels}", self.labels), value)
    }
}

fn directions(received: u64, sent: u64) -> [Sample; 2] {
    [("received", received), ("sent", sent)]
        .map(|(direction, count)| (labels(&[("direction", &direction)]), count.into()))
}

fn frames(direction: &str, frames: FrameCounts) -> impl Iterator<Item = Sample> {
    let commands = [
        ("syn", frames.syn),
        ("fin", frames.fin),
        ("psh", frames.psh),
        ("nop", frames.nop),
        ("upd", frames.upd),
    ];
    commands.into_iter().map(move |(command, count)| {
        let labels = labels(&[("direction", &direction), ("command", &command)]);
        (labels, count.into())
    })
}

/// Each cause, how often it made data wait, and how long.
fn stalls(stats: &SessionStats) -> [(&'static str, u64, Duration); 5] {
    [
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
        ("starved", stats.starvations, stats.starvation_time),
    ]
}

fn labels(pairs: &[(&str, &dyn Display)]) -> String {
    let pairs = pairs.iter().map(|(name, value)| {
        let value = value.to_string();
        let value = value.replace('\\', r"\\").replace('"', "\\\"");
        format!("{name}=\"{}\"", value.replace('\n', r"\n"))
    });
    pairs.collect::<Vec<_>>().join(",")
}

impl Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Seconds(time) => time.as_secs_f64().fmt(f),
        }
    }
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<usize> for Value {
    fn from(count: usize) -> Self {
        Self::Count(count as u64)
    }
}

impl From<Duration> for Value {
    fn from(time: Duration) -> Self {
        Self::Seconds(time)
    }
}
