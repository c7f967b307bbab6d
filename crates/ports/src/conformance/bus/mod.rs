//! What a bus has to show.

pub mod dead_letters;
pub mod delivery;
pub mod lag;
pub mod settling;
pub mod stale;
pub mod subjects;
