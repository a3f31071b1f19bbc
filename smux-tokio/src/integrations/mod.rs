//! The traits of other crates, each behind a feature.

#[cfg(any(feature = "axum", feature = "hyper-util", feature = "tonic"))]
mod stream_info;

#[cfg(feature = "axum")]
mod axum;
#[cfg(feature = "hyper-util")]
mod hyper_util;
#[cfg(feature = "tonic")]
mod tonic;
#[cfg(feature = "tower")]
mod tower;

#[cfg(any(feature = "axum", feature = "hyper-util", feature = "tonic"))]
#[cfg_attr(
    docsrs,
    doc(cfg(any(feature = "axum", feature = "hyper-util", feature = "tonic")))
)]
pub use self::stream_info::StreamInfo;
