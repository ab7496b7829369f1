//! What the outside world may connect to.

pub mod four_letter;
