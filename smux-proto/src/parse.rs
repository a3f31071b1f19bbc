//! The error of reading a value from text.

use core::fmt;

/// A text that is not the value it should be. It says what would be.
///
/// ```
/// # use smux_proto::Version;
/// let error = "3".parse::<Version>().unwrap_err();
/// assert_eq!(error.to_string(), "not a version of smux: it must be 1 or 2");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseError {
    what: &'static str,
    rule: &'static str,
}

impl ParseError {
    pub(crate) const fn new(what: &'static str, rule: &'static str) -> Self {
        Self { what, rule }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not {}: it must be {}", self.what, self.rule)
    }
}

impl core::error::Error for ParseError {}
