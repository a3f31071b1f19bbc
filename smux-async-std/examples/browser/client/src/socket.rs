//! A WebSocket of the browser as a stream of bytes: the file to copy.

use std::{
    cell::RefCell,
    collections::VecDeque,
    future::poll_fn,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_util::{AsyncRead, AsyncWrite};
use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{BinaryType, MessageEvent, WebSocket};

use crate::timer::Alarm;

/// Bytes of a message, at most: what is in between may have limits of its own.
const MESSAGE: usize = 32 * 1024;

/// Bytes that the browser holds to be sent, about. What is urgent later waits behind them.
const MAX_BUFFERED: u32 = 256 * 1024;

/// When to look whether fewer are held: no event tells.
const LOOK_AGAIN: Duration = Duration::from_millis(4);

/// Carries bytes in binary messages, whose bounds mean nothing.
///
/// It has to be read: browsers hold back no messages, and those that are not read queue up.
pub(crate) struct Socket {
    socket: WebSocket,
    received: Rc<RefCell<Received>>,
    alarm: Alarm,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_change: Closure<dyn FnMut()>,
}

/// What the callbacks have from the browser.
#[derive(Default)]
struct Received {
    /// They stay in JavaScript's memory until they are read.
    messages: VecDeque<Uint8Array>,
    /// How much of the first one is read.
    read: u32,
    is_text: bool,
    waker: Option<Waker>,
}

impl Received {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn read(&mut self, buf: &mut [u8]) -> Option<usize> {
        let message = self.messages.front()?;
        let left = message.length() - self.read;
        let count = left.min(u32::try_from(buf.len()).unwrap_or(u32::MAX));
        let part = message.subarray(self.read, self.read + count);
        part.copy_to(&mut buf[..count as usize]);
        self.read += count;
        if count == left {
            self.messages.pop_front();
            self.read = 0;
        }
        Some(count as usize)
    }
}

impl Socket {
    /// Resolves once the connection is open.
    pub(crate) async fn connect(url: &str) -> Result<Self, JsError> {
        let socket = WebSocket::new(url).map_err(|_| JsError::new("not a URL of a WebSocket"))?;
        socket.set_binary_type(BinaryType::Arraybuffer);
        let received = Rc::new(RefCell::new(Received::default()));
        let on_message = Closure::new({
            let received = Rc::clone(&received);
            move |event: MessageEvent| {
                let mut received = received.borrow_mut();
                match event.data().dyn_into::<ArrayBuffer>() {
                    Ok(data) if data.byte_length() == 0 => {}
                    Ok(data) => received.messages.push_back(Uint8Array::new(&data)),
                    Err(_) => received.is_text = true,
                }
                received.wake();
            }
        });
        let on_change = Closure::new({
            let received = Rc::clone(&received);
            move || received.borrow_mut().wake()
        });
        socket.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        // An error is followed by a close.
        socket.set_onopen(Some(on_change.as_ref().unchecked_ref()));
        socket.set_onclose(Some(on_change.as_ref().unchecked_ref()));
        let socket = Self {
            socket,
            received,
            alarm: Alarm::default(),
            _on_message: on_message,
            _on_change: on_change,
        };
        poll_fn(|cx| socket.poll_open(cx)).await?;
        Ok(socket)
    }

    fn poll_open(&self, cx: &Context<'_>) -> Poll<Result<(), JsError>> {
        match self.socket.ready_state() {
            WebSocket::CONNECTING => {
                self.received.borrow_mut().waker = Some(cx.waker().clone());
                Poll::Pending
            }
            WebSocket::OPEN => Poll::Ready(Ok(())),
            _ => Poll::Ready(Err(JsError::new("the WebSocket cannot be opened"))),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut received = self.received.borrow_mut();
        if let Some(count) = received.read(buf) {
            return Poll::Ready(Ok(count));
        }
        if received.is_text {
            let error = "a text message on a binary connection";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
        }
        if self.socket.ready_state() == WebSocket::CLOSED {
            return Poll::Ready(Ok(0));
        }
        received.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.socket.ready_state() != WebSocket::OPEN {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if self.socket.buffered_amount() > MAX_BUFFERED {
            self.alarm.wake_after(LOOK_AGAIN, cx);
            return Poll::Pending;
        }
        let part = &data[..data.len().min(MESSAGE)];
        match self.socket.send_with_u8_array(part) {
            Ok(()) => Poll::Ready(Ok(part.len())),
            Err(_) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// The browser sends what it holds without being told.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Sends a close after what is held. A browser then receives no more data.
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = self.socket.close();
        Poll::Ready(closed.map_err(|_| io::ErrorKind::BrokenPipe.into()))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.socket.set_onmessage(None);
        self.socket.set_onopen(None);
        self.socket.set_onclose(None);
        // It fails only for a wrong code or reason, of which there is none.
        let _ = self.socket.close();
    }
}
