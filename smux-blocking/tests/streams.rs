//! Streams as `std::io` sees them: echo over several transports, clones, shutting down, dropping,
//! many threads.

mod common;

use std::{
    io::{self, BufRead, ErrorKind, IoSlice, Read, Write},
    net::{Shutdown, TcpListener},
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    thread,
};

use common::{blocked, configs, pair, pair_with_valve, stream, until, within};
use smux_blocking::{Bytes, Config, Parts, Priority, Session, Stream, StreamError};

/// Sends back what arrives on every stream, until the session ends.
fn serve_echo(session: &Session) {
    thread::scope(|scope| {
        for stream in session.incoming().flatten() {
            scope.spawn(move || {
                stream.copy_to(&mut &stream).expect("copy");
                stream.finish();
            });
        }
    });
}

/// Writes in one thread and reads in another.
fn check_echo(stream: &Stream, bytes: usize) {
    let sent: Vec<u8> = (0..=250).cycle().take(bytes).collect();
    thread::scope(|scope| {
        scope.spawn(|| {
            (&mut &*stream).write_all(&sent).expect("write");
            stream.shutdown(Shutdown::Write).expect("shutdown");
        });
        let mut received = Vec::new();
        (&mut &*stream).read_to_end(&mut received).expect("read");
        assert!(received == sent, "{} of {bytes} bytes", received.len());
    });
}

fn echo_streams(client: &Session, server: Session) {
    let echo = thread::spawn(move || serve_echo(&server));
    thread::scope(|scope| {
        for bytes in [0, 1, 100_000, 100_000, 100_000, 3_000_000] {
            let stream = client.open().expect("open");
            scope.spawn(move || check_echo(&stream, bytes));
        }
    });
    client.close();
    echo.join().expect("no panic");
    assert_eq!(client.stream_count(), 0);
}

#[test]
fn echo_over_tcp() {
    within(|| {
        for config in configs() {
            let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
            let address = listener.local_addr().expect("address");
            let client = Session::connect(address, config.clone()).expect("connect");
            let (tcp, peer) = listener.accept().expect("accept");
            let server = Session::server(tcp, config).expect("server");
            assert_eq!(client.peer_addr(), Some(address));
            assert_eq!(client.local_addr(), Some(peer));
            assert_eq!(server.peer_addr(), Some(peer));
            let stream = client.open().expect("open");
            assert_eq!(stream.peer_addr(), Some(address));
            assert_eq!(stream.local_addr(), Some(peer));
            drop(stream);
            echo_streams(&client, server);
        }
    });
}

#[cfg(unix)]
#[test]
fn echo_over_a_unix_socket() {
    within(|| {
        for config in configs() {
            let (near, far) = std::os::unix::net::UnixStream::pair().expect("pair");
            let client = Session::client(near, config.clone()).expect("client");
            assert_eq!(client.peer_addr(), None);
            let server = Session::server(far, config).expect("server");
            echo_streams(&client, server);
        }
    });
}

/// A pipe can only be closed, not shut. Each read ends because the other side closes too.
#[test]
fn echo_over_a_pair_of_pipes() {
    within(|| {
        for config in configs() {
            let (near_reader, far_writer) = io::pipe().expect("pipe");
            let (far_reader, near_writer) = io::pipe().expect("pipe");
            let near = Parts::new(near_reader, near_writer, |_| Ok(())).vectored();
            let far = Parts::new(far_reader, far_writer, |_| Ok(()));
            let client = Session::client(near, config.clone()).expect("client");
            let server = Session::server(far, config).expect("server");
            echo_streams(&client, server);
        }
    });
}

#[test]
fn clones_share_the_priority() {
    within(|| {
        let (client, server) = pair(&Config::v2());
        let (ours, _theirs) = stream(&client, &server);
        let clone = ours.try_clone().expect("never fails");
        clone.set_priority(Priority::LOW);
        assert_eq!(ours.priority(), Priority::LOW);
        assert_eq!(client.streams()[0].1.priority, Priority::LOW);
    });
}

#[test]
fn sockets_are_made_blocking() {
    within(|| {
        let (near, far) = common::tcp_pair();
        near.set_nonblocking(true).expect("nonblocking");
        let short = Some(std::time::Duration::from_millis(1));
        far.set_read_timeout(short).expect("timeout");
        let client = Session::client(near, Config::default()).expect("client");
        let server = Session::server(far, Config::default()).expect("server");
        echo_streams(&client, server);
    });
}

#[test]
fn bytes_and_slices_arrive_as_written() {
    within(|| {
        for config in configs() {
            let (client, server) = pair(&config);
            let (mut ours, theirs) = stream(&client, &server);
            let slices = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cd")];
            assert_eq!(ours.write_vectored(&slices).expect("write"), 4);
            let data = Bytes::from(vec![7; 500_000]);
            let mut left = data.clone();
            thread::scope(|scope| {
                scope.spawn(|| {
                    ours.write_all_bytes(&mut left).expect("write");
                    ours.finish();
                });
                let mut head = Vec::new();
                while head.len() < 4 {
                    let part = theirs.read_bytes(4 - head.len()).expect("read");
                    head.extend_from_slice(&part);
                }
                assert_eq!(head, b"abcd");
                let mut rest = Vec::new();
                let copied = theirs.copy_to(&mut rest).expect("copy");
                assert_eq!(copied, 500_000);
                assert!(rest == data);
            });
            assert!(left.is_empty());
            assert!(theirs.peer_finished());
            assert_eq!(theirs.read_bytes(1).expect("end"), Bytes::new());
            assert_eq!(theirs.stats().bytes_read, 500_004);
        }
    });
}

#[test]
fn the_last_clone_closes_the_stream() {
    within(|| {
        let (client, server) = pair(&Config::default());
        let (ours, mut theirs) = stream(&client, &server);
        let mut clone = ours.try_clone().expect("clone");
        assert_eq!(clone.id(), ours.id());
        drop(ours);
        clone.write_all(b"still open").expect("write");
        let mut text = [0; 10];
        theirs.read_exact(&mut text).expect("read");
        assert!(!theirs.peer_finished());
        assert!(!theirs.is_stopped());
        drop(clone);
        assert_eq!(theirs.read(&mut text).expect("end"), 0);
        theirs.stopped().expect("told");
        assert!(theirs.is_stopped());
        let error = theirs.write(b"not read").expect_err("stopped");
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        let source = error.get_ref().and_then(|e| e.downcast_ref());
        assert_eq!(source, Some(&StreamError::Stopped));
    });
}

#[test]
fn a_wait_for_the_peers_stop_keeps_no_stream() {
    within(|| {
        let (client, server) = pair(&Config::default());
        let (ours, theirs) = stream(&client, &server);
        let stopped = theirs.on_stopped();
        drop(ours);
        assert_eq!(stopped.wait(), Ok(()));
        let (_ours, theirs) = stream(&client, &server);
        let stopped = theirs.on_stopped();
        drop(theirs);
        assert_eq!(stopped.wait(), Err(StreamError::Finished));
    });
}

#[test]
fn a_dropped_stream_sends_what_is_queued() {
    within(|| {
        for config in configs() {
            let (client, server) = pair(&config);
            let (mut ours, mut theirs) = stream(&client, &server);
            ours.write_all(&[1; 50_000]).expect("write");
            drop((ours, client));
            let mut data = Vec::new();
            theirs.read_to_end(&mut data).expect("read");
            assert_eq!(data, [1; 50_000]);
        }
    });
}

#[test]
fn shutting_one_direction_leaves_the_other() {
    within(|| {
        for config in configs() {
            let (client, server) = pair(&config);
            let (mut ours, mut theirs) = stream(&client, &server);
            ours.write_all(b"question").expect("write");
            ours.shutdown(Shutdown::Write).expect("shutdown");
            ours.shutdown(Shutdown::Write).expect("again");
            let error = ours.write(b"more").expect_err("finished");
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            let mut text = String::new();
            theirs.read_to_string(&mut text).expect("read");
            assert_eq!(text, "question");

            theirs.shutdown(Shutdown::Read).expect("shutdown");
            assert_eq!(theirs.read(&mut [0]).expect("shut"), 0);
            theirs.write_all(b"answer").expect("write");
            theirs.shutdown(Shutdown::Both).expect("shutdown");
            text.clear();
            ours.read_to_string(&mut text).expect("read");
            assert_eq!(text, "answer");
        }
    });
}

#[test]
fn shutting_down_ends_calls_under_way() {
    within(|| {
        let (client, server, valve) = pair_with_valve(&Config::v2());
        let ours = client.open().expect("open");
        valve.fill(&ours);
        thread::scope(|scope| {
            let reader = blocked(scope, || (&ours).read(&mut [0; 8]));
            let byte_reader = blocked(scope, || ours.read_bytes(8));
            let writer = blocked(scope, || (&ours).write(b"more"));
            let clone = ours.try_clone().expect("clone");
            // It still waits until queued data has left.
            let shutdown = blocked(scope, move || clone.shutdown(Shutdown::Both));
            assert_eq!(reader.join().expect("no panic").expect("shut"), 0);
            assert!(
                byte_reader
                    .join()
                    .expect("no panic")
                    .expect("shut")
                    .is_empty()
            );
            let error = writer.join().expect("no panic").expect_err("finished");
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            assert!(!shutdown.is_finished());
            valve.open();
            let theirs = server.accept().expect("accept");
            theirs.copy_to(&mut io::sink()).expect("read");
            shutdown.join().expect("no panic").expect("flushed");
        });
    });
}

/// The poll layer has one waker per direction.
#[test]
fn many_threads_wait_to_read_one_stream() {
    within(|| {
        let (client, server) = pair(&Config::default());
        let (ours, mut theirs) = stream(&client, &server);
        let received = AtomicUsize::new(0);
        thread::scope(|scope| {
            let read = || {
                let mut total = 0;
                while (&ours).read(&mut [0]).expect("read") == 1 {
                    received.fetch_add(1, SeqCst);
                    total += 1;
                }
                total
            };
            let readers: Vec<_> = (0..4).map(|_| blocked(scope, read)).collect();
            for sent in 1..=1000 {
                theirs.write_all(&[1]).expect("write");
                if sent % 10 == 0 {
                    until("all are read", || received.load(SeqCst) == sent);
                }
            }
            theirs.finish();
            let totals = readers.into_iter().map(|reader| reader.join());
            let total: usize = totals.map(|total| total.expect("no panic")).sum();
            assert_eq!(total, 1000);
        });
    });
}

#[test]
fn many_threads_wait_to_write_one_stream() {
    const EACH: usize = 1_000_000;
    within(|| {
        for config in configs() {
            let (client, server, valve) = pair_with_valve(&config);
            let ours = client.open().expect("open");
            let before = valve.fill(&ours);
            thread::scope(|scope| {
                let write = || (&ours).write_all(&[1; EACH]);
                let writers: Vec<_> = (0..3).map(|_| blocked(scope, write)).collect();
                // Waits on the same waker as the writers.
                let flusher = blocked(scope, || (&ours).flush());
                valve.open();
                let theirs = server.accept().expect("accept");
                let reader = scope.spawn(move || theirs.copy_to(&mut io::sink()));
                for writer in writers {
                    writer.join().expect("no panic").expect("write");
                }
                flusher.join().expect("no panic").expect("flush");
                ours.finish();
                let read = reader.join().expect("no panic").expect("read");
                assert_eq!(read, (before + 3 * EACH) as u64);
            });
        }
    });
}

/// Looking at what has arrived before reading it another way keeps no memory.
#[test]
fn what_was_lent_is_kept_no_longer_than_it_is_unread() {
    let (client, server) = pair(&Config::v2());
    let (mut near, mut far) = stream(&client, &server);
    near.write_all(&[7; 1000]).expect("written");
    assert!(!far.fill_buf().expect("data").is_empty());
    far.read_exact(&mut [0]).expect("data");
    let bytes = far.read_bytes(usize::MAX).expect("data");
    assert!(bytes.is_unique(), "the stream still has them, too");
}
