//! The size of an ensemble, as the catalogue names it.

/// How many members there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// Those who vote.
    pub(crate) voters: usize,
    /// Those who only learn.
    pub(crate) observers: usize,
}

impl Size {
    /// All of them.
    pub(crate) const fn members(self) -> usize {
        self.voters + self.observers
    }
}
