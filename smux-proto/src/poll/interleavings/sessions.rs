//! Opening, accepting and the last handle, on several tasks.

use std::{future::poll_fn, time::Duration, vec::Vec};

use shuttle::future::{block_on, spawn};

use super::{Version, explore, given_up, pair, read_to_end, tight, write_all};
use crate::{CloseReason, poll::SessionHandle};

#[test]
fn a_cancelled_accept_loses_no_stream() {
    explore(|movers| {
        block_on(async {
            let [(client, client_runs), (server, server_runs)] =
                pair(movers, &tight(Version::V1), 50);
            let impatient = spawn({
                let server = server.clone();
                async move { given_up(server.accept()).await.is_some() }
            });
            let patient = spawn({
                let server = server.clone();
                async move { server.accept().await.map(|stream| stream.id()) }
            });
            let stream = client.open().await.expect("the session goes on");
            if impatient.await.expect("ends without panic") {
                server.abort();
                let accepted = patient.await.expect("ends without panic");
                assert_eq!(accepted, Err(CloseReason::Aborted));
            } else {
                let accepted = patient.await.expect("ends without panic");
                assert_eq!(accepted, Ok(stream.id()));
            }
            drop((client, server, stream));
            client_runs.ended().await;
            server_runs.ended().await;
        });
    });
}

/// Accepts streams and reads each to its end, until the session ends.
async fn serve(server: SessionHandle) -> Vec<Vec<u8>> {
    let mut received = Vec::new();
    let mut incoming = server.incoming();
    while let Ok(stream) = poll_fn(|cx| incoming.poll_next(cx)).await {
        let (read, _write) = stream.into_split();
        received.push(read_to_end(&read).await.expect("all of it"));
    }
    received
}

#[test]
fn a_freed_place_goes_to_a_waiting_open() {
    explore(|movers| {
        block_on(async {
            let config = tight(Version::V1).to_builder().max_outbound_streams(1);
            let config = config.build().expect("valid");
            let [(client, client_runs), (server, server_runs)] = pair(movers, &config, 50);
            let serving = spawn(serve(server));
            let impatient = spawn({
                let client = client.clone();
                async move { given_up(client.open()).await.is_some() }
            });
            let openers: Vec<_> = (0..2)
                .map(|_| {
                    let client = client.clone();
                    spawn(async move { client.open().await.map(drop) })
                })
                .collect();
            for opener in openers {
                assert_eq!(opener.await.expect("ends without panic"), Ok(()));
            }
            let opened = 2 + usize::from(impatient.await.expect("ends without panic"));
            drop(client);
            let received = serving.await.expect("ends without panic");
            assert_eq!(received.len(), opened);
            client_runs.ended().await;
            server_runs.ended().await;
        });
    });
}

#[test]
fn dropping_the_last_handle_of_any_kind_closes_the_session() {
    explore(|movers| {
        block_on(async {
            let [(client, client_runs), (server, server_runs)] =
                pair(movers, &tight(Version::V1), 50);
            let stream = client.open().await.expect("the session goes on");
            let there = server.accept().await.expect("the session goes on");
            let (read, write) = stream.into_split();
            let (their_read, their_write) = there.into_split();
            let tasks = [
                spawn(async { drop(client) }),
                spawn(async { drop(server) }),
                spawn(async { drop(read) }),
                spawn(async { drop(their_write) }),
                spawn(async move {
                    write_all(&write, b"last words")
                        .await
                        .expect("there is room")
                }),
                spawn(async move {
                    let words = read_to_end(&their_read).await;
                    assert_eq!(words, Ok(b"last words".to_vec()));
                }),
            ];
            for task in tasks {
                task.await.expect("ends without panic");
            }
            client_runs.ended().await;
            server_runs.ended().await;
        });
    });
}

#[test]
fn a_drain_ends_with_the_last_stream() {
    explore(|movers| {
        block_on(async {
            let [(client, client_runs), (server, server_runs)] =
                pair(movers, &tight(Version::V1), 50);
            let stream = client.open().await.expect("the session goes on");
            let serving = spawn(serve(server));
            let dropping = spawn(async { drop(stream) });
            let reason = client.drain(Duration::from_secs(3600)).await;
            assert_eq!(reason, CloseReason::Local);
            drop(client);
            dropping.await.expect("ends without panic");
            assert_eq!(serving.await.expect("ends without panic").len(), 1);
            client_runs.ended().await;
            server_runs.ended().await;
        });
    });
}

/// One gives up in the middle of each queue, whenever that is: all others are served.
#[test]
fn a_cancelled_waiter_in_mid_queue_passes_its_turn_on() {
    explore(|movers| {
        block_on(async {
            let config = tight(Version::V1).to_builder().max_outbound_streams(1);
            let config = config.build().expect("valid");
            let [(client, client_runs), (server, server_runs)] = pair(movers, &config, 50);
            let wait = async |opens: bool, gives_up: bool, session: SessionHandle| {
                let waits = async {
                    match opens {
                        true => session.open().await.is_ok(),
                        false => session.accept().await.is_ok(),
                    }
                };
                match gives_up {
                    true => given_up(waits).await.is_some(),
                    false => waits.await,
                }
            };
            let mut tasks = Vec::new();
            for gives_up in [false, true, false] {
                tasks.push(spawn(wait(true, gives_up, client.clone())));
                tasks.push(spawn(wait(false, gives_up, server.clone())));
            }
            // A stream for each that accepts, also if the one that gives up opening never opens.
            tasks.push(spawn(wait(true, false, client.clone())));
            let mut patient = 0;
            for (place, task) in tasks.into_iter().enumerate() {
                let served = task.await.expect("ends without panic");
                patient += usize::from(served && !(2..4).contains(&place));
            }
            assert_eq!(patient, 5);
            drop((client, server));
            client_runs.ended().await;
            server_runs.ended().await;
        });
    });
}
