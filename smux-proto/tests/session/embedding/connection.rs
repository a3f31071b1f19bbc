struct Connection<T> {
    session: Session,
    transport: Option<T>,
    unread: Vec<u8>,
    batch: Transmit,
    shut: bool,
}

/// Ends the writing side, as `TcpStream::shutdown(Shutdown::Write)` does.
trait Shut {
    fn shut(&mut self) -> io::Result<()>;
}

impl<T: Read + Write + Shut> Connection<T> {
    fn round(&mut self, now: Duration, application: impl FnOnce(&mut Session)) {
        if self.session.poll_timeout().is_some_and(|due| due <= now) {
            self.session.handle_timeout(now);
        }
        if let Err(error) = self.input(now) {
            self.session.handle_transport_error(TransportError::new(error.to_string()));
        }
        application(&mut self.session);
        if let Err(error) = self.output(now) {
            self.session.handle_write_error(now, TransportError::new(error.to_string()));
        }
        if self.session.is_terminated() {
            self.transport = None;
        }
    }

    fn input(&mut self, now: Duration) -> io::Result<()> {
        let Some(transport) = &mut self.transport else { return Ok(()) };
        let mut buffer = [0; 16 * 1024];
        while self.session.wants_input() {
            if self.unread.is_empty() {
                match transport.read(&mut buffer) {
                    Ok(0) => {
                        self.session.handle_eof(now);
                        return Ok(());
                    }
                    Ok(count) => self.unread.extend_from_slice(&buffer[..count]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
            // An error is the peer's fault; the session has ended with it.
            let taken = self.session.handle_input(now, &self.unread).unwrap_or(self.unread.len());
            self.unread.drain(..taken);
        }
        Ok(())
    }

    fn output(&mut self, now: Duration) -> io::Result<()> {
        let Some(transport) = &mut self.transport else { return Ok(()) };
        while self.session.poll_transmit(now, &mut self.batch) {
            match transport.write(self.batch.chunk()) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.batch.advance(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        // A transport that buffers, as TLS does, may have to wait for its socket: the next round
        // flushes again.
        self.session.handle_flush_begin(now);
        match transport.flush() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            flushed => flushed?,
        }
        self.session.handle_flush_end(now);
        if self.session.wants_shutdown() && !self.shut {
            self.shut = true;
            transport.shut()?;
        }
        Ok(())
    }
}
