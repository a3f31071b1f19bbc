//! The conformance suite: scenarios with blocking calls, written once and run by every
//! implementation.
//!
//! * [`host`]: the interface that an implementation provides, and how to run the suite on a new
//!   one; [`host_impl`] provides most of it for an adapter whose methods have the usual names.
//! * [`scenarios`]: the scenarios, as functions of a [`Case`].
//! * [`peer`]: a peer that speaks frames over any connection.
//! * [`connection`] and [`memory`]: the connections, good and bad; with the feature `tls`, what TLS
//!   needs.
//! * [`live`]: scenarios with Go peers.
//! * [`time`](mod@time) and [`virtual_time`]: how scenarios wait.
//! * [`core`]: the bare core as a host.
//!
//! [`suite!`](crate::suite!) expands to one test per scenario and version; each runs twice, with
//! roles swapped.
#![doc = include_str!("transports.md")]
#![doc = include_str!("mapping.md")]
#![doc = include_str!("differences.md")]

pub mod case;
pub mod connection;
pub mod core;
pub mod host;
pub mod host_impl;
pub mod live;
pub mod memory;
pub mod peer;
pub mod scenarios;
pub mod time;
#[cfg(feature = "tls")]
pub mod tls;
pub mod virtual_time;

pub use self::case::{Case, run};

/// A module with a test for every scenario, on the host that the expression makes, in version 1 and
/// version 2.
///
/// ```
/// use smux_conformance::suite::core::CoreHost;
///
/// smux_conformance::suite!(core, CoreHost::new());
/// ```
#[macro_export]
macro_rules! suite {
    ($module:ident, $host:expr) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;

            mod v1 {
                use super::*;
                $crate::every_scenario!(V1, $host);
                $crate::scenarios!(
                    V1,
                    $host,
                    [unread_stream_stalls_and_recovers, update_in_version_1,]
                );
            }

            mod v2 {
                use super::*;
                $crate::every_scenario!(V2, $host);
                $crate::scenarios!(
                    V2,
                    $host,
                    [
                        acknowledged_too_much,
                        first_window_is_kept,
                        flooded_stream_is_evicted,
                        round_trip_shows_in_the_statistics,
                        starving_shows_in_the_statistics,
                        strict_sender_makes_progress,
                        unread_stream_leaves_others_alone,
                        window_boundaries,
                        windows_follow_what_is_consumed,
                    ]
                );
            }
        }
    };
}

/// As [`suite!`](crate::suite!), with only the scenarios that depend on the connection: for
/// further transports.
#[macro_export]
macro_rules! transport_suite {
    ($module:ident, $host:expr) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;

            mod v1 {
                use super::*;
                $crate::transport_scenarios!(V1, $host);
            }

            mod v2 {
                use super::*;
                $crate::transport_scenarios!(V2, $host);
            }
        }
    };
}

/// As [`transport_suite!`](crate::transport_suite!), without the scenarios in which the peer must
/// notice the connection's end.
#[macro_export]
macro_rules! datagram_suite {
    ($module:ident, $host:expr) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;

            mod v1 {
                use super::*;
                $crate::endless_scenarios!(V1, $host);
            }

            mod v2 {
                use super::*;
                $crate::endless_scenarios!(V2, $host);
            }
        }
    };
}

/// The [`transport_suite!`](crate::transport_suite!) over connections in memory that cut everything
/// into small pieces, that are slow, and that hold back what is not flushed.
#[macro_export]
macro_rules! memory_suites {
    ($module:ident, $host:expr) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;
            use $crate::suite::{host::InMemory, memory::Behaviour};

            $crate::transport_suite!(short, InMemory($host, Behaviour::SHORT));
            $crate::transport_suite!(slow, InMemory($host, Behaviour::SLOW));
            $crate::transport_suite!(buffered, InMemory($host, Behaviour::BUFFERED));
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! scenarios {
    ($version:ident, $host:expr, [$($scenario:ident),* $(,)?]) => {$(
        #[test]
        fn $scenario() {
            let version = $crate::Version::$version;
            $crate::suite::run(|| $host, version, $crate::suite::scenarios::$scenario);
        }
    )*};
}

#[doc(hidden)]
#[macro_export]
macro_rules! transport_scenarios {
    ($version:ident, $host:expr) => {
        $crate::endless_scenarios!($version, $host);
        $crate::scenarios!(
            $version,
            $host,
            [
                abort,
                close_flushes_queued_data,
                drain,
                dropping_everything_flushes,
                flushed_data_survives_an_abort,
                unread_data_survives_session_close,
            ]
        );
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! endless_scenarios {
    ($version:ident, $host:expr) => {
        $crate::scenarios!(
            $version,
            $host,
            [
                bulk_both_ways_on_one_stream,
                data_is_there_when_accepted,
                drop_sends_data_and_end,
                echo_on_one_stream,
                all_streams_write_at_once,
                half_close,
                half_close_both_ways,
                many_short_streams,
                parallel_streams,
                small_receive_buffer,
            ]
        );
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! every_scenario {
    ($version:ident, $host:expr) => {
        $crate::transport_scenarios!($version, $host);
        $crate::scenarios!(
            $version,
            $host,
            [
                // data
                acceptor_speaks_first,
                stream_is_copied_to_a_writer,
                detected_version,
                empty_reads_and_writes,
                frames_of_every_size,
                random_lengths,
                several_accept_at_once,
                tiny_read_buffer,
                // lending
                lending_outlives_the_session,
                lent_bytes_stay_until_consumed,
                lent_pieces_make_the_whole,
                lines_are_read_across_frames,
                // half_close
                end_follows_data,
                dropped_reading_half_costs_nothing,
                dropped_streams_free_the_buffer,
                ended_streams_are_forgotten,
                half_close_then_close,
                half_close_twice,
                peer_close_stops_the_writer,
                peer_close_wakes_a_blocked_writer,
                peer_end_does_not_stop_the_writer,
                split_in_halves,
                unread_data_survives_both_ends,
                unread_data_survives_own_session_close,
                unread_data_survives_the_end,
                without_half_close,
                // closing
                calls_after_close,
                close_ends_at_its_limit,
                close_twice,
                connection_ends,
                connection_ends_inside_a_frame,
                drain_ends_at_its_limit,
                end_of_stream_beats_end_of_connection,
                is_closed,
                no_streams_after_close,
                streams_end_while_the_session_closes,
                streams_outlive_the_session_handle,
                write_after_the_connection_is_gone,
                // reasons
                waiters_hear_of_a_close,
                waiters_hear_of_a_protocol_error,
                waiters_hear_of_a_timeout,
                waiters_hear_of_an_abort,
                waiters_hear_of_the_connections_end,
                // flow
                abandoned_streams_cost_nothing,
                stuck_output_does_not_stop_reading,
                // limits
                accepted_in_order,
                full_backlog_refuses,
                ids_of_streams,
                inbound_limit_of_zero,
                inbound_limit_refuses,
                spent_streams_do_not_count,
                outbound_limit_waits,
                owed_refusals_are_bounded,
                // priorities
                higher_level_overtakes_bulk,
                weights_share_in_proportion,
                // statistics
                streams_are_listed,
                // keep_alive
                any_frame_is_a_sign_of_life,
                idle_sessions_stay_alive,
                silent_peer_is_declared_dead,
                slow_reader_is_not_killed,
                stuck_connection_is_declared_dead,
                keep_alive_switched_off,
                // hostile
                data_behind_fin,
                duplicate_syn,
                empty_frames,
                endless_useless_frames,
                frames_after_close,
                frames_for_unknown_streams,
                id_is_used_again,
                other_version,
                random_bytes,
                random_frames,
                repeated_fin,
                syn_with_our_parity,
                two_versions_meet,
                unknown_command,
                unknown_version,
                wrong_length,
                // transports
                connection_takes_nothing,
                our_direction_dies,
                peers_data_survives_a_write_error,
                their_direction_dies,
            ]
        );
    };
}
