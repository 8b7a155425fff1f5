//! A screen in steps, as an API of plain resources has it: what an account holds, and then the
//! quotes of that, in one more request.

use std::time::Duration;

use clock::Clock;
use proto::v1::{PortfolioRequest, QuotesRequest};
use proto::{Operation, Reply, WrongReply, mask};

use crate::connection::{CallError, Connection, Connector, Unsupported};

/// What the first step asks for.
const HOLDINGS: &str = "account,positions.symbol,positions.quantity";

/// Calls for a portfolio, each in two requests.
#[derive(Debug, Clone)]
pub struct InSteps<C>(pub C);

impl<C: Connection<Request = Operation, Reply = Reply>> Connection for InSteps<C> {
    type Request = Operation;
    type Prepared = C::Prepared;
    type Reply = Reply;

    fn prepare(&self, request: &Operation) -> Result<C::Prepared, Unsupported> {
        let Operation::Portfolio(PortfolioRequest { account, .. }) = request else {
            return Err(Unsupported(format!(
                "only a portfolio comes in steps, and this is a {}",
                request.in_words()
            )));
        };
        let field_mask = Some(mask::parse(HOLDINGS));
        self.0.prepare(&Operation::Portfolio(PortfolioRequest { account: account.clone(), field_mask }))
    }

    async fn call(&self, prepared: &C::Prepared, time_left: Option<Duration>) -> Result<Reply, CallError> {
        let begun = Clock::System.now();
        let holdings = self.0.call(prepared, time_left).await?;
        let Reply::Portfolio(mut portfolio) = holdings else {
            let asked = "a portfolio".to_owned();
            return Err(WrongReply { asked, got: holdings.in_words() }.into());
        };
        let symbols = portfolio.positions.iter().map(|position| position.symbol.clone()).collect();
        let second = Operation::Quotes(QuotesRequest { symbols });
        // It depends on the first, so that it is encoded in the call's own time, as anybody would
        // have to.
        let taken = Clock::System.now().since(begun);
        let time_left = time_left.map(|left| left.saturating_sub(taken));
        let reply = self.0.call(&self.0.prepare(&second)?, time_left).await?;
        second.check(&reply)?;
        if let Reply::Quotes(quotes) = reply {
            for (position, quote) in portfolio.positions.iter_mut().zip(quotes.quotes) {
                position.quote = Some(quote);
            }
        }
        Ok(Reply::Portfolio(portfolio))
    }

    fn is_open(&self) -> bool {
        self.0.is_open()
    }

    fn late_replies(&self) -> u64 {
        self.0.late_replies()
    }
}

impl<K: Connector> Connector for InSteps<K>
where
    K::Connection: Connection<Request = Operation, Reply = Reply>,
{
    type Connection = InSteps<K::Connection>;

    async fn connect(&self) -> Result<Self::Connection, CallError> {
        self.0.connect().await.map(InSteps)
    }

    fn in_flight_max(&self) -> Option<usize> {
        self.0.in_flight_max()
    }
}
