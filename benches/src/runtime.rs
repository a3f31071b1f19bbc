//! The runtimes that peers run on, in three shapes.

use std::{future::pending, sync::Arc, thread};

use anyhow::{Result, ensure};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// How the two ends share threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Shape {
    /// Each end has a one-thread runtime of its own: two threads.
    Two,
    /// Both ends share a runtime of two threads.
    One,
    /// Both ends share one thread: for counting system calls, not for speed.
    Single,
}

impl Shape {
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Two => "two runtimes of one thread",
            Self::One => "one runtime of two threads",
            Self::Single => "one thread",
        }
    }
}

/// Where an end's tasks run.
pub(crate) trait Runtime: Clone + Send + Sync + 'static {
    /// The runtimes of the client and of the server.
    fn pair(shape: Shape) -> Result<(Self, Self)>;

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);

    /// Runs `task` on the calling thread, as if it were one of the runtime's.
    fn block_on<T>(&self, task: impl Future<Output = T>) -> T {
        futures::executor::block_on(task)
    }
}

/// tokio.
#[derive(Clone)]
pub(crate) struct Tokio(tokio::runtime::Handle);

impl Tokio {
    /// A runtime that runs until the process ends.
    fn start(mut builder: tokio::runtime::Builder) -> Result<Self> {
        let runtime = builder.enable_all().build()?;
        let handle = runtime.handle().clone();
        thread::spawn(move || runtime.block_on(pending::<()>()));
        Ok(Self(handle))
    }

    fn one_thread() -> Result<Self> {
        Self::start(tokio::runtime::Builder::new_current_thread())
    }

    fn two_threads() -> Result<Self> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2);
        Self::start(builder)
    }
}

impl Runtime for Tokio {
    fn pair(shape: Shape) -> Result<(Self, Self)> {
        Ok(match shape {
            Shape::Two => (Self::one_thread()?, Self::one_thread()?),
            Shape::One => {
                let runtime = Self::two_threads()?;
                (runtime.clone(), runtime)
            }
            Shape::Single => {
                let runtime = Self::one_thread()?;
                (runtime.clone(), runtime)
            }
        })
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(task);
    }

    fn block_on<T>(&self, task: impl Future<Output = T>) -> T {
        self.0.block_on(task)
    }
}

/// No runtime: a thread for every task, and whatever waits blocks its thread.
#[derive(Clone)]
pub(crate) struct Threads;

impl Runtime for Threads {
    fn pair(shape: Shape) -> Result<(Self, Self)> {
        ensure!(shape != Shape::Single, "threads are what it is made of");
        Ok((Self, Self))
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        thread::spawn(move || futures::executor::block_on(task));
    }
}

/// smol: an executor, and the threads that run it.
#[derive(Clone)]
pub(crate) struct Smol(Arc<smol::Executor<'static>>);

impl Smol {
    /// An executor that is run until the process ends.
    fn start(threads: usize) -> Self {
        let executor = Arc::new(smol::Executor::new());
        for _ in 0..threads {
            let executor = Arc::clone(&executor);
            thread::spawn(move || smol::block_on(executor.run(pending::<()>())));
        }
        Self(executor)
    }
}

impl Runtime for Smol {
    fn pair(shape: Shape) -> Result<(Self, Self)> {
        if shape == Shape::Two {
            return Ok((Self::start(1), Self::start(1)));
        }
        let runtime = Self::start(if shape == Shape::One { 2 } else { 1 });
        Ok((runtime.clone(), runtime))
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(task).detach();
    }
}

/// async-std, whose executor belongs to the process. `ASYNC_STD_THREAD_COUNT` sets its threads.
#[derive(Clone)]
pub(crate) struct AsyncStd;

impl Runtime for AsyncStd {
    fn pair(shape: Shape) -> Result<(Self, Self)> {
        ensure!(
            shape == Shape::One,
            "there is only one executor in a process"
        );
        Ok((Self, Self))
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        async_std::task::spawn(task);
    }
}
