//! Chance that can be repeated: what decides how long things take in the programs that only play at working.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use greenroom::{Rng, sleep};
use lexopt::Parser;

/// The value of `--seed`.
pub fn seed(parser: &mut Parser) -> Result<u64, lexopt::Error> {
    super::value(parser, "--seed", "a number")
}

/// The seed of those who do not ask for one: another each time.
pub fn any_seed() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos() as u64
}

/// A source of random numbers that its clones share. The same seed gives the same numbers.
#[derive(Clone)]
pub struct Chance(Rc<RefCell<Rng>>);

impl Chance {
    /// The one with this seed.
    pub fn new(seed: u64) -> Chance {
        Chance(Rc::new(RefCell::new(Rng::new(seed))))
    }

    /// A number below `end`.
    pub fn below(&self, end: usize) -> usize {
        self.0.borrow_mut().below(end)
    }

    /// Takes between `unit` and twice as long.
    pub async fn work(&self, unit: Duration) {
        let thousandths = self.below(1000) as u32;
        sleep(unit + unit * thousandths / 1000).await;
    }
}
