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
//! Primitives are of one thread, and so is this list; it outlives the loops.
//!
//! Read next: `rng.rs`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use crate::id::{PrimitiveId, TaskId};
use crate::table::{Key, Table};

thread_local! {
    /// Each primitive that exists on this thread.
    static LEDGERS: RefCell<Table<Rc<Ledger>>> = const { RefCell::new(Table::new()) };
}

/// What is known of one primitive.
#[derive(Debug)]
struct Ledger {
    /// What it is, as reports call it.
    kind: &'static str,
    /// The name that the program gave it.
    name: RefCell<Option<Arc<str>>>,
    /// Who holds it: a task, or code outside of any.
    holders: RefCell<Table<Option<TaskId>>>,
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
        let key = LEDGERS.with_borrow_mut(|ledgers| ledgers.insert(ledger.clone()));
        Numbered { id: PrimitiveId(key), ledger }
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
    pub(crate) fn hold(&self, task: Option<TaskId>) -> Hold {
        Hold(self.ledger.holders.borrow_mut().insert(task))
    }

    /// That hold is over.
    pub(crate) fn release(&self, hold: Hold) {
        self.ledger.holders.borrow_mut().remove(hold.0);
    }

    /// The tasks that hold it; one that does so twice is named twice.
    pub(crate) fn holders(&self) -> Vec<TaskId> {
        self.ledger.tasks()
    }
}

impl Ledger {
    /// The tasks that hold it.
    fn tasks(&self) -> Vec<TaskId> {
        self.holders.borrow().iter().filter_map(|(_, task)| *task).collect()
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

/// The primitive of this number, and the tasks that hold it now, each once; `None` if it is gone.
pub(crate) fn look_up(id: PrimitiveId) -> Option<(Primitive, Vec<TaskId>)> {
    LEDGERS.with_borrow(|ledgers| {
        let ledger = ledgers.get(id.0)?;
        let mut tasks = ledger.tasks();
        tasks.sort();
        tasks.dedup();
        Some((ledger.describe(id.0), tasks))
    })
}

/// Everything that is held on this thread, by the task that holds it.
pub(crate) fn all_held() -> HashMap<TaskId, Vec<Primitive>> {
    let mut all: HashMap<TaskId, Vec<Primitive>> = HashMap::new();
    LEDGERS.with_borrow(|ledgers| {
        for (key, ledger) in ledgers.iter() {
            for task in ledger.tasks() {
                all.entry(task).or_default().push(ledger.describe(key));
            }
        }
    });
    all
}
