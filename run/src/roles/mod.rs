//! The processes that a run starts: this program again, in one role each. Synchronous until pinned;
//! one runtime a core it was given.

mod front;
mod supervisor;

use std::io::{stdin, stdout};

use clients::role::{Caller, Receiver};
use servers::role::{Balancer, MarketServer, NameServers, Sender};
use terms::lines::read_message;
use terms::role::{Means, Role, RoleError, say_failed};

pub(crate) use supervisor::{Supervise, Supervisor};

/// The names of all roles, as the hidden verb has them.
pub const NAMES: [&str; 7] = [
    MarketServer::NAME,
    Supervisor::NAME,
    Sender::NAME,
    Balancer::NAME,
    NameServers::NAME,
    Caller::NAME,
    Receiver::NAME,
];

/// Plays a role to the end of the input; says whether it went well. What went wrong was said on the
/// output.
pub fn play(name: &str) -> bool {
    lab::machine::raise_open_files();
    let played = play_to_the_end(name);
    if let Err(error) = &played {
        say_failed(&mut stdout(), error);
    }
    played.is_ok()
}

fn play_to_the_end(name: &str) -> Result<(), RoleError> {
    let means = Means { pin: lab::cores::pin, allocations: lab::allocations::count };
    match name {
        MarketServer::NAME => servers::role::serve(&*start_of::<MarketServer>()?, means, front::open),
        Balancer::NAME => servers::role::balance(&start_of::<Balancer>()?, means),
        NameServers::NAME => servers::role::name(&start_of::<NameServers>()?, means),
        Sender::NAME => servers::role::send(&start_of::<Sender>()?, &mut stdin().lock(), means),
        Caller::NAME => clients::role::call(&*start_of::<Caller>()?, &mut stdin().lock(), means),
        Receiver::NAME => clients::role::receive(&start_of::<Receiver>()?, &mut stdin().lock(), means),
        Supervisor::NAME => {
            let supervised = supervisor::supervise(&start_of::<Supervisor>()?, means);
            supervised.map_err(|error| RoleError(format!("{error:#}")))
        }
        other => Err(RoleError(format!("there is no role '{other}'"))),
    }
}

/// What a role is started with: the first line of the input.
fn start_of<R: Role>() -> std::io::Result<R::Start> {
    read_message(&mut stdin().lock())
}
