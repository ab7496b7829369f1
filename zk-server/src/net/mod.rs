//! The client port: connections, their order of requests, reads, and four-letter words.
//!
//! Nothing here decides what a write does; writes go to the loop as they came.

mod blue;
pub(crate) mod budget;
mod connection;
pub mod election;
pub mod four_letter;
mod front;
pub(crate) mod gate;
mod java_ip;
pub(crate) mod link;
pub(crate) mod listener;
mod probe;
pub(crate) mod quorum;
mod rates;
pub(crate) mod reads;
mod spare;
mod tally;
#[cfg(test)]
mod tests;
