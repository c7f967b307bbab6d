//! Holds the rules of the workspace that no compiler knows: who may depend on whom, how large a file or function may be, that each
//! error code has its page, and that nothing stray is committed.

mod dependencies;
mod errors;
mod links;
mod sizes;
mod stray;
mod tree;
