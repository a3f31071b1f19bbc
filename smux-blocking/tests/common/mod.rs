//! Helpers that the tests of this crate share.
#![allow(dead_code, reason = "each test file uses a part")]

use std::{
    io::{self, Write},
    net::{Shutdown, TcpListener, TcpStream},
    panic,
    sync::{
        Arc, Condvar, Mutex,
        mpsc::{self, RecvTimeoutError},
    },
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};

use smux_blocking::{Config, Parts, Session, Stream, TimeoutElapsed};

/// The longest that a test may wait. Generous, since machines can be slow.
const LIMIT: Duration = Duration::from_secs(60);

/// Fails instead of hanging.
pub(crate) fn within<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    let thread = thread::spawn(move || done.send(test()));
    match result.recv_timeout(LIMIT) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => panic!("it hangs"),
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => panic::resume_unwind(panic),
            Ok(_) => unreachable!("the thread sends before it ends"),
        },
    }
}

/// Waits for a condition that raises no event.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < LIMIT, "{what}: not so after {LIMIT:?}");
        thread::yield_now();
    }
}

pub(crate) fn configs() -> [Config; 2] {
    [Config::default(), Config::v2()]
}

pub(crate) fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let near = TcpStream::connect(listener.local_addr().expect("bound")).expect("connect");
    let (far, _) = listener.accept().expect("accept");
    (near, far)
}

/// A client and a server over TCP.
pub(crate) fn pair(config: &Config) -> (Session, Session) {
    let (near, far) = tcp_pair();
    (
        Session::client(near, config.clone()).expect("client"),
        Session::server(far, config.clone()).expect("server"),
    )
}

/// A stream from `client` to `server`, both its ends.
pub(crate) fn stream(client: &Session, server: &Session) -> (Stream, Stream) {
    let ours = client.open().expect("open");
    let theirs = server.accept().expect("accept");
    (ours, theirs)
}

/// A client and a server over TCP. The client's transport takes no bytes while the valve is shut,
/// as at first.
pub(crate) fn pair_with_valve(config: &Config) -> (Session, Session, Arc<Valve>) {
    let (near, far) = tcp_pair();
    let (client, valve) = client_with_valve(near, config);
    let server = Session::server(far, config.clone()).expect("server");
    (client, server, valve)
}

pub(crate) fn client_with_valve(tcp: TcpStream, config: &Config) -> (Session, Arc<Valve>) {
    let valve = Arc::new(Valve::default());
    let reader = tcp.try_clone().expect("clone");
    let writer = Held {
        writer: tcp.try_clone().expect("clone"),
        valve: Arc::clone(&valve),
    };
    let broken = Arc::clone(&valve);
    let parts = Parts::new(reader, writer, move |how| {
        if how == Shutdown::Both {
            broken.set(State::Broken);
        }
        tcp.shutdown(how)
    });
    let client = Session::client(parts, config.clone()).expect("client");
    (client, valve)
}

/// Holds back what a transport writes.
#[derive(Default)]
pub(crate) struct Valve {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Shut,
    /// Shut, with a write waiting.
    Waiting,
    Open,
    Broken,
}

impl Valve {
    pub(crate) fn open(&self) {
        self.set(State::Open);
    }

    pub(crate) fn shut(&self) {
        self.set(State::Shut);
    }

    fn set(&self, state: State) {
        *self.state.lock().expect("no panic") = state;
        self.changed.notify_all();
    }

    /// Writes until the stream takes no more. Returns the number of bytes taken, and restores the
    /// timeout.
    pub(crate) fn fill(&self, mut stream: &Stream) -> usize {
        let timeout = stream.write_timeout();
        let quickly = Some(Duration::from_millis(50));
        stream.set_write_timeout(quickly).expect("not zero");
        let mut fill = || {
            let mut written = 0;
            loop {
                match stream.write(&[0; 10_000]) {
                    Ok(count) => written += count,
                    Err(error) => break assert_elapsed(&error),
                }
            }
            written
        };
        let mut written = fill();
        // Once the session's writer is blocked, no room is freed any more.
        until("the writer waits", || {
            *self.state.lock().expect("no panic") == State::Waiting
        });
        written += fill();
        stream.set_write_timeout(timeout).expect("as it was");
        written
    }
}

struct Held {
    writer: TcpStream,
    valve: Arc<Valve>,
}

impl Write for Held {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let mut state = self.valve.state.lock().expect("no panic");
        while matches!(*state, State::Shut | State::Waiting) {
            *state = State::Waiting;
            state = self.valve.changed.wait(state).expect("no panic");
        }
        if *state == State::Broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        drop(state);
        self.writer.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// The call itself timed out.
#[track_caller]
pub(crate) fn assert_elapsed(error: &io::Error) {
    assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error:?}");
    let inner = error.get_ref().expect("an inner error");
    assert!(inner.is::<TimeoutElapsed>(), "{error:?}");
}

/// Runs `act` on a thread, and returns once that thread sleeps, which it does only in `act`.
pub(crate) fn blocked<'scope, T: Send + 'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    act: impl FnOnce() -> T + Send + 'scope,
) -> ScopedJoinHandle<'scope, T> {
    let (tell, begun) = mpsc::sync_channel(1);
    let handle = scope.spawn(move || {
        // There is room for it: this does not block.
        tell.send(tasks::own_id()).expect("the test waits");
        act()
    });
    let id = begun.recv().expect("it begins");
    until("the thread is blocked", || tasks::is_asleep(&id));
    assert!(!handle.is_finished());
    handle
}

/// This process's threads, as the kernel knows them.
#[cfg(target_os = "linux")]
pub(crate) mod tasks {
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    /// The calling thread's.
    pub(crate) fn own_id() -> String {
        let link = fs::read_link("/proc/thread-self").expect("procfs");
        let id = link.file_name().expect("ends in the id");
        id.to_string_lossy().into_owned()
    }

    pub(crate) fn is_asleep(id: &str) -> bool {
        // After the name in parentheses.
        let state = |stat: String| stat.rsplit(')').next()?.trim_start().chars().next();
        fs::read_to_string(format!("/proc/self/task/{id}/stat"))
            .is_ok_and(|stat| state(stat) == Some('S'))
    }

    /// Those of sessions.
    pub(crate) fn of_sessions() -> Vec<PathBuf> {
        let tasks = fs::read_dir("/proc/self/task").expect("procfs");
        tasks
            .filter_map(|task| Some(task.ok()?.path()))
            .filter(|task| name(task).starts_with("smux-"))
            .collect()
    }

    fn name(task: &Path) -> String {
        let name = fs::read_to_string(task.join("comm")).unwrap_or_default();
        name.trim_end().to_owned()
    }

    /// How often a thread has gone to sleep or was preempted.
    pub(crate) fn switches(task: &Path) -> u64 {
        let status = fs::read_to_string(task.join("status")).expect("a live thread");
        status
            .lines()
            .filter_map(|line| line.split_once("ctxt_switches:"))
            .map(|(_, count)| count.trim().parse::<u64>().expect("a number"))
            .sum()
    }

    /// Processor time in ticks of some milliseconds.
    pub(crate) fn ticks(task: &Path) -> u64 {
        let stat = fs::read_to_string(task.join("stat")).expect("a live thread");
        let fields = stat.rsplit(')').next().expect("a name").split_whitespace();
        // `utime` and `stime` are fields 14 and 15; the first behind the name is 3.
        let times = fields.skip(14 - 3).take(2);
        times
            .map(|time| time.parse::<u64>().expect("a number"))
            .sum()
    }
}

/// Other systems do not show whether a thread sleeps. There the threads run in either order, and
/// tests check the same.
#[cfg(not(target_os = "linux"))]
pub(crate) mod tasks {
    pub(crate) fn own_id() -> String {
        String::new()
    }

    pub(crate) fn is_asleep(_: &str) -> bool {
        true
    }
}
