//! What sessions run over: how the client reaches the server, and how the server is reached.

use std::io;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use smux_tokio::{Config, Session};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::cli::{ClientArgs, KcpArgs, ServerArgs, Transport};
use crate::{kcp, tls};

/// Makes the client's sessions.
pub(crate) enum Connector {
    Tcp,
    Tls(TlsConnector, ServerName<'static>),
    Kcp(KcpArgs),
}

impl Connector {
    pub(crate) fn new(args: &ClientArgs) -> Result<Self> {
        args.link
            .check(args.tls_ca.is_some() || args.tls_name.is_some())?;
        Ok(match args.link.transport {
            Transport::Tcp => Self::Tcp,
            Transport::Tls => {
                let (connector, name) = tls::connector(args)?;
                Self::Tls(connector, name)
            }
            Transport::Kcp => Self::Kcp(args.link.kcp.clone().unwrap_or_default()),
        })
    }

    /// Connects to `server`, a `host:port` whose name is looked up each time.
    ///
    /// Over KCP this always works: whether the server lives shows when it sends something.
    pub(crate) async fn connect(&self, server: &str, config: Config) -> Result<Session> {
        Ok(match self {
            Self::Tcp => Session::connect(server, config).await?,
            Self::Tls(connector, name) => {
                let tcp = TcpStream::connect(server).await?;
                tcp.set_nodelay(true)?;
                let (local, peer) = (tcp.local_addr()?, tcp.peer_addr()?);
                let tls = connector.connect(name.clone(), tcp).await?;
                Session::client(tls, config).with_addresses(Some(local), Some(peer))
            }
            Self::Kcp(args) => {
                let server = tokio::net::lookup_host(server).await?.next();
                let server = server.context("the server's name has no address")?;
                let kcp = kcp::connect(args, server).await?;
                Session::client(kcp, config).with_addresses(None, Some(server))
            }
        })
    }
}

/// Waits for clients.
pub(crate) enum Acceptor {
    Tcp(TcpListener),
    Tls(TcpListener, TlsAcceptor),
    Kcp(kcp::Listener),
}

impl Acceptor {
    pub(crate) async fn bind(args: &ServerArgs) -> Result<Self> {
        args.link
            .check(args.tls_cert.is_some() || args.tls_key.is_some() || args.tls_generate)?;
        let tcp = async || {
            let listener = TcpListener::bind(&args.listen).await;
            listener.with_context(|| format!("cannot listen on {}", args.listen))
        };
        Ok(match args.link.transport {
            Transport::Tcp => Self::Tcp(tcp().await?),
            Transport::Tls => Self::Tls(tcp().await?, tls::acceptor(args)?),
            Transport::Kcp => Self::Kcp(
                kcp::Listener::bind(&args.link.kcp.clone().unwrap_or_default(), &args.listen)
                    .await
                    .with_context(|| format!("cannot listen on UDP {}", args.listen))?,
            ),
        })
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(listener) | Self::Tls(listener, _) => listener.local_addr(),
            Self::Kcp(listener) => Ok(listener.local_addr()),
        }
    }

    pub(crate) async fn accept(&mut self) -> io::Result<Arrival> {
        Ok(match self {
            Self::Tcp(listener) => Arrival::Tcp(listener.accept().await?.0),
            Self::Tls(listener, acceptor) => {
                Arrival::Tls(listener.accept().await?.0, acceptor.clone())
            }
            Self::Kcp(listener) => {
                let (kcp, peer) = listener.accept().await?;
                Arrival::Kcp(kcp, peer)
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

/// A client that has arrived. Making a session of it may take a handshake, for which no other client should wait.
pub(crate) enum Arrival {
    Tcp(TcpStream),
    Tls(TcpStream, TlsAcceptor),
    Kcp(kcp::Stream, SocketAddr),
}

impl Arrival {
    /// Shakes hands, where that is needed, and starts the session.
    pub(crate) async fn start(self, config: Config) -> Result<Session> {
        Ok(match self {
            Self::Tcp(tcp) => Session::server_tcp(tcp, config)?,
            Self::Tls(tcp, acceptor) => {
                tcp.set_nodelay(true)?;
                let (local, peer) = (tcp.local_addr()?, tcp.peer_addr()?);
                let tls = acceptor.accept(tcp).await?;
                Session::server(tls, config).with_addresses(Some(local), Some(peer))
            }
            Self::Kcp(kcp, peer) => Session::server(kcp, config).with_addresses(None, Some(peer)),
        })
    }
}
