//! Values that each green thread has for itself.
//!
//! Read next: `overflow.rs`.

use std::any::Any;
use std::fmt;
use std::rc::Rc;

use super::visit::{self, Locals};

/// A key to a value of which each green thread has its own, made when it first asks; for a `static`:
///
/// ```
/// use greenroom::green;
/// use std::cell::Cell;
///
/// static REQUEST: green::Local<Cell<u32>> = green::Local::new(|| Cell::new(0));
///
/// let runtime = greenroom::Runtime::new()?;
/// runtime.block_on(green::future(|| {
///     REQUEST.with(|request| request.set(7));
///     let other = green::spawn(|| REQUEST.with(Cell::get));
///     assert_eq!(green::join(other).unwrap(), 0);
///     assert_eq!(REQUEST.with(Cell::get), 7);
/// }));
/// # std::io::Result::Ok(())
/// ```
///
/// The values are dropped after the green thread has ended, in the order in which they were made.
pub struct Local<T: 'static> {
    /// Makes the value.
    make: fn() -> T,
}

impl<T: 'static> Local<T> {
    /// A key to values made by `make`. Two keys are two values, so this is for a `static`, not for a `const`.
    pub const fn new(make: fn() -> T) -> Local<T> {
        Local { make }
    }

    /// Calls `f` with the current green thread's value.
    ///
    /// # Panics
    /// Where there is no green thread.
    #[track_caller]
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        match self.value() {
            Some(value) => f(&value),
            None => panic!("this is not a green thread, so it has no local of one; use `try_with` to ask"),
        }
    }

    /// Calls `f` with the current green thread's value; `None` where there is no green thread.
    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Option<R> {
        self.value().map(|value| f(&value))
    }

    /// The value, made now if it was not there.
    fn value(&'static self) -> Option<Rc<T>> {
        let key = std::ptr::from_ref(self).addr();
        let find = |locals: &Locals| {
            locals.borrow().iter().find(|(other, _)| *other == key).map(|(_, value)| value.clone())
        };
        let value = match visit::with(|visit| find(visit.locals()))? {
            Some(value) => value,
            None => {
                let made: Rc<dyn Any> = Rc::new((self.make)());
                // Whoever asks for the value while it is being made has made one too; the first stays, and the
                // other is dropped out here: its destructor may wait.
                let first = visit::with(|visit| {
                    let first = find(visit.locals());
                    if first.is_none() {
                        visit.locals().borrow_mut().push((key, made.clone()));
                    }
                    first
                })?;
                first.unwrap_or(made)
            }
        };
        value.downcast().ok()
    }
}

impl<T: 'static> fmt::Debug for Local<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").finish_non_exhaustive()
    }
}
