//! The browser's clock and timer for a session.

use std::{
    cell::RefCell,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use smux_async_std::{Clock, Timer};
use wasm_bindgen::{JsValue, prelude::*};

// These are where there is no `window` too: in workers.
#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn milliseconds() -> f64;
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(call: &Closure<dyn FnMut()>, milliseconds: f64) -> JsValue;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timeout: &JsValue);
}

/// Longer timeouts would overflow in browsers. One that ends early does no harm.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

fn now() -> Duration {
    Duration::from_secs_f64(milliseconds() / 1e3)
}

/// What a session needs in place of a runtime's timer.
#[derive(Default)]
pub(crate) struct BrowserTimer {
    alarm: Alarm,
    until: Duration,
}

impl Timer for BrowserTimer {
    fn clock(&self) -> Clock {
        Clock::new(now)
    }

    fn poll_sleep(&mut self, cx: &mut Context<'_>, until: Duration) -> Poll<()> {
        let left = until.saturating_sub(now());
        if left.is_zero() {
            return Poll::Ready(());
        }
        if self.until != until {
            self.alarm.stop();
            self.until = until;
        }
        self.alarm.wake_after(left, cx);
        Poll::Pending
    }
}

/// Wakes a task after a while.
pub(crate) struct Alarm {
    /// The task's, while the timeout runs.
    waker: Rc<RefCell<Option<Waker>>>,
    ring: Closure<dyn FnMut()>,
    timeout: JsValue,
}

impl Default for Alarm {
    fn default() -> Self {
        let waker = Rc::new(RefCell::new(None));
        let ring = Closure::new({
            let waker = Rc::clone(&waker);
            move || {
                let waker: Option<Waker> = waker.take();
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
        });
        Self {
            waker,
            ring,
            timeout: JsValue::UNDEFINED,
        }
    }
}

impl Alarm {
    /// Starts a timeout, unless there is one.
    pub(crate) fn wake_after(&mut self, time: Duration, cx: &Context<'_>) {
        if self.waker.replace(Some(cx.waker().clone())).is_none() {
            // Rounded up: browsers cut fractions off.
            let milliseconds = (time.min(LONGEST).as_secs_f64() * 1e3).ceil();
            self.timeout = set_timeout(&self.ring, milliseconds);
        }
    }

    fn stop(&mut self) {
        if self.waker.take().is_some() {
            clear_timeout(&self.timeout);
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.stop();
    }
}
