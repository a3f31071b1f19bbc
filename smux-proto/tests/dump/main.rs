//! The example `smux-dump`: what it tells of captures whose story is known.

#[path = "../../examples/smux-dump/capture.rs"]
mod capture;
#[path = "../../examples/smux-dump/conversation.rs"]
mod conversation;
#[path = "../../examples/smux-dump/flow.rs"]
mod flow;
#[path = "../../examples/smux-dump/frames.rs"]
mod frames;
#[path = "../../examples/smux-dump/report.rs"]
mod report;

mod recorded;
mod tshark;

use std::io::Cursor;

use self::{capture::Capture, conversation::Conversation, recorded::Recorded, report::Report};

/// Everything that the program prints of a capture.
fn dump(capture: impl Into<Vec<u8>>) -> String {
    let mut printed = String::new();
    let mut conversation = Conversation::default();
    for chunk in Capture::new(Box::new(Cursor::new(capture.into()))) {
        let chunk = chunk.expect("a capture");
        let print = |line: conversation::Line<'_>| {
            printed += &format!("{line}\n");
            Ok(())
        };
        conversation.take(&chunk, print).expect("printed");
    }
    printed + &Report(&conversation).to_string()
}

#[track_caller]
fn assert_says(printed: &str, words: &str) {
    assert!(printed.contains(words), "no {words:?} in:\n{printed}");
}

#[test]
fn an_unread_stream_is_told_by_its_full_window() {
    let mut recorded = Recorded::new();
    let read = recorded.open_and_accept();
    let unread = recorded.open_and_accept();
    for _ in 0..10 {
        recorded.client_writes(read, 100_000);
        recorded.client_writes(unread, 100_000);
        recorded.exchange();
        recorded.server_reads(read);
        recorded.exchange();
    }
    let printed = dump(recorded.lines());
    assert_says(&printed, "smux version 2");
    assert_says(&printed, "streams: 2, unfinished: 2");
    assert_says(
        &printed,
        "    A > B  262144 bytes, 262144 outstanding of a window of 262144\n           A waits for the window since",
    );
    assert_says(&printed, "B has not told of any read");
    assert_says(&printed, "    A > B  1000000 bytes");
    assert_eq!(printed.matches("waits for the window").count(), 1);
    assert_says(&printed, "no frame breaks the protocol");
}

#[test]
fn pauses_for_a_window_are_counted_and_timed() {
    let mut recorded = Recorded::new();
    let id = recorded.open_and_accept();
    for _ in 0..3 {
        recorded.client_writes(id, 4_000_000);
        recorded.exchange();
        recorded.pass(2.5);
        recorded.server_reads(id);
        recorded.exchange();
    }
    let printed = dump(recorded.lines());
    assert_says(&printed, "A waited for the window");
    assert_says(&printed, "2.5");
}

#[test]
fn a_finished_stream_is_told_with_its_bytes() {
    let mut recorded = Recorded::new();
    let id = recorded.open_and_accept();
    recorded.client_writes(id, 5);
    recorded.finish(id);
    recorded.exchange();
    recorded.server_reads(id);
    recorded.exchange();
    let printed = dump(recorded.lines());
    assert_says(&printed, "A > B  SYN  stream 3\n");
    assert_says(
        &printed,
        "A > B  PSH  stream 3  5 bytes  (5 sent, 5 outstanding",
    );
    assert_says(&printed, "streams: 1, unfinished: 0");
}

#[test]
fn the_same_is_told_of_any_chunks_and_formats() {
    let mut recorded = Recorded::new();
    let id = recorded.open_and_accept();
    recorded.client_writes(id, 1000);
    recorded.finish(id);
    recorded.exchange();
    let bytes = recorded.bytes_of_the_client();
    let whole = dump(bytes.clone());
    for size in [1, 3, 8, 500] {
        let lines: String = bytes.chunks(size).map(|chunk| hex(chunk) + "\n").collect();
        assert_eq!(dump(lines), whole, "lines of {size} bytes");
    }
    let followed = format!(
        "=====\nFollow: tcp,raw\nNode 0: x\n{}\n=====\n",
        hex(&bytes)
    );
    assert_eq!(dump(followed), whole);
}

#[test]
fn what_is_wrong_is_named_at_its_byte() {
    let cases: [(&[u8], &str); 9] = [
        (b"\x02\x02\x01\0\x01\0\0\0a", "no SYN of stream 1 was seen"),
        (
            b"\x02\0\0\0\x01\0\0\0\x01\0\0\0\x03\0\0\0",
            "byte 8: a frame of version 1 among those of version 2",
        ),
        (
            b"\x02\x09\0\0\x01\0\0\0",
            "byte 0: no command has the number 9",
        ),
        (b"\x02\0\x05\0\x01\0\0\0", "byte 0: a SYN with 5 bytes"),
        (b"\x01\x04\x08\0\x01\0\0\0", "byte 0: an UPD in version 1"),
        (
            b"\x02\x04\x07\0\x01\0\0\0",
            "byte 0: an UPD of 7 bytes instead of 8",
        ),
        (
            b"\x02\0\0\0\x01\0\0\0GET / HT",
            "byte 8: no frame begins with GET / HT",
        ),
        (
            b"\x02\0\0\0\x01\0\0\0\x02\0\0\0\x01\0\0\0",
            "stream 1 is opened a second time",
        ),
        (
            b"\x02\0\0\0\x01\0\0\0\x02\x01\0\0\x01\0\0\0\x02\x02\x01\0\x01\0\0\0a",
            "data behind a FIN",
        ),
    ];
    for (bytes, problem) in cases {
        let printed = dump(bytes);
        assert_says(&printed, problem);
        assert_says(&printed, "problems: 1");
    }
}

#[test]
fn a_cut_capture_is_no_problem() {
    let printed = dump(*b"\x02\0\0\0\x01\0\0\0\x02\x02\x05\0\x01\0\0\0he");
    assert_says(&printed, "10 of 13 bytes of an unfinished frame");
    assert_says(&printed, "no frame breaks the protocol");
}

#[test]
fn more_data_than_the_window_allows_is_a_problem() {
    let mut capture = b"\x02\0\0\0\x01\0\0\0".to_vec();
    for _ in 0..5 {
        capture.extend(b"\x02\x02\xff\xff\x01\0\0\0");
        capture.extend([0; 65_535]);
    }
    assert_says(&dump(capture), "65531 bytes more than the window allows");
}

#[test]
fn what_is_no_capture_is_refused_by_its_line() {
    let mut capture = Capture::new(Box::new(Cursor::new("\n0200\nGET / HTTP/1.1\n")));
    assert!(capture.next().expect("a line").is_ok());
    let error = capture.next().expect("a line").err().expect("no capture");
    assert!(error.to_string().starts_with("line 3: expected"), "{error}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
