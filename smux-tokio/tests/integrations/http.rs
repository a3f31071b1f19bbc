//! `axum::serve` on a listener, hyper-util's client on a pool.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::{ConnectInfo, State},
    routing,
};
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode, body::Bytes};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use smux_conformance::suite::tls;
use smux_tokio::{Config, Connect, Listener, ListenerHandle, Pool, Session, StreamInfo};
use tokio::{
    io,
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc, oneshot},
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::{Losable, common::within};

type HttpClient = Client<Pool, Full<Bytes>>;

fn client(pool: &Pool) -> HttpClient {
    Client::builder(TokioExecutor::new()).build(pool.clone())
}

fn request(path: &str, body: &[u8]) -> Request<Full<Bytes>> {
    let body = Full::new(Bytes::copy_from_slice(body));
    let request = Request::post(format!("http://server.example{path}"));
    request.body(body).expect("a request")
}

/// The body of an answer, which must be a success.
async fn post(client: &HttpClient, path: &str, body: &[u8]) -> Bytes {
    let response = within(client.request(request(path, body)));
    let response = response.await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    let body = within(response.into_body().collect()).await;
    body.expect("all of it").to_bytes()
}

/// An app that is served on a listener until told to stop.
struct Server {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    sessions: ListenerHandle,
}

impl Server {
    fn start(listener: Listener, app: Router) -> Self {
        let sessions = listener.handle();
        let (stop, stopped) = oneshot::channel();
        let app = app.into_make_service_with_connect_info::<StreamInfo>();
        let serve = axum::serve(listener, app).with_graceful_shutdown(async {
            let _ = stopped.await;
        });
        let task = tokio::spawn(async { serve.await.expect("no error") });
        Self {
            stop,
            task,
            sessions,
        }
    }

    async fn stop(self) {
        let _ = self.stop.send(());
        within(self.task).await.expect("no panic");
        within(self.sessions.ended()).await;
        assert_eq!(self.sessions.session_count(), 0);
    }
}

fn echo() -> Router {
    Router::new()
        .route("/echo", routing::post(|body: Bytes| async { body }))
        .route("/peer", routing::post(peer))
}

async fn peer(ConnectInfo(info): ConnectInfo<StreamInfo>) -> String {
    format!("{:?}", info.peer_addr)
}

/// Requests at the same time, on as many connections as the client likes.
async fn check_echoes(pool: &Pool) {
    let client = client(pool);
    let mut requests = JoinSet::new();
    for number in 0..100_u8 {
        let client = client.clone();
        requests.spawn(async move {
            let body = vec![number; 1_000 * usize::from(number)];
            assert_eq!(post(&client, "/echo", &body).await, body);
        });
    }
    while let Some(done) = requests.join_next().await {
        done.expect("an answer");
    }
    let stats = pool.stats();
    assert_eq!(stats.sessions_connected, 1);
    assert!(stats.totals.streams_opened > 1, "they use several streams");
}

/// Serves on a listener, and makes requests over a pool.
async fn check(listener: Listener, connector: impl Connect) {
    let server = Server::start(listener, echo());
    let pool = Pool::new(connector);
    within(check_echoes(&pool)).await;
    within(pool.close()).await;
    server.stop().await;
}

async fn tcp() -> (TcpListener, SocketAddr) {
    let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = tcp.local_addr().expect("bound");
    (tcp, address)
}

#[tokio::test]
async fn axum_serves_sessions_over_tcp() {
    let (tcp, address) = tcp().await;
    let connector = move || Session::connect(address, Config::v2());
    check(Listener::tcp(tcp, Config::v2()), connector).await;
}

#[cfg(unix)]
#[tokio::test]
async fn axum_serves_sessions_over_a_unix_socket() {
    use tokio::net::{UnixListener, UnixStream};

    let name = format!("smux-integrations-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let listener = UnixListener::bind(&path).expect("a path");
    let connector = {
        let path = path.clone();
        move || {
            let connecting = UnixStream::connect(path.clone());
            async { Ok::<_, io::Error>(Session::client(connecting.await?, Config::v2())) }
        }
    };
    check(Listener::unix(listener, Config::v2()), connector).await;
    std::fs::remove_file(path).expect("it is there");
}

#[tokio::test]
async fn axum_serves_sessions_over_tls() {
    let (client, name, server) = tls::configs();
    let (connector, acceptor) = (TlsConnector::from(client), TlsAcceptor::from(server));
    let (tcp, address) = tcp().await;
    let listener = Listener::builder().start(tcp, move |tcp: TcpStream| {
        let acceptor = acceptor.clone();
        async move {
            let tls = acceptor.accept(tcp).await?;
            Ok::<_, io::Error>(Session::server(tls, Config::v2()))
        }
    });
    // One that never shakes hands holds up nothing.
    let _silent = TcpStream::connect(address).await.expect("it listens");
    let connector = move || {
        let (connector, name) = (connector.clone(), name.clone());
        async move {
            let tcp = TcpStream::connect(address).await?;
            let tls = connector.connect(name, tcp).await?;
            Ok::<_, io::Error>(Session::client(tls, Config::v2()))
        }
    };
    check(listener, connector).await;
}

#[tokio::test]
async fn handlers_know_the_stream_of_a_request() {
    let (tcp, address) = tcp().await;
    let server = Server::start(Listener::tcp(tcp, Config::v2()), echo());
    let session = within(Session::connect(address, Config::v2())).await;
    let session = session.expect("it listens");
    let ours = session.local_addr();
    let pool = Pool::new(move || {
        let session = session.clone();
        async { Ok::<_, io::Error>(session) }
    });
    let peer = post(&client(&pool), "/peer", b"").await;
    assert_eq!(peer, format!("{ours:?}"));
    let response = within(client(&pool).request(request("/echo", b""))).await;
    let response = response.expect("an answer");
    let info = response.extensions().get::<StreamInfo>();
    assert_eq!(info.expect("of the connection").local_addr, ours);
    within(pool.close()).await;
    server.stop().await;
}

#[tokio::test]
async fn a_client_goes_on_after_a_lost_session() {
    let (tcp, address) = tcp().await;
    let server = Server::start(Listener::tcp(tcp, Config::v2()), echo());
    let mut losable = Losable::new(move || Session::connect(address, Config::v2()));
    let client = client(&losable.pool);
    for _ in 0..3 {
        assert_eq!(post(&client, "/echo", b"hello").await, "hello");
        losable.lose();
        // Its connections are known to be dead once the session has been replaced.
        within(losable.replaced()).await;
    }
    assert_eq!(post(&client, "/echo", b"hello").await, "hello");
    assert_eq!(losable.pool.stats().sessions_lost, 3);
    within(losable.pool.close()).await;
    server.stop().await;
}

/// A request that was taken is answered in full after the server was told to stop, and no new one
/// is taken.
#[tokio::test]
async fn a_graceful_shutdown_answers_what_was_taken() {
    #[derive(Clone)]
    struct Gate {
        taken: mpsc::UnboundedSender<()>,
        opened: Arc<Semaphore>,
    }

    async fn slow(State(gate): State<Gate>, body: Bytes) -> Bytes {
        gate.taken.send(()).expect("the test goes on");
        gate.opened.acquire().await.expect("not closed").forget();
        body
    }

    let (taken, mut arrivals) = mpsc::unbounded_channel();
    let opened = Arc::new(Semaphore::new(0));
    let gate = Gate {
        taken,
        opened: Arc::clone(&opened),
    };
    let app = Router::new()
        .route("/slow", routing::post(slow))
        .with_state(gate);
    let (tcp, address) = tcp().await;
    let server = Server::start(Listener::tcp(tcp, Config::v2()), app);
    let pool = Pool::new(move || Session::connect(address, Config::v2()));
    let client = client(&pool);
    let body = vec![7; 1 << 20];
    let mut requests = JoinSet::new();
    for _ in 0..20 {
        let (client, body) = (client.clone(), body.clone());
        requests.spawn(async move { assert_eq!(post(&client, "/slow", &body).await, body) });
    }
    for _ in 0..20 {
        within(arrivals.recv()).await.expect("a request");
    }
    let stopping = tokio::spawn(server.stop());
    within(async {
        // Its port is closed.
        while TcpStream::connect(address).await.is_ok() {}
    })
    .await;
    assert!(!stopping.is_finished());
    opened.add_permits(20);
    while let Some(answered) = requests.join_next().await {
        answered.expect("the whole answer");
    }
    within(stopping).await.expect("no panic");
}
