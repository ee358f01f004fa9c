//! The whole: a loop to build, run, step through and end.
//!
//! A [`Runtime`] belongs to the thread that made it. Nothing in it runs by itself: time passes for
//! its tasks and callbacks only while the thread is inside of `block_on`, `run` or `turn`.

use std::fmt;
use std::io;
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

use crate::clock::Clock;
use crate::executor::block_on::BlockOnError;
use crate::executor::local_loop::{GREEN_STACK_BYTES, LocalLoop, Order};
use crate::executor::remote::Handle;
use crate::executor::shutdown::ShutdownReport;
use crate::executor::stall::TaskInfo;
use crate::executor::turn::Turn;
use crate::observer::{Observer, Tracer};
use crate::task::join::JoinHandle;

/// How a [`Runtime`] shall be.
#[derive(Default)]
pub struct Builder {
    /// Whether time jumps instead of passing.
    virtual_clock: bool,
    /// In which order what is ready runs.
    order: Order,
    /// Who hears what happens.
    observer: Option<Box<dyn Observer>>,
    /// How large the stacks of green threads are; `None` is the default.
    green_stack_bytes: Option<usize>,
}

impl Builder {
    /// The default: real time, first come first served, nobody listening.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Lets time jump to the next deadline when nothing is ready, instead of waiting for it. While
    /// another thread does a job for the loop (see [`blocking`](crate::blocking)), time stands still; but it does not
    /// wait for what other threads or programs may do of their own accord.
    pub fn virtual_clock(mut self, virtual_clock: bool) -> Builder {
        self.virtual_clock = virtual_clock;
        self
    }

    /// In which order the tasks and callbacks of one turn run.
    pub fn order(mut self, order: Order) -> Builder {
        self.order = order;
        self
    }

    /// Who hears each event of the loop. Without one, and when the log takes level trace for the
    /// target `greenroom`, that is a [`Tracer`].
    pub fn observer(mut self, observer: impl Observer + 'static) -> Builder {
        self.observer = Some(Box::new(observer));
        self
    }

    /// How large the stacks of green threads are, in bytes, unless [`green::Builder::stack_bytes`] says otherwise;
    /// 256 KiB by default. Whole pages, and only those that are used cost memory.
    ///
    /// [`green::Builder::stack_bytes`]: crate::green::Builder::stack_bytes
    pub fn green_stack_bytes(mut self, green_stack_bytes: usize) -> Builder {
        self.green_stack_bytes = Some(green_stack_bytes);
        self
    }

    /// A runtime of this thread.
    ///
    /// # Errors
    /// If the operating system gives no epoll instance or eventfd: out of descriptors or memory.
    pub fn build(self) -> io::Result<Runtime> {
        let tracer = || -> Option<Box<dyn Observer>> {
            log::log_enabled!(target: "greenroom", log::Level::Trace).then(|| Box::new(Tracer) as _)
        };
        let observer = self.observer.or_else(tracer);
        let local_loop = LocalLoop::new(
            Clock::new(self.virtual_clock),
            self.order,
            observer,
            self.green_stack_bytes.unwrap_or(GREEN_STACK_BYTES),
        )?;
        Ok(Runtime { local_loop: Some(local_loop) })
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("virtual_clock", &self.virtual_clock)
            .field("order", &self.order)
            .field("green_stack_bytes", &self.green_stack_bytes)
            .finish_non_exhaustive()
    }
}

/// An event loop of this thread, with its tasks, timers, sockets and callbacks.
///
/// Dropping it cancels what is left and closes the loop; [`shutdown`](Runtime::shutdown) does so
/// with a grace period and a report. Handles and wakers that outlive it do nothing.
#[derive(Debug)]
pub struct Runtime {
    /// The loop; `None` once it was shut down.
    local_loop: Option<Rc<LocalLoop>>,
}

impl Runtime {
    /// A runtime with the defaults of [`Builder`].
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn new() -> io::Result<Runtime> {
        Builder::new().build()
    }

    /// To choose how the runtime shall be.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// The loop, which is there until `shutdown` has taken the runtime.
    fn local_loop(&self) -> &Rc<LocalLoop> {
        self.local_loop.as_ref().expect("a runtime has its loop until it is shut down")
    }

    /// Runs the loop until `future` is done. The future may borrow, and need not be `Send`; its
    /// task is called "main". Other tasks go on in the next `block_on`.
    ///
    /// # Panics
    /// If the future panics; if a loop runs on this thread already (the message names both
    /// places); if the loop is stalled (the message is the report).
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        match self.local_loop().block_on(future, Location::caller()) {
            Ok(output) => output,
            Err(error) => panic!("{error}"),
        }
    }

    /// [`block_on`](Runtime::block_on) with its refusals as values.
    ///
    /// # Errors
    /// If a loop runs on this thread already, or the loop is stalled; then the future is dropped.
    ///
    /// # Panics
    /// If the future panics.
    #[track_caller]
    pub fn try_block_on<F: Future>(&self, future: F) -> Result<F::Output, BlockOnError> {
        self.local_loop().block_on(future, Location::caller())
    }

    /// Runs the loop until [`stop`](crate::stop) is called, or nothing is left that could happen:
    /// the way to run a program of callbacks.
    ///
    /// # Errors
    /// If a loop runs on this thread already, or tasks are left that wait for ever.
    #[track_caller]
    pub fn run(&self) -> Result<(), BlockOnError> {
        self.local_loop().run(Location::caller())
    }

    /// Calls `f` inside of the loop, which does not run meanwhile: what `f` spawns and registers
    /// is this loop's. A green thread cannot wait inside of it.
    pub fn enter<R>(&self, f: impl FnOnce() -> R) -> R {
        let _entered = self.local_loop().enter();
        f()
    }

    /// Runs `future` as a task, once the loop runs. See [`spawn`](crate::spawn).
    #[track_caller]
    pub fn spawn<F: Future + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        let location = Location::caller();
        self.enter(|| self.local_loop().spawn(future, None, location))
    }

    /// One turn of the loop with all five steps; it waits if nothing is ready. See [`Turn`].
    ///
    /// # Panics
    /// If a loop runs on this thread already.
    #[track_caller]
    pub fn turn(&self) -> Turn {
        self.turn_waiting(true, Location::caller())
    }

    /// One turn that does not wait.
    ///
    /// # Panics
    /// If a loop runs on this thread already.
    #[track_caller]
    pub fn turn_now(&self) -> Turn {
        self.turn_waiting(false, Location::caller())
    }

    /// One turn.
    fn turn_waiting(&self, may_wait: bool, location: &'static Location<'static>) -> Turn {
        let local_loop = self.local_loop();
        let _running = match BlockOnError::or_run(location) {
            Ok(running) => running,
            Err(error) => panic!("{error}"),
        };
        let _entered = local_loop.enter();
        // Whoever steps through the loop wants to see all of it.
        local_loop.look_now();
        local_loop.turn(|| may_wait)
    }

    /// The loop for other threads.
    pub fn handle(&self) -> Handle {
        Handle::new(self.local_loop().home().clone())
    }

    /// Every task that is not finished, and what it waits for.
    pub fn tasks(&self) -> Vec<TaskInfo> {
        self.local_loop().task_list()
    }

    /// Ends the loop: cancels every task, turns for at most `grace` so that what their destructors
    /// spawned can clean up, and drops what is left then. A virtual clock stands still also here while another
    /// thread does a job for the loop: with tasks left, the grace does not end before that.
    pub fn shutdown(mut self, grace: Duration) -> ShutdownReport {
        let local_loop = self.local_loop.take().expect("a runtime is shut down once");
        local_loop.shut_down(grace)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if let Some(local_loop) = self.local_loop.take() {
            let report = local_loop.shut_down(Duration::ZERO);
            if !report.not_stopped.is_empty() {
                log::warn!("a runtime was dropped: {report}");
            }
        }
    }
}
