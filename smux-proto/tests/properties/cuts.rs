//! Wherever the bytes are cut, the result is the same.

use std::{task::Poll, time::Duration};

use bytes::Buf;
use proptest::{collection::vec, prelude::*};
use smux_conformance::{
    frame::{self, counting},
    fuzz::same_in_pieces,
};
use smux_proto::{Config, Header, Session, Transmit, Version, WindowUpdate};

use crate::{any_frame, cases, small, version};

/// Mostly whole frames, sometimes anything.
fn input(version: Version) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        40 => any_frame().prop_map(move |frame| frame.encode(version)),
        1 => vec(any::<u8>(), 1..20),
    ];
    vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

/// Takes all output, in pieces of at most this many bytes.
fn transmit(session: &mut Session, piece: usize) -> Vec<u8> {
    let (mut batch, mut sent) = (Transmit::new(), Vec::new());
    while session.poll_transmit(Duration::ZERO, &mut batch) {
        let chunk = batch.chunk();
        let count = chunk.len().min(piece);
        sent.extend(&chunk[..count]);
        batch.advance(count);
    }
    sent
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn headers_and_updates_survive_the_wire(bytes: [u8; 8], version in 1..=2_u8, command in 0..=4_u8) {
        let mut bytes = bytes;
        let update = WindowUpdate::decode(bytes);
        prop_assert_eq!(update.encode(), bytes);
        bytes[..2].copy_from_slice(&[version, command]);
        let header = Header::decode(bytes).expect("valid");
        prop_assert_eq!(header.encode(), bytes);
    }

    /// The transport may cut the peer's bytes anywhere.
    #[test]
    fn cuts_in_the_input_make_no_difference(
        (version, input) in version().prop_flat_map(|version| (Just(version), input(version))),
        cuts in vec(1..200_usize, 1..20),
    ) {
        let session = || Session::server(small(version), 1, Duration::ZERO);
        same_in_pieces(session, &input, &cuts);
        same_in_pieces(session, &input, &[1]);
    }

    /// The transport may take our bytes in any pieces.
    #[test]
    fn cuts_in_the_output_make_no_difference(
        version in version(),
        writes in vec((0..4_usize, 0..5_000_usize, any::<bool>()), 1..20),
        piece in 1..3_000_usize,
    ) {
        let output = |piece| {
            let config = Config::builder().version(version).build().expect("valid");
            let mut session = Session::client(config, 1, Duration::ZERO);
            let ids: Vec<_> = (0..4).filter_map(|_| match session.open() {
                Poll::Ready(Ok(id)) => Some(id),
                _ => None,
            }).collect();
            for &(which, len, finish) in &writes {
                let mut stream = session.stream(ids[which]).expect("open");
                let _ = stream.write(&counting(len));
                if finish && len % 7 == 0 {
                    stream.finish();
                }
            }
            transmit(&mut session, piece)
        };
        let whole = output(usize::MAX);
        prop_assert_eq!(&output(piece), &whole);
        frame::decode_all(&whole);
    }
}
