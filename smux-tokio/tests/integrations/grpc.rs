//! tonic's server on a listener, its client on a pool.

use bytes::Bytes;
use http::uri::PathAndQuery;
use smux_tokio::{Config, Listener, Pool, Session};
use tokio::{net::TcpListener, sync::oneshot};
use tonic::{
    Request, Response, Status,
    client::Grpc,
    transport::{Channel, Endpoint, Server},
};

use crate::{
    Losable,
    codec::Raw,
    common::within,
    echo::{BOTH_WAYS, Echo, OVER, UNARY},
};

async fn listen() -> (Listener, std::net::SocketAddr) {
    let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = tcp.local_addr().expect("bound");
    (Listener::tcp(tcp, Config::v2()), address)
}

fn channel(pool: &Pool) -> Channel {
    Endpoint::from_static("http://server.example").connect_with_connector_lazy(pool.clone())
}

async fn unary(channel: &Channel, message: &'static str) -> Result<Response<Bytes>, Status> {
    let mut grpc = Grpc::new(channel.clone());
    let is_ready = within(grpc.ready()).await;
    is_ready.map_err(|error| Status::unavailable(error.to_string()))?;
    let request = Request::new(Bytes::from(message));
    let path = PathAndQuery::from_static(UNARY);
    within(grpc.unary(request, path, Raw)).await
}

#[tokio::test]
async fn calls_go_over_streams_until_a_graceful_end() {
    let (listener, address) = listen().await;
    let sessions = listener.handle();
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async {
        let _ = stopped.await;
    };
    let server = Server::builder().serve_with_incoming_shutdown(Echo, listener, stopped);
    let server = tokio::spawn(server);
    let pool = Pool::new(move || Session::connect(address, Config::v2()));
    let channel = channel(&pool);
    let response = unary(&channel, "hello").await.expect("an answer");
    assert_eq!(response.metadata().get(OVER).expect("told"), "smux");
    assert_eq!(response.into_inner(), "hello");

    let mut grpc = Grpc::new(channel.clone());
    within(grpc.ready()).await.expect("connected");
    // The second message is sent when the answer to the first has come.
    let (sender, messages) = tokio::sync::mpsc::channel(1);
    let messages = Messages(messages);
    sender.send(Bytes::from("one")).await.expect("room");
    let path = PathAndQuery::from_static(BOTH_WAYS);
    let answers = within(grpc.streaming(Request::new(messages), path, Raw)).await;
    let mut answers = answers.expect("answers").into_inner();
    let first = within(answers.message()).await.expect("an answer");
    assert_eq!(first.expect("not the end"), "one");
    sender.send(Bytes::from("two")).await.expect("room");
    let second = within(answers.message()).await.expect("an answer");
    assert_eq!(second.expect("not the end"), "two");
    drop(sender);
    assert_eq!(within(answers.message()).await.expect("the end"), None);

    let _ = stop.send(());
    let served = within(server).await.expect("no panic");
    served.expect("an end in order");
    within(sessions.ended()).await;
}

#[tokio::test]
async fn a_channel_goes_on_after_a_lost_session() {
    let (listener, address) = listen().await;
    tokio::spawn(Server::builder().serve_with_incoming(Echo, listener));
    let mut losable = Losable::new(move || Session::connect(address, Config::v2()));
    let channel = channel(&losable.pool);
    for _ in 0..3 {
        let response = unary(&channel, "hello").await.expect("an answer");
        assert_eq!(response.into_inner(), "hello");
        losable.lose();
        // A call may meet the old connection; the one after it may not.
        let _ = unary(&channel, "lost").await;
    }
    let response = unary(&channel, "hello").await.expect("an answer");
    assert_eq!(response.into_inner(), "hello");
    assert_eq!(losable.pool.stats().sessions_lost, 3);
}

/// What a channel receives, as a stream of messages.
struct Messages(tokio::sync::mpsc::Receiver<Bytes>);

impl futures_core::Stream for Messages {
    type Item = Bytes;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Bytes>> {
        self.0.poll_recv(cx)
    }
}
