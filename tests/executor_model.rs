//! The executor against a simple model of it (`support/core/model.rs`), on random operations:
//! spawn, wake and cancel from home, from outside of the loop and from another thread, join, drop
//! of handles and wakers, panics, yields, nested spawns.
//!
//! After every step both must agree on who was polled, in which order, what was dropped, who is
//! finished, and what the turn said. 100,000 steps under as many seeds as that takes. To replay:
//!
//! ```text
//! GREENROOM_SEED=17 cargo test --test executor_model
//! GREENROOM_STEPS=5000 cargo test --test executor_model        # fewer steps, or more
//! ```

#[path = "support/core/mod.rs"]
mod support;

#[path = "support/core/model.rs"]
mod model;
#[path = "support/core/puppets.rs"]
mod puppets;

use model::{Action, Letter, Model, ModelTurn};
use puppets::Puppets;

use greenroom::Rng;

/// The steps of one seed.
const STEPS_PER_SEED: u64 = 1_000;

/// No more puppets are made while this many live.
const MAX_LIVE: usize = 24;

/// From where something is done.
#[derive(Clone, Copy, Debug, PartialEq)]
enum From {
    /// Inside of the loop.
    Home,
    /// On the home's thread, between two turns.
    Outside,
    /// On another thread.
    Abroad,
}

/// One step.
#[derive(Clone, Copy, Debug)]
enum Step {
    Spawn { drop_panics: bool },
    Plan(usize, Action),
    Wake(usize, From),
    Cancel(usize, From),
    DropHandle(usize, From),
    DropWaker(usize, From),
    Join(usize),
    Turn,
}

/// One of the puppets that the model still has something of, or any.
fn pick(rng: &mut Rng, model: &Model, is_good: impl Fn(usize) -> bool) -> usize {
    let good: Vec<usize> = (0..model.count()).filter(|&id| is_good(id)).collect();
    match good.is_empty() {
        true => rng.below(model.count()),
        false => good[rng.below(good.len())],
    }
}

fn random_action(rng: &mut Rng, model: &Model) -> Action {
    let waker = pick(rng, model, |id| model.has_waker(id));
    let handle = pick(rng, model, |id| model.handle_is_free(id));
    match rng.below(18) {
        0 | 1 => Action::Park,
        2..5 => Action::Yield,
        5..8 => Action::Wake(waker),
        8 | 9 => Action::Cancel(handle),
        10 => Action::DropHandle(handle),
        11 | 12 if model.live() < MAX_LIVE => Action::Spawn,
        13 | 14 => Action::Join(handle),
        15 | 16 => Action::Return,
        17 => Action::Panic,
        _ => Action::Park,
    }
}

fn random_step(rng: &mut Rng, model: &Model) -> Step {
    if model.count() == 0 || (model.live() < MAX_LIVE && rng.below(12) == 0) {
        return Step::Spawn { drop_panics: rng.below(8) == 0 };
    }
    let from = [From::Home, From::Outside, From::Abroad][rng.below(3)];
    let waker = pick(rng, model, |id| model.has_waker(id));
    let handle = pick(rng, model, |id| model.handle_is_free(id));
    match rng.below(22) {
        0..5 => Step::Plan(pick(rng, model, |id| !model.is_finished(id)), random_action(rng, model)),
        5..10 => Step::Wake(waker, from),
        10 | 11 => Step::Cancel(handle, from),
        12 => Step::DropHandle(handle, from),
        13 | 14 => Step::DropWaker(waker, from),
        15 => Step::Join(handle),
        _ => Step::Turn,
    }
}

/// Does a step on both sides; what is not there to be used is skipped on both.
fn play(step: Step, model: &mut Model, puppets: &mut Puppets) {
    match step {
        Step::Spawn { drop_panics } => {
            model.spawn(drop_panics);
            puppets.spawn(drop_panics);
        }
        Step::Plan(id, action) => {
            model.plan(id, action);
            puppets.plan(id, action);
        }
        Step::Wake(id, from) if model.has_waker(id) => {
            match from {
                From::Home => model.wake(id),
                From::Outside | From::Abroad => {
                    model.post(Letter::Wake(id));
                    // The clone that is used is dropped there as well.
                    model.let_go(model.references(id) + 1);
                }
            }
            puppets.with_waker(id, from, |waker| waker.wake_by_ref());
        }
        Step::Cancel(id, from) if model.handle_is_free(id) => {
            match from {
                From::Home => model.cancel(id),
                From::Outside | From::Abroad => model.post(Letter::Cancel(id)),
            }
            puppets.cancel(id, from);
        }
        Step::DropHandle(id, from) if model.handle_is_free(id) => {
            match from {
                From::Home => model.drop_handle(id),
                From::Outside | From::Abroad => model.post(Letter::DropHandle(id)),
            }
            puppets.drop_handle(id, from);
        }
        Step::DropWaker(id, from) if model.has_waker(id) => {
            let before = model.references(id);
            model.forget_waker(id);
            if from != From::Home {
                model.let_go(before);
            }
            puppets.drop_waker(id, from);
        }
        Step::Join(id) if model.handle_is_free(id) => {
            let is_over = model.poll_handle(None, id);
            assert_eq!(puppets.poll_handle(id), is_over, "whether {id} is over");
        }
        Step::Turn => {
            let expected = model.turn();
            let (ran, fired, events, messages, stalled) = support::numbers(puppets.turn());
            assert_eq!(ModelTurn { ran, messages, stalled }, expected);
            assert_eq!((fired, events), (0, 0));
        }
        _ => {}
    }
}

/// Compares all that can be seen.
fn compare(model: &mut Model, puppets: &Puppets) {
    assert_eq!(puppets.take_notes(), std::mem::take(&mut model.notes), "what happened");
    for (id, is_finished) in puppets.finished() {
        assert_eq!(is_finished, model.is_finished(id), "whether {id} is finished");
    }
    assert_eq!(puppets.count(), model.count(), "how many there are");
    assert_eq!(puppets.live(), model.live(), "how many live");
}

/// Prints how to replay a seed that failed, and what led there.
struct Replay {
    seed: u64,
    steps: Vec<Step>,
}

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let last = self.steps.len().saturating_sub(20);
            eprintln!(
                "seed {}, after {} steps; the last are {:?}",
                self.seed,
                self.steps.len(),
                &self.steps[last..]
            );
            eprintln!("replay: GREENROOM_SEED={} cargo test --test executor_model", self.seed);
        }
    }
}

/// Plays one seed to its end, and ends the loop with whatever is left then.
fn run_seed(seed: u64, steps: u64) {
    let mut replay = Replay { seed, steps: Vec::new() };
    let mut rng = Rng::new(seed);
    let (mut model, mut puppets) = (Model::default(), Puppets::new());
    for _ in 0..steps {
        let step = random_step(&mut rng, &model);
        replay.steps.push(step);
        play(step, &mut model, &mut puppets);
        compare(&mut model, &puppets);
    }
    puppets.end();
}

#[test]
fn the_executor_does_what_the_model_does() {
    support::keep_log();
    if let Ok(seed) = std::env::var("GREENROOM_SEED") {
        return run_seed(seed.parse().expect("GREENROOM_SEED is a number"), STEPS_PER_SEED);
    }
    let steps = support::number_from_env("GREENROOM_STEPS", 100_000);
    for seed in 0..steps.div_ceil(STEPS_PER_SEED) {
        run_seed(seed, STEPS_PER_SEED.min(steps - seed * STEPS_PER_SEED));
        support::logged();
    }
}
