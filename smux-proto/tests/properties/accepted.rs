//! Data that `write` accepted leaves before a FIN, whatever ends the stream.

use std::{collections::BTreeMap, task::Poll, time::Duration};

use proptest::{collection::vec, prelude::*};
use smux_conformance::{
    frame::{Kind, fin, psh, syn},
    harness::Harness,
};
use smux_proto::{Config, StreamId};

use crate::{cases, version};

#[derive(Clone, Copy, Debug)]
enum Step {
    Write(usize),
    Finish,
    Close,
    Read(usize),
    StopReading,
    PeerSends(usize),
    PeerFinishes,
    TransportTakes(usize),
    Drain,
    CloseSession,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        80 => (0..3_000_usize).prop_map(Step::Write),
        10 => Just(Step::Finish),
        10 => Just(Step::Close),
        10 => (0..40_000_usize).prop_map(Step::Read),
        4 => Just(Step::StopReading),
        80 => (0..65_536_usize).prop_map(Step::PeerSends),
        5 => Just(Step::PeerFinishes),
        60 => (0..3_000_usize).prop_map(Step::TransportTakes),
        1 => Just(Step::Drain),
        1 => Just(Step::CloseSession),
    ]
}

/// The test's record of a stream.
#[derive(Default)]
struct Known {
    accepted: usize,
    peer_fins: usize,
}

fn data(from: usize, len: usize) -> Vec<u8> {
    (from..from + len)
        .map(|n| u8::try_from(n % 251).unwrap_or(0))
        .collect()
}

fn perform(harness: &mut Harness, id: StreamId, step: Step, known: &mut Known) {
    match step {
        Step::PeerSends(len) => {
            let bytes = psh(id.get(), vec![7; len]).encode(harness.version());
            let _ = harness.peer_sends_bytes(&bytes);
        }
        Step::PeerFinishes if known.peer_fins < 2 => {
            let bytes = fin(id.get()).encode(harness.version());
            if harness.peer_sends_bytes(&bytes) == Ok(bytes.len()) {
                known.peer_fins += 1;
            }
        }
        Step::TransportTakes(bytes) => {
            harness.set_transport_room(bytes);
            harness.pump();
        }
        Step::Drain => {
            let now = harness.now();
            harness.session.drain(now, Duration::from_secs(1));
        }
        Step::CloseSession => harness.close_session(),
        _ => perform_on_stream(harness, id, step, known),
    }
}

fn perform_on_stream(harness: &mut Harness, id: StreamId, step: Step, known: &mut Known) {
    let Some(mut stream) = harness.session.stream(id) else {
        return;
    };
    match step {
        Step::Write(len) => {
            if let Poll::Ready(Ok(count)) = stream.write(&data(known.accepted, len)) {
                known.accepted += count;
            }
        }
        Step::Finish => stream.finish(),
        Step::Close => stream.close(),
        Step::Read(len) => drop(stream.read(&mut vec![0; len])),
        _ => stream.stop_reading(),
    }
}

proptest! {
    #![proptest_config(cases(60))]

    /// A FIN follows all accepted data, unless the peer has stopped reading.
    #[test]
    fn a_fin_follows_all_accepted_data(
        version in version(),
        half_close in any::<bool>(),
        steps in vec((0..2_usize, step()), 1..200),
    ) {
        let config = Config::builder()
            .version(version)
            .half_close(half_close)
            // A little more than the first window, which a stream must exceed to be evicted.
            .max_receive_buffer(300_000)
            .max_stream_buffer(2_000)
            .max_frame_size(900)
            .keep_alive_disabled();
        let mut harness = Harness::server(config.build().expect("valid"));
        let ids = [3, 5].map(|id| {
            harness.peer_sends([syn(id)]);
            harness.accept()
        });
        harness.discard_output();
        harness.set_transport_room(0);
        let mut known: BTreeMap<StreamId, Known> =
            ids.iter().map(|&id| (id, Known::default())).collect();
        for (stream, step) in steps {
            let id = ids[stream];
            perform(&mut harness, id, step, known.get_mut(&id).expect("known"));
        }
        harness.set_transport_room(None);
        let frames = harness.take_frames();
        for (id, known) in known {
            let mut of_stream = frames.iter().filter(|frame| frame.id == id.get());
            let mut before: Vec<u8> = Vec::new();
            let ended = of_stream.by_ref().find(|frame| {
                if frame.kind == Kind::Psh {
                    before.extend(&frame.payload);
                }
                frame.kind == Kind::Fin
            });
            prop_assert!(before == data(0, before.len()), "in order and once");
            prop_assert!(of_stream.all(|frame| frame.kind != Kind::Psh), "data behind FIN");
            let stopped = known.peer_fins == 2 || (known.peer_fins == 1 && !half_close);
            if ended.is_some() && !stopped {
                prop_assert_eq!(before.len(), known.accepted, "stream {}", id.get());
            }
        }
    }
}
