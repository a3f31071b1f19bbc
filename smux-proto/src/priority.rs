//! How important a stream's data is, compared with that of other streams.

use core::{fmt, num::NonZeroU8, str::FromStr};

use crate::parse::ParseError;

/// Which stream's data leaves first, among those of one session that have data to send.
///
/// It is not on the wire: it orders only what *this* side sends, and the peer does not know it.
///
/// A level is strict: as long as a stream of a higher level has data, those of lower levels wait.
/// Within a level, streams share the connection in proportion to their weights. Control frames
/// (SYN and window updates) go before data at any level.
///
/// ```
/// use smux_proto::Priority;
///
/// let interactive = Priority::HIGH;
/// let download = Priority::NORMAL;
/// let paid_download = Priority::NORMAL.with_weight(48); // three times as much as `download`
/// let backup = Priority::LOW;
/// assert_eq!(Priority::default(), download);
/// # let _ = (interactive, paid_download, backup);
/// ```
///
/// As text it is `high`, `normal` or `low`, and its weight, unless that is 16, behind a colon:
///
/// ```
/// # use smux_proto::Priority;
/// assert_eq!("low".parse(), Ok(Priority::LOW));
/// assert_eq!("normal:48".parse(), Ok(Priority::NORMAL.with_weight(48)));
/// assert_eq!(Priority::NORMAL.with_weight(48).to_string(), "normal:48");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Priority {
    level: Level,
    weight: NonZeroU8,
}

/// In the order in which they are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(crate) enum Level {
    High,
    Normal,
    Low,
}

/// A stream of this weight sends a frame of `max_frame_size` a turn.
const USUAL_WEIGHT: NonZeroU8 = NonZeroU8::new(16).unwrap();

impl Priority {
    /// Before everything else: for little data that is urgent. It can starve all other streams.
    pub const HIGH: Self = Self::of(Level::High);
    /// That of every stream unless set.
    pub const NORMAL: Self = Self::of(Level::Normal);
    /// Only what all other streams leave, which may be nothing.
    pub const LOW: Self = Self::of(Level::Low);

    const fn of(level: Level) -> Self {
        Self {
            level,
            weight: USUAL_WEIGHT,
        }
    }

    /// The same level with this weight, 1 to 255; 0 counts as 1. The weight is 16 unless set.
    #[must_use]
    pub const fn with_weight(self, weight: u8) -> Self {
        let weight = match NonZeroU8::new(weight) {
            Some(weight) => weight,
            None => NonZeroU8::MIN,
        };
        Self { weight, ..self }
    }

    /// The share of the connection, in relation to the weights of other streams of the level.
    pub const fn weight(self) -> u8 {
        self.weight.get()
    }

    pub(crate) const fn level(self) -> Level {
        self.level
    }

    /// Bytes that a stream may send each time it is its turn.
    pub(crate) fn turn(self, max_frame_size: usize) -> usize {
        let weight = usize::from(self.weight.get());
        (max_frame_size * weight / usize::from(USUAL_WEIGHT.get())).max(1)
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.level {
            Level::High => "high",
            Level::Normal => "normal",
            Level::Low => "low",
        })?;
        match self.weight {
            USUAL_WEIGHT => Ok(()),
            weight => write!(f, ":{weight}"),
        }
    }
}

impl FromStr for Priority {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        const RULE: &str = "high, normal or low, or with a weight of 1 to 255, as in normal:48";
        let error = ParseError::new("a priority", RULE);
        let (level, weight) = match text.split_once(':') {
            Some((level, weight)) => (level, weight.parse().map_err(|_| error)?),
            None => (text, USUAL_WEIGHT),
        };
        let level = match level {
            "high" => Level::High,
            "normal" => Level::Normal,
            "low" => Level::Low,
            _ => return Err(error),
        };
        Ok(Self { level, weight })
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::NORMAL
    }
}
