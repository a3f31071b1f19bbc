//! Connections that fail, at any time and in any way: no call hangs, and both ends get a reason.

use std::{
    io::{self, Read, Write},
    sync::Mutex,
    time::Duration,
};

use smux_proto::CloseReason;

use crate::suite::{
    case::{Case, built, read_all, reason},
    host::{Host, HostSession, HostStream},
    memory::{Behaviour, Failure},
};

/// Bytes of the question and of the answer.
const SPEECH: usize = 1_400;
/// More bytes than either direction of the conversation has, in either version.
const CONVERSATION: u64 = 1_500;

/// Where the connection ends: after every byte at full size, otherwise after each of the first
/// bytes and some later ones.
fn deaths<H: Host>(case: &Case<H>) -> impl Iterator<Item = u64> {
    let step = case.scaled(17, 1);
    (0..CONVERSATION).filter(move |after| *after < 60 || after % step == 0)
}

/// The connection ends after N bytes of what ours writes, for every N.
pub fn our_direction_dies<H: Host>(case: &Case<H>) {
    let longest = dies(case, Behaviour::FAST, Behaviour::FAST);
    assert!(longest < CONVERSATION, "{longest} bytes");
    for failure in [
        Failure::Eof,
        Failure::Reset,
        Failure::WriteZero,
        Failure::WriteOnly,
    ] {
        for after in deaths(case) {
            dies(case, Behaviour::failing(after, failure), Behaviour::FAST);
        }
    }
}

/// The connection ends after N bytes of what ours reads, for every N.
pub fn their_direction_dies<H: Host>(case: &Case<H>) {
    for failure in [Failure::Eof, Failure::Reset] {
        for after in deaths(case) {
            dies(case, Behaviour::FAST, Behaviour::failing(after, failure));
        }
    }
}

/// A short conversation, which succeeds or fails with the reason of the session. Returns how many
/// bytes its longer direction had.
fn dies<H: Host>(case: &Case<H>, there: Behaviour, back: Behaviour) -> u64 {
    let config = || built(case.config().close_timeout(Duration::from_millis(50)));
    let (ours, theirs) = case.pair_over(config(), config(), there, back);
    let failed = Mutex::new(Vec::new());
    let note = |session: &H::Session, result: io::Result<()>| {
        if let Err(error) = result {
            let why = reason(Err::<(), _>(error));
            assert_eq!(
                Some(&why),
                session.close_reason().as_ref(),
                "the session's own reason"
            );
            failed.lock().expect("no panic under the lock").push(why);
        }
    };
    case.both(
        || {
            note(&ours, ask(&ours));
            ours.close();
        },
        || {
            note(&theirs, answer(&theirs));
            theirs.close();
        },
    );
    let local = [&ours, &theirs].map(|session| session.closed() == CloseReason::Local);
    let failed = failed.into_inner().expect("no panic under the lock");
    assert!(
        failed.iter().all(|why| *why != CloseReason::Local),
        "{failed:?} {local:?}"
    );
    let sent = [&ours, &theirs].map(|session| session.stats().bytes_emitted);
    sent[0].max(sent[1])
}

fn ask(session: &impl HostSession) -> io::Result<()> {
    let mut stream = session.open()?;
    stream.write_all(&[b'?'; SPEECH])?;
    stream.finish()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    assert_eq!(answer, [b'!'; SPEECH], "what looks whole is whole");
    Ok(())
}

fn answer(session: &impl HostSession) -> io::Result<()> {
    let mut stream = session.accept()?;
    let mut question = Vec::new();
    stream.read_to_end(&mut question)?;
    assert_eq!(question, [b'?'; SPEECH], "what looks whole is whole");
    stream.write_all(&[b'!'; SPEECH])?;
    stream.finish()
}

/// Only writing fails. All data that the peer sends until it closes is readable, also on later
/// streams, and if the receive buffer fills in between. Writers fail at once, other calls after
/// that data.
pub fn peers_data_survives_a_write_error<H: Host>(case: &Case<H>) {
    const LENGTH: usize = 20_000;
    let config = case
        .config()
        .max_receive_buffer(1_000)
        .max_stream_buffer(1_000);
    let (ours, theirs) = case.pair_over(
        built(config),
        case.plain(),
        Behaviour::failing(0, Failure::WriteOnly),
        Behaviour::FAST,
    );
    case.both(
        || {
            let mut first = ours.accept().expect("accepted");
            let failed = reason(first.write_all(b"lost").and_then(|()| first.flush()));
            assert!(matches!(failed, CloseReason::Transport(_)), "{failed:?}");
            assert_eq!(reason(ours.open()), failed);
            assert_eq!(read_all(&mut first), [0; LENGTH]);
            let mut second = ours.accept().expect("it arrives now");
            assert_eq!(read_all(&mut second), [1; LENGTH]);
            assert_eq!(reason(ours.accept()), failed);
            assert_eq!(ours.closed(), failed);
        },
        || {
            for byte in [0, 1] {
                let mut stream = theirs.open().expect("opened");
                stream.write_all(&[byte; LENGTH]).expect("written");
                stream.finish().expect("the connection takes it");
            }
            assert_eq!(theirs.close(), CloseReason::Local);
        },
    );
}

/// A connection that takes nothing: writes are queued, dropping does not wait, closing ends at its
/// limit, and aborting ends at once.
pub fn connection_takes_nothing<H: Host>(case: &Case<H>) {
    let config = || built(case.config().close_timeout(Duration::from_millis(50)));
    for aborts in [true, false] {
        let (ours, theirs) = case.pair_over(config(), config(), Behaviour::STUCK, Behaviour::FAST);
        let mut stream = ours.open().expect("opened");
        stream.write_all(b"queued").expect("queued");
        let mut dropped = ours.open().expect("opened");
        dropped.write_all(b"queued too").expect("queued");
        drop(dropped);
        let why = match aborts {
            true => {
                ours.abort();
                CloseReason::Aborted
            }
            false => ours.close(),
        };
        assert_eq!(ours.closed(), why);
        assert_eq!(reason(stream.flush()), why);
        assert_eq!(theirs.closed(), CloseReason::PeerNeverSpoke);
    }
}
