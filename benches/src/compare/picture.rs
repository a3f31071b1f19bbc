//! Bars for each workload, as SVG that can be read on a light and on a dark page.
//!
//! The background is transparent. Which page it lies on is the reader's choice, and what the
//! picture is told of that may be wrong: a page can be dark on a light system. So text has a halo
//! of the opposite brightness, which only shows then.

use svg::{
    Document,
    node::element::{Group, Line, Rectangle, Style, Text, Title},
};

use super::table::{Spread, number};

pub(super) struct Panel {
    pub(super) title: String,
    pub(super) about: &'static str,
    pub(super) bars: Vec<Bar>,
}

pub(super) struct Bar {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) ratio: Spread,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Ours,
    Other,
    /// Not a multiplexer.
    Yardstick,
}

const CSS: &str = "
text { font: 12px system-ui, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #1f2328;
       stroke: #ffffff; stroke-width: 3px; stroke-linejoin: round; paint-order: stroke; }
.title { font-size: 14px; font-weight: 600; }
.name, .value { font-size: 11px; }
.ours { fill: #0a69da; }
.other { fill: #8c959f; }
.yardstick { fill: #c5a24c; }
.range { stroke: #1f2328; stroke-width: 1px; opacity: 0.7; }
.one { stroke: #cf222e; stroke-width: 1px; stroke-dasharray: 3 3; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; stroke: #0d1117; }
  .ours { fill: #4493f8; }
  .other { fill: #7d8590; }
  .yardstick { fill: #bb8009; }
  .range { stroke: #f0f6fc; }
  .one { stroke: #ff7b72; }
}
";

const COLUMNS: usize = 2;
const WIDTH: f64 = 470.0;
/// Left of the bars, for the names; and right of them, for the values.
const NAMES: f64 = 125.0;
const VALUES: f64 = 45.0;
const SCALE: f64 = WIDTH - NAMES - VALUES;
const ROW: f64 = 16.0;
const THICKNESS: f64 = 10.0;
const HEAD: f64 = 44.0;
const FOOT: f64 = 22.0;
const LEGEND: f64 = 28.0;

/// As the text of a file.
pub(super) fn draw(panels: &[Panel]) -> String {
    let rows = panels.chunks(COLUMNS);
    let width = WIDTH * COLUMNS as f64;
    let mut picture = Group::new();
    let mut top = LEGEND;
    for row in rows {
        for (column, panel) in row.iter().enumerate() {
            let place = format!("translate({} {top})", column as f64 * WIDTH);
            picture = picture.add(draw_panel(panel).set("transform", place));
        }
        top += row.iter().map(height).fold(0.0, f64::max);
    }
    Document::new()
        .set("viewBox", (0, 0, width, top))
        .set("width", width)
        .set("height", top)
        .set("role", "img")
        .add(Title::new("Multiplexers beside raw TCP, as ratios to it"))
        .add(Style::new(CSS))
        .add(legend())
        .add(picture)
        .to_string()
}

fn height(panel: &Panel) -> f64 {
    HEAD + ROW * panel.bars.len() as f64 + FOOT
}

fn legend() -> Group {
    let entries = [
        (Kind::Ours, "this project", 0.0),
        (Kind::Other, "other multiplexers", 110.0),
        (Kind::Yardstick, "no multiplexer", 255.0),
    ];
    let mut legend = Group::new();
    for (kind, name, left) in entries {
        legend = legend
            .add(rectangle(kind, left + 4.0, 8.0, THICKNESS))
            .add(text("legend", "start", left + 20.0, 17.0, name));
    }
    let line = Line::new().set("class", "one");
    legend
        .add(
            line.set("x1", 378)
                .set("x2", 378)
                .set("y1", 5)
                .set("y2", 21),
        )
        .add(text(
            "legend",
            "start",
            386.0,
            17.0,
            "raw TCP = 1; to the right is better; line: smallest to largest of all runs",
        ))
}

fn draw_panel(panel: &Panel) -> Group {
    let most = panel.bars.iter().map(|bar| bar.ratio.max);
    let unit = SCALE / most.fold(1.0, f64::max);
    let bottom = HEAD + ROW * panel.bars.len() as f64;
    let mut group = Group::new()
        .add(text("title", "start", 4.0, 20.0, &panel.title))
        .add(text("name", "start", 4.0, 36.0, panel.about));
    // What lies on top comes later: the line on the bars, the text on the line.
    let rows = || {
        let tops = (0..).map(|index| HEAD + ROW * f64::from(index));
        panel.bars.iter().zip(tops)
    };
    for (bar, top) in rows() {
        group = group.add(draw_bar(bar, top, unit));
    }
    let one = NAMES + unit;
    group = group.add(
        Line::new()
            .set("class", "one")
            .set("x1", one)
            .set("x2", one)
            .set("y1", HEAD)
            .set("y2", bottom),
    );
    for (bar, top) in rows() {
        group = group.add(draw_text(bar, top, unit));
    }
    group
}

fn draw_bar(bar: &Bar, top: f64, unit: f64) -> Group {
    let Spread { median, min, max } = bar.ratio;
    let middle = top + THICKNESS / 2.0;
    let range = Line::new()
        .set("class", "range")
        .set("x1", NAMES + min * unit)
        .set("x2", NAMES + max * unit)
        .set("y1", middle)
        .set("y2", middle);
    Group::new()
        .add(rectangle(bar.kind, NAMES, top, median * unit))
        .add(range)
}

fn draw_text(bar: &Bar, top: f64, unit: f64) -> Group {
    let base = top + THICKNESS;
    let end = NAMES + bar.ratio.max * unit;
    let value = number(bar.ratio.median);
    Group::new()
        .add(text("name", "end", NAMES - 6.0, base, bar.name))
        .add(text("value", "start", end + 5.0, base, &value))
}

fn rectangle(kind: Kind, left: f64, top: f64, width: f64) -> Rectangle {
    let class = match kind {
        Kind::Ours => "ours",
        Kind::Other => "other",
        Kind::Yardstick => "yardstick",
    };
    Rectangle::new()
        .set("class", class)
        .set("x", left)
        .set("y", top)
        .set("width", width)
        .set("height", THICKNESS)
}

fn text(class: &str, anchor: &str, x: f64, y: f64, content: &str) -> Text {
    Text::new(content)
        .set("class", class)
        .set("text-anchor", anchor)
        .set("x", x)
        .set("y", y)
}
