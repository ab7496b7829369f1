//! The agreement.
