//! Policies against arithmetic, on a fake clock: attempts that do what they are told.

use std::rc::Rc;

use clock::{Fake, Mono};
use proto::Fault;
use terms::{Backoff, RetryJitter};

use super::*;

const MS: Duration = Duration::from_millis(1);

/// What an attempt does.
#[derive(Clone, Copy)]
enum Does {
    Answers,
    Fails(FaultCode),
    Nothing,
}

fn policy() -> Policy {
    Policy {
        attempts: 4,
        attempt_time_out: None,
        backoff: Backoff::Exponential { base: 100 * MS, cap: 300 * MS },
        jitter: RetryJitter::None,
        budget: None,
    }
}

/// Makes calls one after the other; says when each attempt began, in ms, and what came of the last
/// call.
fn calls(
    calls: usize,
    policy: Policy,
    seed: u64,
    does: impl Fn(usize) -> Does + 'static,
) -> (Vec<u128>, Result<usize, CallError>) {
    let fake = Fake::new();
    crate::local_runtime().unwrap().block_on(async {
        let clock = Clock::Fake(fake.clone());
        let retrier = Retrier::new(policy, clock.clone(), seed).unwrap();
        let begun: Rc<RefCell<Vec<Mono>>> = Rc::default();
        let (start, began) = (clock.now(), Rc::clone(&begun));
        let running = tokio::task::spawn_local(async move {
            let attempt = async || {
                let nth = began.borrow().len();
                began.borrow_mut().push(clock.now());
                match does(nth) {
                    Does::Answers => Ok(nth),
                    Does::Fails(code) => Err(CallError::Rejected(Fault::new(code, "scripted"))),
                    Does::Nothing => std::future::pending().await,
                }
            };
            let mut last = Err(CallError::TimedOut);
            for _ in 0..calls {
                last = retrier.call(attempt).await;
            }
            last
        });
        while !running.is_finished() {
            for _ in 0..16 {
                tokio::task::yield_now().await;
            }
            if let Some(next) = fake.next_deadline() {
                fake.advance(next.since(fake.now()));
            }
        }
        let last = running.await.unwrap();
        let at = begun.borrow().iter().map(|at| at.since(start).as_millis()).collect();
        (at, last)
    })
}

#[test]
fn a_call_is_made_again_after_pauses_until_it_succeeds_or_there_is_no_attempt_left() {
    let (at, last) = calls(1, policy(), 1, |_| Does::Fails(FaultCode::Unavailable));
    assert_eq!(at, [0, 100, 300, 600], "the third pause is the cap");
    assert!(matches!(last, Err(CallError::Rejected(_))), "{last:?}");
    let (at, last) =
        calls(
            1,
            policy(),
            1,
            |nth| {
                if nth == 2 { Does::Answers } else { Does::Fails(FaultCode::Unavailable) }
            },
        );
    assert_eq!((at.len(), last), (3, Ok(2)));
    let once = Policy { attempts: 1, ..policy() };
    assert_eq!(calls(1, once, 1, |_| Does::Fails(FaultCode::Unavailable)).0, [0]);
}

#[test]
fn what_is_refused_for_what_it_asks_is_not_asked_again() {
    for code in [FaultCode::NotFound, FaultCode::InvalidArgument, FaultCode::Conflict, FaultCode::Limit] {
        assert_eq!(calls(1, policy(), 1, move |_| Does::Fails(code)).0, [0], "{code:?}");
    }
}

#[test]
fn an_attempt_has_its_time_and_the_pause_comes_after_it() {
    let timed = Policy { attempt_time_out: Some(50 * MS), attempts: 3, ..policy() };
    let (at, last) = calls(1, timed, 1, |_| Does::Nothing);
    assert_eq!((at, last), (vec![0, 150, 400], Err(CallError::TimedOut)));
}

/// All calls share it: its reserve of ten, and a fifth of a hundred less the one that it had no
/// room for.
#[test]
fn a_budget_bounds_the_repeats_of_all_calls() {
    let bounded = Policy { budget: Some(0.2), backoff: Backoff::Immediate, ..policy() };
    let (at, _) = calls(100, bounded, 1, |_| Does::Fails(FaultCode::Unavailable));
    assert!((125..=130).contains(&at.len()), "{} attempts", at.len());
}

#[test]
fn jitter_is_drawn_from_the_seed() {
    let full = Policy { jitter: RetryJitter::Full, ..policy() };
    let at = |seed| calls(1, full, seed, |_| Does::Fails(FaultCode::Unavailable)).0;
    assert_eq!(at(1), at(1));
    assert_ne!(at(1), at(2));
    assert!((1..=50).all(|seed| at(seed).windows(2).all(|pair| pair[1] - pair[0] <= 300)));
}

/// (1 − p^m) / (1 − p) attempts a call, p the share of attempts that fail and m the most that are
/// made: 1.0526 at 5 % and 4.
#[test]
fn attempts_per_call_are_what_arithmetic_says() {
    let chance = RefCell::new(ChaCha8Rng::seed_from_u64(7));
    let at_once = Policy { backoff: Backoff::Immediate, ..policy() };
    let (at, _) = calls(20_000, at_once, 1, move |_| {
        if chance.borrow_mut().random::<f64>() < 0.05 {
            Does::Fails(FaultCode::Unavailable)
        } else {
            Does::Answers
        }
    });
    let expected = (1.0 - 0.05_f64.powi(4)) / 0.95;
    // Four standard deviations of the mean: √(p / (1 − p)² / n) each.
    assert!((at.len() as f64 / 20_000.0 - expected).abs() < 4.0 * 0.00165, "{} attempts", at.len());
}
