//! The smallest complete program: an echo server and a client, over TCP.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener},
    thread,
};

use smux_blocking::{Config, Session};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || serve(&listener));

    let session = Session::connect(address, Config::v2())?;
    let mut stream = session.open()?;
    stream.write_all(b"hello over smux")?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    println!("stream {}: {answer}", stream.id());

    session.close();
    Ok(())
}

fn serve(listener: &TcpListener) -> io::Result<()> {
    loop {
        let (tcp, _) = listener.accept()?;
        let Ok(session) = Session::server(tcp, Config::v2()) else {
            continue; // the client is gone already
        };
        thread::spawn(move || {
            // The last item says why the session has ended.
            for stream in session.incoming().flatten() {
                thread::spawn(move || {
                    stream.copy_to(&mut &stream)?;
                    stream.shutdown(Shutdown::Write)
                });
            }
        });
    }
}
