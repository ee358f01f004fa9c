//! The real tasks of the model test: each does at each poll what its plan says, and notes it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle as Thread;

use greenroom::{JoinError, JoinHandle, Runtime, Turn, spawn};

use super::From;
use super::model::{Action, End, Note, WAKERS_KEPT};

/// What happened, for all threads: values may be dropped abroad.
type Notes = Arc<Mutex<Vec<Note>>>;

/// What a puppet returns; it notes its end.
struct Value(usize, Notes);

impl Drop for Value {
    fn drop(&mut self) {
        note(&self.1, Note::ValueDropped(self.0));
    }
}

fn note(notes: &Notes, what: Note) {
    notes.lock().unwrap().push(what);
}

/// What belongs to one puppet and can be reached by all.
#[derive(Default)]
struct Strings {
    plan: VecDeque<Action>,
    wakers: Vec<Waker>,
    handle: Option<JoinHandle<Value>>,
}

/// The strings of all puppets. No borrow is held while a waker is used or a handle dropped.
#[derive(Clone)]
struct World {
    strings: Rc<RefCell<Vec<Strings>>>,
    notes: Notes,
}

impl World {
    fn take_handle(&self, id: usize) -> Option<JoinHandle<Value>> {
        self.strings.borrow_mut()[id].handle.take()
    }

    fn set_handle(&self, id: usize, handle: JoinHandle<Value>) {
        self.strings.borrow_mut()[id].handle = Some(handle);
    }

    fn waker(&self, id: usize) -> Option<Waker> {
        self.strings.borrow()[id].wakers.first().cloned()
    }

    fn cancel(&self, id: usize) {
        if let Some(mut handle) = self.take_handle(id) {
            handle.cancel();
            self.set_handle(id, handle);
        }
    }

    /// Inside of the loop: makes the next puppet.
    fn spawn(&self, drop_panics: bool) {
        let id = self.strings.borrow().len();
        self.strings.borrow_mut().push(Strings::default());
        let handle = spawn(Puppet { id, world: self.clone(), joins: None, drop_panics });
        self.set_handle(id, handle);
    }

    /// Notes how a task ended, and drops its value.
    fn joined(&self, by: Option<usize>, id: usize, result: Result<Value, JoinError>) {
        let end = match &result {
            Ok(value) => {
                assert_eq!(value.0, id, "somebody else's value");
                End::Value
            }
            Err(error) if error.is_panic() => End::Panicked,
            Err(_) => End::Cancelled,
        };
        note(&self.notes, Note::Joined(by, id, end));
    }
}

/// One task.
struct Puppet {
    id: usize,
    world: World,
    /// Whom it awaits.
    joins: Option<(usize, JoinHandle<Value>)>,
    drop_panics: bool,
}

impl Puppet {
    fn value(&self) -> Poll<Value> {
        Poll::Ready(Value(self.id, self.world.notes.clone()))
    }

    fn keep_joining(&mut self, context: &mut Context<'_>) -> Poll<Value> {
        let (other, handle) = self.joins.as_mut().expect("it awaits somebody");
        match Pin::new(handle).poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(result) => {
                let other = *other;
                self.world.joined(Some(self.id), other, result);
                self.joins = None;
                self.value()
            }
        }
    }
}

impl Future for Puppet {
    type Output = Value;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Value> {
        let (id, world) = (self.id, self.world.clone());
        note(&world.notes, Note::Polled(id));
        let mut strings = world.strings.borrow_mut();
        if strings[id].wakers.len() < WAKERS_KEPT {
            strings[id].wakers.push(context.waker().clone());
        }
        if self.joins.is_some() {
            drop(strings);
            return self.keep_joining(context);
        }
        let action = strings[id].plan.pop_front().unwrap_or(Action::Park);
        drop(strings);
        match action {
            Action::Park => {}
            Action::Yield => context.waker().wake_by_ref(),
            Action::Wake(other) => {
                if let Some(waker) = world.waker(other) {
                    waker.wake();
                }
            }
            Action::Cancel(other) => world.cancel(other),
            Action::DropHandle(other) => drop(world.take_handle(other)),
            Action::Spawn => world.spawn(false),
            Action::Join(other) => {
                if let Some(handle) = world.take_handle(other) {
                    self.joins = Some((other, handle));
                    return self.keep_joining(context);
                }
            }
            Action::Return => return self.value(),
            // Like a panic, without the text on standard error.
            Action::Panic => resume_unwind(Box::new("planned")),
        }
        Poll::Pending
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        note(&self.world.notes, Note::FutureDropped(self.id));
        // Not while another panic is under way: two end the process.
        if self.drop_panics && !std::thread::panicking() {
            resume_unwind(Box::new("planned, in drop"));
        }
    }
}

/// A job for the thread abroad.
type Job = Box<dyn FnOnce() + Send>;

/// The loop, its puppets, and a thread that does what it is told and says when it is done.
pub struct Puppets {
    runtime: Option<Runtime>,
    world: World,
    jobs: Option<mpsc::Sender<Job>>,
    done: mpsc::Receiver<()>,
    abroad: Option<Thread<()>>,
}

impl Puppets {
    pub fn new() -> Puppets {
        let (jobs, taken) = mpsc::channel::<Job>();
        let (says, done) = mpsc::channel();
        let abroad = std::thread::spawn(move || {
            for job in taken {
                job();
                says.send(()).expect("somebody waits for it");
            }
        });
        Puppets {
            runtime: Some(Runtime::new().unwrap()),
            world: World { strings: Rc::default(), notes: Notes::default() },
            jobs: Some(jobs),
            done,
            abroad: Some(abroad),
        }
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it has not ended")
    }

    /// Runs `job` where it shall run, to its end.
    fn do_from(&self, from: From, job: impl FnOnce() + Send + 'static) {
        match from {
            From::Home => self.runtime().enter(job),
            From::Outside => job(),
            From::Abroad => {
                self.jobs.as_ref().expect("it has not ended").send(Box::new(job)).unwrap();
                self.done.recv().unwrap();
            }
        }
    }

    pub fn spawn(&self, drop_panics: bool) {
        self.runtime().enter(|| self.world.spawn(drop_panics));
    }

    pub fn plan(&self, id: usize, action: Action) {
        self.world.strings.borrow_mut()[id].plan.push_back(action);
    }

    pub fn with_waker(&self, id: usize, from: From, job: impl FnOnce(&Waker) + Send + 'static) {
        let waker = self.world.waker(id).expect("the model has one");
        self.do_from(from, move || job(&waker));
    }

    pub fn drop_waker(&self, id: usize, from: From) {
        let waker = self.world.strings.borrow_mut()[id].wakers.pop().expect("the model has one");
        self.do_from(from, move || drop(waker));
    }

    pub fn cancel(&self, id: usize, from: From) {
        let mut handle = self.world.take_handle(id).expect("the model has it");
        let (sender, back) = mpsc::channel();
        self.do_from(from, move || {
            handle.cancel();
            sender.send(handle).unwrap();
        });
        self.world.set_handle(id, back.recv().unwrap());
    }

    pub fn drop_handle(&self, id: usize, from: From) {
        let handle = self.world.take_handle(id).expect("the model has it");
        self.do_from(from, move || drop(handle));
    }

    /// Polls a handle from outside of all tasks; if it is over, the handle is dropped.
    pub fn poll_handle(&self, id: usize) -> bool {
        let mut handle = self.world.take_handle(id).expect("the model has it");
        self.runtime().enter(|| match Pin::new(&mut handle).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => {
                self.world.joined(None, id, result);
                drop(handle);
                true
            }
            Poll::Pending => {
                self.world.set_handle(id, handle);
                false
            }
        })
    }

    pub fn turn(&self) -> Turn {
        self.runtime().turn_now()
    }

    pub fn take_notes(&self) -> Vec<Note> {
        std::mem::take(&mut *self.world.notes.lock().unwrap())
    }

    /// Of each puppet whose handle is at hand, whether it says that it is finished.
    pub fn finished(&self) -> Vec<(usize, bool)> {
        let strings = self.world.strings.borrow();
        let asked = |(id, strings): (usize, &Strings)| {
            strings.handle.as_ref().map(|handle| (id, handle.is_finished()))
        };
        strings.iter().enumerate().filter_map(asked).collect()
    }

    pub fn count(&self) -> usize {
        self.world.strings.borrow().len()
    }

    pub fn live(&self) -> usize {
        self.runtime().tasks().len()
    }

    /// Ends the loop while handles and wakers are left: what lives is dropped once, and what they
    /// hold stays theirs.
    pub fn end(mut self) {
        let live = self.live();
        let held = self.finished();
        drop(self.runtime.take());
        let dropped = self.take_notes().into_iter().filter(|note| matches!(note, Note::FutureDropped(_)));
        assert_eq!(dropped.count(), live, "each future is dropped once");
        let strings = std::mem::take(&mut *self.world.strings.borrow_mut());
        assert!(strings.iter().filter_map(|strings| strings.handle.as_ref()).all(JoinHandle::is_finished));
        for strings in strings {
            strings.wakers.iter().for_each(Waker::wake_by_ref);
            drop(strings);
        }
        for what in self.take_notes() {
            let Note::ValueDropped(id) = what else { panic!("too late for {what:?}") };
            assert!(held.contains(&(id, true)), "the value of {id} was nobody's any more");
        }
        drop(self.jobs.take());
        self.abroad.take().expect("it has not ended").join().unwrap();
    }
}
