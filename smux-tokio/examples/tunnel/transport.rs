//! What sessions run over: how the client reaches the server, and how the server is reached.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use smux_tokio::{Config, Driver, Session, Version};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::cli::{ClientArgs, KcpArgs, LinkArgs, ServerArgs, Transport};
use crate::hello::{self, Heard};
use crate::token::Token;
use crate::{kcp, socket, tls};

/// How long an address has for itself before the next one is tried beside it.
const NEXT_ADDRESS: Duration = Duration::from_millis(250);
/// How long a KCP client may take for its first frame, part of which has come already, and for
/// the acknowledgement of ours.
const FIRST_DATAGRAMS: Duration = Duration::from_secs(3);
/// How long a client may take no answer to its first frame.
const WELCOME: Duration = Duration::from_secs(3);

fn token(args: &LinkArgs) -> Result<Option<Token>> {
    let path = args.token_file.as_deref();
    path.map(Token::load).transpose()
}

/// Makes the client's sessions.
pub(crate) enum Connector {
    Tcp,
    Tls(TlsConnector, ServerName<'static>, Option<Token>),
    Kcp(KcpArgs),
}

impl Connector {
    pub(crate) fn new(args: &ClientArgs) -> Result<Self> {
        args.link
            .check(args.tls_ca.is_some() || args.tls_name.is_some() || args.tls_cert.is_some())?;
        Ok(match args.link.transport {
            Transport::Tcp => Self::Tcp,
            Transport::Tls => {
                let (connector, name) = tls::connector(args)?;
                Self::Tls(connector, name, token(&args.link)?)
            }
            Transport::Kcp => Self::Kcp(args.link.kcp.clone().unwrap_or_default()),
        })
    }

    /// What it may be if there is no answer.
    fn silence(&self) -> &'static str {
        match self {
            Self::Tcp | Self::Tls(..) => "no answer in time",
            Self::Kcp(_) => {
                "no answer in time: is the server there, with the same --kcp-crypt, no error correction and no QPP?"
            }
        }
    }

    /// Connects to `server`, a `host:port` whose name is looked up each time, and exchanges first
    /// frames. The time `limit` is for all of it.
    pub(crate) async fn connect(
        &self,
        server: &str,
        config: Config,
        limit: Duration,
    ) -> Result<Session> {
        let connecting = self.connect_in_time(server, config, limit / 2);
        let connected = tokio::time::timeout(limit, connecting).await;
        connected.with_context(|| self.silence())?
    }

    /// For an answer that need not come there is the time `patience`.
    async fn connect_in_time(
        &self,
        server: &str,
        config: Config,
        patience: Duration,
    ) -> Result<Session> {
        let version = config.version();
        let tcp = async || {
            let tcp = TcpStream::connect(server).await?;
            socket::prepare(&tcp)?;
            Ok::<_, io::Error>(tcp)
        };
        Ok(match self {
            Self::Tcp => {
                let mut tcp = tcp().await?;
                hello::say(&mut tcp, version).await?;
                hello::peek_answer(&tcp, patience).await?;
                Session::client_tcp(tcp, config)?
            }
            Self::Tls(connector, name, token) => {
                let tcp = tcp().await?;
                let (local, peer) = (tcp.local_addr()?, tcp.peer_addr()?);
                let mut tls = connector.connect(name.clone(), tcp).await?;
                if let Some(token) = token {
                    token.show(&mut tls).await?;
                }
                hello::say(&mut tls, version).await?;
                // A server that takes a token is a tunnel's, which answers.
                let tls = hello::read_answer(tls, token.is_none().then_some(patience)).await?;
                start(
                    Session::client_with_driver(tls, config),
                    Some(local),
                    Some(peer),
                )
            }
            Self::Kcp(args) => {
                let addresses = lookup_host(server).await?;
                let (kcp, server) = first_to_answer(args, addresses, version).await?;
                start(Session::client_with_driver(kcp, config), None, Some(server))
            }
        })
    }
}

/// Moves a session. It has its addresses first, so that all that it logs does.
fn start<T>(
    (session, driver): (Session, Driver<T>),
    local: Option<SocketAddr>,
    peer: Option<SocketAddr>,
) -> Session
where
    T: AsyncRead + AsyncWrite + Send + 'static,
{
    let session = session.with_addresses(local, peer);
    tokio::spawn(driver);
    session
}

/// Over UDP only an answer tells that a server is there: the addresses are tried one after the
/// other, each beside those before it.
pub(crate) async fn first_to_answer(
    args: &KcpArgs,
    addresses: impl Iterator<Item = SocketAddr>,
    version: Version,
) -> Result<(kcp::Stream, SocketAddr)> {
    let mut attempts = JoinSet::new();
    let mut start = Instant::now();
    for address in addresses {
        let args = args.clone();
        attempts.spawn(async move {
            tokio::time::sleep_until(start).await;
            let mut kcp = kcp::connect(&args, address).await?;
            hello::say(&mut kcp, version).await?;
            kcp.acknowledged().await?;
            kcp.trust();
            Ok::<_, io::Error>((kcp, address))
        });
        start += NEXT_ADDRESS;
    }
    let mut failed = None;
    while let Some(attempt) = attempts.join_next().await {
        match attempt? {
            Ok(connected) => return Ok(connected),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.context("the server's name has no address")?.into())
}

/// Waits for clients.
pub(crate) enum Acceptor {
    Tcp(TcpListener),
    Tls(TcpListener, TlsAcceptor, Option<Token>),
    Kcp(kcp::Listener),
}

impl Acceptor {
    pub(crate) async fn bind(args: &ServerArgs) -> Result<Self> {
        args.link.check(
            args.tls_cert.is_some()
                || args.tls_key.is_some()
                || args.tls_client_ca.is_some()
                || args.tls_generate,
        )?;
        let tcp = async || {
            let listener = TcpListener::bind(&args.listen).await;
            listener.with_context(|| format!("cannot listen on {}", args.listen))
        };
        Ok(match args.link.transport {
            Transport::Tcp => Self::Tcp(tcp().await?),
            Transport::Tls => {
                let (acceptor, token) = (tls::acceptor(args)?, token(&args.link)?);
                Self::Tls(tcp().await?, acceptor, token)
            }
            Transport::Kcp => Self::Kcp(
                kcp::Listener::bind(&args.link.kcp.clone().unwrap_or_default(), &args.listen)
                    .await
                    .with_context(|| format!("cannot listen on UDP {}", args.listen))?,
            ),
        })
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(listener) | Self::Tls(listener, ..) => listener.local_addr(),
            Self::Kcp(listener) => Ok(listener.local_addr()),
        }
    }

    pub(crate) async fn accept(&mut self) -> io::Result<Arrival> {
        Ok(match self {
            Self::Tcp(listener) => {
                let (tcp, peer) = listener.accept().await?;
                Arrival {
                    peer,
                    link: Link::Tcp(tcp),
                }
            }
            Self::Tls(listener, acceptor, token) => {
                let (tcp, peer) = listener.accept().await?;
                Arrival {
                    peer,
                    link: Link::Tls(tcp, acceptor.clone(), token.clone()),
                }
            }
            Self::Kcp(listener) => {
                let (kcp, peer) = listener.accept().await?;
                Arrival {
                    peer,
                    link: Link::Kcp(kcp),
                }
            }
        })
    }

    /// Takes no more clients. What is returned must be kept as long as there are sessions.
    pub(crate) fn stop(self) -> Option<kcp::Listener> {
        match self {
            Self::Tcp(_) | Self::Tls(..) => None,
            Self::Kcp(listener) => Some(listener),
        }
    }
}

/// Something that has arrived and may be a client.
pub(crate) struct Arrival {
    pub peer: SocketAddr,
    link: Link,
}

enum Link {
    Tcp(TcpStream),
    Tls(TcpStream, TlsAcceptor, Option<Token>),
    Kcp(kcp::Stream),
}

impl Arrival {
    /// Shakes hands, where that is needed, asks for the token, and waits for the first frame.
    pub(crate) async fn greet(self) -> Result<Visitor> {
        let peer = Some(self.peer);
        Ok(match self.link {
            Link::Tcp(tcp) => {
                socket::prepare(&tcp)?;
                let version = hello::peek(&tcp).await?;
                Visitor::Tcp(tcp, version)
            }
            Link::Tls(tcp, acceptor, token) => {
                socket::prepare(&tcp)?;
                let local = Some(tcp.local_addr()?);
                let mut tls = acceptor.accept(tcp).await?;
                if let Some(token) = token {
                    token.demand(&mut tls).await?;
                }
                let tls = hello::read(tls).await?;
                Visitor::Tls(Box::new(tls), local, peer)
            }
            Link::Kcp(kcp) => {
                let mut kcp = tokio::time::timeout(FIRST_DATAGRAMS, hello::read(kcp)).await??;
                // The address of a datagram can be forged. An acknowledgement shows that it was
                // not.
                let answered = kcp.answer().await?;
                tokio::time::timeout(FIRST_DATAGRAMS, answered.acknowledged()).await??;
                answered.trust();
                Visitor::Kcp(kcp, peer)
            }
        })
    }
}

/// A client that has sent the head of a frame.
pub(crate) enum Visitor {
    /// With the version of its frame.
    Tcp(TcpStream, u8),
    Tls(
        Box<Heard<TlsStream<TcpStream>>>,
        Option<SocketAddr>,
        Option<SocketAddr>,
    ),
    Kcp(Heard<kcp::Stream>, Option<SocketAddr>),
}

impl Visitor {
    /// Tells the client that it has a place. Over KCP it was answered before.
    pub(crate) async fn welcome(&mut self) -> io::Result<()> {
        let told = async {
            match self {
                Self::Tcp(tcp, version) => hello::send(tcp, *version).await,
                Self::Tls(tls, ..) => tls.answer().await.map(drop),
                Self::Kcp(..) => Ok(()),
            }
        };
        tokio::time::timeout(WELCOME, told).await?
    }

    pub(crate) fn start(self, config: Config) -> io::Result<Session> {
        Ok(match self {
            Self::Tcp(tcp, _) => Session::server_tcp(tcp, config)?,
            Self::Tls(tls, local, peer) => {
                start(Session::server_with_driver(*tls, config), local, peer)
            }
            Self::Kcp(kcp, peer) => start(Session::server_with_driver(kcp, config), None, peer),
        })
    }
}
