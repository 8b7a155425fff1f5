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
        backoff: Backoff::Exponential { base: 100 * MS, cap: 300 * MS },
        jitter: RetryJitter::None,
        ..Policy::NONE
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
            let attempt = async |_: Option<Mono>| {
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

/// Ten failures of a full window open it; then attempts are refused without being made, until a
/// probe may go through.
#[test]
fn a_breaker_refuses_attempts_while_it_is_open() {
    let breaker = terms::Breaker::parse("50% of 10, open 250ms").ok();
    let guarded = Policy { attempts: 1, breaker, ..policy() };
    let (at, last) = calls(1_000, guarded, 1, |_| Does::Fails(FaultCode::Unavailable));
    assert_eq!(at.len(), 10, "time stands still, and the breaker stays open");
    assert_eq!(last, Err(CallError::Limit("the breaker is open".to_owned())));
    let timed = Policy { attempt_time_out: Some(100 * MS), ..guarded };
    let (at, _) = calls(11, timed, 1, |_| Does::Nothing);
    assert_eq!(at.len(), 10);
    // What a caller asked for wrongly is no failure of the service.
    let (at, _) = calls(100, guarded, 1, |_| Does::Fails(FaultCode::NotFound));
    assert_eq!(at.len(), 100);
}

/// Calls that are made at once, of which a bulkhead lets three be under way.
#[test]
fn a_bulkhead_refuses_attempts_beyond_its_places() {
    crate::local_runtime().unwrap().block_on(async {
        let narrow = Policy { attempts: 1, bulkhead: Some(3), ..policy() };
        let retrier = Retrier::new(narrow, Clock::System, 1).unwrap();
        let (made, opened) = (Cell::new(0), tokio::sync::Semaphore::new(0));
        let call = || {
            retrier.call(async |_| {
                made.set(made.get() + 1);
                let _ = opened.acquire().await;
                Ok(())
            })
        };
        let open = async {
            tokio::task::yield_now().await;
            opened.add_permits(10);
        };
        let (results, ()) = tokio::join!(futures::future::join_all((0..8).map(|_| call())), open);
        let refused = results.iter().filter(|result| matches!(result, Err(CallError::Limit(_)))).count();
        assert_eq!((made.get(), refused), (3, 5));
        assert_eq!(retrier.call(async |_| Ok(7)).await, Ok(7), "the places are free again");
    });
}

/// Attempts that take longer than they may make room for fewer, one after the other.
#[test]
fn an_adaptive_limit_leaves_fewer_places_to_slow_attempts() {
    crate::local_runtime().unwrap().block_on(async {
        let slow = Policy { attempts: 1, adaptive_limit: Some(Duration::ZERO), ..policy() };
        let retrier = Retrier::new(slow, Clock::System, 1).unwrap();
        let made = Cell::new(0);
        let call = || {
            retrier.call(async |_| {
                made.set(made.get() + 1);
                clock::pause(MS).await;
                Ok(())
            })
        };
        // 16 × 0.9^16 is 2.96, of which two slow ones leave 2.40, and two more 1.94.
        for allowed in [16, 2, 2, 1] {
            made.set(0);
            futures::future::join_all((0..40).map(|_| call())).await;
            assert_eq!(made.get(), allowed);
        }
    });
}

#[test]
fn an_attempt_without_an_answer_gets_another_beside_it_and_the_first_answer_counts() {
    let hedged = Policy { hedge_after: Some(20 * MS), ..Policy::NONE };
    let first_is_silent = |nth| if nth == 0 { Does::Nothing } else { Does::Answers };
    assert_eq!(calls(1, hedged, 1, first_is_silent), (vec![0, 20], Ok(1)));
    assert_eq!(calls(3, hedged, 1, |_| Does::Answers).0, [0; 3], "who answers in time gets no other");
    let first_fails = |nth| if nth == 0 { Does::Fails(FaultCode::Unavailable) } else { Does::Answers };
    assert!(calls(1, hedged, 1, first_fails).1.is_err(), "a failure is no silence: that is for attempts");
    let second_fails = |nth| if nth % 2 == 0 { Does::Nothing } else { Does::Fails(FaultCode::Unavailable) };
    let timed = Policy { attempt_time_out: Some(50 * MS), ..hedged };
    assert_eq!(
        calls(1, timed, 1, second_fails),
        (vec![0, 20], Err(CallError::TimedOut)),
        "the first had time"
    );
    let refused = |nth| if nth == 0 { Does::Nothing } else { Does::Fails(FaultCode::NotFound) };
    assert!(matches!(calls(1, timed, 1, refused).1, Err(CallError::Rejected(_))), "an answer all the same");
}

/// A hundred calls that each would have one: the reserve, and what each earns.
#[test]
fn hedges_are_paid_for_from_the_budget() {
    let timed = Some(30 * MS);
    let hedged =
        Policy { hedge_after: Some(20 * MS), attempt_time_out: timed, budget: Some(0.1), ..Policy::NONE };
    let (at, _) = calls(100, hedged, 1, |_| Does::Nothing);
    assert_eq!(at.len() - 100, 10 + 10 - 1, "the first call finds it full");
}
