//! Both ends show that they know the same secret, before a session begins.
//!
//! Each sends a random challenge, and answers the other's with an HMAC. Neither sends the secret,
//! and an answer is of no use in another connection or as the answer of the other end. What follows
//! is neither encrypted nor authenticated: over a network that is not trusted, put TLS around it.

use std::io;

use ring::{
    hmac::{self, Key, Tag},
    rand::{SecureRandom, SystemRandom},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const CHALLENGE: usize = 32;
const ANSWER: usize = 32;

/// What both ends know.
#[derive(Clone)]
pub(crate) struct Secret(Key);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Dials out, and is called back.
    Agent,
    /// Is dialled, and calls.
    Gateway,
}

impl Role {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Agent => b"agent",
            Self::Gateway => b"gateway",
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Agent => Self::Gateway,
            Self::Gateway => Self::Agent,
        }
    }
}

impl Secret {
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self(Key::new(hmac::HMAC_SHA256, secret))
    }

    /// Says who we are, and checks that the other end is what it should be.
    ///
    /// # Errors
    /// [`io::ErrorKind::PermissionDenied`] if it does not know the secret.
    pub(crate) async fn check<T>(&self, io: &mut T, role: Role) -> io::Result<()>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let mut ours = [0; CHALLENGE];
        let random = SystemRandom::new().fill(&mut ours);
        random.map_err(|_| io::Error::other("no random numbers"))?;
        io.write_all(&ours).await?;
        io.flush().await?;
        let mut theirs = [0; CHALLENGE];
        io.read_exact(&mut theirs).await?;

        // The agent goes first: the gateway tells a stranger nothing.
        if role == Role::Agent {
            self.answer(io, role, &theirs).await?;
        }
        let mut answer = [0; ANSWER];
        io.read_exact(&mut answer).await?;
        let expected = message(role.other(), &ours);
        hmac::verify(&self.0, &expected, &answer).map_err(|_| io::ErrorKind::PermissionDenied)?;
        if role == Role::Gateway {
            self.answer(io, role, &theirs).await?;
        }
        Ok(())
    }

    async fn answer<T>(&self, io: &mut T, role: Role, challenge: &[u8]) -> io::Result<()>
    where
        T: AsyncWrite + Unpin,
    {
        let answer: Tag = hmac::sign(&self.0, &message(role, challenge));
        io.write_all(answer.as_ref()).await?;
        io.flush().await
    }
}

fn message(role: Role, challenge: &[u8]) -> Vec<u8> {
    [b"smux reverse example, ", role.name(), challenge].concat()
}
