//! The launcher and the Go peers, with Go at both ends.

use std::{net::SocketAddr, time::Duration};

use super::{GoPeer, KeepAlive, Mode, Options, Outcome, Release, Role, Tcp};

const LIMIT: Duration = Duration::from_secs(30);

fn dialing(address: SocketAddr, role: Role, options: &Options) -> Options {
    Options {
        tcp: Tcp::Dial(address),
        role,
        ..options.clone()
    }
}

#[test]
fn every_release_talks_to_every_other() {
    if !GoPeer::available() {
        return;
    }
    for opener in Release::ALL {
        for acceptor in Release::ALL {
            for version in [1, 2] {
                let options = Options {
                    version,
                    streams: 20,
                    ..Options::default()
                };
                let serving = GoPeer::start(acceptor, Mode::Serve, &options).unwrap();
                let options = dialing(serving.address(), Role::Client, &options);
                let driving = GoPeer::start(opener, Mode::Concurrent, &options).unwrap();
                let all = Outcome {
                    streams: 20,
                    finished: 20,
                };
                assert_eq!(
                    driving.wait(LIMIT).unwrap(),
                    all,
                    "{opener} to {acceptor}, version {version}"
                );
                assert_eq!(
                    serving.wait(LIMIT).unwrap(),
                    all,
                    "{opener} to {acceptor}, version {version}"
                );
            }
        }
    }
}

/// The newest release is the acceptor, as only it can play every part of one.
#[test]
fn every_mode_works_with_the_releases_that_support_it() {
    if !GoPeer::available() {
        return;
    }
    for release in Release::ALL {
        for mode in Mode::OPENERS
            .into_iter()
            .filter(|mode| mode.works_with(release))
        {
            // What is read last must fit the first window.
            let bytes = match mode {
                Mode::HalfCloseReadLast => 200_001,
                _ => 300_001,
            };
            // The opener is the one that listens, and a server in the session. All that it sends
            // fits one window, as older releases need after a FIN.
            let options = Options {
                version: 2,
                bytes,
                max_stream_buffer: 1 << 20,
                idle: Duration::from_millis(1),
                ..Options::default()
            };
            let driving = GoPeer::start(release, mode, &options).unwrap();
            let options = dialing(driving.address(), Role::Client, &options);
            let serving = GoPeer::start(Release::NEWEST, Mode::Serve, &options).unwrap();
            let done = driving.wait(LIMIT).unwrap();
            assert_eq!(done.streams, done.finished, "{release} {mode:?}");
            assert_eq!(
                serving.wait(LIMIT).unwrap().streams,
                done.streams,
                "{release} {mode:?}"
            );
        }
    }
}

#[test]
fn an_opener_without_an_answer_fails_with_a_reason() {
    if !GoPeer::available() {
        return;
    }
    let serving = GoPeer::start(Release::NEWEST, Mode::Serve, &Options::default()).unwrap();
    let other_version = Options {
        version: 2,
        deadline: Duration::from_millis(200),
        ..Options::default()
    };
    let options = dialing(serving.address(), Role::Client, &other_version);
    let driving = GoPeer::start(Release::NEWEST, Mode::Echo, &options).unwrap();
    let error = driving.wait(LIMIT).unwrap_err().to_string();
    let expected = format!("FAIL echo smux=v{}", Release::NEWEST);
    assert!(error.contains(&expected), "{error}");
}

#[test]
fn a_peer_past_its_time_limit_is_killed() {
    if !GoPeer::available() {
        return;
    }
    let serving = GoPeer::start(Release::NEWEST, Mode::Serve, &Options::default()).unwrap();
    let error = serving
        .wait(Duration::from_millis(10))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("was still running after 10ms") && error.contains("LISTENING"),
        "{error}"
    );
}

#[test]
fn refused_options_are_reported_with_a_reason() {
    if !GoPeer::available() {
        return;
    }
    let keep_alive = KeepAlive::On {
        interval: Duration::from_secs(2),
        timeout: Duration::from_secs(1),
    };
    let options = Options {
        keep_alive,
        ..Options::default()
    };
    let error = GoPeer::start(Release::V1_5_16, Mode::Serve, &options)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("keep-alive timeout must be larger"),
        "{error}"
    );
}
