//! The table of one workload.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use comfy_table::{CellAlignment, presets};
use statrs::statistics::{Data, Max, Median, Min};

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
    /// By run: ratios are between figures of the same run.
    runs: BTreeMap<usize, Figures>,
    failures: Vec<String>,
    skipped: Option<&'static str>,
}

impl Table {
    pub(super) fn new(workload: &'static Workload, shape: Shape, peers: &[&'static Peer]) -> Self {
        let row = |&peer| Row {
            peer,
            runs: BTreeMap::new(),
            failures: Vec::new(),
            skipped: None,
        };
        Self {
            workload,
            shape,
            rows: peers.iter().map(row).collect(),
        }
    }

    pub(super) fn add(&mut self, run: usize, peer: &Peer, result: Result<Figures>) {
        for row in self
            .rows
            .iter_mut()
            .filter(|row| row.peer.name == peer.name)
        {
            match &result {
                Ok(figures) => drop(row.runs.insert(run, figures.clone())),
                Err(error) => row.failures.push(format!("{error:#}")),
            }
        }
    }

    pub(super) fn skip(&mut self, peer: &Peer, reason: &'static str) {
        for row in self
            .rows
            .iter_mut()
            .filter(|row| row.peer.name == peer.name)
        {
            row.skipped = Some(reason);
        }
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
        let mut header = vec![
            "peer".to_owned(),
            self.workload.work.unit().to_owned(),
            "min–max".to_owned(),
            format!("× {BASELINE}"),
            "min–max".to_owned(),
        ];
        header.extend(more.iter().map(ToString::to_string));
        let mut table = comfy_table::Table::new();
        table.load_preset(preset).set_header(header);
        for row in &self.rows {
            let mut cells = vec![row.peer.name.to_owned()];
            cells.extend(median_and_range(
                row.runs.values().map(|figures| figures.rate),
            ));
            cells.extend(median_and_range(self.ratios(row)));
            for &name in &more {
                let values = row
                    .runs
                    .values()
                    .filter_map(|figures| figures.more.get(name).copied());
                let [median, _] = median_and_range(values);
                cells.push(median);
            }
            table.add_row(cells);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    /// To the baseline, run by run.
    fn ratios(&self, row: &Row) -> Vec<f64> {
        let baseline = self.rows.iter().find(|row| row.peer.name == BASELINE);
        let Some(baseline) = baseline else {
            return Vec::new();
        };
        let ratio = |(run, figures): (&usize, &Figures)| {
            baseline
                .runs
                .get(run)
                .map(|baseline| figures.rate / baseline.rate)
        };
        row.runs.iter().filter_map(ratio).collect()
    }

    fn notes(&self) -> String {
        let mut notes = String::new();
        for row in &self.rows {
            if let Some(reason) = row.skipped {
                notes.push_str(&format!("{}: skipped, {reason}\n", row.peer.name));
            }
            if let Some(failure) = row.failures.first() {
                let (name, count) = (row.peer.name, row.failures.len());
                notes.push_str(&format!("{name}: failed {count} times: {failure}\n"));
            }
        }
        notes
    }
}

/// As text; dashes if there are no values.
pub(crate) fn median_and_range(values: impl IntoIterator<Item = f64>) -> [String; 2] {
    let values = Data::new(values.into_iter().collect::<Vec<_>>());
    if values.is_empty() {
        return ["–".to_owned(), "–".to_owned()];
    }
    [
        number(values.median()),
        format!("{}–{}", number(values.min()), number(values.max())),
    ]
}

/// Three digits that matter.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}
