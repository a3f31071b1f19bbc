//! What the two ends of the quickstart say to each other, over smux streams and over raw TCP alike.

use anyhow::{Result, bail, ensure};
use smux_tokio::{Config, Version};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The first byte of a TCP connection: what the rest of it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carries {
    OneStream,
    Smux(Version),
}

impl Carries {
    pub(crate) async fn write(self, to: &mut (impl AsyncWrite + Unpin)) -> Result<()> {
        let byte = match self {
            Self::OneStream => 0,
            Self::Smux(version) => version.to_byte(),
        };
        Ok(to.write_u8(byte).await?)
    }

    pub(crate) async fn read(from: &mut (impl AsyncRead + Unpin)) -> Result<Self> {
        let byte = from.read_u8().await?;
        Ok(match (byte, Version::from_byte(byte)) {
            (0, _) => Self::OneStream,
            (_, Some(version)) => Self::Smux(version),
            _ => bail!("the connection starts with {byte}: not a quickstart client"),
        })
    }
}

/// Both ends are ours, so version 2 comes with the preset for that case.
pub(crate) fn config(version: Version) -> Config {
    match version {
        Version::V1 => Config::default(),
        Version::V2 => Config::v2(),
    }
}

/// The head of every stream: what its opener asks of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// "Read my data to its end, then answer with its digest."
    Take,
    /// "Send me so many bytes, then their digest."
    Give { bytes: u64 },
    /// "Send back what I send."
    Echo,
    /// "Open so many streams to me, `Take` so many bytes on each, then answer with a 1."
    Open { streams: u32, bytes: u64 },
}

impl Request {
    const SIZE: usize = 13;

    pub(crate) async fn write(self, to: &mut (impl AsyncWrite + Unpin)) -> Result<()> {
        let (kind, streams, bytes) = match self {
            Self::Take => (0, 0, 0),
            Self::Give { bytes } => (1, 0, bytes),
            Self::Echo => (2, 0, 0),
            Self::Open { streams, bytes } => (3, streams, bytes),
        };
        // One write: on raw TCP with TCP_NODELAY every write is a packet.
        let mut head = Vec::with_capacity(Self::SIZE);
        head.write_u8(kind).await?;
        head.write_u32(streams).await?;
        head.write_u64(bytes).await?;
        Ok(to.write_all(&head).await?)
    }

    pub(crate) async fn read(from: &mut (impl AsyncRead + Unpin)) -> Result<Self> {
        let kind = from.read_u8().await?;
        let streams = from.read_u32().await?;
        let bytes = from.read_u64().await?;
        Ok(match kind {
            0 => Self::Take,
            1 => Self::Give { bytes },
            2 => Self::Echo,
            3 => Self::Open { streams, bytes },
            other => bail!("unknown request {other}"),
        })
    }
}

/// Length and CRC-32 of what went through a stream in one direction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Digest {
    bytes: u64,
    crc: crc32fast::Hasher,
}

impl Digest {
    /// On the wire: 8 bytes of length, 4 bytes of checksum.
    pub(crate) const SIZE: u64 = 12;

    pub(crate) fn update(&mut self, data: &[u8]) {
        self.bytes += data.len() as u64;
        self.crc.update(data);
    }

    pub(crate) async fn write(self, to: &mut (impl AsyncWrite + Unpin)) -> Result<()> {
        to.write_u64(self.bytes).await?;
        Ok(to.write_u32(self.crc.finalize()).await?)
    }

    /// Reads the other side's digest and compares it with ours.
    pub(crate) async fn verify(self, from: &mut (impl AsyncRead + Unpin)) -> Result<()> {
        let theirs = (from.read_u64().await?, from.read_u32().await?);
        let ours = (self.bytes, self.crc.finalize());
        ensure!(
            ours == theirs,
            "data was damaged: {} bytes with CRC {:08x} here, {} bytes with CRC {:08x} there",
            ours.0,
            ours.1,
            theirs.0,
            theirs.1
        );
        Ok(())
    }
}
