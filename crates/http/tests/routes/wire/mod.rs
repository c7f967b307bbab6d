//! The routes of the five systems, each as its clients know it.

mod enterprise;
mod orchestrator;
mod order_api;
mod records;
