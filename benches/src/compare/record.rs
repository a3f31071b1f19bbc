//! Runs on disk: a line of JSON for each, so that a file grows run by run and files can be put
//! together.

use std::{
    collections::BTreeSet,
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::{
    peers::{self, Peer},
    runtime::Shape,
    work::{self, Figures, Workload},
};

/// A turn of all peers. Ratios are between figures of the same turn, since the machine's mood
/// changes from one to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Turn {
    /// When this program was started, in milliseconds since 1970: turns of different calls are
    /// different turns.
    pub(super) started: u64,
    pub(super) run: usize,
}

impl Turn {
    /// The first turn of this call.
    pub(super) fn first() -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        Ok(Self {
            started: u64::try_from(now.as_millis())?,
            run: 0,
        })
    }
}

/// What became of one peer on one workload in one turn.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) workload: String,
    pub(super) shape: Shape,
    pub(super) peer: String,
    #[serde(flatten)]
    pub(super) turn: Turn,
    pub(super) seconds: f64,
    #[serde(flatten)]
    pub(super) outcome: Outcome,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    Figures(Figures),
    Failed(String),
    Skipped(String),
}

impl Record {
    /// Who ran, if this program still has such a peer.
    pub(super) fn peer(&self) -> Result<&'static Peer> {
        peers::find(&self.peer).with_context(|| format!("no such peer: {}", self.peer))
    }

    fn workload(&self) -> Result<&'static Workload> {
        work::find(&self.workload).with_context(|| format!("no such workload: {}", self.workload))
    }
}

/// Where records are kept for later.
pub(super) struct Writer(File);

impl Writer {
    /// Adds to what the file has already.
    pub(super) fn append_to(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Ok(Self(file.with_context(|| path.display().to_string())?))
    }

    pub(super) fn write(&mut self, record: &Record) -> Result<()> {
        let mut line = serde_json::to_string(record)?;
        line.push('\n');
        Ok(self.0.write_all(line.as_bytes())?)
    }
}

/// All records of all files. The same line twice, as when a file is given twice or was copied into
/// another, counts once.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<Record>> {
    let mut seen = BTreeSet::new();
    let mut records = Vec::new();
    for path in paths {
        let file = File::open(path).with_context(|| path.display().to_string())?;
        for (number, line) in BufReader::new(file).lines().enumerate() {
            let line = line?;
            let place = || format!("{}, line {}", path.display(), number + 1);
            let record: Record = serde_json::from_str(&line).with_context(place)?;
            record.peer().with_context(place)?;
            record.workload().with_context(place)?;
            if seen.insert(line) {
                records.push(record);
            }
        }
    }
    Ok(records)
}
