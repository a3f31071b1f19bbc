//! What is wrong with settings.

use core::{fmt, time::Duration};

/// A setting that breaks a rule. Its text names the setting, its value and the rule.
///
/// ```
/// # use smux_proto::Config;
/// let error = Config::builder().max_frame_size(70_000).build().unwrap_err();
/// assert_eq!(error.setting(), "max_frame_size");
/// assert_eq!(
///     error.to_string(),
///     "max_frame_size is 70000 bytes: it must be 1 byte to 65535 bytes"
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigError {
    setting: &'static str,
    value: Value,
    min: Bound,
    max: Option<Bound>,
}

impl ConfigError {
    /// The setting, as the method of [`ConfigBuilder`](super::ConfigBuilder) is called.
    pub const fn setting(&self) -> &'static str {
        self.setting
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            setting,
            value,
            min,
            max,
        } = self;
        write!(f, "{setting} is {value}: it must be ")?;
        match max {
            None => write!(f, "at least {min}"),
            Some(max) if min.value.is_zero() => write!(f, "at most {max}"),
            Some(max) => write!(f, "{min} to {max}"),
        }
    }
}

impl core::error::Error for ConfigError {}

/// What a setting is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(super) enum Value {
    Bytes(usize),
    Streams(usize),
    Time(Duration),
}

impl Value {
    const fn is_zero(self) -> bool {
        match self {
            Self::Bytes(number) | Self::Streams(number) => number == 0,
            Self::Time(time) => time.is_zero(),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(1) => f.write_str("1 byte"),
            Self::Bytes(number) => write!(f, "{number} bytes"),
            Self::Streams(1) => f.write_str("1 stream"),
            Self::Streams(number) => write!(f, "{number} streams"),
            Self::Time(time) => write!(f, "{time:?}"),
        }
    }
}

/// The least or the most that a setting may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    value: Value,
    /// The setting that the bound is, if it is one.
    setting: Option<&'static str>,
}

impl Bound {
    pub(super) const fn fixed(value: Value) -> Self {
        Self {
            value,
            setting: None,
        }
    }

    pub(super) const fn setting(setting: &'static str, value: Value) -> Self {
        Self {
            value,
            setting: Some(setting),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.setting {
            Some(setting) => write!(f, "{setting}, which is {}", self.value),
            None => self.value.fmt(f),
        }
    }
}

/// Checks a setting against its bounds, which are of its kind.
pub(super) fn check(
    setting: &'static str,
    value: Value,
    min: Bound,
    max: Option<Bound>,
) -> Result<(), ConfigError> {
    if value >= min.value && max.is_none_or(|max| value <= max.value) {
        return Ok(());
    }
    Err(ConfigError {
        setting,
        value,
        min,
        max,
    })
}
