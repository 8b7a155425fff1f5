//! The phases of a cold call. Whoever opens a connection says which phase it is in (`during`);
//! whoever makes a cold call has them told apart (`told_apart`). On every other connection nothing
//! is timed.

use std::cell::RefCell;
use std::time::Duration;

use clock::Clock;
use terms::Phase;

/// The phases that a call had, and how long each took.
pub type Phases = Vec<(Phase, Duration)>;

struct Watch {
    clock: Clock,
    phases: RefCell<Phases>,
}

tokio::task_local! {
    static WATCH: Watch;
}

/// Makes a call from its beginning, and says what it spent in each phase. What it did in none is
/// its request.
pub(crate) async fn told_apart<F: Future>(clock: &Clock, call: F) -> (F::Output, Phases) {
    let watched = async {
        let began = clock.now();
        let output = call.await;
        let whole = clock.now().since(began);
        let mut phases = WATCH.with(|watch| watch.phases.take());
        let before: Duration = phases.iter().map(|(_, took)| *took).sum();
        phases.push((Phase::Request, whole.saturating_sub(before)));
        (output, phases)
    };
    WATCH.scope(Watch { clock: clock.clone(), phases: RefCell::default() }, watched).await
}

/// Does the work of a phase.
pub(crate) async fn during<F: Future>(phase: Phase, work: F) -> F::Output {
    let now = || WATCH.try_with(|watch| watch.clock.now()).ok();
    let began = now();
    let output = work.await;
    if let Some((began, ended)) = began.zip(now()) {
        WATCH.with(|watch| watch.phases.borrow_mut().push((phase, ended.since(began))));
    }
    output
}

#[cfg(test)]
mod tests {
    use clock::Fake;

    use super::*;

    #[test]
    fn phases_and_the_request_are_the_whole_call() {
        let fake = Fake::default();
        let clock = Clock::Fake(fake.clone());
        let pass = |millis| fake.advance(Duration::from_millis(millis));
        let runtime = crate::local_runtime().unwrap();
        let (output, phases) = runtime.block_on(told_apart(&clock, async {
            during(Phase::Connect, async { pass(20) }).await;
            pass(3);
            during(Phase::Tls, async { pass(40) }).await;
            pass(7);
            "reply"
        }));
        let millis = Duration::from_millis;
        assert_eq!(output, "reply");
        assert_eq!(
            phases,
            [(Phase::Connect, millis(20)), (Phase::Tls, millis(40)), (Phase::Request, millis(10))]
        );
    }
}
