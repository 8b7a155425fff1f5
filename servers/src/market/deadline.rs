//! Deadlines that travel: a caller says how much time its call has left, and the server stops
//! waiting for an answer when nobody else does.

use std::time::Duration;

use clock::{Clock, Mono};
use proto::Fault;
use proto::v1::FaultCode;

tokio::task_local! {
    /// Of the call that is answered by this task now.
    static DEADLINE: Mono;
}

/// Runs what answers a call that has so much time left; it must not leave its task before it asks
/// the market.
pub(crate) async fn within<F: Future>(time_left: Option<Duration>, answering: F) -> F::Output {
    match time_left {
        None => answering.await,
        Some(left) => DEADLINE.scope(Clock::System.now() + left, answering).await,
    }
}

/// The deadline of the call that is answered here, where its caller said one.
pub(super) fn current() -> Option<Mono> {
    DEADLINE.try_with(|deadline| *deadline).ok()
}

/// What a call is answered whose time is up.
pub(crate) fn exceeded() -> Fault {
    Fault::new(FaultCode::DeadlineExceeded, "the time is up that the caller gave this call")
}

#[cfg(test)]
mod tests {
    use proto::v1::QuoteRequest;
    use proto::{MarketResult, Operation, Reply};
    use terms::{Concurrency, Handler};

    use super::super::{Answer, Market, MarketConfig};
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    async fn call(market: &Market, time_left: Option<Duration>) -> MarketResult<Reply> {
        let quote = Operation::Quote(QuoteRequest { symbol: "AAAA".to_owned() });
        match market.answer(quote, time_left) {
            Answer::Now(answer) => answer,
            Answer::Waits(waiting) => market.finish(waiting).await,
        }
    }

    fn is_exceeded(answer: &MarketResult<Reply>) -> bool {
        matches!(answer, Err(fault) if fault.code == FaultCode::DeadlineExceeded)
    }

    /// Four calls that may take 20 ms, and one that may take all the time there is, at a market
    /// that answers one at a time after 200 ms.
    fn last_answer_after(drops_abandoned: bool) -> Duration {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let fake = clock::Fake::new();
        runtime.block_on(async {
            let concurrency = Some(Concurrency { at_once: 1, queue: 10, drops_abandoned });
            let handler = Handler { wait: 200 * MS, concurrency, ..Handler::default() };
            let config = MarketConfig { handler, ..MarketConfig::default() };
            let market = Market::open(&config, Clock::Fake(fake.clone())).unwrap();
            let hurried = futures::future::join_all((0..4).map(|_| call(&market, Some(20 * MS))));
            let start = fake.now();
            let calls = async {
                let (hurried, last) = tokio::join!(hurried, call(&market, None));
                assert!(hurried.iter().all(is_exceeded), "{hurried:?}");
                assert!(last.is_ok());
                fake.now().since(start)
            };
            let advance = async {
                loop {
                    for _ in 0..16 {
                        tokio::task::yield_now().await;
                    }
                    if let Some(next) = fake.next_deadline() {
                        fake.advance(next.since(fake.now()));
                    }
                }
            };
            tokio::select! { after = calls => after, () = advance => Duration::MAX }
        })
    }

    #[test]
    fn expired_work_is_dropped_where_abandoned_work_is() {
        assert_eq!(last_answer_after(true), 220 * MS);
        assert_eq!(last_answer_after(false), 1_000 * MS);
    }

    #[test]
    fn a_call_without_time_is_not_begun_and_one_with_time_is() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let handler = Handler { wait: MS, ..Handler::default() };
            let config = MarketConfig { handler, ..MarketConfig::default() };
            let market = Market::open(&config, Clock::System).unwrap();
            assert!(is_exceeded(&call(&market, Some(Duration::ZERO)).await));
            assert!(call(&market, Some(Duration::MAX / 4)).await.is_ok());
            let order = || proto::v1::OrderRequest::default();
            let late = within(Some(Duration::ZERO), market.place_order(order())).await;
            assert_eq!(late.unwrap_err().code, FaultCode::DeadlineExceeded);
            let other = within(None, market.place_order(order())).await;
            assert_eq!(other.unwrap_err().code, FaultCode::InvalidArgument);
        });
    }
}
