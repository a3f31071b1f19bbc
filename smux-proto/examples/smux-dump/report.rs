//! The summary: the session, its streams with what each waits for, and what is wrong.

use std::fmt;

use smux_proto::StreamId;

use crate::{
    capture::End,
    conversation::{Conversation, Direction, Stream},
    flow::Flow,
};

pub(crate) struct Report<'a>(pub(crate) &'a Conversation);

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let conversation = self.0;
        match conversation.version() {
            Some(version) => write!(f, "\nsmux version {}", version.to_byte())?,
            None => write!(f, "\nno frame")?,
        }
        if let Some(end) = conversation.end {
            write!(f, ", the capture ends at {end:.3} s")?;
        }
        writeln!(f)?;
        self.direction(f, End::A, &conversation.a)?;
        self.direction(f, End::B, &conversation.b)?;

        let streams = &conversation.streams;
        let open = streams.values().filter(|stream| !stream.is_finished());
        writeln!(
            f,
            "\nstreams: {}, unfinished: {}",
            streams.len(),
            open.count()
        )?;
        for (&id, stream) in streams {
            self.stream(f, id, stream)?;
        }

        match conversation.problems.as_slice() {
            [] => writeln!(
                f,
                "\nno frame breaks the protocol; above is what streams wait for"
            ),
            problems => {
                writeln!(f, "\nproblems: {}", problems.len())?;
                problems
                    .iter()
                    .try_for_each(|problem| writeln!(f, "{problem}"))
            }
        }
    }
}

impl Report<'_> {
    fn direction(&self, f: &mut fmt::Formatter<'_>, end: End, sent: &Direction) -> fmt::Result {
        let name = end.name();
        let (bytes, nops) = (sent.frames.bytes(), sent.nops);
        write!(f, "  {name} sent {bytes} bytes, {nops} keep-alive frames")?;
        if let Some(last) = sent.last {
            write!(f, ", the last frame at {last:.3} s")?;
        }
        if let Some((seen, whole)) = sent.frames.unfinished() {
            write!(f, ", {seen} of {whole} bytes of an unfinished frame")?;
        }
        writeln!(f)
    }

    fn stream(&self, f: &mut fmt::Formatter<'_>, id: StreamId, stream: &Stream) -> fmt::Result {
        write!(f, "  stream {id}")?;
        if let Some((end, time)) = stream.opened {
            write!(f, ", opened by {}", end.name())?;
            if let Some(time) = time {
                write!(f, " at {time:.3} s")?;
            }
        }
        writeln!(
            f,
            "{}",
            if stream.is_finished() {
                ", finished"
            } else {
                ""
            }
        )?;
        self.flow(f, End::A, &stream.from_a)?;
        self.flow(f, End::B, &stream.from_b)
    }

    fn flow(&self, f: &mut fmt::Formatter<'_>, from: End, flow: &Flow) -> fmt::Result {
        if flow.sent == 0 && !flow.finished {
            return Ok(());
        }
        let (a, b) = (from.name(), from.other().name());
        write!(f, "    {a} > {b}  {} bytes", flow.sent)?;
        if self.0.has_windows() {
            let (outstanding, window) = (flow.outstanding(), flow.window);
            write!(f, ", {outstanding} outstanding of a window of {window}")?;
        }
        writeln!(f, "{}", if flow.finished { ", FIN" } else { "" })?;
        self.pauses(f, from, flow)?;
        self.wait(f, from, flow)
    }

    /// How often the sender had used up its window, and for how long.
    fn pauses(&self, f: &mut fmt::Formatter<'_>, from: End, flow: &Flow) -> fmt::Result {
        let pauses = &flow.pauses;
        if pauses.count == 0 {
            return Ok(());
        }
        let name = from.name();
        write!(
            f,
            "           {name} waited for the window {}×",
            pauses.count
        )?;
        if let Some(shortest) = pauses.shortest {
            let (total, longest) = (pauses.total, pauses.longest);
            write!(
                f,
                ", {total:.3} s in all, {shortest:.3} to {longest:.3} s each"
            )?;
        }
        writeln!(f)
    }

    /// What the sender waits for at the end of the capture.
    fn wait(&self, f: &mut fmt::Formatter<'_>, from: End, flow: &Flow) -> fmt::Result {
        let Some(full) = &flow.full else {
            return Ok(());
        };
        let (a, b) = (from.name(), from.other().name());
        write!(f, "           {a} waits for the window")?;
        if let Some(since) = full.since {
            write!(f, " since {since:.3} s")?;
        }
        if flow.window == 0 {
            return writeln!(f, ": {b} has no receive budget left for this stream");
        }
        match flow.told {
            Some(told) => writeln!(f, ": {b} told of reads at {told:.3} s for the last time"),
            None => writeln!(f, ": {b} has not told of any read"),
        }
    }
}
