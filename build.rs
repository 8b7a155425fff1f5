//! No build step yet.

fn main() {}
