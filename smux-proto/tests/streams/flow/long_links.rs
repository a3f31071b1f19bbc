//! One stream over a long link carries all that its window allows.

use std::time::Duration;

use smux_conformance::{pair::Pair, pipe::Link};
use smux_proto::{Config, Side, StreamId, Version};

/// Bytes a second.
const RATE: u32 = 125_000_000;
/// Windows that pass before the measurement: the receiver did not choose the first one, and it does
/// not end where later ones do.
const SETTLE: usize = 8;
const MEASURED: usize = 16;
/// How often the applications look, in a round trip.
const LOOKS: u32 = 500;

#[derive(Clone, Copy, Debug)]
struct Case {
    window: usize,
    round_trip: Duration,
    frame: usize,
    write: usize,
    read: usize,
}

impl Case {
    fn config(self) -> Config {
        Config::builder()
            .version(Version::V2)
            .keep_alive_disabled()
            .max_receive_buffer((4 * self.window).max(1 << 20))
            .max_stream_buffer(self.window)
            .max_frame_size(self.frame)
            .build()
            .expect("valid")
    }

    /// Bytes that arrive in a round trip, as a share of the window.
    fn share(self) -> f64 {
        let link = Link {
            capacity: 2 * self.window + (1 << 20),
            delay: self.round_trip / 2,
            rate: Some(RATE),
            max_cut: 16_384,
            ..Link::default()
        };
        let mut pair = Pair::with(self.config(), self.config(), link, link, 50);
        let id = pair.client.open();
        pair.client.write(id, b"x");
        pair.drive();
        assert_eq!(pair.accept(Side::Server), Some(id));
        let mut read = 0;
        let start = self.move_until(&mut pair, id, &mut read, SETTLE * self.window);
        let first = read;
        let end = self.move_until(&mut pair, id, &mut read, (SETTLE + MEASURED) * self.window);
        let windows = (read - first) as f64 / self.window as f64;
        windows / ((end - start).as_secs_f64() / self.round_trip.as_secs_f64())
    }

    /// Writes and reads as much as goes until `total` bytes are read, and tells when that is.
    fn move_until(self, pair: &mut Pair, id: StreamId, read: &mut usize, total: usize) -> Duration {
        let data = vec![7; self.write];
        loop {
            while pair.client.write(id, &data) > 0 {
                while pair.step() {}
            }
            while let Some(data) = pair.server.read(id, self.read)
                && !data.is_empty()
            {
                *read += data.len();
            }
            if *read >= total {
                return pair.now();
            }
            pair.advance(self.round_trip / LOOKS);
        }
    }
}

/// Also if reads do not end where an update falls due.
#[test]
fn a_stream_carries_its_window_in_each_round_trip() {
    let links = [
        (65_536, 10),
        (65_536, 50),
        (1_000_000, 50),
        (1 << 20, 50),
        (1 << 20, 200),
    ];
    for (window, milliseconds) in links {
        for (frame, read) in [
            (1_000, 700),
            (32_768, 10_000),
            (32_768, 65_536),
            (65_535, 300_000),
        ] {
            let case = Case {
                window,
                round_trip: Duration::from_millis(milliseconds),
                frame,
                write: 131_072,
                read,
            };
            let share = case.share();
            assert!(share >= 0.9, "{share:.3} of {case:?}");
        }
    }
}
