//! Every rule of the configuration, at its boundary.

use std::time::Duration;

use smux_proto::{Config, ConfigBuilder, SlowReaderPolicy, Version};

const I31: usize = i32::MAX as usize;

/// The setting that is wrong.
fn error(change: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> Option<&'static str> {
    let error = change(Config::builder()).build().err();
    error.map(|error| error.setting())
}

#[test]
fn the_defaults_are_the_numbers_of_the_reference() {
    let config = Config::default();
    assert_eq!(config.version(), Version::V1);
    assert!(!config.detects_version());
    let keep_alive = config.keep_alive().expect("it is on");
    assert_eq!(keep_alive.interval, Duration::from_secs(10));
    assert_eq!(keep_alive.timeout, Duration::from_secs(30));
    assert_eq!(config.max_frame_size(), 32_768);
    assert_eq!(config.max_receive_buffer(), 4_194_304);
    assert_eq!(config.max_stream_buffer(), 65_536);
    assert_eq!(config.initial_send_window(), 262_144);
    assert!(config.half_close());
}

#[test]
fn the_limits_have_defaults() {
    let config = Config::default();
    assert_eq!(config.max_inbound_streams(), 65_536);
    assert_eq!(config.max_outbound_streams(), 65_536);
    assert_eq!(config.accept_backlog(), 4_096);
    assert_eq!(config.max_owed_refusals(), 4_096);
    assert_eq!(config.close_timeout(), Duration::from_secs(5));
    assert!(config.max_glitches() > 0);
    assert!(config.max_stream_send_queue() > 0);
    assert!(config.max_session_send_queue() >= config.max_stream_send_queue());
}

#[test]
fn a_builder_starts_from_the_defaults_and_round_trips() {
    assert_eq!(Config::builder().build(), Ok(Config::default()));
    for config in [Config::default(), Config::v2()] {
        assert_eq!(config.to_builder().build(), Ok(config));
    }
}

#[test]
fn the_preset_is_version_2_with_more_room() {
    let (preset, plain) = (Config::v2(), Config::default());
    assert_eq!(preset.version(), Version::V2);
    assert!(preset.max_receive_buffer() > plain.max_receive_buffer());
    assert!(preset.max_stream_buffer() > plain.max_stream_buffer());
}

/// One number is enough for a longer link, or for less memory.
#[test]
fn the_presets_largest_window_follows_its_receive_buffer() {
    for bytes in [1 << 20, 128 << 20] {
        let config = Config::v2().to_builder().max_receive_buffer(bytes).build();
        let config = config.expect("valid");
        assert_eq!(config.max_stream_buffer(), bytes / 2);
    }
    let set = Config::v2().to_builder().max_stream_buffer(1 << 20);
    let config = set.max_receive_buffer(64 << 20).build().expect("valid");
    assert_eq!(config.max_stream_buffer(), 1 << 20);
    let config = Config::builder().max_receive_buffer(64 << 20).build();
    assert_eq!(config.expect("valid").max_stream_buffer(), 65_536);
}

#[test]
fn every_setting_reaches_the_configuration() {
    let config = Config::builder()
        .version(Version::V2)
        .detect_version(true)
        .keep_alive_interval(Duration::from_millis(1))
        .keep_alive_timeout(Duration::from_millis(2))
        .max_frame_size(3)
        .max_receive_buffer(5_000)
        .max_stream_buffer(4_000)
        .initial_send_window(6)
        .window_floor(7)
        .half_close(false)
        .max_inbound_streams(8)
        .max_outbound_streams(9)
        .accept_backlog(10)
        .max_stream_send_queue(11)
        .max_session_send_queue(12)
        .max_owed_refusals(13)
        .max_glitches(14)
        .close_timeout(Duration::from_millis(15))
        .build()
        .expect("valid");
    let keep_alive = config.keep_alive().expect("on");
    assert_eq!(
        (config.version(), config.detects_version()),
        (Version::V2, true)
    );
    assert_eq!(keep_alive.interval, Duration::from_millis(1));
    assert_eq!(keep_alive.timeout, Duration::from_millis(2));
    assert_eq!(config.max_frame_size(), 3);
    assert_eq!(
        (config.max_receive_buffer(), config.max_stream_buffer()),
        (5_000, 4_000)
    );
    assert_eq!(
        (config.initial_send_window(), config.window_floor()),
        (6, 7)
    );
    assert!(!config.half_close());
    assert_eq!(
        (config.max_inbound_streams(), config.max_outbound_streams()),
        (8, 9)
    );
    assert_eq!(
        (config.accept_backlog(), config.max_owed_refusals()),
        (10, 13)
    );
    assert_eq!(
        (
            config.max_stream_send_queue(),
            config.max_session_send_queue()
        ),
        (11, 12)
    );
    assert_eq!(
        (config.max_glitches(), config.close_timeout()),
        (14, Duration::from_millis(15))
    );
}

#[test]
fn keep_alive_is_checked() {
    let second = Duration::from_secs(1);
    let set =
        |interval, timeout| error(|c| c.keep_alive_interval(interval).keep_alive_timeout(timeout));
    assert_eq!(set(Duration::ZERO, second), Some("keep_alive_interval"));
    assert_eq!(set(second, second), None);
    assert_eq!(
        set(second, second - Duration::from_nanos(1)),
        Some("keep_alive_timeout")
    );
    assert_eq!(set(Duration::MAX, Duration::MAX), None);
    let off = Config::builder()
        .keep_alive_interval(Duration::ZERO)
        .keep_alive_disabled();
    assert_eq!(
        off.build().expect("not checked when off").keep_alive(),
        None
    );
}

#[test]
fn frame_size_is_checked() {
    for (size, expected) in [
        (0, Some("max_frame_size")),
        (1, None),
        (65_535, None),
        (65_536, Some("max_frame_size")),
    ] {
        assert_eq!(error(|c| c.max_frame_size(size)), expected, "{size}");
    }
}

#[test]
fn receive_buffer_is_checked() {
    for (size, expected) in [
        (0, Some("max_receive_buffer")),
        (1, None),
        (I31, None),
        (I31 + 1, Some("max_receive_buffer")),
    ] {
        assert_eq!(
            error(|c| c.max_receive_buffer(size).max_stream_buffer(1)),
            expected,
            "{size}"
        );
    }
}

#[test]
fn stream_buffer_is_checked() {
    let set = |stream, session| error(|c| c.max_stream_buffer(stream).max_receive_buffer(session));
    assert_eq!(set(0, 10), Some("max_stream_buffer"));
    assert_eq!(set(1, 10), None);
    assert_eq!(set(10, 10), None);
    assert_eq!(set(11, 10), Some("max_stream_buffer"));
    assert_eq!(set(I31, I31), None);
    assert_eq!(set(I31 + 1, I31), Some("max_stream_buffer"));
}

#[test]
fn initial_send_window_is_checked() {
    for (size, expected) in [
        (0, Some("initial_send_window")),
        (1, None),
        (262_144, None),
        (262_145, Some("initial_send_window")),
    ] {
        assert_eq!(error(|c| c.initial_send_window(size)), expected, "{size}");
    }
}

/// Values that were set stay; the others still follow from them.
#[test]
fn a_builder_from_a_configuration_keeps_what_was_set() {
    let set = Config::builder()
        .window_floor(1_000)
        .max_stream_send_queue(5_000)
        .build();
    let again = set
        .expect("valid")
        .to_builder()
        .max_session_send_queue(9_000);
    let again = again.build().expect("valid");
    assert_eq!(
        (again.window_floor(), again.max_stream_send_queue()),
        (1_000, 5_000)
    );
    let unset = Config::v2().to_builder().max_session_send_queue(9_000);
    assert_eq!(unset.build().expect("valid").max_stream_send_queue(), 2_250);
}

#[test]
fn window_floor_is_checked() {
    let set = |floor| error(|c| c.max_stream_buffer(100).window_floor(floor));
    assert_eq!(set(0), Some("window_floor"));
    assert_eq!(set(1), None);
    assert_eq!(set(100), None);
    assert_eq!(set(101), Some("window_floor"));
    assert_eq!(
        error(|c| c.max_stream_buffer(1)),
        None,
        "a floor that was not set gives way"
    );
}

#[test]
fn stream_limits_are_checked() {
    assert_eq!(error(|c| c.max_inbound_streams(0)), None);
    assert_eq!(
        error(|c| c.max_inbound_streams(1 << 30).max_outbound_streams(1 << 30)),
        None
    );
    assert_eq!(
        error(|c| c.max_inbound_streams((1 << 30) + 1)),
        Some("max_inbound_streams")
    );
    assert_eq!(
        error(|c| c.max_outbound_streams((1 << 30) + 1)),
        Some("max_outbound_streams")
    );
    assert_eq!(error(|c| c.accept_backlog(0)), Some("accept_backlog"));
    assert_eq!(error(|c| c.accept_backlog(1)), None);
}

#[test]
fn send_queues_are_checked() {
    let set = |stream, session| {
        error(|c| {
            c.max_stream_send_queue(stream)
                .max_session_send_queue(session)
        })
    };
    assert_eq!(set(0, 10), Some("max_stream_send_queue"));
    assert_eq!(set(10, 10), None);
    assert_eq!(set(11, 10), Some("max_stream_send_queue"));
    assert_eq!(set(I31, I31), None);
    assert_eq!(set(1, I31 + 1), Some("max_session_send_queue"));
}

#[test]
fn the_first_broken_rule_is_named_in_any_order_of_settings() {
    let all_wrong = |c: ConfigBuilder| {
        c.max_stream_buffer(0)
            .max_frame_size(0)
            .keep_alive_interval(Duration::ZERO)
    };
    assert_eq!(error(all_wrong), Some("keep_alive_interval"));
    assert_eq!(
        error(|c| c.max_stream_buffer(5_000_000).max_receive_buffer(6_000_000)),
        None
    );
    assert_eq!(
        error(|c| c.max_receive_buffer(6_000_000).max_stream_buffer(5_000_000)),
        None
    );
}

/// A person who reads it needs nothing else to mend the setting.
#[test]
fn an_error_names_the_setting_its_value_and_the_rule() {
    let text = |builder: ConfigBuilder| builder.build().expect_err("wrong").to_string();
    let evict = SlowReaderPolicy::Evict {
        share: 20,
        grace: Duration::ZERO,
    };
    let second = Duration::from_secs(1);
    for (builder, expected) in [
        (
            Config::builder().max_receive_buffer(0),
            "max_receive_buffer is 0 bytes: it must be 1 byte to 2147483647 bytes",
        ),
        (
            Config::v2().to_builder().max_stream_buffer(1 << 30),
            "max_stream_buffer is 1073741824 bytes: \
             it must be 1 byte to max_receive_buffer, which is 33554432 bytes",
        ),
        (
            Config::builder().max_inbound_streams((1 << 30) + 1),
            "max_inbound_streams is 1073741825 streams: it must be at most 1073741824 streams",
        ),
        (
            Config::builder().accept_backlog(0),
            "accept_backlog is 0 streams: it must be at least 1 stream",
        ),
        (
            Config::builder().keep_alive_interval(Duration::ZERO),
            "keep_alive_interval is 0ns: it must be at least 1ns",
        ),
        (
            Config::builder().keep_alive_timeout(second),
            "keep_alive_timeout is 1s: it must be at least keep_alive_interval, which is 10s",
        ),
        (
            Config::builder()
                .max_receive_buffer(10)
                .max_stream_buffer(5)
                .slow_readers(evict),
            "slow_readers.share is 20 bytes: \
             it must be 1 byte to max_receive_buffer, which is 10 bytes",
        ),
    ] {
        assert_eq!(text(builder), expected);
    }
}
