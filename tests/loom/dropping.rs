//! The last reference: whoever drops it frees the cell, once, after everyone else's last use.
//!
//! The cell is the model's own: a real header, and behind it memory that loom watches.

use std::panic::Location;
use std::ptr::NonNull;

use loom::thread;

use super::check::{Calm, RACE, Watched, fails, holds};
use super::home::ModelHome;
use crate::fault::Fault;
use crate::id::TaskId;
use crate::table::Key;
use crate::task::header::{Header, TaskRef, Vtable};

const PREEMPTIONS: usize = 3;

/// A header, and what is freed with it.
#[repr(C)]
struct Cell {
    /// At the start, as in every task.
    header: Header,
    /// The rest of the memory.
    rest: Watched,
}

/// Only `free` is called: this task never runs.
static VTABLE: Vtable = Vtable {
    poll: |_, _| unreachable!(),
    cancel: |_| unreachable!(),
    take_output: |_, _| unreachable!(),
    drop_output: |_| unreachable!(),
    free,
};

/// Frees a [`Cell`]: a write to all of it.
unsafe fn free(header: NonNull<Header>) {
    // SAFETY: the header starts a cell that `three_references` leaked, and nobody else has it.
    let cell = unsafe { Box::from_raw(header.cast::<Cell>().as_ptr()) };
    let before = cell.rest.get();
    assert_eq!(before, 0, "freed twice");
    cell.rest.set(1);
    drop(cell);
}

/// Three threads have a reference each, read through it, and let go; one clones it before.
fn three_references() {
    let home = ModelHome::new();
    let id = TaskId(Key { slot: 0, generation: 0 });
    let rest = Watched::new();
    let header = Header::new(&VTABLE, home.here.home.clone(), id, Location::caller(), None);
    let cell = Box::leak(Box::new(Cell { header, rest: rest.clone() }));
    // SAFETY: the header starts the cell and counts one reference, which is this one.
    let task = Calm::new(unsafe { TaskRef::from_counted(NonNull::from(cell).cast()) });
    let references = [Calm::new((*task).clone()), Calm::new((*task).clone())];
    let threads = references.map(|reference| {
        let rest = rest.clone();
        thread::spawn(move || {
            let copy = Calm::new((*reference).clone());
            drop(reference.release());
            rest.get();
            drop(copy.release());
        })
    });
    rest.get();
    drop(task.release());
    for thread in threads {
        thread.join().expect("nobody panics");
    }
    assert_eq!(rest.get(), 1, "never freed");
}

#[test]
fn the_last_reference_frees_once_and_last() {
    holds(PREEMPTIONS, three_references);
}

#[test]
fn freeing_without_acquire_is_noticed() {
    fails(Fault::FreeWithoutAcquire, RACE, PREEMPTIONS, three_references);
}
