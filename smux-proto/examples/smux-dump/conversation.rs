//! What the frames of both directions mean together.

use std::{collections::BTreeMap, fmt, io};

use smux_proto::{StreamId, Version};

use crate::{
    capture::{Chunk, End},
    flow::Flow,
    frames::{Frame, Frames},
};

/// Silence of a direction that is worth a word: three keep-alive intervals by default.
const LONG_SILENCE: f64 = 30.0;

#[derive(Default)]
pub(crate) struct Conversation {
    pub(crate) a: Direction,
    pub(crate) b: Direction,
    pub(crate) streams: BTreeMap<StreamId, Stream>,
    /// What is wrong, in the order of appearance.
    pub(crate) problems: Vec<String>,
    /// The time of the last chunk.
    pub(crate) end: Option<f64>,
}

/// What one end sent.
#[derive(Default)]
pub(crate) struct Direction {
    pub(crate) frames: Frames,
    pub(crate) nops: u64,
    pub(crate) last: Option<f64>,
}

/// A stream, under an id that may be used only once.
#[derive(Default)]
pub(crate) struct Stream {
    pub(crate) opened: Option<(End, Option<f64>)>,
    pub(crate) from_a: Flow,
    pub(crate) from_b: Flow,
}

impl Stream {
    pub(crate) const fn is_finished(&self) -> bool {
        self.from_a.finished && self.from_b.finished
    }

    const fn flow(&mut self, from: End) -> &mut Flow {
        match from {
            End::A => &mut self.from_a,
            End::B => &mut self.from_b,
        }
    }
}

impl Conversation {
    /// Notes what one end sent, with a line for each frame and each problem.
    pub(crate) fn take(
        &mut self,
        chunk: &Chunk,
        mut print: impl FnMut(Line<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let Chunk { time, from, bytes } = chunk;
        let (time, from) = (*time, *from);
        self.end = time.or(self.end);
        let silence = self.direction(from).last.zip(time);
        if let Some((last, now)) = silence
            && now - last >= LONG_SILENCE
        {
            let words = format!("{} was silent for {:.1} s", from.name(), now - last);
            self.complain(time, from, words, &mut print)?;
        }
        self.direction(from).last = time;
        let mut input = bytes.as_slice();
        loop {
            match self.direction(from).frames.next(&mut input) {
                Ok(None) => return Ok(()),
                Ok(Some(frame)) => {
                    let problem = self.note(&frame, time, from);
                    let note = self.note_of(&frame, from);
                    print(Line {
                        time,
                        from,
                        what: &frame,
                        note: &note,
                    })?;
                    if let Some(problem) = problem {
                        self.complain(time, from, problem, &mut print)?;
                    }
                }
                Err(problem) => {
                    let words = format!("{problem}; the rest of this direction is skipped");
                    self.complain(time, from, words, &mut print)?;
                }
            }
        }
    }

    fn complain(
        &mut self,
        time: Option<f64>,
        from: End,
        problem: String,
        print: &mut impl FnMut(Line<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let what = format!("!!   {problem}");
        let line = Line {
            time,
            from,
            what: &what,
            note: "",
        };
        self.problems.push(line.to_string());
        print(line)
    }

    const fn direction(&mut self, from: End) -> &mut Direction {
        match from {
            End::A => &mut self.a,
            End::B => &mut self.b,
        }
    }

    pub(crate) fn version(&self) -> Option<Version> {
        self.a.frames.version().or_else(|| self.b.frames.version())
    }

    pub(crate) fn has_windows(&self) -> bool {
        self.version() == Some(Version::V2)
    }

    /// Returns what is wrong with the frame.
    fn note(&mut self, frame: &Frame, time: Option<f64>, from: End) -> Option<String> {
        let windows = self.has_windows();
        let id = match *frame {
            Frame::Nop => {
                self.direction(from).nops += 1;
                return None;
            }
            Frame::Syn(id) | Frame::Fin(id) | Frame::Psh(id, _) | Frame::Upd(id, _) => id,
        };
        let is_known = self.streams.contains_key(&id);
        let stream = self.streams.entry(id).or_default();
        let problem = match *frame {
            Frame::Syn(_) => {
                stream.opened.get_or_insert((from, time));
                return is_known.then(|| format!("stream {id} is opened a second time"));
            }
            Frame::Psh(_, bytes) => stream.flow(from).send(bytes, time, windows),
            Frame::Upd(_, update) => stream.flow(from.other()).told(update, time),
            Frame::Fin(_) => {
                stream.flow(from).finished = true;
                None
            }
            Frame::Nop => None,
        };
        problem.or_else(|| {
            (!is_known).then(|| format!("no SYN of stream {id} was seen: the capture began later?"))
        })
    }

    /// Returns what the frame leads to, after it was noted.
    fn note_of(&mut self, frame: &Frame, from: End) -> String {
        let windows = self.has_windows();
        let mut flow = |id: &StreamId, from| {
            let flow = self.streams.get_mut(id).map(|stream| stream.flow(from));
            flow.map(|flow| (flow.sent, flow.outstanding(), flow.credit()))
        };
        match frame {
            Frame::Psh(id, _) => match flow(id, from) {
                Some((sent, outstanding, credit)) if windows => {
                    format!("{sent} sent, {outstanding} outstanding, may send {credit} more")
                }
                Some((sent, ..)) => format!("{sent} sent"),
                None => String::new(),
            },
            Frame::Upd(id, _) => match flow(id, from.other()) {
                Some((_, _, credit)) => {
                    format!("{} may send {credit} more", from.other().name())
                }
                None => String::new(),
            },
            Frame::Syn(_) | Frame::Fin(_) | Frame::Nop => String::new(),
        }
    }
}

/// A line of the list of frames.
pub(crate) struct Line<'a> {
    time: Option<f64>,
    from: End,
    what: &'a dyn fmt::Display,
    note: &'a str,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(time) = self.time {
            write!(f, "{time:>12.6}  ")?;
        }
        let (from, to) = (self.from.name(), self.from.other().name());
        write!(f, "{from} > {to}  {}", self.what)?;
        if !self.note.is_empty() {
            write!(f, "  ({})", self.note)?;
        }
        Ok(())
    }
}
