//! Configurations in files.

use std::time::Duration;

use proptest::prelude::*;
use smux_proto::{Config, SlowReaderPolicy, Version};

fn read(text: &str) -> Result<Config, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn refused(text: &str) -> String {
    read(text).expect_err("it is wrong")
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(read("{}"), Ok(Config::default()));
    assert_eq!(read(r#"{"version": 1}"#), Ok(Config::default()));
    assert_eq!(read(r#"{"version": 2}"#), Ok(Config::v2()));
}

#[test]
fn settings_are_read_as_a_person_writes_them() {
    let config = read(
        r#"{
            "version": 2,
            "keep_alive_interval": "5s",
            "keep_alive_timeout": "2 m",
            "max_receive_buffer": "64 MiB",
            "max_stream_send_queue": "100kB",
            "max_frame_size": 16384,
            "max_inbound_streams": 100,
            "slow_readers": {"evict": {"share": "1_000B", "grace": "1h"}},
            "close_timeout": "1_500ms"
        }"#,
    )
    .expect("valid");
    assert_eq!(config.version(), Version::V2);
    let keep_alive = config.keep_alive().expect("it is on");
    assert_eq!(keep_alive.interval, Duration::from_secs(5));
    assert_eq!(keep_alive.timeout, Duration::from_secs(120));
    assert_eq!(config.max_receive_buffer(), 64 << 20);
    assert_eq!(config.max_stream_buffer(), 32 << 20, "still a half");
    assert_eq!(config.max_stream_send_queue(), 100_000);
    assert_eq!(config.max_frame_size(), 16_384);
    assert_eq!(config.max_inbound_streams(), 100);
    assert_eq!(config.close_timeout(), Duration::from_millis(1_500));
    let evict = SlowReaderPolicy::Evict {
        share: 1_000,
        grace: Duration::from_secs(3_600),
    };
    assert_eq!(config.slow_readers(), evict);
}

#[test]
fn what_is_wrong_is_named() {
    let unknown = refused(r#"{"max_recieve_buffer": 1}"#);
    assert!(unknown.contains("max_recieve_buffer"), "{unknown}");
    let unknown = refused(r#"{"slow_readers": {"evict": {"share": 1, "grace": "1s", "x": 1}}}"#);
    assert!(unknown.contains("`x`"), "{unknown}");
    let rule = refused(r#"{"max_frame_size": "64KiB"}"#);
    assert!(rule.contains("max_frame_size is 65536 bytes"), "{rule}");
    let version = refused(r#"{"version": 3}"#);
    assert!(version.contains("version 1 or 2"), "{version}");
    let useless = refused(r#"{"keep_alive": false, "keep_alive_interval": "1s"}"#);
    assert!(useless.contains("no effect"), "{useless}");
    for size in [
        r#""1 XB""#,
        r#""-1B""#,
        r#""+1B""#,
        r#""""#,
        r#""B""#,
        r#""99999999999GiB""#,
        "-1",
        "1.5",
    ] {
        let error = refused(&format!(r#"{{"max_receive_buffer": {size}}}"#));
        assert!(error.contains("such as \"32 MiB\""), "{size}: {error}");
    }
    for time in [
        "10",
        r#""10""#,
        r#""s""#,
        r#""-1s""#,
        r#""1.5s""#,
        r#""99999999999999999999d""#,
    ] {
        let error = refused(&format!(r#"{{"close_timeout": {time}}}"#));
        assert!(error.contains("such as \"10s\""), "{time}: {error}");
    }
}

#[test]
fn sizes_and_durations_are_written_with_their_units() {
    let text = serde_json::to_string(&Config::v2()).expect("text");
    for part in [
        r#""max_receive_buffer":"32MiB""#,
        r#""initial_send_window":"256KiB""#,
        r#""window_floor":"64B""#,
        r#""keep_alive_interval":"10s""#,
        r#""slow_readers":"stall""#,
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        is_v2 in any::<bool>(),
        keep_alive in proptest::option::of((1_u64..u64::MAX, 0..u64::MAX, any::<bool>())),
        receive in 1..=i32::MAX as usize,
        queue in 1..=i32::MAX as usize,
        evict in proptest::option::of(any::<u64>()),
        close in any::<(u64, u32)>(),
        streams in 0..=1_usize << 30,
        glitches in any::<u32>(),
    ) {
        let base = if is_v2 { Config::v2() } else { Config::default() };
        let mut builder = base
            .to_builder()
            .max_receive_buffer(receive)
            .max_stream_buffer(receive.div_ceil(3))
            .max_session_send_queue(queue)
            .max_stream_send_queue(queue.div_ceil(7))
            .max_inbound_streams(streams)
            .max_glitches(glitches)
            .close_timeout(Duration::new(close.0 / 2, close.1));
        builder = match keep_alive {
            None => builder.keep_alive_disabled(),
            Some((interval, more, required)) => {
                let interval = Duration::from_nanos(interval);
                builder
                    .keep_alive_interval(interval)
                    .keep_alive_timeout(interval + Duration::from_millis(more))
                    .keep_alive_required(required)
            }
        };
        if let Some(grace) = evict {
            builder = builder.slow_readers(SlowReaderPolicy::Evict {
                share: receive,
                grace: Duration::from_micros(grace),
            });
        }
        let config = builder.build().expect("valid");
        let text = serde_json::to_string(&config).expect("text");
        prop_assert_eq!(read(&text), Ok(config), "{}", text);
    }
}
