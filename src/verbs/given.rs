//! Which options were typed: one that would do nothing is refused, and not passed over.

use std::collections::BTreeSet;

use clap::ArgMatches;
use clap::parser::ValueSource;

use crate::ending::UsageError;

/// The options that stood on the command line, by their names in the code.
#[derive(Debug, Clone, Default)]
pub(crate) struct Given(BTreeSet<String>);

impl Given {
    /// Those of a verb.
    pub(crate) fn of(matches: &ArgMatches) -> Given {
        let typed = |id: &&clap::Id| matches.value_source(id.as_str()) == Some(ValueSource::CommandLine);
        Given(matches.ids().filter(typed).map(|id| id.as_str().to_owned()).collect())
    }

    /// Whether an option was typed.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Refuses the first option for which there is something that it needs and has not.
    ///
    /// # Errors
    /// Which, and what it needs.
    pub(crate) fn check(&self, needs: impl Fn(&str) -> Option<String>) -> Result<(), UsageError> {
        let misfit = self.0.iter().find_map(|name| Some((name, needs(name)?)));
        match misfit {
            Some((name, need)) => Err(UsageError(format!("--{} needs {need}", name.replace('_', "-")))),
            None => Ok(()),
        }
    }
}
