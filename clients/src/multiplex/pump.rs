//! The task of a connection: it sends what is queued and delivers what arrives.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::Wire;
use super::shared::Shared;
use crate::connection::CallError;
use crate::limits::{FRAMES_A_TURN, LINGER_TIME_MAX};
use streams::give_way;

/// The task of a connection: sends what is queued, delivers what arrives.
pub(super) struct Pump<W> {
    pub(super) shared: Rc<Shared<W>>,
    /// Until when it goes on sending although nobody uses it any more.
    pub(super) lingers: Option<Lingering>,
}

pub(super) type Lingering = Pin<Box<dyn Future<Output = ()>>>;

impl<W: Wire> Future for Pump<W> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Pump { shared, lingers } = self.get_mut();
        if shared.ended.borrow().is_some() {
            return Poll::Ready(());
        }
        match advance(shared, context) {
            Ok(()) if shared.abandoned.get() && is_done(shared, lingers, context) => Poll::Ready(()),
            Ok(()) => {
                *shared.pump.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            }
            Err(error) => {
                shared.end(error);
                Poll::Ready(())
            }
        }
    }
}

/// Whether all is sent that waited when the last user went, or that has taken too long: a server
/// that does not read would keep the socket for ever.
fn is_done<W: Wire>(shared: &Shared<W>, lingers: &mut Option<Lingering>, context: &mut Context<'_>) -> bool {
    if shared.wire.borrow().waiting() == 0 {
        return true;
    }
    let lingers = lingers.get_or_insert_with(|| Box::pin(clock::pause(LINGER_TIME_MAX)));
    lingers.as_mut().poll(context).is_ready()
}

/// Sends, and takes what came: so many frames at most, and goes on when others had their turn.
fn advance<W: Wire>(shared: &Shared<W>, context: &mut Context<'_>) -> Result<(), CallError> {
    let mut wire = shared.wire.borrow_mut();
    let encoding = wire.encoding();
    wire.poll_send(context)?;
    for _ in 0..FRAMES_A_TURN {
        let Poll::Ready(frame) = wire.poll_receive(context) else { return Ok(()) };
        shared.deliver(frame?, encoding)?;
    }
    give_way(context);
    Ok(())
}
