//! A configuration in a file: with `serde`, as a person writes it.

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Unexpected},
};

use super::{
    Config, SlowReaderPolicy,
    units::{Size, Time},
};
use crate::wire::Version;

/// What stands in a file; each setting may be missing.
#[derive(Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    version: Option<u8>,
    detect_version: Option<bool>,
    keep_alive: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_alive_interval: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_alive_timeout: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_alive_required: Option<bool>,
    max_frame_size: Option<Size>,
    max_receive_buffer: Option<Size>,
    max_stream_buffer: Option<Size>,
    initial_send_window: Option<Size>,
    window_floor: Option<Size>,
    half_close: Option<bool>,
    slow_readers: Option<SlowReaders>,
    max_inbound_streams: Option<usize>,
    max_outbound_streams: Option<usize>,
    accept_backlog: Option<usize>,
    max_stream_send_queue: Option<Size>,
    max_session_send_queue: Option<Size>,
    max_owed_refusals: Option<usize>,
    max_glitches: Option<u32>,
    close_timeout: Option<Time>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum SlowReaders {
    Stall,
    Evict { share: Size, grace: Time },
}

/// With feature `serde`. Every setting is written, sizes and durations with their units.
impl Serialize for Config {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let keep_alive = self.keep_alive;
        let size = |bytes| Some(Size(bytes));
        Settings {
            version: Some(self.version.to_byte()),
            detect_version: Some(self.detect_version),
            keep_alive: Some(keep_alive.is_some()),
            keep_alive_interval: keep_alive.map(|set| Time(set.interval)),
            keep_alive_timeout: keep_alive.map(|set| Time(set.timeout)),
            keep_alive_required: keep_alive.map(|set| set.required),
            max_frame_size: size(self.max_frame_size),
            max_receive_buffer: size(self.max_receive_buffer),
            max_stream_buffer: size(self.max_stream_buffer),
            initial_send_window: size(self.initial_send_window as usize),
            window_floor: size(self.window_floor),
            half_close: Some(self.half_close),
            slow_readers: Some(match self.slow_readers {
                SlowReaderPolicy::Stall => SlowReaders::Stall,
                SlowReaderPolicy::Evict { share, grace } => SlowReaders::Evict {
                    share: Size(share),
                    grace: Time(grace),
                },
            }),
            max_inbound_streams: Some(self.max_inbound_streams),
            max_outbound_streams: Some(self.max_outbound_streams),
            accept_backlog: Some(self.accept_backlog),
            max_stream_send_queue: size(self.max_stream_send_queue),
            max_session_send_queue: size(self.max_session_send_queue),
            max_owed_refusals: Some(self.max_owed_refusals),
            max_glitches: Some(self.max_glitches),
            close_timeout: Some(Time(self.close_timeout)),
        }
        .serialize(serializer)
    }
}

/// With feature `serde`. Settings are called as the methods of
/// [`ConfigBuilder`](super::ConfigBuilder); what is missing is that of [`Config::v2`] if `version`
/// is 2, and else of [`Config::default`]. Unknown settings are refused, and the rules are checked.
///
/// Sizes are numbers of bytes or texts with `B`, `KiB`, `MiB`, `GiB`, `kB`, `MB` or `GB`, durations
/// texts with `ns`, `us`, `ms`, `s`, `m`, `h` or `d`. `keep_alive = false` switches that off, and
/// `slow_readers` is `"stall"` or `{ evict = { share = "1MiB", grace = "5s" } }`.
impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Settings::deserialize(deserializer)?.build()
    }
}

macro_rules! set {
    ($builder:ident, $settings:ident, $($name:ident)*) => {
        $(if let Some(value) = $settings.$name {
            $builder = $builder.$name(value.into());
        })*
    };
}

impl Settings {
    fn build<E: Error>(self) -> Result<Config, E> {
        let version = self.version.map(|byte| {
            let other = || E::invalid_value(Unexpected::Unsigned(byte.into()), &"version 1 or 2");
            Version::from_byte(byte).ok_or_else(other)
        });
        let base = match version.transpose()? {
            None | Some(Version::V1) => Config::default(),
            Some(Version::V2) => Config::v2(),
        };
        let mut builder = base.to_builder();
        set!(builder, self,
            detect_version keep_alive_interval keep_alive_timeout keep_alive_required
            max_frame_size max_receive_buffer max_stream_buffer window_floor half_close
            slow_readers max_inbound_streams max_outbound_streams accept_backlog
            max_stream_send_queue max_session_send_queue max_owed_refusals max_glitches
            close_timeout);
        if let Some(Size(window)) = self.initial_send_window {
            // The largest number is too large for the rule.
            builder = builder.initial_send_window(u32::try_from(window).unwrap_or(u32::MAX));
        }
        if self.keep_alive == Some(false) {
            let is_set = self.keep_alive_interval.is_some()
                || self.keep_alive_timeout.is_some()
                || self.keep_alive_required.is_some();
            if is_set {
                let error = "keep_alive is false: keep_alive_interval, keep_alive_timeout and \
                    keep_alive_required have no effect then";
                return Err(E::custom(error));
            }
            builder = builder.keep_alive_disabled();
        }
        builder.build().map_err(E::custom)
    }
}

impl From<SlowReaders> for SlowReaderPolicy {
    fn from(slow_readers: SlowReaders) -> Self {
        match slow_readers {
            SlowReaders::Stall => Self::Stall,
            SlowReaders::Evict { share, grace } => Self::Evict {
                share: share.into(),
                grace: grace.into(),
            },
        }
    }
}
