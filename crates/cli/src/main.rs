//! The ordermill program.
fn main() {}
