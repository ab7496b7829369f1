//! Frames of requests that were answered, kept by each thread for the next ones: a request then allocates only the
//! slot its answer comes through, and what its caller keeps.

use std::cell::RefCell;

/// A larger frame is not kept.
const LARGEST: usize = 4 << 10;
/// A thread keeps no more than these bytes.
const MOST: usize = 256 << 10;

#[derive(Debug)]
struct Spare {
    frames: Vec<Vec<u8>>,
    bytes: usize,
}

thread_local! {
    static SPARE: RefCell<Spare> = const {
        RefCell::new(Spare {
            frames: Vec::new(),
            bytes: 0,
        })
    };
}

/// An empty frame with room for so many bytes.
pub(crate) fn take(room: usize) -> Vec<u8> {
    // A thread that ends has none any more.
    let kept = (room <= LARGEST)
        .then(|| SPARE.try_with(|spare| spare.borrow_mut().take()))
        .and_then(Result::ok)
        .flatten();
    match kept {
        Some(mut frame) => {
            frame.reserve(room);
            frame
        }
        None => Vec::with_capacity(room),
    }
}

/// A frame nobody needs any more.
pub(crate) fn give_back(frame: Vec<u8>) {
    if frame.capacity() <= LARGEST {
        // A thread that ends keeps nothing.
        let _ended = SPARE.try_with(|spare| spare.borrow_mut().keep(frame));
    }
}

impl Spare {
    fn take(&mut self) -> Option<Vec<u8>> {
        let frame = self.frames.pop()?;
        self.bytes -= frame.capacity();
        Some(frame)
    }

    fn keep(&mut self, mut frame: Vec<u8>) {
        if self.bytes + frame.capacity() <= MOST && frame.capacity() > 0 {
            frame.clear();
            self.bytes += frame.capacity();
            self.frames.push(frame);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_empty_and_with_room() {
        let mut frame = take(100);
        frame.extend_from_slice(b"a request");
        let place = frame.as_ptr();
        give_back(frame);
        let frame = take(50);
        assert_eq!((frame.as_ptr(), frame.len()), (place, 0));
        give_back(frame);
        assert!(take(2000).capacity() >= 2000);
    }

    #[test]
    fn a_thread_keeps_only_so_much() {
        give_back(Vec::with_capacity(LARGEST + 1));
        (0..1000).for_each(|_| give_back(Vec::with_capacity(LARGEST)));
        let kept = SPARE.with_borrow(|spare| (spare.frames.len(), spare.bytes));
        assert_eq!(kept, (MOST / LARGEST, MOST));
        while SPARE.with_borrow_mut(Spare::take).is_some() {}
        assert_eq!(SPARE.with_borrow(|spare| spare.bytes), 0);
    }
}
