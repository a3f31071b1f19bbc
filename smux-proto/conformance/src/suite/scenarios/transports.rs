//! Connections that fail: whatever dies, and whenever, nobody hangs, and both ends know why.

use std::{
    io::{self, Read, Write},
    sync::Mutex,
    time::Duration,
};

use smux_proto::CloseReason;

use crate::suite::{
    case::{Case, built, reason},
    host::{Host, HostSession, HostStream},
    memory::{Behaviour, Failure},
};

/// More bytes than either direction of the conversation has, in either version.
const CONVERSATION: u64 = 70;

/// The connection ends after N bytes of what ours writes, for every N.
pub fn our_direction_dies<H: Host>(case: &Case<H>) {
    for failure in [Failure::Eof, Failure::Reset, Failure::WriteZero] {
        for after in 0..CONVERSATION {
            dies(case, Behaviour::failing(after, failure), Behaviour::FAST);
        }
    }
}

/// The connection ends after N bytes of what ours reads, for every N.
pub fn their_direction_dies<H: Host>(case: &Case<H>) {
    for failure in [Failure::Eof, Failure::Reset] {
        for after in 0..CONVERSATION {
            dies(case, Behaviour::FAST, Behaviour::failing(after, failure));
        }
    }
}

/// A short conversation, which succeeds or fails with the reason of the session.
fn dies<H: Host>(case: &Case<H>, there: Behaviour, back: Behaviour) {
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
            failed.lock().expect("nobody fails here").push(why);
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
    let failed = failed.into_inner().expect("nobody fails here");
    assert!(
        failed.iter().all(|why| *why != CloseReason::Local),
        "{failed:?} {local:?}"
    );
}

fn ask(session: &impl HostSession) -> io::Result<()> {
    let mut stream = session.open()?;
    stream.write_all(b"question")?;
    stream.finish()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    assert_eq!(answer, b"the answer", "what looks whole is whole");
    Ok(())
}

fn answer(session: &impl HostSession) -> io::Result<()> {
    let mut stream = session.accept()?;
    let mut question = Vec::new();
    stream.read_to_end(&mut question)?;
    assert_eq!(question, b"question", "what looks whole is whole");
    stream.write_all(b"the answer")?;
    stream.finish()
}

/// A connection that takes nothing: writing is queued, closing ends at its limit, aborting at once.
pub fn connection_takes_nothing<H: Host>(case: &Case<H>) {
    let config = || built(case.config().close_timeout(Duration::from_millis(50)));
    for aborts in [true, false] {
        let (ours, theirs) = case.pair_over(config(), config(), Behaviour::STUCK, Behaviour::FAST);
        let mut stream = ours.open().expect("opened");
        stream.write_all(b"queued").expect("queued");
        let why = match aborts {
            true => {
                ours.abort();
                CloseReason::Aborted
            }
            false => ours.close(),
        };
        assert_eq!(ours.closed(), why);
        assert_eq!(reason(stream.flush()), why);
        assert_eq!(theirs.closed(), CloseReason::PeerClosed);
    }
}
