//! Throughput over time, as a table.

pub(crate) struct Series {
    pub(crate) name: String,
    /// Seconds, and megabytes a second in the bucket that begins there.
    pub(crate) points: Vec<(f64, f64)>,
}

/// As CSV.
pub(crate) fn table(all: &[Series]) -> String {
    let mut text = "series,seconds,megabytes per second\n".to_owned();
    for series in all {
        for (seconds, rate) in &series.points {
            text.push_str(&format!("\"{}\",{seconds:.2},{rate:.2}\n", series.name));
        }
    }
    text
}
