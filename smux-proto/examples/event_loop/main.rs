//! Many sessions in one thread, on `mio`: non-blocking sockets and nothing else.
//!
//! Clients connect to the server, and each sends ten streams of data and checks what comes back.
//! Then all sessions stay idle for a while, which shows what they cost. The program ends by itself.
//! Take these files for a loop of your own:
//!
//! * `connection.rs`: a session and its socket, with all rules for driving a session.
//! * `event_loop.rs`: sockets that become ready, and fairness between connections.
//! * `deadlines.rs`: when to call each session's `handle_timeout`.
//! * `echo.rs`, `client.rs`: two applications, which use streams without waiting.
//!
//! The [README](README.md) has the commands.

mod client;
mod connection;
mod deadlines;
mod echo;
mod event_loop;
mod usage;

use std::{env, io, net::SocketAddr, time::Duration};

use self::{client::Client, event_loop::EventLoop, usage::Usage};

const HELP: &str = "usage: event_loop [OPTION VALUE]…

  --connections N   sessions of clients (100)
  --bytes N         on each of their ten streams, and back (100000)
  --idle SECONDS    how long they stay when that is done, which shows what they cost (0);
                    the server tells that again and again, over as long
  --listen ADDRESS  the server alone, until all who came are gone
  --connect ADDRESS the clients alone";

struct Options {
    connections: usize,
    bytes: usize,
    idle: Duration,
    listen: Option<SocketAddr>,
    connect: Option<SocketAddr>,
}

fn main() -> io::Result<()> {
    let options = match Options::parse(env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("event_loop: {problem}\n{HELP}");
            std::process::exit(2);
        }
    };
    let before = Usage::now();
    let mut event_loop = EventLoop::new()?;
    match (options.listen, options.connect) {
        (Some(address), _) => server(&mut event_loop, address, options.idle, before),
        (None, Some(address)) => clients(&mut event_loop, address, &options, before),
        (None, None) => {
            let address = event_loop.listen(([127, 0, 0, 1], 0).into())?;
            clients(&mut event_loop, address, &options, before)
        }
    }
}

/// Until all who came are gone.
fn server(
    event_loop: &mut EventLoop,
    address: SocketAddr,
    interval: Duration,
    before: Option<Usage>,
) -> io::Result<()> {
    let address = event_loop.listen(address)?;
    println!("listening on {address}");
    event_loop.run_until(|totals| totals.accepted > 0)?;
    while !interval.is_zero() && event_loop.connections() > 0 {
        tell_cost(event_loop, interval, before)?;
    }
    event_loop.run_until(|totals| totals.is_empty())?;
    event_loop.check(0)
}

fn clients(
    event_loop: &mut EventLoop,
    server: SocketAddr,
    options: &Options,
    before: Option<Usage>,
) -> io::Result<()> {
    let Options {
        connections, bytes, ..
    } = *options;
    let streams = connections * Client::STREAMS;
    let data = Client::data(bytes);
    for _ in 0..connections {
        event_loop.connect(server, &data)?;
    }
    event_loop.run_until(|totals| totals.verified >= streams)?;
    let (moved, seconds) = (streams * bytes, event_loop.now().as_secs_f64());
    println!(
        "{connections} connections, {streams} streams, {moved} bytes echoed in {seconds:.2} s"
    );
    if !options.idle.is_zero() {
        tell_cost(event_loop, options.idle, before)?;
    }
    event_loop.close_clients();
    event_loop.run_until(|totals| totals.is_empty())?;
    event_loop.check(streams)
}

/// Goes on for a while, and tells what the sessions of this process cost meanwhile.
fn tell_cost(
    event_loop: &mut EventLoop,
    interval: Duration,
    before: Option<Usage>,
) -> io::Result<()> {
    let begun = Usage::now();
    event_loop.run_until_time(event_loop.now() + interval)?;
    let sessions = event_loop.connections();
    let (Some(before), Some(begun), Some(ended)) = (before, begun, Usage::now()) else {
        println!("what {sessions} sessions cost is told on Linux only");
        return Ok(());
    };
    let grown = ended.resident.saturating_sub(before.resident);
    let cpu = ended.cpu.saturating_sub(begun.cpu);
    println!(
        "{sessions} sessions: {} KiB resident, {} bytes each; {:.2} % of a core",
        grown / 1024,
        grown / sessions.max(1) as u64,
        100.0 * cpu.as_secs_f64() / interval.as_secs_f64(),
    );
    Ok(())
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            connections: 100,
            bytes: 100_000,
            idle: Duration::ZERO,
            listen: None,
            connect: None,
        };
        while let Some(name) = arguments.next() {
            let value = arguments.next().unwrap_or_default();
            let wrong = |expected| format!("{name} takes {expected}, not {value:?}");
            let address = || {
                value
                    .parse()
                    .map_err(|_| wrong("an address such as 127.0.0.1:4000"))
            };
            let number = || value.parse().map_err(|_| wrong("a number"));
            match name.as_str() {
                "--connections" => options.connections = number()?,
                "--bytes" => options.bytes = number()?,
                "--idle" => {
                    let seconds = value.parse().map_err(|_| wrong("seconds"))?;
                    options.idle = Duration::from_secs(seconds);
                }
                "--listen" => options.listen = Some(address()?),
                "--connect" => options.connect = Some(address()?),
                _ => return Err(format!("there is no option {name:?}")),
            }
        }
        Ok(options)
    }
}
