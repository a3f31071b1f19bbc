//! The bare end of a connection in virtual time.

use std::{
    io::{self, Read, Write},
    task::{Context, Waker},
};

use super::VirtualTime;
use crate::suite::{memory::Memory, time::Wire};

pub(super) struct VirtualWire {
    pub(super) end: Memory,
    pub(super) time: VirtualTime,
}

impl Read for VirtualWire {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut cx = Context::from_waker(Waker::noop());
        self.time.block(|| self.end.poll_read(&mut cx, buf))
    }
}

impl Write for VirtualWire {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let mut cx = Context::from_waker(Waker::noop());
        self.time.block(|| self.end.poll_write(&mut cx, data))
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut cx = Context::from_waker(Waker::noop());
        self.time.block(|| self.end.poll_flush(&mut cx))
    }
}

impl Wire for VirtualWire {
    fn finish(&mut self) -> io::Result<()> {
        let mut cx = Context::from_waker(Waker::noop());
        self.time.block(|| self.end.poll_close(&mut cx))
    }
}
