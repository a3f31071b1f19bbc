//! The guide: how to size, close, cancel, embed and extend.
//!
//! | page | answers |
//! |---|---|
//! | [`sizing`] | Which setting bounds what? What does a long link need? How much memory can a session take? |
//! | [`many_sessions`] | What do 100 000 sessions take, of memory, descriptors, ports, threads and time? |
//! | [`operating`] | What is wrong with my session? What do logs and counters say? |
//! | [`closing`] | How do streams and sessions end, and what does the other end see, a Go peer of each release too? |
//! | [`cancellation`] | What has a future done when it is dropped? |
//! | [`embedding`] | How does my own loop drive the core? |
#![cfg_attr(
    feature = "poll",
    doc = "| [`adapters`] | How is smux brought to another runtime? |"
)]
//! | [`from_go`] | What is the counterpart of each identifier of the Go package? |
//! | [`limits`] | What can no implementation of this protocol do? |
//!
//! There is no code here. The pages are the files of `docs` in this crate, and their examples are
//! tests.

/// Where the references of the pages lead in this documentation. On their own they lead to files:
/// the first definition counts.
macro_rules! references {
    () => {
        concat!(
            "[`Config`]: crate::Config\n",
            "[`ConfigBuilder`]: crate::ConfigBuilder\n",
            "[`SessionStats`]: crate::SessionStats\n",
            "[`CloseReason`]: crate::CloseReason\n",
            "[`Session`]: crate::Session\n",
            "[`StreamMut`]: crate::StreamMut\n",
            "[`BufferPool`]: crate::BufferPool\n",
            "[`BufferSource`]: crate::BufferSource\n",
            "[`Header`]: crate::Header\n",
            "[`Command`]: crate::Command\n",
            "[`WindowUpdate`]: crate::WindowUpdate\n",
            "[sizing]: crate::guide::sizing\n",
            "[many sessions]: crate::guide::many_sessions\n",
            "[closing]: crate::guide::closing\n\n",
        )
    };
}

#[doc = references!()]
#[doc = include_str!("../docs/sizing.md")]
pub mod sizing {}

#[doc = references!()]
#[doc = include_str!("../docs/operating.md")]
pub mod operating {}

#[cfg(not(doctest))]
#[doc = references!()]
#[doc = include_str!("../docs/many_sessions.md")]
pub mod many_sessions {}

// Its examples, and those of three more pages, are with tokio: tests of `smux-tokio`.
#[cfg(not(doctest))]
#[doc = references!()]
#[doc = include_str!("../docs/closing.md")]
pub mod closing {}

#[cfg(not(doctest))]
#[doc = references!()]
#[doc = include_str!("../docs/cancellation.md")]
pub mod cancellation {}

#[doc = references!()]
#[doc = include_str!("../docs/embedding.md")]
pub mod embedding {}

#[cfg(feature = "poll")]
#[doc = "[`TransportRead`]: crate::poll::TransportRead\n[`TransportWrite`]: crate::poll::TransportWrite\n"]
#[doc = "[`Engine`]: crate::poll::Engine\n[`Transmit`]: crate::Transmit\n"]
#[doc = "[`Transport`]: crate::poll::Transport\n[`Clock`]: crate::poll::Clock\n[`Timer`]: crate::poll::Timer\n[`Pumps`]: crate::poll::Pumps\n\n"]
#[doc = include_str!("../docs/adapters.md")]
pub mod adapters {}

#[cfg(not(doctest))]
#[doc = references!()]
#[doc = include_str!("../docs/from_go.md")]
pub mod from_go {}

#[doc = references!()]
#[doc = include_str!("../docs/limits.md")]
pub mod limits {}
