//! Shows what happens on a smux connection, from a capture of its bytes.
//!
//! The [README](README.md) says how to capture and how to read what is printed.
//!
//! * `capture.rs`: the formats of captures, line by line or raw.
//! * `frames.rs`: from bytes to frames, for one direction.
//! * `conversation.rs`: what the frames of both directions mean together.
//! * `flow.rs`: one direction of one stream: what is under way, and what its sender waits for.
//! * `report.rs`: the summary.

mod capture;
mod conversation;
mod flow;
mod frames;
mod report;

use std::{
    env,
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    process::ExitCode,
};

use self::{capture::Capture, conversation::Conversation, report::Report};

const USAGE: &str = "usage: smux-dump [--summary] [FILE]

Prints the frames of a captured smux connection, then a summary.
Without FILE, or with -, standard input is read.

  --summary   print the summary alone";

fn main() -> ExitCode {
    let mut summary_only = false;
    let mut path = None;
    for argument in env::args().skip(1) {
        match argument.as_str() {
            "--summary" => summary_only = true,
            "--help" | "-h" => {
                println!("{USAGE}");
                return ExitCode::SUCCESS;
            }
            "-" => path = None,
            _ if !argument.starts_with('-') && path.is_none() => path = Some(argument),
            _ => {
                eprintln!("smux-dump: unexpected argument {argument:?}\n{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    match dump(path.as_deref(), summary_only) {
        // `smux-dump … | head` is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let name = path.as_deref().unwrap_or("standard input");
            eprintln!("smux-dump: {name}: {error}");
            ExitCode::FAILURE
        }
        Ok(()) => ExitCode::SUCCESS,
    }
}

fn dump(path: Option<&str>, summary_only: bool) -> io::Result<()> {
    let input: Box<dyn BufRead> = match path {
        Some(path) => Box::new(BufReader::new(File::open(path)?)),
        None => Box::new(io::stdin().lock()),
    };
    let mut output = BufWriter::new(io::stdout().lock());
    let mut conversation = Conversation::default();
    for chunk in Capture::new(input) {
        conversation.take(&chunk?, |line| match summary_only {
            true => Ok(()),
            false => writeln!(output, "{line}"),
        })?;
    }
    write!(output, "{}", Report(&conversation))?;
    output.flush()
}
