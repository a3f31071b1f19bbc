//! The formats of captures: lines of hexadecimal digits, or one direction's bytes as they are.

use std::{
    io::{self, BufRead, Read},
    str,
};

/// An end of the connection. The one that speaks first is `A`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    A,
    B,
}

impl End {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    pub(crate) const fn name(self) -> char {
        match self {
            Self::A => 'A',
            Self::B => 'B',
        }
    }
}

/// Bytes that one end sent.
pub(crate) struct Chunk {
    /// Seconds since the capture began, if it has times.
    pub(crate) time: Option<f64>,
    pub(crate) from: End,
    pub(crate) bytes: Vec<u8>,
}

/// Bytes of a raw capture that are taken at once.
const RAW_CHUNK: usize = 64 * 1024;

pub(crate) struct Capture {
    input: Box<dyn BufRead>,
    format: Option<Format>,
    line: usize,
    /// What marks the chunks of `A`, as of the first.
    first_source: Option<String>,
}

#[derive(Clone, Copy)]
enum Format {
    Lines,
    /// One direction's bytes.
    Raw,
}

impl Capture {
    pub(crate) fn new(input: Box<dyn BufRead>) -> Self {
        Self {
            input,
            format: None,
            line: 0,
            first_source: None,
        }
    }

    fn next_chunk(&mut self) -> io::Result<Option<Chunk>> {
        let format = match self.format {
            Some(format) => format,
            // A frame begins with its version, which no line of text does.
            None => match self.input.fill_buf()?.first() {
                Some(1 | 2) => Format::Raw,
                _ => Format::Lines,
            },
        };
        self.format = Some(format);
        match format {
            Format::Raw => self.next_raw(),
            Format::Lines => self.next_line(),
        }
    }

    fn next_raw(&mut self) -> io::Result<Option<Chunk>> {
        let mut bytes = Vec::new();
        let limit = RAW_CHUNK as u64;
        self.input.by_ref().take(limit).read_to_end(&mut bytes)?;
        let chunk = Chunk {
            time: None,
            from: End::A,
            bytes,
        };
        Ok((!chunk.bytes.is_empty()).then_some(chunk))
    }

    fn next_line(&mut self) -> io::Result<Option<Chunk>> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.input.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            self.line += 1;
            if is_decoration(&line) {
                continue;
            }
            return match self.parse(line.trim_end()) {
                Some(chunk) => Ok(Some(chunk)),
                None => Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!(
                        "line {}: expected `[TIME [SOURCE]] HEX`, or smux frames as they are",
                        self.line
                    ),
                )),
            };
        }
    }

    /// `TIME SOURCE HEX`, or `HEX` alone, where a leading tab marks the second end.
    fn parse(&mut self, line: &str) -> Option<Chunk> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (time, source, digits) = match words[..] {
            [digits] if line.starts_with('\t') => (None, "tab", digits),
            [digits] => (None, "no tab", digits),
            [time, source, digits] => (Some(time.parse().ok()?), source, digits),
            _ => return None,
        };
        let first = self.first_source.get_or_insert_with(|| source.to_owned());
        Some(Chunk {
            time,
            from: match first == source {
                true => End::A,
                false => End::B,
            },
            bytes: bytes_of(digits)?,
        })
    }
}

impl Iterator for Capture {
    type Item = io::Result<Chunk>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_chunk().transpose()
    }
}

/// Whether a line is empty, a comment, or of the frame that `tshark -z follow` draws.
fn is_decoration(line: &str) -> bool {
    const DECORATIONS: [&str; 5] = ["#", "=", "Follow:", "Filter:", "Node "];
    line.trim().is_empty() || DECORATIONS.iter().any(|prefix| line.starts_with(prefix))
}

/// Pairs of digits, with or without colons between them.
fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = digits.bytes().filter(|&digit| digit != b':').collect();
    let pairs = digits.chunks(2);
    pairs
        .map(|pair| {
            let pair = str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
            u8::from_str_radix(pair, 16).ok()
        })
        .collect()
}
