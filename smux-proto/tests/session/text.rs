//! Values as a person writes and reads them.

use std::{fmt::Debug, str::FromStr};

use smux_proto::{ParseError, Priority, Side, Version};

#[test]
fn what_is_written_is_read_as_the_same_value() {
    fn check<T: Copy + Debug + PartialEq + ToString + FromStr<Err = ParseError>>(value: T) {
        assert_eq!(value.to_string().parse(), Ok(value));
    }
    [Version::V1, Version::V2].into_iter().for_each(check);
    [Side::Client, Side::Server].into_iter().for_each(check);
    for level in [Priority::HIGH, Priority::NORMAL, Priority::LOW] {
        (1..=u8::MAX).for_each(|weight| check(level.with_weight(weight)));
    }
}

#[test]
fn other_texts_are_refused() {
    for text in ["", "0", "3", "v1", " 1", "1.0", "auto"] {
        assert!(text.parse::<Version>().is_err(), "{text:?}");
    }
    for text in ["", "Client", "peer", "server "] {
        assert!(text.parse::<Side>().is_err(), "{text:?}");
    }
    for text in [
        "", "urgent", "high:", "high:0", "high:256", ":3", "low:-1", "low: 3", "low:3:3",
    ] {
        assert!(text.parse::<Priority>().is_err(), "{text:?}");
    }
}
