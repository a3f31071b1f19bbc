use crate::{cli::Args, load::Figures};

/// The figures of both side by side.
pub(crate) fn report(args: &Args, smux: &Figures, tcp: &Figures) {
    println!(
        "{} requests, {} at once, over {} streams of one session and as many TCP connections, bodies compared",
        args.requests,
        args.concurrency,
        args.streams()
    );
    println!();
    print_row("", "smux v2", "TCP", "smux / TCP");
    let rate = |figures: &Figures| figures.requests as f64 / figures.time.as_secs_f64();
    compare("requests per second", rate(smux), rate(tcp), 0);
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
        let millis = |figures: &Figures| figures.latency.value_at_quantile(quantile) as f64 / 1e6;
        compare(
            &format!("latency, {name}, ms"),
            millis(smux),
            millis(tcp),
            2,
        );
    }
}

fn compare(label: &str, smux: f64, tcp: f64, digits: usize) {
    print_row(
        label,
        &format!("{smux:.digits$}"),
        &format!("{tcp:.digits$}"),
        &format!("{:.2}", smux / tcp),
    );
}

fn print_row(label: &str, smux: &str, tcp: &str, ratio: &str) {
    println!("{label:<24}{smux:>12}{tcp:>12}{ratio:>12}");
}
