//! The tree as a whole: against real files, against naive models, and rule by rule.

mod access;
mod imaging;
mod limits;
mod model;
mod properties;
mod replay;
mod scene;
mod sessions;
mod watches;
mod writes;
