//! A gRPC service, written by hand as `tonic-prost-build` would generate it.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use smux_tokio::StreamInfo;
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    server::{Grpc, StreamingService, UnaryService},
};
use tower_service::Service;

use crate::codec::Raw;

pub(crate) const UNARY: &str = "/smux.example.Echo/Unary";
pub(crate) const BOTH_WAYS: &str = "/smux.example.Echo/BothWays";

/// Says in each unary answer whether the call came over smux.
pub(crate) const OVER: &str = "x-over";

/// Sends back what it gets.
#[derive(Clone, Copy)]
pub(crate) struct Echo;

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = Grpc::new(Raw);
            Ok(match request.uri().path() {
                UNARY => grpc.unary(Self, request).await,
                BOTH_WAYS => grpc.streaming(Self, request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

impl UnaryService<Bytes> for Echo {
    type Response = Bytes;
    type Future = Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let over_smux = request.extensions().get::<StreamInfo>().is_some();
        let mut response = Response::new(request.into_inner());
        let over = if over_smux { "smux" } else { "tcp" };
        if let Ok(over) = over.parse() {
            response.metadata_mut().insert(OVER, over);
        }
        ready(Ok(response))
    }
}

/// Answers each message when it has come, not at the end.
impl StreamingService<Bytes> for Echo {
    type Response = Bytes;
    type ResponseStream = Streaming<Bytes>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        ready(Ok(Response::new(request.into_inner())))
    }
}
