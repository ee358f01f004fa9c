//! Who holds what: the numbers of the primitives of `sync/`, and the tasks that hold each of them.
//!
//! A report must be able to say "mutex 3, held by task 12" at any time, also when the lock went
//! from hand to hand since the waiting task was polled. So the holder is not written into the
//! wait reason: the reason has the primitive's number, and the holders stand here.
//!
//! ```text
//!   LEDGERS (of this thread)     0 ──► Ledger "mutex",     holders: task 12
//!                                1 ──► Ledger "semaphore", holders: task 3, task 4
//! ```
//!
//! Primitives are of one thread, and so is this list; it outlives the loops, except one that stands in a
//! thread-local itself: when the thread ends, that may find the list gone.
//!
//! Read next: `rng.rs`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use crate::id::{LoopId, LoopTask, PrimitiveId, TaskId};
use crate::table::{Key, Table};

thread_local! {
    /// Each primitive that exists on this thread.
    static LEDGERS: RefCell<Table<Rc<Ledger>>> = const { RefCell::new(Table::new()) };
}

/// The number of a primitive that is made when the list is gone already, by another thread-local's destructor.
const NOWHERE: Key = Key { slot: u32::MAX, generation: u32::MAX };

/// What is known of one primitive.
#[derive(Debug)]
struct Ledger {
    /// What it is, as reports call it.
    kind: &'static str,
    /// The name that the program gave it.
    name: RefCell<Option<Arc<str>>>,
    /// Who holds it: a task, or code outside of any.
    holders: RefCell<Table<Option<LoopTask>>>,
}

/// A primitive's number, which is its own until it is dropped, and its ledger.
pub(crate) struct Numbered {
    /// The number.
    id: PrimitiveId,
    /// The same that stands in the list.
    ledger: Rc<Ledger>,
}

/// One hold on a primitive, to be given back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hold(Key);

impl Numbered {
    /// The next free number, for a primitive of this kind.
    pub(crate) fn new(kind: &'static str) -> Numbered {
        let ledger = Rc::new(Ledger { kind, name: RefCell::new(None), holders: RefCell::new(Table::new()) });
        let key = LEDGERS.try_with(|ledgers| ledgers.borrow_mut().insert(ledger.clone()));
        Numbered { id: PrimitiveId(key.unwrap_or(NOWHERE)), ledger }
    }

    /// The number.
    pub(crate) fn id(&self) -> PrimitiveId {
        self.id
    }

    /// Gives it a name for reports.
    pub(crate) fn set_name(&self, name: &str) {
        self.ledger.name.replace(Some(name.into()));
    }

    /// From now on `task` holds it, perhaps besides others.
    pub(crate) fn hold(&self, task: Option<LoopTask>) -> Hold {
        Hold(self.ledger.holders.borrow_mut().insert(task))
    }

    /// That hold is over.
    pub(crate) fn release(&self, hold: Hold) {
        self.ledger.holders.borrow_mut().remove(hold.0);
    }

    /// The tasks that hold it, of whichever loop; one that does so twice is named twice.
    pub(crate) fn holders(&self) -> Vec<TaskId> {
        self.ledger.tasks(|_| true)
    }
}

impl Ledger {
    /// The tasks that hold it, of the loops that `are_asked_for`.
    fn tasks(&self, are_asked_for: impl Fn(LoopId) -> bool) -> Vec<TaskId> {
        let holders = self.holders.borrow();
        holders
            .iter()
            .filter_map(|(_, task)| task.filter(|task| are_asked_for(task.home)))
            .map(|task| task.id)
            .collect()
    }
}

impl Drop for Numbered {
    fn drop(&mut self) {
        // `try_with`: the last primitive may go with the thread's other values.
        let _ = LEDGERS.try_with(|ledgers| drop(ledgers.borrow_mut().remove(self.id.0)));
    }
}

impl fmt::Debug for Numbered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.ledger.kind, self.id)
    }
}

/// A primitive of [`sync`](crate::sync) as reports name it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Primitive {
    /// What it is: a mutex, an rlock, a rwlock, a semaphore.
    pub kind: &'static str,
    /// Its number.
    pub id: PrimitiveId,
    /// The name that the program gave it.
    pub name: Option<Arc<str>>,
}

impl fmt::Display for Primitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)?;
        self.name.as_ref().map_or(Ok(()), |name| write!(f, " {name:?}"))
    }
}

impl Ledger {
    /// The primitive of this key, as reports name it.
    fn describe(&self, key: Key) -> Primitive {
        Primitive { kind: self.kind, id: PrimitiveId(key), name: self.name.borrow().clone() }
    }
}

/// The primitive of this number, and the tasks of the loop `home` that hold it now, each once; `None` if it
/// is gone.
pub(crate) fn look_up(id: PrimitiveId, home: LoopId) -> Option<(Primitive, Vec<TaskId>)> {
    let look_up = |ledgers: &Table<Rc<Ledger>>| {
        let ledger = ledgers.get(id.0)?;
        let mut tasks = ledger.tasks(|of| of == home);
        tasks.sort();
        tasks.dedup();
        Some((ledger.describe(id.0), tasks))
    };
    LEDGERS.try_with(|ledgers| look_up(&ledgers.borrow())).ok().flatten()
}

/// Everything that is held by tasks of the loop `home`, by task.
pub(crate) fn all_held(home: LoopId) -> HashMap<TaskId, Vec<Primitive>> {
    let mut all: HashMap<TaskId, Vec<Primitive>> = HashMap::new();
    let _ = LEDGERS.try_with(|ledgers| {
        for (key, ledger) in ledgers.borrow().iter() {
            for task in ledger.tasks(|of| of == home) {
                all.entry(task).or_default().push(ledger.describe(key));
            }
        }
    });
    all
}
