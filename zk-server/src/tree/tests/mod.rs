//! The tree as a whole: against real files, against naive models, and rule by rule.

mod model;
mod properties;
mod replay;
mod scene;
mod watches;
