//! What the black-box tests share: a server process, a client of it, and a look at its mail store.

mod doctor;
mod mailbox;
mod server;
mod shop;

pub use doctor::{Diagnosis, doctor, doctor_by};
pub use mailbox::{mails_by_id, wait_for_mails};
pub use server::{PATIENCE, Server, ordermill, run_to_end};
pub use shop::{Answer, Shop, order_line};
