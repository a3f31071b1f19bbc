//! The table of one workload.

use std::collections::{BTreeMap, BTreeSet};

use comfy_table::{CellAlignment, presets};
use statrs::statistics::{Data, Max, Median, Min};

use super::record::{Outcome, Record, Turn};
use crate::{
    peers::{BASELINE, Peer},
    runtime::Shape,
    work::{Figures, Workload},
};

pub(super) struct Table {
    workload: &'static Workload,
    shape: Shape,
    rows: Vec<Row>,
}

struct Row {
    peer: &'static Peer,
    /// By turn: ratios are between figures of the same turn.
    runs: BTreeMap<Turn, Figures>,
    failures: Vec<String>,
    skipped: Option<String>,
}

impl Row {
    fn new(peer: &'static Peer) -> Self {
        Self {
            peer,
            runs: BTreeMap::new(),
            failures: Vec::new(),
            skipped: None,
        }
    }

    fn rate(&self) -> Option<Spread> {
        Spread::of(self.runs.values().map(|figures| figures.rate))
    }
}

impl Table {
    /// With a row for each of `peers`, in their order.
    pub(super) fn new(workload: &'static Workload, shape: Shape, peers: &[&'static Peer]) -> Self {
        Self {
            workload,
            shape,
            rows: peers.iter().map(|&peer| Row::new(peer)).collect(),
        }
    }

    /// What `records` say of this workload in this shape about these peers; without rows of which
    /// they say nothing.
    pub(super) fn of(
        workload: &'static Workload,
        shape: Shape,
        peers: &[&'static Peer],
        records: &[Record],
    ) -> Self {
        let mut table = Self::new(workload, shape, peers);
        let here = |record: &&Record| record.workload == workload.name && record.shape == shape;
        for record in records.iter().filter(here) {
            table.add(record);
        }
        table.rows.retain(|row| {
            !(row.runs.is_empty() && row.failures.is_empty() && row.skipped.is_none())
        });
        table
    }

    pub(super) fn add(&mut self, record: &Record) {
        for row in self
            .rows
            .iter_mut()
            .filter(|row| row.peer.name == record.peer)
        {
            match &record.outcome {
                Outcome::Figures(figures) => {
                    drop(row.runs.insert(record.turn, figures.clone()));
                }
                Outcome::Failed(error) => row.failures.push(error.clone()),
                Outcome::Skipped(reason) => row.skipped = Some(reason.clone()),
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn workload(&self) -> &'static Workload {
        self.workload
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// For a terminal.
    pub(super) fn text(&self) -> String {
        format!(
            "{}\n{}\n{}",
            self.title(),
            self.render(presets::NOTHING),
            self.notes()
        )
    }

    pub(super) fn markdown(&self) -> String {
        let table = self.render(presets::ASCII_MARKDOWN);
        format!("## {}\n\n{table}\n\n{}", self.title(), self.notes())
    }

    fn title(&self) -> String {
        format!(
            "{}: {}; {}",
            self.workload.name,
            self.workload.about,
            self.shape.describe()
        )
    }

    fn render(&self, preset: &str) -> comfy_table::Table {
        let more: BTreeSet<&String> = self
            .rows
            .iter()
            .flat_map(|row| row.runs.values())
            .flat_map(|f| f.more.keys())
            .collect();
        let compared = if self.by_difference() {
            "− raw TCP".to_owned()
        } else {
            format!("× {BASELINE}")
        };
        let mut header = vec![
            "peer".to_owned(),
            self.workload.work.unit().to_owned(),
            "min–max".to_owned(),
            compared.clone(),
            "min–max".to_owned(),
        ];
        for name in &more {
            header.push((*name).clone());
            if self.is_difference(name) {
                header.push(compared.clone());
            }
        }
        let mut table = comfy_table::Table::new();
        table.load_preset(preset).set_header(header);
        for row in &self.rows {
            let mut cells = vec![row.peer.name.to_owned()];
            cells.extend(Spread::cells(row.rate()));
            cells.extend(Spread::cells(self.ratio(row)));
            for &name in &more {
                let value = |figures: &Figures| figures.more.get(name).copied();
                let [median, _] = Spread::cells(Spread::of(row.runs.values().filter_map(value)));
                cells.push(median);
                if self.is_difference(name) {
                    let [median, _] = Spread::cells(self.compared(row, value));
                    cells.push(median);
                }
            }
            table.add_row(cells);
        }
        align_right(&mut table);
        table
    }

    /// The baseline's rate.
    pub(super) fn baseline(&self) -> Option<Spread> {
        self.baseline_row()?.rate()
    }

    /// Each peer's ratio to the baseline, turn by turn; `None` if there is none.
    pub(super) fn ratios(&self) -> impl Iterator<Item = (&'static Peer, Option<Spread>)> {
        self.rows.iter().map(|row| (row.peer, self.ratio(row)))
    }

    fn ratio(&self, row: &Row) -> Option<Spread> {
        self.compared(row, |figures| Some(figures.rate))
    }

    /// A value of the row with what it is compared to, turn by turn.
    fn compared(&self, row: &Row, value: impl Fn(&Figures) -> Option<f64>) -> Option<Spread> {
        let difference = self.by_difference();
        let name = if difference {
            row.peer.beneath()
        } else {
            BASELINE
        };
        let baseline = self.rows.iter().find(|row| row.peer.name == name)?;
        let compare = |(turn, figures): (&Turn, &Figures)| {
            let (ours, theirs) = (value(figures)?, value(baseline.runs.get(turn)?)?);
            Some(if difference {
                ours - theirs
            } else {
                ours / theirs
            })
        };
        Spread::of(row.runs.iter().filter_map(compare))
    }

    fn by_difference(&self) -> bool {
        self.workload.work.by_difference()
    }

    /// Whether the value of this name is one of which raw TCP's is a part.
    fn is_difference(&self, name: &str) -> bool {
        self.by_difference() && name.starts_with(self.workload.work.unit())
    }

    fn baseline_row(&self) -> Option<&Row> {
        self.rows.iter().find(|row| row.peer.name == BASELINE)
    }

    pub(super) fn notes(&self) -> String {
        let mut notes = String::new();
        for row in &self.rows {
            if let Some(reason) = &row.skipped {
                notes.push_str(&format!("{}: skipped, {reason}\n", row.peer.name));
            }
            if let Some(failure) = row.failures.first() {
                let (name, failed) = (row.peer.name, row.failures.len());
                let all = row.runs.len() + failed;
                notes.push_str(&format!(
                    "{name}: {failed} of {all} runs failed: {failure}\n"
                ));
            }
        }
        notes
    }
}

/// All but the first column.
pub(super) fn align_right(table: &mut comfy_table::Table) {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

/// What repeated runs found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// `None` if there are no values.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values = Data::new(values.into_iter().collect::<Vec<_>>());
        (!values.is_empty()).then(|| Self {
            median: values.median(),
            min: values.min(),
            max: values.max(),
        })
    }

    /// The median, and the range. Dashes if there are none.
    pub(crate) fn cells(spread: Option<Self>) -> [String; 2] {
        match spread {
            Some(Self { median, min, max }) => {
                [number(median), format!("{}–{}", number(min), number(max))]
            }
            None => ["–".to_owned(), "–".to_owned()],
        }
    }
}

/// Three digits that matter.
pub(super) fn number(value: f64) -> String {
    let decimals = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}
