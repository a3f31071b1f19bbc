//! The dissector for Wireshark, in `tshark`, beside what `smux-dump` tells of the same capture.
//!
//! Without `tshark` the test is skipped, unless `SMUX_REQUIRE_TSHARK` is set.

use std::{
    env,
    fmt::Write as _,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{capture::End, dump, recorded::Recorded};

const DISSECTOR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/smux-dump/smux.lua");
/// What fits into a packet that `text2pcap` takes.
const SEGMENT: usize = 1000;

#[test]
fn the_dissector_sees_the_same_frames() {
    let mut recorded = Recorded::new();
    let id = recorded.open_and_accept();
    recorded.client_writes(id, 300_000);
    recorded.exchange();
    recorded.server_reads(id);
    recorded.exchange();
    recorded.finish(id);
    recorded.exchange();
    let Some(capture) = packets_of(&recorded) else {
        return;
    };
    let columns = "-Tfields -esmx.command -esmx.window";
    let seen = tshark(&capture.0, &columns.split(' ').collect::<Vec<_>>());
    let mut commands = Vec::new();
    let mut windows = Vec::new();
    for line in seen.lines() {
        let mut columns = line
            .split('\t')
            .map(|column| column.split(',').filter(|v| !v.is_empty()));
        commands.extend(columns.next().into_iter().flatten().map(str::to_owned));
        windows.extend(columns.next().into_iter().flatten().map(str::to_owned));
    }
    let told = dump(recorded.lines());
    for (number, name) in [(0, "SYN"), (1, "FIN"), (2, "PSH"), (3, "NOP"), (4, "UPD")] {
        let seen = commands
            .iter()
            .filter(|command| **command == number.to_string());
        let told = told.matches(&format!("  {name}  stream ")).count();
        assert_eq!(seen.count(), told, "{name} in:\n{commands:?}");
    }
    assert!(!windows.is_empty(), "no UPD in {commands:?}");
    for window in windows {
        assert!(told.contains(&format!(", window {window}")), "{window}");
    }
}

#[test]
fn the_dissector_marks_what_is_no_frame() {
    let mut recorded = Recorded::new();
    recorded.open_and_accept();
    let (time, ..) = recorded.chunks[0];
    let broken = b"\x02\x09\0\0\x01\0\0\0".to_vec();
    recorded.chunks.push((time, End::A, broken));
    let Some(capture) = packets_of(&recorded) else {
        return;
    };
    let seen = tshark(&capture.0, &["-Tfields", "-e_ws.expert.message"]);
    assert!(seen.contains("no command of smux"), "{seen}");
}

/// A file of packets that is removed with this.
struct Packets(PathBuf);

impl Drop for Packets {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Makes a file of packets from what was recorded; `None` without the program that makes it.
fn packets_of(recorded: &Recorded) -> Option<Packets> {
    let mut text = String::new();
    for (time, from, bytes) in &recorded.chunks {
        for segment in bytes.chunks(SEGMENT) {
            let direction = if *from == End::A { 'O' } else { 'I' };
            let _ = write!(text, "{direction} {:.6}\n0000", time.as_secs_f64());
            segment.iter().for_each(|byte| {
                let _ = write!(text, " {byte:02x}");
            });
            text.push('\n');
        }
    }
    let name = format!("smux-dump-{}-{:p}", std::process::id(), &raw const text);
    let path = env::temp_dir().join(name);
    let dumped = path.with_extension("txt");
    fs::write(&dumped, text).expect("written");
    let packets = Packets(path.with_extension("pcapng"));
    let mut command = Command::new("text2pcap");
    command.args(["-q", "-D", "-t", "%s.%f", "-T", "1000,4000"]);
    let made = command.arg(&dumped).arg(&packets.0).output();
    fs::remove_file(&dumped).expect("removed");
    match made {
        Ok(output) if output.status.success() => Some(packets),
        Ok(output) => panic!("{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let required = env::var_os("SMUX_REQUIRE_TSHARK").is_some();
            assert!(!required, "no text2pcap: install tshark");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn tshark(capture: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("tshark");
    command.arg(format!("-Xlua_script:{DISSECTOR}"));
    command.arg("-r").arg(capture).args(arguments);
    let output = command
        .output()
        .expect("tshark, which comes with text2pcap");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && !errors.contains("Lua"),
        "{errors}"
    );
    String::from_utf8(output.stdout).expect("text")
}
