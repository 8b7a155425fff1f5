//! The command: verbs, scenario → plan → run → record → verdict → report.
