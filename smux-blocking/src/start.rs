//! How threads are started.

use std::{io, thread};

/// Starts a thread that ends by itself, so it is not joined.
pub(crate) fn start(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(run)?;
    drop(thread);
    Ok(())
}
