//! One spare output buffer per worker thread: a busy connection neither asks the allocator for memory nor
//! grows a buffer step by step, and an idle one keeps none.
//!
//! Only output: what a client sends is kept as slices of its input for as long as a write is in flight,
//! and a small write must not hold on to a large buffer.

use bytes::BytesMut;
use std::cell::Cell;

/// A buffer that has grown beyond this is not kept.
const KEPT: usize = 256 * 1024;

thread_local! {
    static SPARE: Cell<BytesMut> = Cell::default();
}

/// An empty buffer, with room if there is a spare one.
pub(crate) fn borrow() -> BytesMut {
    SPARE.try_with(Cell::take).unwrap_or_default()
}

/// Keeps an empty buffer for whoever needs one next on this thread.
pub(crate) fn give_back(mut buffer: BytesMut) {
    let is_huge = buffer.try_reclaim(KEPT + 1);
    if buffer.is_empty() && !is_huge {
        // A thread that is ending keeps nothing.
        let _ending = SPARE.try_with(|spare| spare.set(buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Buf;

    #[test]
    fn what_is_given_back_is_lent_again_unless_it_is_huge() {
        let mut buffer = borrow();
        buffer.extend_from_slice(&[7; 1000]);
        let place = buffer.as_ptr();
        buffer.advance(1000);
        give_back(buffer);
        let mut again = borrow();
        again.extend_from_slice(&[8; 1000]);
        assert_eq!(again.as_ptr(), place, "the same memory, from its beginning");
        assert_eq!(borrow().capacity(), 0, "it is lent once");

        let mut huge = BytesMut::with_capacity(KEPT + 1);
        huge.extend_from_slice(&[9; KEPT]);
        huge.advance(KEPT);
        give_back(huge);
        assert_eq!(borrow().capacity(), 0);
    }
}
