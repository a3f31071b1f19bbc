//! Sizes and durations as a person writes them.

use alloc::{format, string::String};
use core::{fmt, time::Duration};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Unexpected, Visitor},
};

/// The first ones are written, all of them read.
const SIZES: [(&str, u64); 7] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];
const WRITTEN_SIZES: usize = 4;

/// In nanoseconds.
const TIMES: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// Bytes: a number, or a text such as `32 MiB`.
#[derive(Clone, Copy)]
pub(super) struct Size(pub(super) usize);

/// A text such as `10 s`.
#[derive(Clone, Copy)]
pub(super) struct Time(pub(super) Duration);

impl From<Size> for usize {
    fn from(size: Size) -> Self {
        size.0
    }
}

impl From<Time> for Duration {
    fn from(time: Time) -> Self {
        time.0
    }
}

/// The number in `text`, which may have underscores, times its unit.
fn parse(text: &str, units: &[(&str, u64)]) -> Option<u128> {
    let text = text.trim();
    let fitting = units.iter().filter(|(unit, _)| text.ends_with(unit));
    // `ms` ends with `s` as well.
    let (unit, factor) = fitting.max_by_key(|(unit, _)| unit.len())?;
    let number = text.strip_suffix(unit)?.trim_end().replace('_', "");
    // Parsing takes a sign too.
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u128 = number.parse().ok().filter(|_| is_number)?;
    number.checked_mul(u128::from(*factor))
}

/// The number of the largest unit that leaves no rest; the first unit always does.
fn print(value: u128, units: &[(&str, u64)]) -> String {
    let fits = |factor: u64| factor == 1 || value != 0 && value.is_multiple_of(u128::from(factor));
    let fitting = units.iter().filter(|(_, factor)| fits(*factor));
    let (unit, factor) = fitting
        .max_by_key(|(_, factor)| *factor)
        .unwrap_or(&units[0]);
    format!("{}{unit}", value / u128::from(*factor))
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&print(self.0 as u128, &SIZES[..WRITTEN_SIZES]))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Clone, Copy)]
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes, or a size such as \"32 MiB\"")
            }

            fn visit_u64<E: Error>(self, bytes: u64) -> Result<Size, E> {
                let too_large = || E::invalid_value(Unexpected::Unsigned(bytes), &self);
                usize::try_from(bytes).map(Size).map_err(|_| too_large())
            }

            fn visit_i64<E: Error>(self, bytes: i64) -> Result<Size, E> {
                let negative = || E::invalid_value(Unexpected::Signed(bytes), &self);
                self.visit_u64(u64::try_from(bytes).map_err(|_| negative())?)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
                let bytes = parse(text, &SIZES).and_then(|bytes| usize::try_from(bytes).ok());
                let wrong = || E::invalid_value(Unexpected::Str(text), &self);
                bytes.map(Size).ok_or_else(wrong)
            }
        }

        deserializer.deserialize_any(Bytes)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&print(self.0.as_nanos(), &TIMES))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration with its unit, such as \"10s\" or \"500ms\"")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
                let time = parse(text, &TIMES).and_then(from_nanos);
                let wrong = || E::invalid_value(Unexpected::Str(text), &self);
                time.map(Time).ok_or_else(wrong)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

fn from_nanos(nanos: u128) -> Option<Duration> {
    const SECOND: u128 = 1_000_000_000;
    let seconds = u64::try_from(nanos / SECOND).ok()?;
    let rest = u32::try_from(nanos % SECOND).ok()?;
    Some(Duration::new(seconds, rest))
}
