//! How to work with this client: a page for each thing that is easily got wrong. Pages only; no code lives here.
//!
//! | page | what it answers |
//! |---|---|
//! | [`sessions`] | what happens when a connection, a server or a session goes away |
//! | [`ordering`] | what is sent when, and what a read may show |
//! | [`watches`] | what a watcher hears, and what it cannot |
//! | [`cancellation`] | what is left when a future is dropped |
//! | [`errors`] | applied, not applied, or unknown; and what to do then |
//! | [`testing`] | tests with a server in the process and faults on demand |

pub mod cancellation;
pub mod errors;
pub mod ordering;
pub mod sessions;
pub mod testing;
pub mod watches;
